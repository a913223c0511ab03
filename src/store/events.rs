//! What happened, oldest first.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::{Error, Result};
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

fn decode_changes(value: serde_json::Value) -> Result<Vec<Change>> {
    let stored: Vec<StoredChange> =
        serde_json::from_value(value).map_err(|_| Error::Fault("an event's changes cannot be read".to_owned()))?;
    Ok(stored.into_iter().map(|StoredChange { field, before, after }| Change { field, before, after }).collect())
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
    rows.into_iter().map(Event::try_from).collect()
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
          WHERE organization || '' = $1 AND invitation = $2 AND position > $3 ORDER BY position LIMIT $4",
        organization.as_str(),
        invitation.0,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Event::try_from).collect()
}

impl TryFrom<EventRow> for Event {
    type Error = Error;

    fn try_from(row: EventRow) -> Result<Self> {
        let kind =
            EventKind::parse(&row.kind).ok_or_else(|| Error::Fault("unknown kind of event in a row".to_owned()))?;
        Ok(Self {
            position: row.position,
            kind,
            actor: row.actor.as_deref().and_then(Actor::parse),
            invitation: row.invitation.map(InvitationId),
            member: row.username.map(Username::stored),
            changes: decode_changes(row.changes)?,
            create_time: row.create_time,
            request_id: row.request_id,
        })
    }
}
