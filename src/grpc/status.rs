//! Turns every failure into a gRPC status: a standard code, an `ErrorInfo` with a reason of the contract, and a sentence
//! that says what to do. The only place with words for callers.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::app;
use crate::domain::{InvalidField, InvitationState, Refusal};
use crate::pb::ErrorReason;

/// `ErrorInfo.domain` of every status.
pub const DOMAIN: &str = "invitations.ipmhub.io";

/// How long to wait for open invitations to end by themselves: the shortest time that one lives.
const INVITATIONS_END: Duration = Duration::from_hours(1);

/// What a status is made of.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    reason: ErrorReason,
    message: String,
    /// Never an empty value: prost leaves it out of the map entry, and Envoy's transcoder dies of that.
    metadata: Vec<(&'static str, String)>,
    retry: Option<Duration>,
    fields: Vec<InvalidField>,
}

impl Problem {
    pub fn new(code: Code, reason: ErrorReason, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), metadata: Vec::new(), retry: None, fields: Vec::new() }
    }

    fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.metadata.push((key, value.into()));
        self
    }

    fn retry_after(mut self, wait: Duration) -> Self {
        self.retry = Some(wait);
        self
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        super::telemetry::note_reason(problem.reason);
        let metadata = problem.metadata.into_iter().filter(|(_, value)| !value.is_empty());
        let metadata =
            metadata.map(|(key, value)| (key.to_owned(), value)).collect::<std::collections::HashMap<_, _>>();
        let mut details = ErrorDetails::with_error_info(problem.reason.as_str_name(), DOMAIN, metadata);
        for InvalidField { field, description } in problem.fields {
            details.add_bad_request_violation(field, description);
        }
        if let Some(wait) = problem.retry {
            details.set_retry_info(Some(wait));
        }
        Self::with_error_details(problem.code, problem.message, details)
    }
}

/// The status of a use case that did not happen.
pub fn from_error(error: app::Error) -> Status {
    match error {
        app::Error::Refused(refusal) => from_refusal(refusal),
        app::Error::Overloaded => overloaded().into(),
        app::Error::Unavailable => unavailable().into(),
        app::Error::Fault => internal().into(),
    }
}

/// The status of a request that was refused.
pub fn from_refusal(refusal: Refusal) -> Status {
    describe(refusal).into()
}

pub fn token_missing() -> Problem {
    let message = "send an access token in the authorization metadata: Bearer {token}";
    Problem::new(Code::Unauthenticated, ErrorReason::TokenMissing, message)
}

pub fn token_invalid() -> Problem {
    let message = "the access token is not accepted: sign in again and send a fresh one, once, as Bearer {token}";
    Problem::new(Code::Unauthenticated, ErrorReason::TokenInvalid, message)
}

/// The issuer's keys are not there yet, or GitHub does not answer.
pub fn issuer_unavailable() -> Problem {
    let message = "the token's issuer cannot be reached to check it: try again in a moment";
    Problem::new(Code::Unavailable, ErrorReason::IssuerUnavailable, message).retry_after(Duration::from_secs(5))
}

pub fn deadline_passed() -> Problem {
    let message =
        "the deadline has passed and the change may have taken effect: repeat the call with the same request_id";
    Problem::new(Code::DeadlineExceeded, ErrorReason::DeadlinePassed, message)
}

pub fn method_unknown(method: &str) -> Problem {
    let message = "this version has no such method: compare with the reflection service";
    Problem::new(Code::Unimplemented, ErrorReason::MethodUnknown, message).with("method", method)
}

/// What tonic could not make a request of; `why` is its own word for it, which quotes nothing.
pub fn unreadable(why: &str) -> Problem {
    let message = format!("the request cannot be read, because {why}: compare with the method's message");
    let bad = InvalidField { field: "request".to_owned(), description: why.to_owned() };
    Problem { fields: vec![bad], ..Problem::new(Code::InvalidArgument, ErrorReason::FieldInvalid, message) }
}

/// What is wrong with the call around the message: a header, by its name.
pub fn malformed(header: &str, rule: &str) -> Status {
    let bad = InvalidField { field: header.to_owned(), description: rule.to_owned() };
    from_refusal(Refusal::InvalidFields(vec![bad]))
}

