//! RejectAccess, RevokeInvitation, ResendInvitation: what an administrator does with an invitation that is under way.

use super::{
    Actor, CodeKeys, Context, EmailKind, EventKind, Invitation, InvitationId, InvitationState, OrganizationState,
    Refusal, Standing, StoredCode, Withdrawal, check_etag, invite, offer, request_access, rights::Action,
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
    check_etag(etag, invitation.create_time, invitation.revision)?;
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
    check_etag(etag, invitation.create_time, invitation.revision)?;
    state.transition(invitation, InvitationState::Revoked, EventKind::Revoked, Some(actor.clone()), now);
    Ok(())
}

/// What a resend does with the code.
#[derive(Clone, Copy, Debug)]
pub struct Renewal<'a> {
    /// Makes a new one and kills the old one.
    pub rotate_code: bool,
    /// The key that nobody has any more: its codes count for nothing, and are replaced.
    pub gone_key: Option<&'a str>,
}

/// Sends the email of the present state again, with the same code unless there is a reason for another one.
pub fn resend(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: &Actor,
    standing: &Standing,
    id: InvitationId,
    etag: Option<&str>,
    renewal: Renewal<'_>,
) -> Result<(), Refusal> {
    let now = context.now;
    let mut invitation = state.invitation(id)?.clone();
    check_ceiling(standing, &invitation)?;
    let present = invitation.state_at(now);
    if !present.is_open()
        || present == InvitationState::PendingApproval
        || renewal.rotate_code && present != InvitationState::Invited
    {
        return Err(invitation.refuse(state.id(), now));
    }
    check_etag(etag, invitation.create_time, invitation.revision)?;
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
    state.check_resends(id, context)?;
    let keys = &context.deployment.code_keys;
    let code = invitation.code.clone().filter(|_| present == InvitationState::Invited);
    let dead_code = code.map(|code| renewal.ends(code, keys)).transpose()?.flatten();
    // also where somebody has asked for it: nobody has to prove that the notification address is theirs
    state.count_invitation(context)?;

    let policy = &state.organization.policy;
    invitation.send_time = now;
    invitation.expire_time = match present {
        InvitationState::Invited => Some(now + policy.invitation_lifetime),
        InvitationState::Offered => Some(now + policy.offer_lifetime),
        _ => None,
    };
    let kind = if dead_code.is_some() { EventKind::CodeRotated } else { EventKind::Resent };
    if let Some(dead) = dead_code {
        invitation.code = Some(invite::new_code(keys.after(&dead.key_id), id, dead.generation + 1));
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

impl Renewal<'_> {
    /// The code, if it is to be replaced. What only this replica lacks may be a newer key than its own: it neither sends
    /// nor replaces such a code.
    fn ends(self, code: StoredCode, keys: &CodeKeys) -> Result<Option<StoredCode>, Refusal> {
        let is_here = keys.get(&code.key_id).is_some();
        if !is_here && self.gone_key != Some(code.key_id.as_str()) {
            return Err(Refusal::CodeKeyMissing(code.key_id));
        }
        Ok(Some(code).filter(|_| self.rotate_code || !is_here))
    }
}

/// What is not an offer yet may be handled by every inviter, an offer by those who may grant its role.
fn check_ceiling(standing: &Standing, invitation: &Invitation) -> Result<(), Refusal> {
    match invitation.role.filter(|_| invitation.state.is_offer()) {
        Some(role) => standing.check(Action::Handle(role)),
        None => Ok(()),
    }
}
