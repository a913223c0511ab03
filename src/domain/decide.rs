//! The decision about one command: the one way in for every change of an organization.

use super::{
    Actor, Caller, Command, Context, Event, InvitationId, NewOrganization, Operation, OrganizationState, Refusal,
    Remembered, Request, Scope, Subject, administer as administration, answer, expire, invite, membership,
    notification_proof, offer, prolong, request_access, second_owner, settings,
};

/// Decides one command on a loaded organization. `remembered` is what its request id was used for before.
///
/// The order is the contract's: may the caller see the object, request id, right, then the rule of the operation.
pub fn decide(
    state: &mut Option<OrganizationState>,
    context: &Context<'_>,
    command: &Command,
    remembered: Option<&Remembered>,
) -> Result<Subject, Refusal> {
    if let Operation::CreateOrganization(found) = &command.operation {
        return decide_create(state, context, command, found, remembered);
    }
    let unknown = || match &command.operation {
        // whoever sends a code names no organization, and hears of none
        Operation::RequestAccess { .. } => Refusal::CodeNotFound,
        operation => Refusal::not_found(&command.organization, &operation.subject()),
    };
    let state = state.as_mut().ok_or_else(unknown)?;
    // what has to be closed first is not of this request
    state.trace = None;
    expire::close_overdue(state, context);
    second_owner::settle(state, context);
    state.trace = command.trace;
    let earlier = state.events.len();
    let owners = (state.head.owners, &second_owner::owners(state));
    let outcome = decide_on(state, context, command, remembered);
    second_owner::follow(state, context, command.actor(), owners);
    sign(&mut state.events[earlier..], command);
    outcome
}

/// Puts the request id on the events that the command has made.
fn sign(events: &mut [Event], command: &Command) {
    for event in events {
        event.request_id = command.request.as_ref().map(Request::chosen_id);
    }
}

fn decide_on(
    state: &mut OrganizationState,
    context: &Context<'_>,
    command: &Command,
    remembered: Option<&Remembered>,
) -> Result<Subject, Refusal> {
    match (&command.operation, &command.caller) {
        (Operation::Expire(_), _) => Ok(Subject::Organization),
        (Operation::Prolong(waits), _) => {
            prolong::prolong(state, context, waits);
            Ok(Subject::Organization)
        }
        (Operation::Leave(username), caller) => {
            // the sweep, which finishes a deletion, knows only whose it is
            let actor = caller.as_ref().map_or_else(|| Actor::Account(username.clone()), Caller::actor);
            membership::leave(state, context, &actor, username).map(|()| Subject::Member(username.clone()))
        }
        (_, Some(caller)) => {
            if may_see(state, context, caller, &command.operation)
                && let Some(earlier) = replay(command, remembered)?
            {
                return Ok(earlier);
            }
            operate(state, context, caller, &command.operation)
        }
        (_, None) => Err(Refusal::not_found(&command.organization, &command.operation.subject())),
    }
}

/// Whether a request id may be looked up at all: by those for whom the organization, or their invitation, exists.
fn may_see(state: &OrganizationState, context: &Context<'_>, caller: &Caller, operation: &Operation) -> bool {
    let bound = |id: &InvitationId| {
        let invitation = state.invitations.get(id);
        caller.username().is_some() && invitation.is_some_and(|i| i.username.as_ref() == caller.username())
    };
    match operation {
        Operation::AcceptInvitation { invitation, .. } | Operation::DeclineInvitation { invitation, .. } => {
            bound(invitation)
        }
        Operation::RequestAccess { invitation, code_hash } => {
            bound(invitation) || request_access::is_open_to_all(state, context, *invitation, code_hash)
        }
        // one who removed themselves is a stranger now and may still ask whether it worked
        Operation::DeleteMember { member, .. } if caller.username() == Some(member) => true,
        _ => state.standing(caller, context.accounts).is_some(),
    }
}

fn operate(
    state: &mut OrganizationState,
    context: &Context<'_>,
    caller: &Caller,
    operation: &Operation,
) -> Result<Subject, Refusal> {
    match (operation, caller) {
        (Operation::RequestAccess { invitation, code_hash }, Caller::Account(person)) => {
            request_access::request_access(state, context, person, *invitation, code_hash)?;
        }
        (Operation::SettleInvitation { invitation, code_hash }, Caller::Account(person)) => {
            request_access::settle(state, context, person, *invitation, code_hash)?;
        }
        (Operation::AcceptInvitation { invitation, etag }, Caller::Account(person)) => {
            answer::accept(state, context, person, *invitation, etag.as_deref())?;
        }
        (Operation::DeclineInvitation { invitation, etag }, Caller::Account(person)) => {
            answer::decline(state, context, person, *invitation, etag.as_deref())?;
        }
        _ => return administer(state, context, caller, operation),
    }
    Ok(operation.subject())
}

