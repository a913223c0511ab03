//! Reads of invitations. Nothing here shows an open state past its `expire_time`, whether or not the sweep has been
//! there: the domain computes what is shown from `now`, and filters by state do so in SQL.

use std::collections::HashMap;

use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::rows::{DeliveryColumns, InvitationRow};
use super::{Error, Result};
use crate::domain::{Deliveries, DisplayName, Invitation, InvitationId, InvitationState, OrganizationId, Username};

/// Where the next page begins: before this id. The first page begins before the greatest.
pub const FIRST_PAGE: Uuid = Uuid::max();

/// Where the invitation of a code is, and the key that made the code, unless the caller gets the answer of an unknown code: somebody else is bound to it,
/// or it is over. What that leads to is then the same work as for an unknown one, which takes the same time. It only
/// proposes: whether the code is good is decided on what is there later. Two rows for one hash are a fault.
pub async fn find_by_code(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    caller: &Username,
) -> Result<Option<(OrganizationId, InvitationId, String)>> {
    let states = InvitationState::ALL.map(|state| state.as_str().to_owned());
    let rows = sqlx::query!(
        r#"SELECT organization, invitation, code_key_id AS "code_key_id!",
                  (state = 'INVITED' AND expire_time > now() OR username IS NOT DISTINCT FROM $2
                    OR state::text <> ALL($3)) AS "is_for_caller!"
             FROM invitations WHERE code_hash = $1 LIMIT 2"#,
        hash,
        caller.as_str(),
        &states,
    )
    .fetch_all(connection)
    .await?;
    if rows.len() > 1 {
        return Err(Error::Fault("two invitations with one code".to_owned()));
    }
    let row = rows.into_iter().next().filter(|row| row.is_for_caller);
    Ok(row.map(|row| (OrganizationId::stored(row.organization), InvitationId(row.invitation), row.code_key_id)))
}

/// A page of an organization's invitations, newest first.
pub async fn list(
    connection: &mut PgConnection,
    organization: &OrganizationId,
    before: Uuid,
    limit: i64,
) -> Result<Vec<Invitation>> {
    let rows = sqlx::query_as!(
        InvitationRow,
        r#"SELECT organization, invitation, state::text AS "state!", email, email_key, username, account_email,
                  account_email_key, role::text, inviter, offerer, approver, locale, annotations, code_hash, code_key_id, generation,
                  create_time, update_time, expire_time, send_time, request_time, revision
             FROM invitations WHERE organization = $1 AND invitation < $2 ORDER BY invitation DESC LIMIT $3"#,
        organization.as_str(),
        before,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Invitation::try_from).collect()
}

/// A page of the invitations that are bound to an account, of some organizations or of all, newest first. Those of other
/// organizations are read and passed over: an account has not many.
pub async fn list_of_account(
    connection: &mut PgConnection,
    username: &Username,
    organizations: Option<&[OrganizationId]>,
    before: (Uuid, &str),
    limit: i64,
) -> Result<Vec<(OrganizationId, Invitation)>> {
    let organizations = organizations.map(super::texts);
    let rows = sqlx::query_as!(
        InvitationRow,
        r#"SELECT organization, invitation, state::text AS "state!", email, email_key, username, account_email,
                  account_email_key, role::text, inviter, offerer, approver, locale, annotations, code_hash, code_key_id, generation,
                  create_time, update_time, expire_time, send_time, request_time, revision
             FROM invitations
            WHERE username = $1 AND (invitation, organization) < ($2, $3) AND ($5::text[] IS NULL OR organization = ANY($5))
            ORDER BY invitation DESC, organization DESC LIMIT $4"#,
        username.as_str(),
        before.0,
        before.1,
        limit,
        organizations.as_deref(),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok((OrganizationId::stored(row.organization.clone()), row.try_into()?))).collect()
}

/// Those of an organization with these ids, as far as they exist.
pub async fn named(
    connection: &mut PgConnection,
    organization: &OrganizationId,
    ids: &[Uuid],
) -> Result<HashMap<InvitationId, Invitation>> {
    let rows = sqlx::query_as!(
        InvitationRow,
        r#"SELECT n.organization, n.invitation, n.state::text AS "state!", n.email, n.email_key, n.username,
                  n.account_email, n.account_email_key, n.role::text, n.inviter, n.offerer, n.approver, n.locale,
                  n.annotations, n.code_hash, n.code_key_id, n.generation, n.create_time, n.update_time, n.expire_time,
                  n.send_time, n.request_time, n.revision
             FROM unnest($2::uuid[]) AS w(i), LATERAL (
               SELECT * FROM invitations WHERE organization = $1 AND invitation = w.i OFFSET 0) n"#,
        organization.as_str(),
        ids,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok((InvitationId(row.invitation), row.try_into()?))).collect()
}

/// The display names of organizations.
pub async fn display_names(
    connection: &mut PgConnection,
    ids: &[String],
) -> Result<HashMap<OrganizationId, DisplayName>> {
    let rows = sqlx::query!("SELECT organization, display_name FROM organizations WHERE organization = ANY($1)", ids)
        .fetch_all(connection)
        .await?;
    let entry = |(id, name)| (OrganizationId::stored(id), DisplayName::stored(name));
    Ok(rows.into_iter().map(|row| entry((row.organization, row.display_name))).collect())
}

/// The newest emails of each invitation of a page. The organization is compared in a form that no index serves: by the
/// primary key this would read all the emails of the organization.
pub async fn deliveries(
    connection: &mut PgConnection,
    organization: &OrganizationId,
    ids: &[Uuid],
) -> Result<HashMap<InvitationId, Deliveries>> {
    let rows = sqlx::query!(
        r#"SELECT w.i AS "invitation!", d.kinds, d.states, d.attempts, d.answers AS "answers: Vec<Option<String>>",
                  d.create_times, d.update_times, f.further
             FROM unnest($2::uuid[]) AS w(i), LATERAL (
               SELECT array_agg(kind) AS kinds, array_agg(state::text) AS states, array_agg(attempt) AS attempts,
                      array_agg(answer) AS answers, array_agg(create_time) AS create_times,
                      array_agg(update_time) AS update_times
                 FROM (
                   SELECT kind, state, attempt, answer, create_time, update_time FROM emails
                    WHERE invitation = w.i AND ($1::text IS NULL OR organization = $1)
                    ORDER BY create_time DESC LIMIT 10) newest) d, LATERAL (
               SELECT count(*) AS further FROM (
                 SELECT 1 FROM emails
                  WHERE invitation = w.i AND ($1::text IS NULL OR organization = $1)
                  ORDER BY create_time DESC OFFSET 10 LIMIT 1000) older) f"#,
        organization.as_str(),
        ids,
    )
    .fetch_all(connection)
    .await?;
    let found = rows.into_iter().map(|row| {
        let columns = DeliveryColumns {
            kinds: row.kinds,
            states: row.states,
            attempts: row.attempts,
            answers: row.answers,
            create_times: row.create_times,
            update_times: row.update_times,
            further: row.further,
        };
        (InvitationId(row.invitation), columns.into())
    });
    Ok(found.collect())
}
