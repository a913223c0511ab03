//! What holds of an organization whatever was done to it, and of every step: no rule of a transition is needed for this.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::domain::{
    Email, EmailKind, Invitation, InvitationId, InvitationState as S, OrganizationState, Role, Timestamp, Withdrawal,
};

/// Or what does not hold.
pub(super) type Checked = Result<(), TestCaseError>;

/// Of the rows: what the constraints of the tables demand, and what is counted.
pub(super) fn check_rows(state: &OrganizationState) -> Checked {
    for invitation in state.invitations.values() {
        check_fields(invitation)?;
    }
    let open = || state.invitations.values().filter(|invitation| invitation.state.is_open());
    prop_assert!(are_distinct(open().map(|invitation| invitation.email.key())), "two open invitations for an address");
    let bound = open().filter_map(|invitation| invitation.username.as_ref());
    prop_assert!(are_distinct(bound.clone()), "two open invitations for an account");
    for username in bound {
        prop_assert!(!state.members.contains_key(username), "{username} is a member and has an open invitation");
    }

    let offers = state.invitations.values().filter(|i| matches!(i.state, S::Offered | S::PendingApproval));
    let roles = state.members.values().map(|member| member.role).chain(offers.filter_map(|offer| offer.role));
    let seats = roles.filter(|role| *role != Role::None).count();
    let owners = state.members.values().filter(|member| member.role == Role::Owner).count();
    let head = &state.head;
    let counted = [head.seats_taken, head.owners, head.open_invitations].map(|n| usize::try_from(n).unwrap());
    prop_assert_eq!(counted, [seats, owners, open().count()], "seats, owners, open invitations");
    prop_assert!(owners > 0, "no owner is left");
    Ok(())
}

/// The CHECK constraints of the table `invitations`, one by one.
fn check_fields(i: &Invitation) -> Checked {
    let holds = |constraint: &str, holds: bool| {
        prop_assert!(holds, "invitations_{constraint}: {i:?}");
        Ok(())
    };
    let has_code = i.code.as_ref().is_some_and(|code| code.generation > 0);
    let is_bound = i.username.is_some() && i.account_email.is_some();
    let is_blank = i.role.is_none() && i.offerer.is_none() && i.approver.is_none();
    match i.state {
        S::Invited => {
            let is_free = i.username.is_none() && i.account_email.is_none() && is_blank;
            holds("invited", has_code && i.expire_time.is_some() && i.inviter.is_some() && is_free)?;
        }
        S::AccessRequested | S::Rejected => {
            prop_assert!(i.request_time.is_some(), "nobody asked: {i:?}");
            holds("access_requested", has_code && is_bound && is_blank && i.expire_time.is_none())?;
        }
        S::PendingApproval | S::Offered | S::Accepted => {
            holds("offered", is_bound && i.role.is_some() && i.offerer.is_some() && i.expire_time.is_some())?;
        }
        S::Declined => holds("declined", is_bound)?,
        S::Expired => holds("expired", i.expire_time.is_some())?,
        S::Revoked | S::Newer => {}
    }
    holds("code", i.code.is_none() || has_code)?;
    holds("pending", i.state != S::PendingApproval || i.approver.is_none())?;
    let is_settled = i.state == S::Revoked && i.account_email.is_none();
    holds("account", i.username.is_some() == i.account_email.is_some() || is_settled)?;
    holds("role", i.role.is_some() == i.offerer.is_some() && (i.role.is_none() || i.username.is_some()))?;
    holds("approver", i.approver.is_none() || i.offerer.is_some() && i.approver != i.offerer)?;
    holds("revision", i.revision > 0)
}

/// Each invitation that came into another state is counted once, and no other.
fn check_transitions(before: &OrganizationState, after: &OrganizationState) -> Checked {
    let state = |id: &InvitationId| before.invitations.get(id).map(|old| old.state);
    let moved = after.invitations.values().filter(|new| state(&new.id) != Some(new.state));
    let mut moved = moved.map(|new| (state(&new.id), new.state)).collect::<Vec<_>>();
    let mut counted = after.transitions.iter().map(|it| (it.from, it.to)).collect::<Vec<_>>();
    moved.sort_unstable();
    counted.sort_unstable();
    prop_assert_eq!(moved, counted);
    for it in &after.transitions {
        prop_assert_eq!(it.spent.is_some(), it.from.is_some());
    }
    Ok(())
}

