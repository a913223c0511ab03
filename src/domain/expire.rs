//! Expiry: the sweep writes what every read already shows.

use super::{Context, EmailKind, EventKind, InvitationId, InvitationState, OrganizationState, Transition, Withdrawal};

/// Closes those of the state's loaded invitations that are overdue.
///
/// The sweep does it for its candidates, and every other change first does it for what it touches: an overdue
/// invitation would stand in the way of the unique indexes. The revision stays and `update_time` is the moment of
/// expiry, so that nobody can tell whether the sweep has been here.
pub fn close_overdue(state: &mut OrganizationState, context: &Context<'_>) {
    let overdue = |id: &InvitationId| state.invitations[id].is_overdue(context.now);
    let ids = state.invitations.keys().copied().filter(overdue).collect::<Vec<_>>();
    for id in ids {
        let Some(mut invitation) = state.invitations.get(&id).cloned() else { continue };
        let end = invitation.expire_time.unwrap_or(context.now);
        state.transitions.extend(Transition::of(Some(&invitation), InvitationState::Expired, end));
        invitation.update_time = end;
        let change = super::Change::new("state", invitation.state.as_str(), InvitationState::Expired.as_str());
        invitation.state = InvitationState::Expired;
        state.withdraw(Withdrawal::All(id));
        state.record(EventKind::Expired, None, Some(id), invitation.username.clone(), vec![change], context.now);
        if state.organization.policy.wants(EmailKind::InvitationExpired) {
            state.notify(EmailKind::InvitationExpired, &invitation, context, context.now);
        }
        state.put_invitation(invitation);
    }
}
