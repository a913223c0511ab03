//! Writes organizations and their head rows.

use sqlx::PgConnection;

use crate::domain::{Organization, OrganizationState, Timestamp};
use crate::store::columns::{column, expect_rows, key, listed, only, text, typed};
use crate::store::{Result, pending_change, policy};

pub(super) async fn insert(connection: &mut PgConnection, rows: &[&OrganizationState]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO organizations (organization, display_name, notification_email, notification_email_key, locale, policy, \
                                    create_time, update_time, revision, notification_key_id, notification_generation, \
                                    notification_expire_time) \
         SELECT o, d, e, k, l, p, c, t, v, nk, ng, nt \
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::timestamptz[], \
                       $8::timestamptz[], $9::int[], $10::text[], $11::int[], $12::timestamptz[]) \
             AS n(o, d, e, k, l, p, c, t, v, nk, ng, nt)",
        &column(rows, |t| text(t.id())),
        &column(rows, |t| t.organization.display_name.as_str().to_owned()),
        &column(rows, |t| typed(&t.organization.notification_email)),
        &column(rows, |t| key(&t.organization.notification_email)),
        &column(rows, |t| t.organization.locale.clone()),
        &column(rows, |t| policy::encode(&t.organization.policy)),
        &column(rows, |t| t.organization.create_time),
        &column(rows, |t| t.organization.update_time),
        &column(rows, |t| t.organization.revision),
        &column(rows, |t| key_id(&t.organization)) as &[Option<String>],
        &column(rows, |t| t.organization.missing_proof.as_ref().map(|proof| proof.generation)) as &[Option<i32>],
        &column(rows, |t| t.organization.missing_proof.as_ref().map(|proof| proof.expire_time)) as &[Option<Timestamp>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn insert_heads(connection: &mut PgConnection, rows: &[&OrganizationState]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO organization_heads (organization, event_position, seat_limit, seats_taken, owners, open_invitations, \
                                         invitations_limit, open_invitations_limit, invitations_slot, \
                                         invitations_totals) \
         SELECT o, p, l, s, w, i, il, ol, k, string_to_array(t, ',')::bigint[] \
           FROM unnest($1::text[], $2::bigint[], $3::int[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[], \
                       $9::bigint[], $10::text[]) AS n(o, p, l, s, w, i, il, ol, k, t)",
        &column(rows, |t| text(t.id())),
        &column(rows, |t| t.head.event_position),
        &column(rows, |t| t.head.seat_limit) as &[Option<i32>],
        &column(rows, |t| t.head.seats_taken),
        &column(rows, |t| t.head.owners),
        &column(rows, |t| t.head.open_invitations),
        &column(rows, |t| t.head.limits.invitations_per_day) as &[Option<i32>],
        &column(rows, |t| t.head.limits.open_invitations) as &[Option<i32>],
        &column(rows, |t| t.head.invitations.slot),
        &column(rows, |t| listed(&t.head.invitations.totals)),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A policy is written only where it has changed, and with the fields that only a newer version knows; a pending change
/// likewise.
pub(super) async fn update(connection: &mut PgConnection, rows: &[(&Organization, &Organization)]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let result = sqlx::query!(
        "UPDATE organizations o SET display_name = n.d, notification_email = n.e, notification_email_key = n.k, \
                locale = n.l, policy = coalesce(o.policy - $9::text[] || n.p, o.policy), update_time = n.t, revision = n.r, \
                pending_change = CASE WHEN n.w THEN n.c ELSE o.pending_change END, \
                pending_create_time = CASE WHEN n.w THEN n.ct ELSE o.pending_create_time END, \
                pending_effective_time = CASE WHEN n.w THEN n.ce ELSE o.pending_effective_time END, \
                notification_key_id = n.nk, notification_generation = n.ng, notification_expire_time = n.nt \
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::timestamptz[], $8::int[], \
                       $11::bool[], $12::jsonb[], $13::timestamptz[], $14::timestamptz[], $15::text[], $16::int[], \
                       $17::timestamptz[]) \
             AS n(o, d, e, k, l, p, t, r, w, c, ct, ce, nk, ng, nt) \
          WHERE o.organization = ANY(ARRAY[n.o]) AND o.revision < n.r \
            AND ($10::text IS NULL OR o.organization = $10)",
        &column(rows, |(_, o)| text(&o.id)),
        &column(rows, |(_, o)| o.display_name.as_str().to_owned()),
        &column(rows, |(_, o)| typed(&o.notification_email)),
        &column(rows, |(_, o)| key(&o.notification_email)),
        &column(rows, |(_, o)| o.locale.clone()),
        &column(rows, |(before, o)| (before.policy != o.policy).then(|| policy::encode(&o.policy))) as &[Option<serde_json::Value>],
        &column(rows, |(_, o)| o.update_time),
        &column(rows, |(_, o)| o.revision),
        &policy::FIELDS.map(str::to_owned),
        only(rows.iter().map(|(_, o)| o.id.as_str())),
        &column(rows, |(before, o)| before.pending_change != o.pending_change),
        &column(rows, |(_, o)| o.pending_change.as_ref().map(pending_change::encode)) as &[Option<serde_json::Value>],
        &column(rows, |(_, o)| o.pending_change.as_ref().map(|change| change.create_time)) as &[Option<Timestamp>],
        &column(rows, |(_, o)| o.pending_change.as_ref().and_then(|change| change.effective_time)) as &[Option<Timestamp>],
        &column(rows, |(_, o)| key_id(o)) as &[Option<String>],
        &column(rows, |(_, o)| o.missing_proof.as_ref().map(|proof| proof.generation)) as &[Option<i32>],
        &column(rows, |(_, o)| o.missing_proof.as_ref().map(|proof| proof.expire_time)) as &[Option<Timestamp>],
    )
    .execute(connection)
    .await?;
    expect_rows(&result, rows.len(), "an organization")
}

/// Of the code that is awaited.
fn key_id(organization: &Organization) -> Option<String> {
    organization.missing_proof.as_ref().map(|proof| proof.key_id.clone())
}
