//! OfferMembership and ApproveOffer: an administrator invites an account with a role.

use super::{
    Account, Actor, Annotations, Context, EmailAddress, EmailKind, EventKind, Invitation, InvitationId,
    InvitationState, OrganizationState, Refusal, Role, Standing, Username, check_etag, invite, rights::Action,
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

/// Offers. The same offer again changes nothing, unless nobody covers it any more: then it is this inviter's from now on.
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
    let account = account.ok_or_else(|| refuse_pair(state, context, offer))?;
    state.organization.policy.admits_account(account, &offer.email, now)?;
    if let Some(member) = state.members.get(&offer.username) {
        return Err(Refusal::AlreadyMember(member.name(state.id())));
    }
    match state.open_of_account(&offer.username, now).filter(|open| open.state.is_offer()) {
        Some(open) if open.role != Some(offer.role) || !is_same(open.account_email.as_ref(), offer) => {
            return Err(Refusal::AlreadyOffered(open.id.name(state.id())));
        }
        Some(open) if state.check_covered(open, context).is_ok() => return Ok(open.id),
        // it holds its seat
        Some(_) => {}
        None => state.check_seats(offer.role.seats())?,
    }

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
    check_etag(etag, invitation.create_time, invitation.revision)?;
    state.check_covered(&invitation, context)?;
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

/// Why that account is not offered anything under that address. What the organization was told before is no guess.
fn refuse_pair(state: &OrganizationState, context: &Context<'_>, offer: &Offer) -> Refusal {
    let member = state.members.get(&offer.username).filter(|member| is_same(member.email.as_ref(), offer));
    let open = state.open_of_account(&offer.username, context.now);
    let open = open.filter(|open| is_same(open.account_email.as_ref(), offer));
    match (member, open) {
        _ if !context.accounts.contains_key(&offer.username) => Refusal::AccountEmailNotFound,
        (Some(member), _) => Refusal::AlreadyMember(member.name(state.id())),
        (None, Some(open)) => Refusal::AccountEmailChanged(open.id.name(state.id())),
        (None, None) => Refusal::AccountEmailNotFound,
    }
}

/// Whether it is the address of the offer.
fn is_same(email: Option<&EmailAddress>, offer: &Offer) -> bool {
    email.is_some_and(|email| email.key() == offer.email.key())
}

/// The account's access request, or its offer that is taken over; else the invitation of that address which nobody has
/// used; else a new one.
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
                annotations: Annotations::default(),
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
