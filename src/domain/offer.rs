//! OfferMembership and ApproveOffer: an administrator invites an account with a role.

use super::{
    Account, Actor, Context, EmailAddress, EmailKind, EventKind, Invitation, InvitationId, InvitationState,
    OrganizationState, Refusal, Role, Standing, Username, check_etag, invite, rights::Action,
};

/// A role for an account under one of its addresses.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The invitation's id, should the offer begin one.
    pub id: InvitationId,
    pub username: Username,
    pub email: EmailAddress,
    pub role: Role,
}

/// Offers. The same offer again changes nothing.
pub fn offer(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: &Actor,
    standing: &Standing,
    offer: &Offer,
) -> Result<InvitationId, Refusal> {
    standing.check(Action::Grant(offer.role))?;
    let now = context.now;
    let account = context.accounts.get(&offer.username).filter(|account| account.holds(&offer.email));
    let account = account.ok_or(Refusal::AccountEmailNotFound)?;
    state.organization.policy.admits_account(account, &offer.email)?;
    if let Some(member) = state.members.get(&offer.username) {
        return Err(Refusal::AlreadyMember(member.name(state.id())));
    }
    if let Some(open) = state.open_of_account(&offer.username, now)
        && open.state.is_offer()
    {
        let same_email = open.account_email.as_ref().is_some_and(|email| email.key() == offer.email.key());
        if open.role == Some(offer.role) && same_email {
            return Ok(open.id);
        }
        return Err(Refusal::AlreadyOffered(open.id.name(state.id())));
    }
    state.check_seats(offer.role.seats())?;

    let mut invitation = invitation_for(state, context, account, offer)?;
    if invitation.is_unsolicited() {
        state.count_invitation(context)?;
    }
    invitation.username = Some(offer.username.clone());
    invitation.account_email = Some(offer.email.clone());
    invitation.role = Some(offer.role);
    invitation.offerer = Some(actor.clone());
    invitation.approver = None;
    invitation.expire_time = Some(now + state.organization.policy.offer_lifetime);
    invitation.send_time = now;
    let next = if state.organization.policy.needs_approval(offer.role) {
        InvitationState::PendingApproval
    } else {
        InvitationState::Offered
    };
    let invitation = state.transition(invitation, next, EventKind::Offered, Some(actor.clone()), now);
    if next == InvitationState::Offered {
        send_offer(state, context, &invitation, &offer.email);
    }
    Ok(invitation.id)
}

/// Approves an offer that waits for a second person: neither who made it nor whom it is for.
pub fn approve(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: &Actor,
    standing: &Standing,
    id: InvitationId,
    etag: Option<&str>,
) -> Result<(), Refusal> {
    let now = context.now;
    let mut invitation = state.invitation(id)?.clone();
    if let Some(role) = invitation.role.filter(|_| invitation.state.is_offer()) {
        standing.check(Action::Grant(role))?;
    }
    let pending = invitation.state_at(now) == InvitationState::PendingApproval;
    let (true, Some(email)) = (pending, invitation.account_email.clone()) else {
        return Err(invitation.refuse(state.id(), now));
    };
    if invitation.offerer.as_ref() == Some(actor) || invitation.username.as_ref() == actor.username() {
        return Err(Refusal::SecondPersonRequired);
    }
    check_etag(etag, invitation.revision)?;
    invitation.approver = Some(actor.clone());
    invitation.expire_time = Some(now + state.organization.policy.offer_lifetime);
    invitation.send_time = now;
    let invitation =
        state.transition(invitation, InvitationState::Offered, EventKind::Approved, Some(actor.clone()), now);
    send_offer(state, context, &invitation, &email);
    Ok(())
}

/// The email with the offer and, where there is time for one, its reminder.
pub fn send_offer(
    state: &mut OrganizationState,
    context: &Context<'_>,
    invitation: &Invitation,
    recipient: &EmailAddress,
) {
    state.send(EmailKind::OrganizationInvitation, invitation, recipient.clone(), context.now);
    invite::remind(state, context, invitation, EmailKind::OfferReminder, recipient);
}

/// The account's access request; else the invitation of that address which nobody has used; else a new one.
fn invitation_for(
    state: &OrganizationState,
    context: &Context<'_>,
    account: &Account,
    offer: &Offer,
) -> Result<Invitation, Refusal> {
    let now = context.now;
    if let Some(requested) = state.open_of_account(&account.username, now) {
        return Ok(requested.clone());
    }
    match state.open_of_address(&offer.email, now) {
        Some(unused) if unused.username.is_none() => Ok(unused.clone()),
        Some(other) => Err(Refusal::EmailBoundToOther(other.id.name(state.id()))),
        None => {
            state.check_open_invitations(context)?;
            Ok(Invitation {
                id: offer.id,
                state: InvitationState::Offered,
                email: offer.email.clone(),
                username: None,
                account_email: None,
                role: None,
                inviter: None,
                offerer: None,
                approver: None,
                locale: None,
                code: None,
                create_time: now,
                update_time: now,
                expire_time: None,
                send_time: now,
                request_time: None,
                revision: 0,
            })
        }
    }
}
