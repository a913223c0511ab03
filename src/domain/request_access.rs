//! RequestAccess: a person with an account uses the code of an email.

use super::{
    Account, Actor, Context, EmailAddress, EmailKind, EventKind, Invitation, InvitationId, InvitationState,
    OrganizationState, Policy, Refusal, Timestamp, Username,
};

/// An access request that nobody decides is remembered after this long.
const REMIND_AFTER: time::Duration = time::Duration::days(3);

/// Binds the caller's account to the invitation of a code. The bound account may come again: with another address than
/// before it asks anew.
///
/// Everybody but the bound account gets the answer of an unknown code, in every state but a live INVITED.
pub fn request_access(
    state: &mut OrganizationState,
    context: &Context<'_>,
    caller: &Username,
    id: InvitationId,
    code_hash: &[u8; 32],
) -> Result<InvitationId, Refusal> {
    let now = context.now;
    let account = context.accounts.get(caller).ok_or(Refusal::AccountRequired)?;
    let invitation = state.invitations.get(&id).filter(|i| i.has_code(code_hash)).ok_or(Refusal::CodeNotFound)?;
    invitation.check_known()?;
    let is_bound = invitation.username.as_ref() == Some(caller);
    if !is_bound && invitation.state_at(now) != InvitationState::Invited {
        return Err(Refusal::CodeNotFound);
    }
    check_key(invitation, context)?;
    if is_bound {
        let invitation = invitation.clone();
        return repeat(state, context, account, invitation).map(|()| id);
    }
    if let Some(member) = state.members.get(caller) {
        return Err(Refusal::AlreadyMember(member.name(state.id())));
    }
    if let Some(open) = state.open_of_account(caller, now) {
        return Err(Refusal::OpenInvitationExists(open.id.name(state.id())));
    }

    let mut invitation = invitation.clone();
    invitation.username = Some(caller.clone());
    invitation.expire_time = None;
    invitation.request_time = Some(now);
    ask(state, context, account, invitation).map(|()| id)
}

/// Asks under the address that the account has now, and tells the organization.
fn ask(
    state: &mut OrganizationState,
    context: &Context<'_>,
    account: &Account,
    mut invitation: Invitation,
) -> Result<(), Refusal> {
    let now = context.now;
    invitation.account_email = Some(address_to_bind(account, &invitation, &state.organization.policy, now)?);
    invitation.send_time = now;
    let actor = Actor::Account(account.username.clone());
    let invitation =
        state.transition(invitation, InvitationState::AccessRequested, EventKind::AccessRequested, Some(actor), now);
    tell(state, context, &invitation);
    Ok(())
}

/// The bound account comes again. Where it has given up the address that it asked under, the present one takes its
/// place: nobody can offer it anything under the old one.
fn repeat(
    state: &mut OrganizationState,
    context: &Context<'_>,
    account: &Account,
    invitation: Invitation,
) -> Result<(), Refusal> {
    let is_given_up = invitation.account_email.as_ref().is_some_and(|email| !account.holds(email));
    match invitation.state_at(context.now) {
        InvitationState::AccessRequested if is_given_up => {
            // nobody has to prove that the notification address is theirs
            let wait = invitation.send_time + context.deployment.resend_interval - context.now;
            if wait.is_positive() {
                return Err(Refusal::ResentTooSoon { wait });
            }
            ask(state, context, account, invitation)
        }
        InvitationState::AccessRequested
        | InvitationState::PendingApproval
        | InvitationState::Offered
        | InvitationState::Accepted => Ok(()),
        InvitationState::Invited
        | InvitationState::Declined
        | InvitationState::Rejected
        | InvitationState::Revoked
        | InvitationState::Expired
        | InvitationState::Newer => match state.members.get(&account.username) {
            Some(member) if invitation.is_settled() => Err(Refusal::AlreadyMember(member.name(state.id()))),
            _ => Err(invitation.refuse(state.id(), context.now)),
        },
    }
}

/// Ends an invitation whose code a member has used. Nobody is left who could ask for access, and the organization learns
/// which member it was, but of no address that the account holds.
pub fn settle(
    state: &mut OrganizationState,
    context: &Context<'_>,
    member: &Username,
    id: InvitationId,
    code_hash: &[u8; 32],
) -> Result<(), Refusal> {
    let is_member = context.accounts.contains_key(member) && state.members.contains_key(member);
    if !is_member || !is_open_to_all(state, context, id, code_hash) {
        return Err(Refusal::CodeNotFound);
    }
    let mut invitation = state.invitation(id)?.clone();
    invitation.username = Some(member.clone());
    let actor = Some(Actor::Account(member.clone()));
    state.transition(invitation, InvitationState::Revoked, EventKind::Revoked, actor, context.now);
    Ok(())
}

/// Tells the notification address who asks, now and once more.
pub fn tell(state: &mut OrganizationState, context: &Context<'_>, invitation: &Invitation) {
    state.notify(EmailKind::AccessRequested, invitation, context, context.now);
    if state.organization.policy.wants(EmailKind::AccessRequestReminder) {
        state.notify(EmailKind::AccessRequestReminder, invitation, context, context.now + REMIND_AFTER);
    }
}

/// Whether whoever holds the code may use it.
pub fn is_open_to_all(
    state: &OrganizationState,
    context: &Context<'_>,
    id: InvitationId,
    code_hash: &[u8; 32],
) -> bool {
    let invitation = state.invitations.get(&id).filter(|i| i.has_code(code_hash) && check_key(i, context).is_ok());
    invitation.is_some_and(|i| i.state_at(context.now) == InvitationState::Invited)
}

/// A code counts only where its key is. Whoever gets this far holds a right one, which is no guess: another replica has
/// its key.
fn check_key(invitation: &Invitation, context: &Context<'_>) -> Result<(), Refusal> {
    match &invitation.code {
        Some(code) if context.deployment.code_keys.get(&code.key_id).is_none() => {
            Err(Refusal::CodeKeyMissing(code.key_id.clone()))
        }
        _ => Ok(()),
    }
}

/// The invited address where the account holds it, else the account's first one.
fn address_to_bind(
    account: &Account,
    invitation: &Invitation,
    policy: &Policy,
    now: Timestamp,
) -> Result<EmailAddress, Refusal> {
    let first = account.emails.first().ok_or(Refusal::EmailNotVerified)?;
    policy.admits_attestation(account, now)?;
    policy.admits_invited(account, &invitation.email)?;
    let invited = account.emails.iter().find(|held| held.key() == invitation.email.key());
    Ok(invited.unwrap_or(first).clone())
}