/// What needs a right in the organization. A service that asks for a person hears that it may not, and one that does not
/// reach the organization not even that.
fn administer(
    state: &mut OrganizationState,
    context: &Context<'_>,
    caller: &Caller,
    operation: &Operation,
) -> Result<Subject, Refusal> {
    let subject = operation.subject();
    let standing = state.standing(caller, context.accounts).ok_or_else(|| Refusal::not_found(state.id(), &subject))?;
    if let Some(method) = operation.rpc() {
        standing.check_call(method, caller, &subject)?;
    }
    let (standing, actor) = (&standing, &caller.actor());
    match operation {
        Operation::CreateInvitation(invite) => {
            return invite::create(state, context, actor, invite).map(Subject::Invitation);
        }
        Operation::OfferMembership(offer) => {
            return offer::offer(state, context, actor, standing, offer).map(Subject::Invitation);
        }
        Operation::ApproveOffer { invitation, etag } => {
            offer::approve(state, context, actor, standing, *invitation, etag.as_deref())?;
        }
        Operation::RejectAccess { invitation, etag } => {
            administration::reject(state, context, actor, *invitation, etag.as_deref())?;
        }
        Operation::RevokeInvitation { invitation, etag } => {
            administration::revoke(state, context, actor, standing, *invitation, etag.as_deref())?;
        }
        Operation::ResendInvitation { invitation, etag, rotate_code, gone_key } => {
            let renewal = administration::Renewal { rotate_code: *rotate_code, gone_key: gone_key.as_deref() };
            administration::resend(state, context, actor, standing, *invitation, etag.as_deref(), renewal)?;
        }
        Operation::UpdateOrganization(edit) => settings::update(state, context, actor, standing, edit)?,
        Operation::ApproveOrganizationChange { etag } => {
            second_owner::approve(state, context, actor, etag.as_deref())?;
        }
        Operation::WithdrawOrganizationChange { etag } => {
            second_owner::withdraw(state, context, actor, etag.as_deref())?;
        }
        Operation::VerifyNotificationEmail { code_hash } => {
            notification_proof::verify(state, context, actor, code_hash)?;
        }
        Operation::UpdateMember { member, role, etag } => {
            membership::update(state, context, actor, standing, member, *role, etag.as_deref())?;
        }
        Operation::DeleteMember { member, etag } => {
            membership::delete(state, context, actor, standing, member, etag.as_deref())?;
        }
        Operation::RequestAccess { .. }
        | Operation::AcceptInvitation { .. }
        | Operation::DeclineInvitation { .. }
        | Operation::CreateOrganization(_)
        | Operation::SettleInvitation { .. }
        | Operation::Expire(_)
        | Operation::Prolong(_)
        | Operation::Leave(_) => unreachable!("decided before the caller's standing matters"),
    }
    Ok(subject)
}

fn decide_create(
    state: &mut Option<OrganizationState>,
    context: &Context<'_>,
    command: &Command,
    found: &NewOrganization,
    remembered: Option<&Remembered>,
) -> Result<Subject, Refusal> {
    if let Some(earlier) = replay(command, remembered)? {
        return Ok(earlier);
    }
    let Some(caller) = &command.caller else {
        return Err(Refusal::ScopeRequired(Scope::OrganizationsAdmin));
    };
    // last of all whether the name is taken: only a try that would found it finds that out
    let mut founded = settings::create(context, caller, &command.organization, found)?;
    if state.is_some() {
        return Err(Refusal::OrganizationExists(command.organization.name()));
    }
    sign(&mut founded.events, command);
    founded.emails.iter_mut().for_each(|email| email.trace = command.trace);
    *state = Some(founded);
    Ok(Subject::Organization)
}

/// What the same request did before.
fn replay(command: &Command, remembered: Option<&Remembered>) -> Result<Option<Subject>, Refusal> {
    match remembered.filter(|_| command.request.is_some()) {
        // what only a newer version can name was done all the same
        Some(remembered) if remembered.is_of(command) => {
            Subject::parse(&remembered.resource).map(Some).ok_or(Refusal::NewerVersionNeeded)
        }
        Some(_) => Err(Refusal::RequestIdReused),
        None => Ok(None),
    }
}
