//! Reads of organizations and their members.

use sqlx::PgConnection;

use super::Result;
use super::rows::{HeadRow, MemberRow, OrganizationRow, role};
use crate::domain::{DisplayName, Head, Member, Organization, OrganizationId, Role, Timestamp, Username};

/// An organization with what is counted; overdue offers hold no seat here, whether or not the sweep has been there.
pub async fn get(connection: &mut PgConnection, id: &OrganizationId) -> Result<Option<(Organization, Head)>> {
    let organization = sqlx::query_as!(
        OrganizationRow,
        "SELECT organization, display_name, notification_email, notification_email_key, locale, policy, create_time, \
                update_time, revision \
           FROM organizations WHERE organization = $1",
        id.as_str(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let head = sqlx::query_as!(
        HeadRow,
        r#"SELECT h.event_position, h.seat_limit, h.owners, h.open_invitations,
                  h.invitations_limit, h.open_invitations_limit, h.invitations_time, h.invitations_used,
                  h.invitations_used_before,
                  h.seats_taken - (SELECT count(*)::int FROM invitations i
                     WHERE i.organization = $1 AND i.state IN ('PENDING_APPROVAL', 'OFFERED') AND i.role <> 'NONE'
                       AND i.expire_time <= now()) AS "seats_taken!"
             FROM organization_heads h WHERE h.organization = $1"#,
        id.as_str(),
    )
    .fetch_optional(connection)
    .await?;
    organization.zip(head).map(|(organization, head)| Ok((organization.try_into()?, head.into()))).transpose()
}

pub async fn get_member(
    connection: &mut PgConnection,
    id: &OrganizationId,
    username: &Username,
) -> Result<Option<Member>> {
    let row = sqlx::query_as!(
        MemberRow,
        r#"SELECT username, role::text AS "role!", email, email_key, inviter, create_time, update_time, revision
             FROM members WHERE organization = $1 AND username = $2"#,
        id.as_str(),
        username.as_str(),
    )
    .fetch_optional(connection)
    .await?;
    row.map(Member::try_from).transpose()
}

/// At most `limit` members after a username, by username.
pub async fn list_members(
    connection: &mut PgConnection,
    id: &OrganizationId,
    after: &str,
    limit: i64,
) -> Result<Vec<Member>> {
    let rows = sqlx::query_as!(
        MemberRow,
        r#"SELECT username, role::text AS "role!", email, email_key, inviter, create_time, update_time, revision
             FROM members WHERE organization = $1 AND username > $2 ORDER BY username LIMIT $3"#,
        id.as_str(),
        after,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Member::try_from).collect()
}

/// An account in one of its organizations.
#[derive(Debug)]
pub struct Membership {
    pub organization: OrganizationId,
    pub display_name: DisplayName,
    pub role: Role,
    pub create_time: Timestamp,
}

/// A filter of organizations as a parameter.
pub(super) fn texts(ids: Option<&[OrganizationId]>) -> Option<Vec<String>> {
    ids.map(|ids| ids.iter().map(|id| id.as_str().to_owned()).collect())
}

/// At most `limit` memberships of an account after an organization, in some organizations or in all, by organization.
/// The names are looked up row by row: a join may read every organization before the page begins.
pub async fn list_memberships(
    connection: &mut PgConnection,
    username: &Username,
    organizations: Option<&[OrganizationId]>,
    after: &str,
    limit: i64,
) -> Result<Vec<Membership>> {
    let organizations = texts(organizations);
    let rows = sqlx::query!(
        r#"SELECT m.organization, m.role::text AS "role!", m.create_time,
                  (SELECT o.display_name FROM organizations o WHERE o.organization = m.organization) AS "display_name!"
             FROM members m
            WHERE m.username = $1 AND m.organization > $2 AND ($4::text[] IS NULL OR m.organization = ANY($4))
            ORDER BY m.organization LIMIT $3"#,
        username.as_str(),
        after,
        limit,
        organizations.as_deref(),
    )
    .fetch_all(connection)
    .await?;
    let membership = |row: (String, String, String, Timestamp)| {
        Ok(Membership {
            organization: OrganizationId::stored(row.0),
            display_name: DisplayName::stored(row.1),
            role: role(&row.2)?,
            create_time: row.3,
        })
    };
    rows.into_iter().map(|row| membership((row.organization, row.display_name, row.role, row.create_time))).collect()
}
