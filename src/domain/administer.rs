//! RejectAccess, RevokeInvitation, ResendInvitation: what an administrator does with an invitation that is under way.

use super::{
    Actor, Context, EmailKind, EventKind, Invitation, InvitationId, InvitationState, OrganizationState, Refusal,
    Standing, Withdrawal, check_etag, invite, offer, request_access, rights::Action,
};

/// Says no to an access request.
pub fn reject(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: &Actor,
    id: InvitationId,
    etag: Option<&str>,
) -> Result<(), Refusal> {
    let now = context.now;
    let invitation = state.invitation(id)?.clone();
    let (InvitationState::AccessRequested, Some(email)) = (invitation.state_at(now), invitation.account_email.clone())
    else {
        return Err(invitation.refuse(state.id(), now));
    };
    check_etag(etag, invitation.revision)?;
    let invitation =
        state.transition(invitation, InvitationState::Rejected, EventKind::Rejected, Some(actor.clone()), now);
    state.send(EmailKind::AccessRejected, &invitation, email, now);
    Ok(())
}

/// Takes an invitation back, whatever open state it is in. An offer is taken back only by those who could make it.
pub fn revoke(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: &Actor,
    standing: &Standing,
    id: InvitationId,
    etag: Option<&str>,
) -> Result<(), Refusal> {
    let now = context.now;
    let invitation = state.invitation(id)?.clone();
    check_ceiling(standing, &invitation)?;
    if !invitation.is_open(now) {
        return Err(invitation.refuse(state.id(), now));
    }
    check_etag(etag, invitation.revision)?;
    state.transition(invitation, InvitationState::Revoked, EventKind::Revoked, Some(actor.clone()), now);
    Ok(())
}

/// Sends the email of the present state again, with the same code. `rotate_code` makes a new code and kills the old
/// one, and so does a key that is no longer configured: its code counts for nothing.
pub fn resend(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: &Actor,
    standing: &Standing,
    id: InvitationId,
    etag: Option<&str>,
    rotate_code: bool,
) -> Result<(), Refusal> {
    let now = context.now;
    let mut invitation = state.invitation(id)?.clone();
    check_ceiling(standing, &invitation)?;
    let present = invitation.state_at(now);
    if !present.is_open()
        || present == InvitationState::PendingApproval
        || rotate_code && present != InvitationState::Invited
    {
        return Err(invitation.refuse(state.id(), now));
    }
    check_etag(etag, invitation.revision)?;
    match (present, &invitation.account_email) {
        (InvitationState::Invited, _) => state.organization.policy.admits_address(&invitation.email)?,
        (InvitationState::Offered, Some(email)) => {
            state.check_covered(&invitation, context)?;
            state.organization.policy.admits_address(email)?;
        }
        _ => {}
    }
    let wait = invitation.send_time + context.deployment.resend_interval - now;
    if wait.is_positive() {
        return Err(Refusal::ResentTooSoon { wait });
    }
    // also where somebody has asked for it: nobody has to prove that the notification address is theirs
    state.count_invitation(context)?;

    let policy = &state.organization.policy;
    let code = invitation.code.clone().filter(|_| present == InvitationState::Invited);
    let dead_code = code.filter(|code| rotate_code || context.deployment.code_keys.get(&code.key_id).is_none());
    invitation.send_time = now;
    invitation.expire_time = match present {
        InvitationState::Invited => Some(now + policy.invitation_lifetime),
        InvitationState::Offered => Some(now + policy.offer_lifetime),
        _ => None,
    };
    let kind = if dead_code.is_some() { EventKind::CodeRotated } else { EventKind::Resent };
    if let Some(dead) = dead_code {
        invitation.code = Some(invite::new_code(context, id, dead.generation + 1));
        state.withdraw(Withdrawal::Codes(id));
    }
    let invitation = state.transition(invitation, present, kind, Some(actor.clone()), now);
    match (present, invitation.account_email.clone()) {
        (InvitationState::Invited, _) => invite::send_code(state, context, &invitation),
        (InvitationState::Offered, Some(recipient)) => offer::send_offer(state, context, &invitation, &recipient),
        _ => request_access::tell(state, context, &invitation),
    }
    Ok(())
}

/// What is not an offer yet may be handled by every inviter, an offer by those who may grant its role.
fn check_ceiling(standing: &Standing, invitation: &Invitation) -> Result<(), Refusal> {
    match invitation.role.filter(|_| invitation.state.is_offer()) {
        Some(role) => standing.check(Action::Handle(role)),
        None => Ok(()),
    }
}
