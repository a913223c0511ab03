//! Writes what a batch has changed: a few UNNEST statements for all its organizations together, for one command as for
//! 256.
//!
//! The organizations are locked, so nothing can have moved since they were read. All the same each UPDATE names the
//! state or revision that it leaves, and a row that does not fit fails the transaction: the lock and the statement each
//! hold alone.

use std::collections::BTreeMap;

mod invitations;
mod log;
mod members;
mod organizations;

use log::Log;
use sqlx::PgConnection;

use super::Result;
use super::request_ids::Done;
use crate::domain::{OrganizationId, OrganizationState, Timestamp};

/// An organization before and after; `None` before: it is being founded.
#[derive(Debug)]
pub struct Changed<'a> {
    pub before: Option<&'a OrganizationState>,
    pub after: &'a OrganizationState,
}

impl Changed<'_> {
    /// Whether there is anything to write.
    pub fn is_change(&self) -> bool {
        let same_rows = |before: &OrganizationState| {
            before.organization == self.after.organization
                && before.head == self.after.head
                && before.members == self.after.members
                && before.invitations == self.after.invitations
        };
        !self.before.is_some_and(same_rows)
    }
}

/// Writes everything that differs, and the request ids of what was decided.
pub async fn write(
    connection: &mut PgConnection,
    changed: &[Changed<'_>],
    done: &[Done],
    now: Timestamp,
) -> Result<()> {
    let founded = changed.iter().filter(|c| c.before.is_none()).map(|c| c.after).collect::<Vec<_>>();
    organizations::insert(connection, &founded).await?;
    organizations::insert_heads(connection, &founded).await?;

    let existing = changed.iter().filter_map(|c| c.before.map(|before| (before, c.after))).collect::<Vec<_>>();
    let edited = existing.iter().filter(|(before, after)| before.organization != after.organization);
    organizations::update(
        connection,
        &edited.map(|(before, after)| (&before.organization, &after.organization)).collect::<Vec<_>>(),
    )
    .await?;

    let members = Rows::diff(changed, |state| &state.members);
    members::delete(connection, &members.removed).await?;
    members::insert(connection, &members.added).await?;
    members::update(connection, &members.changed).await?;

    let invitations = Rows::diff(changed, |state| &state.invitations);
    // what ends goes first: an account may move from an invitation that is over to another one in one batch, and a
    // unique index counts each row of a statement as it is written
    let (open, ended): (Vec<_>, Vec<_>) = invitations.changed.iter().partition(|(.., after)| after.state.is_open());
    invitations::update(connection, &ended).await?;
    invitations::update(connection, &open).await?;
    invitations::insert(connection, &invitations.added).await?;

    let with_id = |state: &'_ OrganizationState| state.organization.id.clone();
    let withdrawals = changed.iter().flat_map(|c| c.after.withdrawals.iter().map(|w| (with_id(c.after), *w)));
    log::withdraw_emails(connection, &withdrawals.collect::<Vec<_>>(), now).await?;
    let moved = existing.iter().filter(|(before, after)| before.head != after.head);
    let log = Log {
        events: changed.iter().flat_map(|c| c.after.events.iter().map(|event| (with_id(c.after), event))).collect(),
        emails: changed.iter().flat_map(|c| c.after.emails.iter().map(|email| (with_id(c.after), email))).collect(),
        done,
        heads: moved.map(|(before, after)| (&after.organization.id, &before.head, &after.head)).collect(),
    };
    log.append(connection, now).await
}

/// Rows of one table, by what became of them.
struct Rows<'a, T> {
    added: Vec<(&'a OrganizationId, &'a T)>,
    /// Before and after.
    changed: Vec<(&'a OrganizationId, &'a T, &'a T)>,
    removed: Vec<(&'a OrganizationId, &'a T)>,
}

impl<'a, T: PartialEq> Rows<'a, T> {
    fn diff<K: Ord + 'a>(changed: &[Changed<'a>], rows: impl Fn(&'a OrganizationState) -> &'a BTreeMap<K, T>) -> Self {
        let mut diff = Self { added: Vec::new(), changed: Vec::new(), removed: Vec::new() };
        for Changed { before, after } in changed {
            let organization = &after.organization.id;
            let (before, after) = (before.map(&rows), rows(after));
            for (key, row) in after {
                match before.and_then(|before| before.get(key)) {
                    None => diff.added.push((organization, row)),
                    Some(old) if old != row => diff.changed.push((organization, old, row)),
                    Some(_) => {}
                }
            }
            let gone = before.into_iter().flatten().filter(|(key, _)| !after.contains_key(key));
            diff.removed.extend(gone.map(|(_, row)| (organization, row)));
        }
        diff
    }
}
