//! Whose emails come next. Organizations with due emails stand in a queue, at most once each: whoever was served goes to
//! its end. So a flood delays the others by its turns, however long it is, and costs no more to look at.
//!
//! A row of `mail_turns` is where an organization stands. Who writes emails lowers it to the time of the first of them, in
//! the same transaction ([`crate::store::changes`]); a worker that has leased, settled or given back some sets it anew.
//! It is not locked meanwhile. What was written at the same time raises its revision, and then the row stays as it is:
//! looked at too early is looked at once more.

use sqlx::PgConnection;

use crate::domain::{EmailKind, OrganizationId};
use crate::store::columns::only;
use crate::store::{Result, texts};

/// How far it looks from each end of all due emails for organizations that stand in no queue.
const WINDOW: i64 = 200;

/// Takes the next organizations out of the queue and puts them at its end. Those that another worker takes at this moment
/// are passed over.
pub(super) async fn take(connection: &mut PgConnection, limit: i64) -> Result<Vec<OrganizationId>> {
    let taken = sqlx::query_scalar!(
        "WITH next AS MATERIALIZED ( \
           SELECT organization FROM mail_turns WHERE turn_time <= now() ORDER BY turn_time LIMIT $1 \
              FOR UPDATE SKIP LOCKED) \
         UPDATE mail_turns t SET turn_time = now() FROM next WHERE t.organization = ANY(ARRAY[next.organization]) \
         RETURNING t.organization",
        limit,
    );
    Ok(taken.fetch_all(connection).await?.into_iter().map(OrganizationId::stored).collect())
}

/// Organizations with due emails, those that come next before others. For a distributed database, which locks the rows of
/// one owner at a time: this only proposes.
pub async fn due_organizations(connection: &mut PgConnection) -> Result<Vec<OrganizationId>> {
    let rows = sqlx::query_scalar!(
        "SELECT organization FROM mail_turns WHERE turn_time <= now() ORDER BY turn_time LIMIT $1",
        WINDOW,
    );
    let mut due = rows.fetch_all(&mut *connection).await?.into_iter().map(OrganizationId::stored).collect();
    add_others(connection, &mut due).await?;
    Ok(due)
}

/// Adds organizations with due emails that nobody has put into the queue: a version before this one has written them, or
/// a hand. As far as it looks; there is always progress, because the oldest are sent first.
pub(super) async fn add_others(connection: &mut PgConnection, due: &mut Vec<OrganizationId>) -> Result<()> {
    let rows = sqlx::query_scalar!(
        r#"SELECT organization AS "organization!" FROM (
             (SELECT organization FROM emails
               WHERE state IN ('QUEUED', 'RETRYING') AND due_time <= now() AND kind = ANY($1) ORDER BY due_time LIMIT $2)
             UNION
             (SELECT organization FROM emails
               WHERE state IN ('QUEUED', 'RETRYING') AND due_time <= now() AND kind = ANY($1)
               ORDER BY due_time DESC LIMIT $2)
           ) due"#,
        &EmailKind::ALL.map(|kind| kind.as_str().to_owned()),
        WINDOW,
    );
    let others = rows.fetch_all(&mut *connection).await?.into_iter().map(OrganizationId::stored);
    let others = others.filter(|other| !due.contains(other)).collect::<Vec<_>>();
    if !others.is_empty() {
        add_rows(connection, &others).await?;
    }
    due.extend(others);
    Ok(())
}

/// Gives those rows that have none, for [`pass_on`] to find. The others are asked for first: who inserts waits for whoever
/// writes that row.
async fn add_rows(connection: &mut PgConnection, organizations: &[OrganizationId]) -> Result<()> {
    let mut names = sorted(organizations);
    let known = sqlx::query_scalar!("SELECT organization FROM mail_turns WHERE organization = ANY($1)", &names);
    let known = known.fetch_all(&mut *connection).await?;
    names.retain(|name| !known.contains(name));
    if names.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO mail_turns (organization) SELECT * FROM unnest($1::text[]) \
         ON CONFLICT ON CONSTRAINT mail_turns_pkey DO NOTHING",
        &names,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts organizations where their emails now belong: at the end of the queue if some are due, else where the first of
/// them comes due, also of those that are held. Takes those out that are settled: the others are being written to at this
/// moment, and stand where they stood.
///
/// The revision is compared as this statement has seen it: an email that it has not seen has raised it.
pub async fn pass_on(connection: &mut PgConnection, organizations: &mut Vec<OrganizationId>) -> Result<()> {
    if organizations.is_empty() {
        return Ok(());
    }
    let settled = sqlx::query_scalar!(
        "UPDATE mail_turns t SET turn_time = n.next \
           FROM (SELECT o.id, l.revision, e.next FROM unnest($1::text[]) AS o(id), \
                   LATERAL (SELECT revision FROM mail_turns \
                             WHERE organization = o.id AND ($3::text IS NULL OR organization = $3) OFFSET 0) s, \
                   LATERAL (SELECT revision FROM mail_turns \
                             WHERE organization = o.id AND revision = s.revision AND ($3::text IS NULL OR organization = $3) \
                            OFFSET 0 FOR UPDATE SKIP LOCKED) l \
                   LEFT JOIN LATERAL ( \
                     SELECT greatest(due_time, now()) AS next FROM emails \
                      WHERE organization = o.id \
                        AND (organization, due_time) >= (o.id, '-infinity') AND (organization, due_time) <= (o.id, 'infinity') \
                        AND state IN ('QUEUED', 'RETRYING') AND kind = ANY($2) AND kind <> '' \
                        AND ($3::text IS NULL OR organization = $3) \
                      ORDER BY organization, due_time LIMIT 1) e ON true \
                 OFFSET 0) n \
          WHERE t.organization = ANY(ARRAY[n.id]) AND t.revision = n.revision \
            AND ($3::text IS NULL OR t.organization = $3) \
         RETURNING t.organization",
        &sorted(organizations),
        &EmailKind::ALL.map(|kind| kind.as_str().to_owned()),
        only(organizations.iter().map(OrganizationId::as_str)),
    );
    let settled = settled.fetch_all(connection).await?;
    organizations.retain(|organization| !settled.iter().any(|settled| settled == organization.as_str()));
    Ok(())
}

/// Rows are locked in this order.
fn sorted(organizations: &[OrganizationId]) -> Vec<String> {
    let mut names = texts(organizations);
    names.sort_unstable();
    names.dedup();
    names
}
