//! Loads what a batch of commands touches: locks the head rows, then reads, never in one statement, because the
//! snapshot of the statement that locks is older than the lock.

use std::collections::HashMap;

use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::rows::{HeadRow, InvitationRow, MemberRow, OrganizationRow};
use super::{Error, Result};
use crate::domain::{Head, Invitation, Member, Organization, OrganizationId, OrganizationState, Timestamp};

/// Whether the head rows are locked until the end of the transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    Yes,
    /// For a look before a change that would not happen anyway.
    No,
}

/// What a batch touches, beside the organizations themselves; each entry with its organization.
#[derive(Debug, Default)]
pub struct Wanted {
    pub invitations: Vec<(String, Uuid)>,
    /// Keys of addresses: their open invitations, and the members who were offered a role under them.
    pub addresses: Vec<(String, String)>,
    /// Usernames: their open invitations and their memberships.
    pub accounts: Vec<(String, String)>,
    /// Usernames: only their memberships.
    pub members: Vec<(String, String)>,
    /// Organizations whose owners are wanted.
    pub owners_of: Vec<String>,
    /// Organizations at one of their limits: overdue invitations, which still count until they are closed.
    pub overdue_of: Vec<String>,
}

/// The database's clock, to be read after the locks are held.
pub async fn now(connection: &mut PgConnection) -> Result<Timestamp> {
    Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(connection).await?)
}

/// The organizations that exist, without their members and invitations.
pub async fn load(
    connection: &mut PgConnection,
    ids: &[OrganizationId],
    lock: Lock,
) -> Result<HashMap<OrganizationId, OrganizationState>> {
    let ids = ids.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
    let heads = match lock {
        Lock::Yes => lock_heads(connection, &ids).await?,
        Lock::No => read_heads(connection, &ids).await?,
    };
    let mut organizations = sqlx::query_as!(
        OrganizationRow,
        "SELECT organization, display_name, notification_email, notification_email_key, locale, policy, create_time, \
                update_time, revision \
           FROM organizations WHERE organization = ANY($1)",
        &ids,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| Ok((row.organization.clone(), Organization::try_from(row)?)))
    .collect::<Result<HashMap<_, _>>>()?;
    let state = |row: HeadRow| {
        let organization = organizations.remove(&row.organization);
        let organization = organization.ok_or_else(|| Error::Fault("a head without an organization".to_owned()))?;
        Ok((organization.id.clone(), OrganizationState::new(organization, Head::from(row))))
    };
    heads.into_iter().map(state).collect()
}

/// In the order of the ids, so that two transactions never wait for each other.
async fn lock_heads(connection: &mut PgConnection, ids: &[String]) -> Result<Vec<HeadRow>> {
    Ok(sqlx::query_as!(
        HeadRow,
        "SELECT organization, event_position, seat_limit, seats_taken, owners, open_invitations, \
                invitations_limit, open_invitations_limit, invitations_time, invitations_used, invitations_used_before \
           FROM organization_heads WHERE organization = ANY($1) ORDER BY organization FOR UPDATE",
        ids,
    )
    .fetch_all(connection)
    .await?)
}

async fn read_heads(connection: &mut PgConnection, ids: &[String]) -> Result<Vec<HeadRow>> {
    Ok(sqlx::query_as!(
        HeadRow,
        "SELECT organization, event_position, seat_limit, seats_taken, owners, open_invitations, \
                invitations_limit, open_invitations_limit, invitations_time, invitations_used, invitations_used_before \
           FROM organization_heads WHERE organization = ANY($1)",
        ids,
    )
    .fetch_all(connection)
    .await?)
}

/// How many overdue invitations of an organization are closed at once.
const OVERDUE: i64 = 256;

