//! Writes members.

use sqlx::PgConnection;

use crate::domain::{Actor, Member, OrganizationId};
use crate::store::Result;
use crate::store::columns::{column, expect_rows, key, only, role_name, text, typed, username};

pub(super) async fn delete(connection: &mut PgConnection, rows: &[(&OrganizationId, &Member)]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let result = sqlx::query!(
        "DELETE FROM members m USING unnest($1::text[], $2::text[], $3::int[]) AS n(o, u, r) \
          WHERE m.organization = ANY(ARRAY[n.o]) AND m.username = ANY(ARRAY[n.u]) AND m.revision = n.r \
            AND ($4::text IS NULL OR m.organization = $4)",
        &column(rows, |(id, _)| text(id)),
        &column(rows, |(_, member)| username(&member.username)),
        &column(rows, |(_, member)| member.revision),
        only(rows.iter().map(|(id, _)| id.as_str())),
    )
    .execute(connection)
    .await?;
    expect_rows(&result, rows.len(), "a member")
}

pub(super) async fn insert(connection: &mut PgConnection, rows: &[(&OrganizationId, &Member)]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO members (organization, username, role, email, email_key, inviter, create_time, update_time, revision) \
         SELECT o, u, r::role, e, k, i, c, t, v \
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], \
                       $8::timestamptz[], $9::int[]) AS n(o, u, r, e, k, i, c, t, v)",
        &column(rows, |(id, _)| text(id)),
        &column(rows, |(_, m)| username(&m.username)),
        &column(rows, |(_, m)| role_name(m.role)),
        &column(rows, |(_, m)| m.email.as_ref().map(typed)) as &[Option<String>],
        &column(rows, |(_, m)| m.email.as_ref().map(key)) as &[Option<String>],
        &column(rows, |(_, m)| m.inviter.as_ref().map(Actor::to_string)) as &[Option<String>],
        &column(rows, |(_, m)| m.create_time),
        &column(rows, |(_, m)| m.update_time),
        &column(rows, |(_, m)| m.revision),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Only roles change: a member who was removed and came back within one batch is another row.
pub(super) async fn update(connection: &mut PgConnection, rows: &[(&OrganizationId, &Member, &Member)]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let result = sqlx::query!(
        "UPDATE members m SET role = n.r, email = n.e, email_key = n.k, inviter = n.i, create_time = n.c, \
                update_time = n.t, revision = n.v \
           FROM unnest($1::text[], $2::text[], $3::int[], $4::text[]::role[], $5::text[], $6::text[], $7::text[], \
                       $8::timestamptz[], $9::timestamptz[], $10::int[]) AS n(o, u, was, r, e, k, i, c, t, v) \
          WHERE m.organization = ANY(ARRAY[n.o]) AND m.username = ANY(ARRAY[n.u]) AND m.revision = n.was \
            AND ($11::text IS NULL OR m.organization = $11)",
        &column(rows, |(id, ..)| text(id)),
        &column(rows, |(.., m)| username(&m.username)),
        &column(rows, |(_, before, _)| before.revision),
        &column(rows, |(.., m)| role_name(m.role)),
        &column(rows, |(.., m)| m.email.as_ref().map(typed)) as &[Option<String>],
        &column(rows, |(.., m)| m.email.as_ref().map(key)) as &[Option<String>],
        &column(rows, |(.., m)| m.inviter.as_ref().map(Actor::to_string)) as &[Option<String>],
        &column(rows, |(.., m)| m.create_time),
        &column(rows, |(.., m)| m.update_time),
        &column(rows, |(.., m)| m.revision),
        only(rows.iter().map(|(id, ..)| id.as_str())),
    )
    .execute(connection)
    .await?;
    expect_rows(&result, rows.len(), "a member")
}
