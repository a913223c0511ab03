//! What happened, oldest first.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::Result;
use super::source::Engine;
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

/// An organization's newest position, and what comes after another one.
#[derive(Debug)]
pub struct After {
    /// The newest position. It was written by a transaction that has written no event behind it, and each event up to it
    /// was there at the same moment, unless it was deleted.
    pub head: i64,
    /// The database's clock.
    pub now: Timestamp,
    /// When the event at the position that was asked for was written, or the newest one; `None`: it is gone, or there was none.
    pub written: Option<Timestamp>,
    /// In their order, the first ones.
    pub events: Vec<Event>,
}

/// At most `limit` events after a position (`None`: after the newest one), all as of one moment; `None`: there is no such
/// organization.
pub async fn after(
    connection: &mut PgConnection,
    organization: &OrganizationId,
    position: Option<i64>,
    limit: i64,
) -> Result<Option<After>> {
    let rows = sqlx::query!(
        r#"SELECT clock_timestamp() AS "now!", h.event_position, w.create_time AS "written?", e.position AS "position?",
                  e.kind AS "kind?", e.actor AS "actor?", e.invitation AS "invitation?", e.username AS "username?",
                  e.changes AS "changes?", e.create_time AS "create_time?", e.request_id AS "request_id?"
             FROM organization_heads h
             LEFT JOIN LATERAL (
               SELECT create_time FROM events
                WHERE organization = h.organization AND position = coalesce($2, h.event_position) OFFSET 0) w ON true
             LEFT JOIN LATERAL (
               SELECT position, kind, actor, invitation, username, changes, create_time, request_id FROM events
                WHERE organization = h.organization AND position > $2 ORDER BY position LIMIT $3) e ON true
            WHERE h.organization = $1 ORDER BY e.position"#,
        organization.as_str(),
        position,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut after = After { head: first.event_position, now: first.now, written: first.written, events: Vec::new() };
    let events = rows.into_iter().filter_map(|row| {
        Some(EventRow {
            position: row.position?,
            kind: row.kind?,
            actor: row.actor,
            invitation: row.invitation,
            username: row.username,
            changes: row.changes?,
            create_time: row.create_time?,
            request_id: row.request_id,
        })
    });
    after.events.extend(events.map(Event::from));
    Ok(Some(after))
}

/// Of these organizations, each with a position, those whose newest one is another, with that one.
pub async fn moved(
    connection: &mut PgConnection,
    known: &[(OrganizationId, i64)],
    engine: Engine,
) -> Result<Vec<(OrganizationId, i64)>> {
    let (ids, positions): (Vec<_>, Vec<_>) = known.iter().map(|(id, at)| (id.as_str().to_owned(), *at)).unzip();
    if engine == Engine::Distributed {
        // each is on a node of its own: all nodes are asked at once
        let rows = sqlx::query!(
            "SELECT organization, event_position FROM organization_heads WHERE organization = ANY($1)",
            &ids,
        )
        .fetch_all(connection)
        .await?;
        let known = known.iter().collect::<HashSet<_>>();
        let heads = rows.into_iter().map(|row| (OrganizationId::stored(row.organization), row.event_position));
        return Ok(heads.filter(|head| !known.contains(head)).collect());
    }
    let rows = sqlx::query!(
        "SELECT h.organization, h.event_position FROM unnest($1::text[], $2::bigint[]) AS w(o, p), LATERAL ( \
           SELECT organization, event_position FROM organization_heads WHERE organization = w.o OFFSET 0) h \
          WHERE h.event_position <> w.p",
        &ids,
        &positions,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (OrganizationId::stored(row.organization), row.event_position)).collect())
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
