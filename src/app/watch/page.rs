//! A part of an organization's events that ends where a transaction ended.

use sqlx::PgConnection;

use crate::domain::{Event, OrganizationId, Refusal, Timestamp};
use crate::store::{self, events};

/// Events of a page, unless one transaction has written more.
const PAGE: i64 = 256;
/// The most of one transaction that is kept together: more than any writes.
const LONGEST: i64 = 65_536;

/// Between two transactions of an organization: all events up to the position, and none after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub position: i64,
    /// When the event there was written: another history of the organization, after a restore, has another time there.
    /// `None`: there is no such event, or it was gone when it was looked for.
    pub written: Option<Timestamp>,
}

/// Events after a place, up to another one.
#[derive(Debug)]
pub(super) struct Page {
    pub after: i64,
    pub events: Vec<Event>,
    pub end: Place,
    /// The newest position at that moment.
    pub head: i64,
    /// The database's clock then.
    pub now: Timestamp,
}

impl Page {
    /// Whether it goes up to the newest event.
    pub fn is_last(&self) -> bool {
        self.end.position == self.head
    }
}

/// Where an organization is now, by the events that are committed.
pub(super) async fn newest(
    connection: &mut PgConnection,
    organization: &OrganizationId,
) -> store::Result<Result<Page, Refusal>> {
    let found = events::after(connection, organization, None, 0).await?;
    Ok(found.ok_or_else(|| Refusal::OrganizationNotFound(organization.name())).map(|found| {
        let end = Place { position: found.head, written: found.written };
        Page { after: found.head, events: Vec::new(), end, head: found.head, now: found.now }
    }))
}

/// What comes after a place, or why that cannot be told.
pub(super) async fn after(
    connection: &mut PgConnection,
    organization: &OrganizationId,
    place: Place,
) -> store::Result<Result<Page, Refusal>> {
    let mut limit = PAGE;
    loop {
        let Some(found) = events::after(connection, organization, Some(place.position), limit).await? else {
            return Ok(Err(Refusal::OrganizationNotFound(organization.name())));
        };
        if let Some(refusal) = refusal(organization, place, &found) {
            return Ok(Err(refusal));
        }
        let mut events = found.events;
        let last = events.last().map_or(place.position, |event| event.position);
        if last < found.head {
            let whole = of_whole_transactions(&events);
            if whole == 0 && limit < LONGEST {
                limit *= 4;
                continue;
            }
            events.truncate(if whole == 0 { events.len() } else { whole });
        }
        let end = events.last();
        let end = end.map_or(place, |event| Place { position: event.position, written: Some(event.create_time) });
        return Ok(Ok(Page { after: place.position, events, end, head: found.head, now: found.now }));
    }
}

/// Positions have no gap but for the oldest, which are deleted in their order: where the first one after a place is
/// missing, so may be others.
fn refusal(organization: &OrganizationId, place: Place, found: &events::After) -> Option<Refusal> {
    let is_of_another_history = place.written.zip(found.written).is_some_and(|(known, is)| known != is);
    if place.position > found.head || is_of_another_history {
        return Some(Refusal::ResumeTokenInvalid);
    }
    let earliest = found.events.first().map_or(found.head + 1, |event| event.position);
    let is_gone = earliest != place.position + 1;
    is_gone.then(|| Refusal::ResumeTokenExpired { organization: organization.name(), earliest })
}

/// How many of the first events are for certain all of their transactions, where others follow. All events of a transaction
/// have one time, that of its batch, and the next transaction of the organization reads the clock after that one has ended.
/// Where a clock was set back, two may have the same time: then they stay together.
fn of_whole_transactions(events: &[Event]) -> usize {
    let Some(last) = events.last() else { return 0 };
    events.iter().rposition(|event| event.create_time != last.create_time).map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(positions: impl IntoIterator<Item = i64>, seconds: impl Fn(i64) -> i64) -> Vec<Event> {
        let event = |position| Event {
            position,
            kind: None,
            actor: None,
            invitation: None,
            member: None,
            changes: Vec::new(),
            create_time: Timestamp::UNIX_EPOCH + time::Duration::seconds(seconds(position)),
            request_id: None,
        };
        positions.into_iter().map(event).collect()
    }

    #[test]
    fn a_page_ends_where_the_time_changes() {
        assert_eq!(of_whole_transactions(&events(1..=6, |at| at / 4)), 3);
        assert_eq!(of_whole_transactions(&events(1..=6, |at| at)), 5);
        // nobody knows whether the next one belongs to it
        assert_eq!(of_whole_transactions(&events(1..=6, |_| 0)), 0);
        assert_eq!(of_whole_transactions(&[]), 0);
    }

    fn judged(place: i64, written: Option<i64>, head: i64, left: impl IntoIterator<Item = i64>) -> Option<Refusal> {
        let time = |seconds| Timestamp::UNIX_EPOCH + time::Duration::seconds(seconds);
        let acme = OrganizationId::parse("acme").unwrap();
        let left = events(left, |at| at);
        let written_there = left.iter().any(|event| event.position == place).then(|| time(place));
        let after = left.into_iter().filter(|event| event.position > place).collect();
        let found = events::After { head, now: time(0), written: written_there, events: after };
        refusal(&acme, Place { position: place, written: written.map(time) }, &found)
    }

    #[test]
    fn a_place_is_good_while_all_that_came_after_it_is_there() {
        let expired =
            |earliest| Some(Refusal::ResumeTokenExpired { organization: "organizations/acme".into(), earliest });
        assert_eq!(judged(4, Some(4), 9, 1..=9), None);
        // of the event itself nothing is needed
        assert_eq!(judged(4, Some(4), 9, 5..=9), None);
        assert_eq!(judged(4, Some(4), 9, 6..=9), expired(6));
        // all are gone
        assert_eq!(judged(4, Some(4), 9, []), expired(10));
        assert_eq!(judged(9, Some(9), 9, []), None);
        assert_eq!(judged(0, None, 0, []), None);
    }

    #[test]
    fn a_place_of_another_history_is_none() {
        assert_eq!(judged(10, Some(10), 9, 1..=9), Some(Refusal::ResumeTokenInvalid));
        assert_eq!(judged(4, Some(5), 9, 1..=9), Some(Refusal::ResumeTokenInvalid));
        assert_eq!(judged(4, None, 9, 1..=9), None);
    }
}
