//! Emails that wait for the limit of their recipients, as long as their invitations were not prolonged by that. The search
//! looks over all organizations without a lock and only proposes.

use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::Result;
use super::columns::{column, only};
use crate::domain::{InvitationId, OrganizationId, Timestamp};

/// Until when an email waits.
#[derive(Clone, Debug)]
pub struct Wait {
    pub organization: OrganizationId,
    email: Uuid,
    pub invitation: InvitationId,
    pub end: Timestamp,
}

/// Those that end first, but for those of some organizations, which are read and passed over.
pub async fn find(connection: &mut PgConnection, without: &[String], limit: i64) -> Result<Vec<Wait>> {
    let rows = sqlx::query!(
        r#"SELECT organization, email_id, invitation AS "invitation!", wait_time AS "wait_time!" FROM emails
            WHERE wait_time IS NOT NULL AND invitation IS NOT NULL AND organization <> ALL($1)
            ORDER BY wait_time LIMIT $2"#,
        without,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let wait = |(organization, email, invitation, end)| Wait {
        organization: OrganizationId::stored(organization),
        email,
        invitation: InvitationId(invitation),
        end,
    };
    Ok(rows.into_iter().map(|row| wait((row.organization, row.email_id, row.invitation, row.wait_time))).collect())
}

/// Their invitations are prolonged. An email that waits anew meanwhile is looked at once more.
pub async fn done(connection: &mut PgConnection, waits: &[Wait]) -> Result<()> {
    let mut waits = waits.iter().collect::<Vec<_>>();
    waits.sort_unstable_by_key(|wait| (wait.organization.as_str(), wait.email));
    sqlx::query!(
        "UPDATE emails e SET wait_time = NULL FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS n(o, i, w) \
          WHERE e.organization = ANY(ARRAY[n.o]) AND e.email_id = n.i AND e.wait_time IS NOT DISTINCT FROM n.w \
            AND ($4::text IS NULL OR e.organization = $4)",
        &column(&waits, |wait| wait.organization.as_str().to_owned()),
        &column(&waits, |wait| wait.email),
        &column(&waits, |wait| wait.end),
        only(waits.iter().map(|wait| wait.organization.as_str())),
    )
    .execute(connection)
    .await?;
    Ok(())
}
