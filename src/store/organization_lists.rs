//! Lists of organizations: first which ones, in the order of their keys, then all that is shown of these.

use sqlx::PgConnection;

use super::Result;
use super::rows::{HeadRow, organization_row};
use super::source::Engine;
use super::{organizations, texts};
use crate::domain::{Head, Organization, OrganizationId};

/// At most `limit` organizations after one, of some or of all, by their ids.
pub async fn ids(
    connection: &mut PgConnection,
    organizations: Option<&[OrganizationId]>,
    after: &str,
    limit: i64,
) -> Result<Vec<OrganizationId>> {
    let ids = match organizations {
        None => {
            let all = sqlx::query_scalar!(
                "SELECT organization FROM organizations WHERE organization > $1 ORDER BY organization LIMIT $2",
                after,
                limit,
            );
            all.fetch_all(connection).await?
        }
        Some(organizations) => {
            let some = sqlx::query_scalar!(
                "SELECT organization FROM organizations WHERE organization = ANY($1) AND organization > $2 \
                  ORDER BY organization LIMIT $3",
                &texts(organizations),
                after,
                limit,
            );
            some.fetch_all(connection).await?
        }
    };
    Ok(ids.into_iter().map(OrganizationId::stored).collect())
}

/// Those of these organizations that exist, each as [`organizations::get`] has it.
pub async fn get_all(
    connection: &mut PgConnection,
    ids: &[OrganizationId],
    engine: Engine,
) -> Result<Vec<(Organization, Head)>> {
    if engine == Engine::Distributed {
        // each is on a node of its own
        let mut found = Vec::new();
        for id in ids {
            found.extend(organizations::get(connection, id).await?);
        }
        return Ok(found);
    }
    let rows = sqlx::query!(
        r#"SELECT now() AS "now!", o.organization, o.display_name, o.notification_email, o.notification_email_key,
                  o.notification_key_id, o.notification_generation, o.notification_expire_time, o.locale, o.policy,
                  o.pending_change, o.pending_create_time, o.pending_effective_time, o.create_time, o.update_time,
                  o.revision, h.event_position, h.seat_limit, h.owners, h.open_invitations, h.invitations_limit,
                  h.open_invitations_limit, h.invitations_slot, h.invitations_totals,
                  h.seats_taken - (SELECT count(*)::int FROM (
                     SELECT i.state, i.role FROM invitations i
                      WHERE i.organization = h.organization AND i.state IN ('INVITED', 'PENDING_APPROVAL', 'OFFERED')
                        AND i.expire_time <= now()
                      ORDER BY i.expire_time OFFSET 0) overdue
                    WHERE state <> 'INVITED' AND role <> 'NONE') AS "seats_taken!"
             FROM unnest($1::text[]) AS w(id),
                  LATERAL (SELECT * FROM organizations WHERE organization = w.id OFFSET 0) o,
                  LATERAL (SELECT * FROM organization_heads WHERE organization = w.id OFFSET 0) h"#,
        &texts(ids),
    )
    .fetch_all(connection)
    .await?;
    let found = rows.into_iter().map(|row| {
        let organization = organization_row!(row);
        let head = HeadRow {
            event_position: row.event_position,
            seat_limit: row.seat_limit,
            seats_taken: row.seats_taken,
            owners: row.owners,
            open_invitations: row.open_invitations,
            invitations_limit: row.invitations_limit,
            open_invitations_limit: row.open_invitations_limit,
            invitations_slot: row.invitations_slot,
            invitations_totals: row.invitations_totals,
        };
        (Organization::from(organization).at(row.now), head.into())
    });
    Ok(found.collect())
}
