//! Writes invitations.

use sqlx::PgConnection;

use crate::domain::{Actor, Invitation, OrganizationId, Role, StoredCode, Timestamp};
use crate::store::columns::{column, expect_rows, key, only, role_name, text, typed, username};
use crate::store::{Result, annotations};

pub(super) async fn insert(connection: &mut PgConnection, rows: &[(&OrganizationId, &Invitation)]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let code = |f: fn(&StoredCode) -> Vec<u8>| column(rows, |(_, i)| i.code.as_ref().map(f));
    sqlx::query!(
        "INSERT INTO invitations (organization, invitation, state, email, email_key, username, account_email, \
                                  account_email_key, role, inviter, offerer, approver, locale, code_hash, code_key_id, \
                                  generation, create_time, update_time, expire_time, send_time, request_time, \
                                  revision, annotations) \
         SELECT o, i, s::invitation_state, e, ek, u, a, ak, r::role, bi, bo, ba, l, h, hk, g, tc, tu, te, ts, tr, v, an \
           FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], \
                       $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bytea[], $15::text[], \
                       $16::int[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[], $20::timestamptz[], \
                       $21::timestamptz[], $22::int[], $23::jsonb[]) \
             AS n(o, i, s, e, ek, u, a, ak, r, bi, bo, ba, l, h, hk, g, tc, tu, te, ts, tr, v, an)",
        &column(rows, |(id, _)| text(id)),
        &column(rows, |(_, i)| i.id.0),
        &column(rows, |(_, i)| i.state.as_str().to_owned()),
        &column(rows, |(_, i)| typed(&i.email)),
        &column(rows, |(_, i)| key(&i.email)),
        &column(rows, |(_, i)| i.username.as_ref().map(username)) as &[Option<String>],
        &column(rows, |(_, i)| i.account_email.as_ref().map(typed)) as &[Option<String>],
        &column(rows, |(_, i)| i.account_email.as_ref().map(key)) as &[Option<String>],
        &column(rows, |(_, i)| i.role.map(role_name)) as &[Option<String>],
        &column(rows, |(_, i)| i.inviter.as_ref().map(Actor::to_string)) as &[Option<String>],
        &column(rows, |(_, i)| i.offerer.as_ref().map(Actor::to_string)) as &[Option<String>],
        &column(rows, |(_, i)| i.approver.as_ref().map(Actor::to_string)) as &[Option<String>],
        &column(rows, |(_, i)| i.locale.clone()) as &[Option<String>],
        &code(|code| code.hash.to_vec()) as &[Option<Vec<u8>>],
        &column(rows, |(_, i)| i.code.as_ref().map(|code| code.key_id.clone())) as &[Option<String>],
        &column(rows, |(_, i)| i.code.as_ref().map_or(0, |code| code.generation)),
        &column(rows, |(_, i)| i.create_time),
        &column(rows, |(_, i)| i.update_time),
        &column(rows, |(_, i)| i.expire_time) as &[Option<Timestamp>],
        &column(rows, |(_, i)| i.send_time),
        &column(rows, |(_, i)| i.request_time) as &[Option<Timestamp>],
        &column(rows, |(_, i)| i.revision),
        &column(rows, |(_, i)| annotations::encode(&i.annotations)),
    )
    .execute(&mut *connection)
    .await?;
    insert_annotations(connection, rows).await
}

/// The annotations once more as rows, by which the invitations are found.
async fn insert_annotations(connection: &mut PgConnection, rows: &[(&OrganizationId, &Invitation)]) -> Result<()> {
    let pairs = rows.iter().flat_map(|(id, i)| i.annotations.pairs().iter().map(|pair| (*id, i.id, pair)));
    let pairs = pairs.collect::<Vec<_>>();
    if pairs.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO annotations (organization, key, value, invitation) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[])",
        &column(&pairs, |(id, ..)| text(id)),
        &column(&pairs, |(.., (key, _))| (*key).clone()),
        &column(&pairs, |(.., (_, value))| (*value).clone()),
        &column(&pairs, |(_, id, _)| id.0),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Annotations never change. Leaves open states only: what is final stays as it is, whatever the caller believes. So does a role that only a newer
/// version knows.
pub(super) async fn update(
    connection: &mut PgConnection,
    rows: &[(&OrganizationId, &Invitation, &Invitation)],
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let result = sqlx::query!(
        "UPDATE invitations i SET state = n.s, username = n.u, account_email = n.a, \
                account_email_key = n.ak, role = CASE WHEN n.rk THEN i.role ELSE n.r END, offerer = n.bo, approver = n.ba, \
                code_hash = n.h, code_key_id = n.hk, generation = n.g, update_time = n.tu, expire_time = n.te, \
                send_time = n.ts, request_time = n.tr, revision = n.v \
           FROM unnest($1::text[], $2::uuid[], $3::int[], $4::text[]::invitation_state[], $5::text[], $6::text[], \
                       $7::text[], $8::text[]::role[], $9::text[], $10::text[], $11::bytea[], $12::text[], $13::int[], $14::timestamptz[], \
                       $15::timestamptz[], $16::timestamptz[], $17::timestamptz[], $18::int[], $19::bool[]) \
             AS n(o, i, was, s, u, a, ak, r, bo, ba, h, hk, g, tu, te, ts, tr, v, rk) \
          WHERE i.organization = ANY(ARRAY[n.o]) AND i.invitation = n.i AND i.revision = n.was \
            AND ARRAY[i.state] <@ '{INVITED,ACCESS_REQUESTED,PENDING_APPROVAL,OFFERED}' \
            AND ($20::text IS NULL OR i.organization = $20)",
        &column(rows, |(id, ..)| text(id)),
        &column(rows, |(.., i)| i.id.0),
        &column(rows, |(_, before, _)| before.revision),
        &column(rows, |(.., i)| i.state.as_str().to_owned()),
        &column(rows, |(.., i)| i.username.as_ref().map(username)) as &[Option<String>],
        &column(rows, |(.., i)| i.account_email.as_ref().map(typed)) as &[Option<String>],
        &column(rows, |(.., i)| i.account_email.as_ref().map(key)) as &[Option<String>],
        &column(rows, |(.., i)| i.role.filter(|role| *role != Role::Newer).map(role_name)) as &[Option<String>],
        &column(rows, |(.., i)| i.offerer.as_ref().map(Actor::to_string)) as &[Option<String>],
        &column(rows, |(.., i)| i.approver.as_ref().map(Actor::to_string)) as &[Option<String>],
        &column(rows, |(.., i)| i.code.as_ref().map(|code| code.hash.to_vec())) as &[Option<Vec<u8>>],
        &column(rows, |(.., i)| i.code.as_ref().map(|code| code.key_id.clone())) as &[Option<String>],
        &column(rows, |(.., i)| i.code.as_ref().map_or(0, |code| code.generation)),
        &column(rows, |(.., i)| i.update_time),
        &column(rows, |(.., i)| i.expire_time) as &[Option<Timestamp>],
        &column(rows, |(.., i)| i.send_time),
        &column(rows, |(.., i)| i.request_time) as &[Option<Timestamp>],
        &column(rows, |(.., i)| i.revision),
        &column(rows, |(.., i)| i.role == Some(Role::Newer)),
        only(rows.iter().map(|(id, ..)| id.as_str())),
    )
    .execute(connection)
    .await?;
    expect_rows(&result, rows.len(), "an invitation")
}
