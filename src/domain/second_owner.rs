//! ApproveOrganizationChange and WithdrawOrganizationChange, and what becomes of a pending change without them.

use std::collections::BTreeSet;

use super::{
    Actor, Change, Context, EventKind, OrganizationState, PendingChange, Refusal, Timestamp, Username, check_etag,
    pending_change::alone_at, policy_edit::policy_changes,
};

/// Writes what is so by now, as every read shows it already.
pub fn settle(state: &mut OrganizationState, context: &Context<'_>) {
    if state.organization.pending_change.is_none() {
        return;
    }
    let new = state.organization.clone().at(context.now);
    if new == state.organization {
        return;
    }
    let changes = policy_changes(&state.organization.policy, &new.policy);
    let kind = if changes.is_empty() { EventKind::ChangeWithdrawn } else { EventKind::OrganizationUpdated };
    state.organization = new;
    state.record(kind, None, None, None, changes, context.now);
    if kind == EventKind::OrganizationUpdated {
        state.tell_owners(context, state.organization.proven_address());
    }
}

/// The second person: another owner than the author, and one who was there before it was proposed. An owner whom the
/// author has appointed in order to approve it is none.
pub fn approve(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: &Actor,
    etag: Option<&str>,
) -> Result<(), Refusal> {
    let pending = waiting(state)?;
    if pending.author == *actor {
        return Err(Refusal::SecondPersonRequired);
    }
    let member = actor.username().and_then(|username| state.members.get(username));
    if member.is_none_or(|member| member.update_time >= pending.create_time) {
        return Err(Refusal::ApproverTooNew);
    }
    check_etag(etag, state.organization.create_time, state.organization.revision)?;
    state.organization.policy.check_known()?;
    let old = state.organization.policy.clone();
    state.organization.policy = pending.policy.apply(old.clone());
    let changes = policy_changes(&old, &state.organization.policy);
    end(state, EventKind::ChangeApproved, Some(actor.clone()), changes, context.now);
    state.tell_owners(context, state.organization.proven_address());
    Ok(())
}

/// Takes it back; its author, or another owner.
pub fn withdraw(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: &Actor,
    etag: Option<&str>,
) -> Result<(), Refusal> {
    waiting(state)?;
    check_etag(etag, state.organization.create_time, state.organization.revision)?;
    end(state, EventKind::ChangeWithdrawn, Some(actor.clone()), Vec::new(), context.now);
    Ok(())
}

/// Who is an owner, of the members at hand.
pub fn owners(state: &OrganizationState) -> BTreeSet<Username> {
    state.owners().map(|member| member.username.clone()).collect()
}

/// Owners have come or gone. Without its author nothing is left of the change; whoever is the only one from now on waits
/// from now on, so it is no way around the others to remove them.
pub fn follow(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: Option<Actor>,
    before: (i32, &BTreeSet<Username>),
) {
    let now = context.now;
    let (count, were_owners) = before;
    let Some(pending) = state.organization.pending_change.clone().filter(|_| state.head.owners != count) else {
        return;
    };
    let gone = were_owners - &owners(state);
    if pending.author.username().is_some_and(|author| gone.contains(author)) {
        return end(state, EventKind::ChangeWithdrawn, actor, Vec::new(), now);
    }
    let effective_time = alone_at(state.head.owners, now);
    if effective_time != pending.effective_time {
        state.organization.pending_change = Some(PendingChange { effective_time, ..pending });
        touch(state, now);
        state.tell_owners(context, state.organization.proven_address());
    }
}

fn waiting(state: &OrganizationState) -> Result<PendingChange, Refusal> {
    state.organization.pending_change.clone().ok_or(Refusal::NoPendingChange)
}

/// Nothing waits any more.
fn end(state: &mut OrganizationState, kind: EventKind, actor: Option<Actor>, changes: Vec<Change>, now: Timestamp) {
    state.organization.pending_change = None;
    touch(state, now);
    state.record(kind, actor, None, None, changes, now);
}

fn touch(state: &mut OrganizationState, now: Timestamp) {
    state.organization.update_time = now;
    state.organization.revision += 1;
}
