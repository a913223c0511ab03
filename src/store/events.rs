//! What happened, oldest first.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::Result;
use crate::domain::{Actor, Change, Event, EventKind, InvitationId, OrganizationId, Timestamp, Username};

/// A change as the column `events.changes` holds it.
#[derive(Serialize, Deserialize)]
struct StoredChange {
    field: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    before: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    after: String,
}

pub(super) fn encode_changes(changes: &[Change]) -> serde_json::Value {
    let stored = changes.iter().cloned();
    let stored =
        stored.map(|Change { field, before, after }| StoredChange { field, before, after }).collect::<Vec<_>>();
    serde_json::to_value(stored).unwrap_or_default()
}

/// What a newer version has written in another form is left out.
fn decode_changes(value: serde_json::Value) -> Vec<Change> {
    let serde_json::Value::Array(stored) = value else { return Vec::new() };
    let stored = stored.into_iter().filter_map(|change| serde_json::from_value(change).ok());
    stored.map(|StoredChange { field, before, after }| Change { field, before, after }).collect()
}

struct EventRow {
    position: i64,
    kind: String,
    actor: Option<String>,
    invitation: Option<Uuid>,
    username: Option<String>,
    changes: serde_json::Value,
    create_time: Timestamp,
    request_id: Option<Uuid>,
}

/// At most `limit` events after a position.
pub async fn list(
    connection: &mut PgConnection,
    organization: &OrganizationId,
    after: i64,
    limit: i64,
) -> Result<Vec<Event>> {
    let rows = sqlx::query_as!(
        EventRow,
        "SELECT position, kind, actor, invitation, username, changes, create_time, request_id FROM events \
          WHERE organization = $1 AND position > $2 ORDER BY position LIMIT $3",
        organization.as_str(),
        after,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Event::from).collect())
}

/// The same for one invitation. The organization is compared in a form that no index serves: the primary key has the same
/// order, and would be read from end to end for an invitation with few events.
pub async fn list_of_invitation(
    connection: &mut PgConnection,
    organization: &OrganizationId,
    invitation: InvitationId,
    after: i64,
    limit: i64,
) -> Result<Vec<Event>> {
    let rows = sqlx::query_as!(
        EventRow,
        "SELECT position, kind, actor, invitation, username, changes, create_time, request_id FROM events \
          WHERE ($1::text IS NULL OR organization = $1) AND invitation = $2 AND position > $3 ORDER BY position LIMIT $4",
        organization.as_str(),
        invitation.0,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Event::from).collect())
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        Self {
            position: row.position,
            kind: EventKind::parse(&row.kind),
            actor: row.actor.as_deref().map(Actor::stored),
            invitation: row.invitation.map(InvitationId),
            member: row.username.map(Username::stored),
            changes: decode_changes(row.changes),
            create_time: row.create_time,
            request_id: row.request_id,
        }
    }
}
