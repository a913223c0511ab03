//! What the present state does not allow.

use super::{Code, Problem, replica};
use crate::domain::{InvitationState, Role};
use crate::pb::ErrorReason;

fn not_now(reason: ErrorReason, sentence: impl Into<String>) -> Problem {
    Problem::new(Code::FailedPrecondition, reason, sentence)
}

pub(super) fn already_offered(name: String) -> Problem {
    let sentence = format!("{name} offers this account another role or address: revoke it, then offer again");
    not_now(ErrorReason::AlreadyOffered, sentence).with("invitation", name)
}

pub(super) fn account_email_changed(name: String) -> Problem {
    let sentence = format!(
        "the account has given up the address of {name}: ask the person to repeat RequestAccess, which tells you the \
         present one, and offer that; revoke first what is offered"
    );
    not_now(ErrorReason::AccountEmailChanged, sentence).with("invitation", name)
}

pub(super) fn email_bound_to_other(name: String) -> Problem {
    let sentence = format!("{name} is open for this address and bound to another account: revoke or reject it first");
    not_now(ErrorReason::InvitationNotOpenForThis, sentence).with("invitation", name)
}

pub(super) fn invitation(name: String, state: InvitationState) -> Problem {
    let anew = "a new invitation is possible";
    let (reason, sentence) = match state {
        InvitationState::Newer => return replica::newer_version_needed(),
        InvitationState::Accepted => {
            (ErrorReason::InvitationAccepted, format!("{name} was accepted: see the list of members"))
        }
        InvitationState::Declined => (ErrorReason::InvitationDeclined, format!("{name} was declined: {anew}")),
        InvitationState::Rejected => (ErrorReason::InvitationRejected, format!("{name} was rejected: {anew}")),
        InvitationState::Revoked => (ErrorReason::InvitationRevoked, format!("{name} was revoked: {anew}")),
        InvitationState::Expired => (ErrorReason::InvitationExpired, format!("{name} has expired: {anew}")),
        InvitationState::Invited
        | InvitationState::AccessRequested
        | InvitationState::PendingApproval
        | InvitationState::Offered => (
            ErrorReason::InvitationNotOpenForThis,
            format!(
                "{name} is in {}, which this does not start from: get it again and see what comes next",
                state.as_str()
            ),
        ),
    };
    not_now(reason, sentence).with("invitation", name).with("state", state.as_str())
}

pub(super) fn email_not_verified() -> Problem {
    let sentence = "the account has no verified address: the person has to verify one with the identity provider and sign in \
                    again";
    not_now(ErrorReason::EmailNotVerified, sentence)
}

pub(super) fn attestation_too_old() -> Problem {
    let sentence = "the identity provider attested the account's addresses too long ago for the organization: the person \
                    has to sign in again, with a token that tells addresses";
    not_now(ErrorReason::AttestationTooOld, sentence)
}

pub(super) fn address_mismatch() -> Problem {
    let sentence = "the organization asks for an account that holds the invited address: use that one, or ask for another \
                    invitation";
    not_now(ErrorReason::AddressMismatch, sentence)
}

pub(super) fn email_domain_not_allowed(domain: String) -> Problem {
    let sentence =
        format!("the organization's policy does not allow addresses of {domain}: use another one, or ask an owner");
    not_now(ErrorReason::EmailDomainNotAllowed, sentence).with("domain", domain)
}

pub(super) fn provider_not_allowed(provider: String) -> Problem {
    let sentence =
        format!("the organization's policy does not allow accounts of {provider}: use another one, or ask an owner");
    not_now(ErrorReason::ProviderNotAllowed, sentence).with("provider", provider)
}

pub(super) fn seats_exhausted(limit: i32) -> Problem {
    let sentence = format!("all {limit} seats are taken: remove a member, revoke an offer, or have the limit raised");
    not_now(ErrorReason::SeatsExhausted, sentence).with("seat_limit", limit.to_string())
}

pub(super) fn offer_not_covered(role: Role) -> Problem {
    let role = role.as_str();
    let sentence = format!(
        "the offer of {role} does not count any more, as it lacks the rights or the approval that it needs now: ask an \
         inviter of the organization to make it again"
    );
    not_now(ErrorReason::OfferNotCovered, sentence).with("role", role)
}

pub(super) fn approval_required(role: Role) -> Problem {
    let role = role.as_str();
    let sentence = format!("giving {role} needs a second person: remove the member and offer the role anew");
    not_now(ErrorReason::ApprovalRequired, sentence).with("role", role)
}

pub(super) fn last_owner(name: String) -> Problem {
    let sentence = format!("{name} would be left without an owner: make somebody else an owner first");
    not_now(ErrorReason::LastOwner, sentence).with("organization", name)
}

pub(super) fn no_pending_change() -> Problem {
    let sentence =
        "no change of the organization waits: it was approved, withdrawn, or has ended; read the organization";
    not_now(ErrorReason::NoPendingChange, sentence)
}

pub(super) fn approver_too_new() -> Problem {
    let sentence =
        "you became an owner after the change was proposed: ask another owner to approve it, or propose it anew";
    not_now(ErrorReason::ApproverTooNew, sentence)
}