/// Says nothing but the id of the call's log lines, which the answer carries as `x-request-id` too.
pub fn internal() -> Problem {
    let call = super::telemetry::call_id();
    let message = "something went wrong here: report it with the request_id of the details";
    Problem::new(Code::Internal, ErrorReason::InternalError, message).with("request_id", call)
}

fn overloaded() -> Problem {
    let message =
        "too many calls are waiting and nothing was done: repeat the call in a moment with the same request_id";
    Problem::new(Code::ResourceExhausted, ErrorReason::Overloaded, message).retry_after(Duration::from_secs(1))
}

fn unavailable() -> Problem {
    let message =
        "the database cannot be reached and the change may have taken effect: repeat the call with the same request_id";
    Problem::new(Code::Unavailable, ErrorReason::DatabaseUnavailable, message).retry_after(Duration::from_secs(1))
}

#[expect(clippy::too_many_lines, reason = "one arm for each refusal")]
fn describe(refusal: Refusal) -> Problem {
    use ErrorReason as Reason;
    let refused = |code, reason, message: &str| Problem::new(code, reason, message);
    let waiting = |reason, wait: time::Duration, message: &str| {
        Problem::new(Code::ResourceExhausted, reason, message).retry_after(Duration::try_from(wait).unwrap_or_default())
    };
    match refusal {
        Refusal::InvalidFields(fields) => {
            let message =
                fields.iter().map(|bad| format!("{} {}", bad.field, bad.description)).collect::<Vec<_>>().join("; ");
            Problem { fields, ..Problem::new(Code::InvalidArgument, Reason::FieldInvalid, message) }
        }
        Refusal::CodeMistyped => Problem {
            fields: vec![InvalidField { field: "code".to_owned(), description: "has a typing error".to_owned() }],
            ..refused(
                Code::InvalidArgument,
                Reason::CodeMistyped,
                "the code has a typing error: compare it with the email",
            )
        },
        Refusal::PageTokenInvalid => Problem {
            fields: vec![InvalidField {
                field: "page_token".to_owned(),
                description: "does not belong to this list".to_owned(),
            }],
            ..refused(
                Code::InvalidArgument,
                Reason::PageTokenInvalid,
                "the page token does not belong to this list: start again without one",
            )
        },
        Refusal::RequestIdReused => refused(
            Code::FailedPrecondition,
            Reason::RequestIdReused,
            "this request_id was used for another request: choose a new UUID for each new request",
        ),
        Refusal::EtagMismatch => refused(
            Code::Aborted,
            Reason::EtagMismatch,
            "it has changed since: get it again, decide again, send the new etag",
        ),

        Refusal::AccountRequired => refused(
            Code::FailedPrecondition,
            Reason::AccountRequired,
            "you have no account yet: call CreateAccount first",
        ),
        Refusal::PersonRequired => refused(
            Code::PermissionDenied,
            Reason::PersonRequired,
            "no service acts for a person: call with their own token",
        ),
        Refusal::InviteeRequired => refused(
            Code::PermissionDenied,
            Reason::InviteeRequired,
            "only the invited account answers an invitation: to take it back, call RevokeInvitation",
        ),
        Refusal::RoleRequired(role) => Problem::new(
            Code::PermissionDenied,
            Reason::RoleRequired,
            format!("this needs the role {} or a higher one: ask a member who has it", role.as_str()),
        )
        .with("required_role", role.as_str()),
        Refusal::RoleNotGrantable(role) => Problem::new(
            Code::PermissionDenied,
            Reason::RoleNotGrantable,
            format!("the role {} is beyond what you may grant: choose a lower one or ask an owner", role.as_str()),
        )
        .with("role", role.as_str()),
        Refusal::SecondPersonRequired => refused(
            Code::PermissionDenied,
            Reason::SecondPersonRequired,
            "an offer is approved by somebody who neither made it nor is to accept it: ask another inviter",
        ),
        Refusal::ScopeRequired(scope) => Problem::new(
            Code::PermissionDenied,
            Reason::ScopeRequired,
            format!("this is for services with the scope {}: have it added to the configuration", scope.as_str()),
        )
        .with("scope", scope.as_str()),

        Refusal::OrganizationNotFound(name) => Problem::new(
            Code::NotFound,
            Reason::OrganizationNotFound,
            format!("{name} does not exist or is not yours: check the name, or ask to be invited"),
        )
        .with("organization", name),
        Refusal::InvitationNotFound(name) => Problem::new(
            Code::NotFound,
            Reason::InvitationNotFound,
            format!("{name} does not exist or is not yours: see ListInvitations or ListAccountInvitations"),
        )
        .with("invitation", name),
        Refusal::MemberNotFound(name) => Problem::new(
            Code::NotFound,
            Reason::MemberNotFound,
            format!("{name} does not exist or you cannot see it: see ListMembers"),
        )
        .with("member", name),
        Refusal::AccountNotFound(name) => Problem::new(
            Code::NotFound,
            Reason::AccountNotFound,
            format!("{name} does not exist or is not yours: check the username"),
        )
        .with("account", name),
        Refusal::AccountEmailNotFound => refused(
            Code::NotFound,
            Reason::AccountEmailNotFound,
            "no account has this username together with this verified address: take both from the access request",
        ),
        Refusal::CodeNotFound => refused(
            Code::NotFound,
            Reason::CodeNotFound,
            "this code opens no invitation for you: ask the organization to resend it",
        ),

        Refusal::OrganizationExists(name) => Problem::new(
            Code::AlreadyExists,
            Reason::OrganizationExists,
            format!("{name} exists already: choose another organization_id"),
        )
        .with("organization", name),
        Refusal::UsernameTaken(name) => Problem::new(
            Code::AlreadyExists,
            Reason::UsernameTaken,
            format!("{name} is taken: choose another account_id"),
        )
        .with("account", name),
        Refusal::AccountExists(name) => Problem::new(
            Code::AlreadyExists,
            Reason::AccountExists,
            format!("you have the account {name} already: use it"),
        )
        .with("account", name),
        Refusal::OpenInvitationExists(name) => Problem::new(
            Code::AlreadyExists,
            Reason::OpenInvitationExists,
            format!("{name} is open already: go on with it, or have it revoked or declined first"),
        )
        .with("invitation", name),
        Refusal::AlreadyMember(name) => Problem::new(
            Code::AlreadyExists,
            Reason::AlreadyMember,
            format!("{name} is a member already: to change the role, call UpdateMember"),
        )
        .with("member", name),

        Refusal::AlreadyOffered(name) => Problem::new(
            Code::FailedPrecondition,
            Reason::AlreadyOffered,
            format!("{name} offers this account another role or address: revoke it, then offer again"),
        )
        .with("invitation", name),
        Refusal::EmailBoundToOther(name) => Problem::new(
            Code::FailedPrecondition,
            Reason::InvitationNotOpenForThis,
            format!("{name} is open for this address and bound to another account: revoke or reject it first"),
        )
        .with("invitation", name),
        Refusal::InvitationState { name, state } => invitation_state(name, state),
        Refusal::EmailNotVerified => refused(
            Code::FailedPrecondition,
            Reason::EmailNotVerified,
            "your account has no verified address: verify one with your identity provider and sign in again",
        ),
        Refusal::AddressMismatch => refused(
            Code::FailedPrecondition,
            Reason::AddressMismatch,
            "the organization asks for an account that holds the invited address: use that one, or ask for another invitation",
        ),
        Refusal::EmailDomainNotAllowed(domain) => Problem::new(
            Code::FailedPrecondition,
            Reason::EmailDomainNotAllowed,
            format!("the organization's policy does not allow addresses of {domain}: use another one, or ask an owner"),
        )
        .with("domain", domain),
        Refusal::ProviderNotAllowed(provider) => Problem::new(
            Code::FailedPrecondition,
            Reason::ProviderNotAllowed,
            format!(
                "the organization's policy does not allow accounts of {provider}: use another one, or ask an owner"
            ),
        )
        .with("provider", provider),
        Refusal::SeatsExhausted { limit } => Problem::new(
            Code::FailedPrecondition,
            Reason::SeatsExhausted,
            format!("all {limit} seats are taken: remove a member, revoke an offer, or have the limit raised"),
        )
        .with("seat_limit", limit.to_string()),
        Refusal::OfferNotCovered(role) => Problem::new(
            Code::FailedPrecondition,
            Reason::OfferNotCovered,
            format!(
                "the offer of {} does not count any more, as it lacks the rights or the approval that it needs now: ask the \
                 organization to revoke it and offer again",
                role.as_str()
            ),
        )
        .with("role", role.as_str()),
        Refusal::ApprovalRequired(role) => Problem::new(
            Code::FailedPrecondition,
            Reason::ApprovalRequired,
            format!("giving {} needs a second person: remove the member and offer the role anew", role.as_str()),
        )
        .with("role", role.as_str()),
        Refusal::LastOwner(name) => Problem::new(
            Code::FailedPrecondition,
            Reason::LastOwner,
            format!("{name} would be left without an owner: make somebody else an owner first"),
        )
        .with("organization", name),

        Refusal::TooManyWrongCodes { wait } => {
            waiting(Reason::TooManyWrongCodes, wait, "too many wrong codes: wait before the next try")
        }
        Refusal::TooManyWrongAccounts { wait } => waiting(
            Reason::TooManyWrongAccounts,
            wait,
            "too many wrong usernames or addresses: wait before the next try",
        ),
        Refusal::ResentTooSoon { wait } => waiting(
            Reason::ResentTooSoon,
            wait,
            "the email was sent a moment ago: wait, and see the invitation's deliveries",
        ),
        Refusal::TooManyOpenInvitations { limit } => Problem::new(
            Code::ResourceExhausted,
            Reason::TooManyOpenInvitations,
            format!("the organization has {limit} open invitations: revoke those that are no longer wanted"),
        )
        .with("limit", limit.to_string())
        .retry_after(INVITATIONS_END),
        Refusal::TooManyOrganizationInvitations { limit, wait } => waiting(
            Reason::TooManyOrganizationInvitations,
            wait,
            "the organization has sent as many invitations and resends as it may in 24 hours: wait, or have the limit raised",
        )
        .with("limit", limit.to_string()),
        Refusal::TooManyInvitations { wait } => waiting(
            Reason::TooManyInvitations,
            wait,
            "you have sent as many invitations and resends as you may in 24 hours: wait before the next one",
        ),
        Refusal::TooManyOrganizations { wait } => waiting(
            Reason::TooManyOrganizations,
            wait,
            "you have created as many organizations as you may in 24 hours: wait before the next one",
        ),
        Refusal::TooManyAccountAttempts { wait } => waiting(
            Reason::TooManyAccountAttempts,
            wait,
            "you have tried to create an account too often: wait before the next try",
        ),
        Refusal::TooManyProtectionChanges { wait } => waiting(
            Reason::TooManyProtectionChanges,
            wait,
            "you have changed policies and notification addresses too often: wait before the next change",
        ),
    }
}

fn invitation_state(name: String, state: InvitationState) -> Problem {
    let (reason, message) = match state {
        InvitationState::Accepted => (ErrorReason::InvitationAccepted, format!("{name} was accepted: see ListMembers")),
        InvitationState::Declined => {
            (ErrorReason::InvitationDeclined, format!("{name} was declined: a new invitation is possible"))
        }
        InvitationState::Rejected => {
            (ErrorReason::InvitationRejected, format!("{name} was rejected: a new invitation is possible"))
        }
        InvitationState::Revoked => {
            (ErrorReason::InvitationRevoked, format!("{name} was revoked: a new invitation is possible"))
        }
        InvitationState::Expired => {
            (ErrorReason::InvitationExpired, format!("{name} has expired: a new invitation is possible"))
        }
        InvitationState::Invited
        | InvitationState::AccessRequested
        | InvitationState::PendingApproval
        | InvitationState::Offered => (
            ErrorReason::InvitationNotOpenForThis,
            format!("{name} is in {}, which this call does not start from: see GetInvitation", state.as_str()),
        ),
    };
    Problem::new(Code::FailedPrecondition, reason, message).with("invitation", name).with("state", state.as_str())
}

#[cfg(test)]
mod tests;
