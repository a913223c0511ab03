//! Searches among the invitations of an organization, newest first, at a cost that does not depend on how many there are.
//!
//! Each condition that has an index is a *way*: it goes through the ids of an index in their order. A search first goes a
//! little along each of its ways, until one finds enough or ends. What a way has found down to the id where it stopped is
//! all that there is down to there; so the one that got farthest goes on, and at most so far that a page costs no more
//! than some thousand rows. Where few of many match, what is found is little, and the next search begins where this one
//! stopped.

mod asked;
mod statements;

use sqlx::PgConnection;
use sqlx::types::Uuid;

use self::asked::Asked;
use self::statements::{Part, Way, look};
use super::Result;
use super::rows::InvitationRow;
use crate::domain::{Invitation, InvitationId, InvitationSearch, OrganizationId};

/// The most rows that are looked at along one way.
const LOOKS: i64 = 2000;
/// The fewest in one stream of several.
const FEWEST: i64 = 8;

/// What a search has found.
#[derive(Debug)]
pub struct Found {
    /// Newest first.
    pub invitations: Vec<Invitation>,
    /// What is older than this one was not looked at; `None`: there is nothing more.
    pub next: Option<InvitationId>,
}

/// Up to `size` invitations before this one (`None`: the newest), fewer where few of those that it looked at match.
pub async fn find(
    connection: &mut PgConnection,
    organization: &OrganizationId,
    search: &InvitationSearch,
    before: Option<InvitationId>,
    size: usize,
) -> Result<Found> {
    let (oldest, newest) = search.ids();
    let ends = [before, newest].into_iter().flatten().min().map_or(Uuid::max(), |InvitationId(id)| id);
    let from = oldest.map_or(Uuid::nil(), |InvitationId(id)| id);
    // one more: whether it is there tells whether there is a next page
    let limit = i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1);
    let (asked, first) = (Asked::new(organization, search), limit.saturating_mul(2).min(LOOKS));
    let mut farthest: Option<(Way, Stretch)> = None;
    for way in ways(search) {
        let part = Part { from, until: ends, limit, looks: each(first, way, &asked) };
        let stretch = Stretch::of(look(connection, way, &asked, part).await?, limit);
        let is_enough = stretch.is_full || stretch.end.is_none();
        if is_enough || farthest.as_ref().is_none_or(|(_, other)| stretch.end < other.end) {
            farthest = Some((way, stretch));
        }
        if is_enough {
            break;
        }
    }
    let Some((way, mut stretch)) = farthest else { return Ok(Found { invitations: Vec::new(), next: None }) };
    if let Some(until) = stretch.end.filter(|_| !stretch.is_full) {
        let limit = limit - i64::try_from(stretch.rows.len()).unwrap_or(i64::MAX);
        let part = Part { from, until, limit, looks: each((LOOKS - first).max(first), way, &asked) };
        let more = Stretch::of(look(connection, way, &asked, part).await?, limit);
        stretch.rows.extend(more.rows);
        (stretch.end, stretch.is_full) = (more.end, more.is_full);
    }
    let next = if stretch.is_full {
        stretch.rows.truncate(size);
        stretch.rows.last().map(|row| row.invitation)
    } else {
        stretch.end
    };
    let invitations = stretch.rows.into_iter().map(Invitation::try_from).collect::<Result<_>>()?;
    Ok(Found { invitations, next: next.map(InvitationId) })
}

/// What one look has found.
struct Stretch {
    rows: Vec<InvitationRow>,
    /// Down to and with this one it is complete; `None`: down to the last.
    end: Option<Uuid>,
    /// There are as many as were wanted; maybe it is not complete.
    is_full: bool,
}

impl Stretch {
    fn of(found: Vec<statements::FoundRow>, limit: i64) -> Self {
        let mut stretch = Self { rows: Vec::new(), end: None, is_full: false };
        for row in found {
            stretch.end = row.is_last.then_some(row.invitation);
            if row.is_match {
                stretch.rows.push(row.into());
            }
            if stretch.end.is_some() {
                break;
            }
        }
        stretch.is_full = i64::try_from(stretch.rows.len()) == Ok(limit);
        stretch
    }
}

/// The ways of a search, first those that are likely to be short.
fn ways(search: &InvitationSearch) -> impl Iterator<Item = Way> {
    [
        (Way::Emails, !search.emails.is_empty()),
        (Way::Accounts, !search.accounts.is_empty()),
        (Way::Annotations, !search.annotations.is_empty()),
        (Way::Inviters, !search.inviters.is_empty()),
        (Way::Offerers, !search.offerers.is_empty()),
        (Way::Deliveries, !search.deliveries.is_empty()),
        (Way::States, !search.states.is_empty()),
        (Way::Ids, true),
    ]
    .into_iter()
    .filter_map(|(way, is_asked_for)| is_asked_for.then_some(way))
}

/// How much each stream of a way gets.
fn each(looks: i64, way: Way, asked: &Asked) -> i64 {
    let streams = match way {
        Way::Emails => asked.emails.len(),
        Way::Accounts => asked.accounts.len(),
        Way::Annotations => asked.keys.iter().filter(|key| Some(*key) == asked.keys.first()).count(),
        Way::Inviters => asked.inviters.len(),
        Way::Offerers => asked.offerers.len(),
        Way::Deliveries => asked.deliveries.len(),
        // the others are there only while very much is overdue
        Way::States if !asked.streams.is_empty() => asked.streams.len(),
        Way::States => asked.late_streams.len(),
        Way::Ids => 1,
    };
    let streams = i64::try_from(streams).unwrap_or(i64::MAX).max(1);
    (looks / streams).max(FEWEST.min(looks))
}
