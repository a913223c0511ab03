//! Reads of organizations and their members.

use sqlx::PgConnection;

use super::Result;
use super::columns::only;
use super::rows::{HeadRow, MemberRow, organization_row};
use crate::domain::{DisplayName, Head, Member, Organization, OrganizationId, Role, Timestamp, Username};

/// An organization with what is counted; overdue offers hold no seat here, whether or not the sweep has been there: this
/// looks at all that is overdue, in the order of its index, which no other index has. So with what was to take effect.
pub async fn get(connection: &mut PgConnection, id: &OrganizationId) -> Result<Option<(Organization, Head)>> {
    let organization = sqlx::query!(
        r#"SELECT now() AS "now!", organization, display_name, notification_email, notification_email_key,
                  notification_key_id, notification_generation, notification_expire_time, locale, policy,
                  pending_change, pending_create_time, pending_effective_time, create_time, update_time, revision
             FROM organizations WHERE organization = $1"#,
        id.as_str(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let organization = organization.map(|row| {
        let stored = organization_row!(row);
        Organization::from(stored).at(row.now)
    });
    let head = sqlx::query_as!(
        HeadRow,
        r#"SELECT h.event_position, h.seat_limit, h.owners, h.open_invitations,
                  h.invitations_limit, h.open_invitations_limit, h.invitations_slot, h.invitations_totals,
                  h.seats_taken - (SELECT count(*)::int FROM (
                     SELECT i.state, i.role FROM invitations i
                      WHERE i.organization = $1 AND i.state IN ('INVITED', 'PENDING_APPROVAL', 'OFFERED')
                        AND i.expire_time <= now()
                      ORDER BY i.expire_time OFFSET 0) overdue
                    WHERE state <> 'INVITED' AND role <> 'NONE') AS "seats_taken!"
             FROM organization_heads h WHERE h.organization = $1"#,
        id.as_str(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(organization.zip(head).map(|(organization, head)| (organization, head.into())))
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
    Ok(row.map(Member::from))
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
    Ok(rows.into_iter().map(Member::from).collect())
}

/// An account in one of its organizations.
#[derive(Debug)]
pub struct Membership {
    pub organization: OrganizationId,
    pub display_name: DisplayName,
    pub role: Role,
    pub create_time: Timestamp,
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
    let rows = match organizations {
        None => {
            sqlx::query_as!(
                MembershipRow,
                r#"SELECT m.organization, m.role::text AS "role!", m.create_time,
                          (SELECT o.display_name FROM organizations o WHERE o.organization = m.organization) AS "display_name!"
                     FROM members m WHERE m.username = $1 AND m.organization > $2 ORDER BY m.organization LIMIT $3"#,
                username.as_str(),
                after,
                limit,
            )
            .fetch_all(connection)
            .await?
        }
        Some(organizations) => {
            sqlx::query_as!(
                MembershipRow,
                r#"SELECT m.organization, m.role::text AS "role!", m.create_time,
                          (SELECT o.display_name FROM organizations o
                            WHERE o.organization = m.organization
                              AND ($5::text IS NULL OR o.organization = $5)) AS "display_name!"
                     FROM unnest($4::text[]) AS w(o),
                          LATERAL (
                            SELECT * FROM members
                             WHERE organization = w.o AND username = $1 AND ($5::text IS NULL OR organization = $5)
                            OFFSET 0) m
                    WHERE m.organization > $2 ORDER BY m.organization LIMIT $3"#,
                username.as_str(),
                after,
                limit,
                &super::texts(organizations),
                only(organizations.iter().map(OrganizationId::as_str)),
            )
            .fetch_all(connection)
            .await?
        }
    };
    Ok(rows.into_iter().map(Membership::from).collect())
}

struct MembershipRow {
    organization: String,
    display_name: String,
    role: String,
    create_time: Timestamp,
}

impl From<MembershipRow> for Membership {
    fn from(row: MembershipRow) -> Self {
        Self {
            organization: OrganizationId::stored(row.organization),
            display_name: DisplayName::stored(row.display_name),
            role: Role::stored(&row.role),
            create_time: row.create_time,
        }
    }
}
