//! AcceptInvitation and DeclineInvitation: what the bound account answers.

use super::{
    Account, Action, Actor, Context, EmailKind, EventKind, Invitation, InvitationId, InvitationState, Member,
    OrganizationState, Refusal, Standing, Username, check_etag,
};

/// Makes the account a member. Again by the same account: nothing happens, in particular no membership that ended since
/// comes back.
pub fn accept(
    state: &mut OrganizationState,
    context: &Context<'_>,
    caller: &Username,
    id: InvitationId,
    etag: Option<&str>,
) -> Result<(), Refusal> {
    let now = context.now;
    let (invitation, account) = bound(state, context, caller, id)?;
    if invitation.state == InvitationState::Accepted {
        return Ok(());
    }
    let offered = invitation.state_at(now) == InvitationState::Offered;
    let (true, Some(role), Some(email)) = (offered, invitation.role, invitation.account_email.clone()) else {
        return Err(invitation.refuse(state.id(), now));
    };
    check_etag(etag, invitation.create_time, invitation.revision)?;
    state.check_covered(&invitation, context)?;
    let policy = &state.organization.policy;
    policy.admits_account(account, &email, now)?;
    policy.admits_invited(account, &invitation.email)?;
    if let Some(member) = state.members.get(caller) {
        return Err(Refusal::AlreadyMember(member.name(state.id())));
    }

    state.put_member(Member {
        username: caller.clone(),
        role,
        email: Some(email.clone()),
        inviter: invitation.offerer.clone(),
        create_time: now,
        update_time: now,
        revision: 1,
    });
    let actor = Some(Actor::Account(caller.clone()));
    let invitation = state.transition(invitation, InvitationState::Accepted, EventKind::Accepted, actor, now);
    state.send(EmailKind::AccessGranted, &invitation, email, now);
    state.notify(EmailKind::MemberJoined, &invitation, context, now);
    Ok(())
}

/// Turns an offer down, or withdraws an access request.
pub fn decline(
    state: &mut OrganizationState,
    context: &Context<'_>,
    caller: &Username,
    id: InvitationId,
    etag: Option<&str>,
) -> Result<(), Refusal> {
    let now = context.now;
    let (invitation, _) = bound(state, context, caller, id)?;
    if !invitation.is_open(now) {
        return Err(invitation.refuse(state.id(), now));
    }
    check_etag(etag, invitation.create_time, invitation.revision)?;
    let actor = Some(Actor::Account(caller.clone()));
    let invitation = state.transition(invitation, InvitationState::Declined, EventKind::Declined, actor, now);
    state.notify(EmailKind::InvitationDeclined, &invitation, context, now);
    Ok(())
}

/// The invitation, where the caller is the account that it is bound to. Who may see it, and it is somebody else's, learns
/// that answering is not theirs; all others learn nothing.
fn bound<'a>(
    state: &OrganizationState,
    context: &Context<'a>,
    caller: &Username,
    id: InvitationId,
) -> Result<(Invitation, &'a Account), Refusal> {
    let account = context.accounts.get(caller).ok_or(Refusal::AccountRequired)?;
    match state.invitations.get(&id) {
        Some(invitation) if invitation.username.as_ref() == Some(caller) => {
            invitation.check_known().map(|()| (invitation.clone(), account))
        }
        Some(_) if sees_all(state, caller) => Err(Refusal::InviteeRequired),
        _ => Err(Refusal::InvitationNotFound(id.name(state.id()))),
    }
}

fn sees_all(state: &OrganizationState, caller: &Username) -> bool {
    let member = state.members.get(caller);
    member.is_some_and(|member| Standing::Member(member.role).may(Action::SeeInvitations))
}