/// The invitations that are wanted by id, that are open for an address or an account, or that are overdue.
pub async fn invitations(connection: &mut PgConnection, wanted: &Wanted) -> Result<Vec<(OrganizationId, Invitation)>> {
    let (id_owners, ids): (Vec<_>, Vec<_>) = wanted.invitations.iter().cloned().unzip();
    let (address_owners, addresses): (Vec<_>, Vec<_>) = wanted.addresses.iter().cloned().unzip();
    let (account_owners, accounts): (Vec<_>, Vec<_>) = wanted.accounts.iter().cloned().unzip();
    let rows = sqlx::query_as!(
        InvitationRow,
        r#"WITH wanted AS MATERIALIZED (
             SELECT o AS organization, i AS invitation FROM unnest($1::text[], $2::uuid[]) AS w(o, i)
             UNION
             SELECT n.organization, n.invitation FROM unnest($3::text[], $4::text[]) AS w(o, k)
               JOIN invitations n ON n.organization = w.o AND n.email_key = w.k
                AND n.state IN ('INVITED', 'ACCESS_REQUESTED', 'PENDING_APPROVAL', 'OFFERED')
             UNION
             SELECT n.organization, n.invitation FROM unnest($5::text[], $6::text[]) AS w(o, u)
               JOIN invitations n ON n.organization = w.o AND n.username = w.u
                AND n.state IN ('INVITED', 'ACCESS_REQUESTED', 'PENDING_APPROVAL', 'OFFERED')
             UNION
             SELECT n.organization, n.invitation FROM unnest($7::text[]) AS w(o), LATERAL (
               SELECT i.organization, i.invitation FROM invitations i
                WHERE i.organization = w.o AND i.state IN ('INVITED', 'PENDING_APPROVAL', 'OFFERED')
                  AND i.expire_time <= now()
                ORDER BY i.expire_time LIMIT $8) n)
           SELECT n.organization, n.invitation, n.state::text AS "state!", n.email, n.email_key, n.username,
                  n.account_email, n.account_email_key, n.role::text, n.inviter, n.offerer, n.approver, n.locale,
                  n.code_hash, n.code_key_id, n.generation, n.create_time, n.update_time, n.expire_time, n.send_time,
                  n.request_time, n.revision
             FROM wanted w JOIN invitations n ON n.organization = w.organization AND n.invitation = w.invitation"#,
        &id_owners,
        &ids,
        &address_owners,
        &addresses,
        &account_owners,
        &accounts,
        &wanted.overdue_of,
        OVERDUE,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok((OrganizationId::stored(row.organization.clone()), row.try_into()?))).collect()
}

/// The members that are wanted by name, by the address they were offered under, or as owners.
pub async fn members(connection: &mut PgConnection, wanted: &Wanted) -> Result<Vec<(OrganizationId, Member)>> {
    let usernames = wanted.accounts.iter().chain(&wanted.members);
    let (username_owners, usernames): (Vec<_>, Vec<_>) = usernames.cloned().unzip();
    let (address_owners, addresses): (Vec<_>, Vec<_>) = wanted.addresses.iter().cloned().unzip();
    let rows = sqlx::query_as!(
        MemberRow,
        r#"WITH wanted AS MATERIALIZED (
             SELECT o AS organization, u AS username FROM unnest($1::text[], $2::text[]) AS w(o, u)
             UNION
             SELECT n.organization, n.username FROM unnest($3::text[], $4::text[]) AS w(o, k)
               JOIN members n ON n.organization = w.o AND n.email_key = w.k
             UNION
             SELECT n.organization, n.username FROM unnest($5::text[]) AS w(o)
               JOIN members n ON n.organization = w.o AND n.role = 'OWNER')
           SELECT n.organization, n.username, n.role::text AS "role!", n.email, n.email_key, n.inviter, n.create_time,
                  n.update_time, n.revision
             FROM wanted w JOIN members n ON n.organization = w.organization AND n.username = w.username"#,
        &username_owners,
        &usernames,
        &address_owners,
        &addresses,
        &wanted.owners_of,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok((OrganizationId::stored(row.organization.clone()), row.try_into()?))).collect()
}