/// Of one step, from rows without anything to be written to what it made of them.
pub(super) fn check_step(before: &OrganizationState, after: &OrganizationState, now: Timestamp) -> Checked {
    let positions = after.events.iter().map(|event| event.position).collect::<Vec<_>>();
    prop_assert_eq!(positions, (before.head.event_position + 1..=after.head.event_position).collect::<Vec<_>>());
    prop_assert!(after.events.iter().all(|event| event.create_time == now));

    for (id, old) in &before.invitations {
        let new = &after.invitations[id];
        if !old.state.is_open() {
            prop_assert_eq!(old, new, "a final state was left");
        }
        let fixed = |i: &Invitation| (i.email.clone(), i.inviter.clone(), i.create_time, i.locale.clone());
        prop_assert_eq!(fixed(old), fixed(new));
    }
    for (id, new) in &after.invitations {
        let old = before.invitations.get(id);
        let events = after.events.iter().filter(|event| event.invitation == Some(*id)).collect::<Vec<_>>();
        prop_assert_eq!(events.len(), usize::from(old != Some(new)), "each change has one event");
        if let [event] = events[..] {
            let state = |invitation: &Invitation| invitation.state.as_str().to_owned();
            let change = &event.changes[0];
            let shown = (change.field.as_str(), change.before.clone(), change.after.clone());
            prop_assert_eq!(shown, ("state", old.map(state).unwrap_or_default(), state(new)));
            let rise = i32::from(new.state != S::Expired);
            prop_assert_eq!(new.revision, old.map_or(0, |old| old.revision) + rise);
            let time = if new.state == S::Expired { new.expire_time.unwrap() } else { now };
            prop_assert_eq!(new.update_time, time);
        }
    }
    check_transitions(before, after)?;
    for (username, new) in &after.members {
        if let Some(old) = before.members.get(username).filter(|old| *old != new) {
            prop_assert_eq!(new.revision, old.revision + 1);
        }
    }
    let (old, new) = (&before.organization, &after.organization);
    let is_edited = old != new || before.head.seat_limit != after.head.seat_limit;
    // what was due by itself comes before what was asked for
    prop_assert_eq!(new.revision > old.revision, is_edited);
    prop_assert!(new.revision <= old.revision + 2);

    let limit = after.head.seat_limit.unwrap_or(i32::MAX);
    prop_assert!(
        after.head.seats_taken <= limit.max(before.head.seats_taken),
        "a new seat beyond the limit: {:?}",
        after.head
    );
    Ok(())
}

/// The emails that nobody has sent yet, as the outbox would hold them.
#[derive(Default)]
pub(super) struct Outbox(Vec<Email>);

impl Outbox {
    /// Takes what a step left behind: first back, then in.
    pub fn take(&mut self, state: &mut OrganizationState) {
        for withdrawal in std::mem::take(&mut state.withdrawals) {
            self.0.retain(|email| !is_covered(withdrawal, email));
        }
        self.0.append(&mut state.emails);
    }

    /// Nothing waits that would be wrong by the time it is sent; what the time itself makes wrong, the worker drops.
    pub fn check(&self, state: &OrganizationState) -> Checked {
        let mut reminders = BTreeMap::new();
        for email in &self.0 {
            let Some(invitation) = email.invitation.map(|id| &state.invitations[&id]) else { continue };
            let state = invitation.state;
            match email.kind {
                EmailKind::InvitationReminder => prop_assert_eq!(state, S::Invited),
                EmailKind::AccessRequestReminder => prop_assert_eq!(state, S::AccessRequested),
                EmailKind::OfferReminder => prop_assert_eq!(state, S::Offered),
                EmailKind::InvitationExpired => prop_assert_eq!(state, S::Expired),
                _ => prop_assert!(!matches!(state, S::Revoked | S::Expired), "{:?} in {state:?}", email.kind),
            }
            if email.kind.is_reminder() {
                *reminders.entry(invitation.id).or_insert(0) += 1;
                prop_assert!(invitation.expire_time.is_none_or(|end| end - email.due_time == time::Duration::DAY));
            }
            if state == S::Invited {
                prop_assert_eq!(email.generation, invitation.code.as_ref().unwrap().generation, "a dead code waits");
            }
        }
        prop_assert!(reminders.values().all(|count| *count == 1), "an invitation is reminded of once");
        Ok(())
    }
}

fn is_covered(withdrawal: Withdrawal, email: &Email) -> bool {
    let (invitation, is_meant) = match withdrawal {
        Withdrawal::All(id) | Withdrawal::Settled(id) => (id, true),
        Withdrawal::Reminders(id) => (id, format!("{:?}", email.kind).ends_with("Reminder")),
        Withdrawal::Codes(id) => (id, email.generation > 0),
    };
    email.invitation == Some(invitation) && is_meant
}

fn are_distinct<T: Eq + Hash>(items: impl Iterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    items.into_iter().all(|item| seen.insert(item))
}
