//! What became of a row, from what the service says of it.

use std::error::Error;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::pb::Status as RowStatus;

use crate::client::Details;
use crate::client::v1::invitation::State;
use crate::client::v1::{ErrorReason, Invitation};

/// The last word on a row; its name stands in the file of results.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum Outcome {
    Invited,
    /// Of a dry run.
    WouldBeInvited,
    /// There is an open invitation for the address.
    AlreadyInvited,
    AlreadyMember,
    /// An earlier row is for the same address; nothing was sent.
    Duplicate,
    /// The service says no.
    Refused,
    /// The row makes no sense; nothing was sent.
    Unreadable,
}

impl Outcome {
    pub(super) const ALL: [Self; 7] = [
        Self::Invited,
        Self::WouldBeInvited,
        Self::AlreadyInvited,
        Self::AlreadyMember,
        Self::Duplicate,
        Self::Refused,
        Self::Unreadable,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "INVITED",
            Self::WouldBeInvited => "WOULD_BE_INVITED",
            Self::AlreadyInvited => "ALREADY_INVITED",
            Self::AlreadyMember => "ALREADY_MEMBER",
            Self::Duplicate => "DUPLICATE",
            Self::Refused => "REFUSED",
            Self::Unreadable => "UNREADABLE",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }

    /// Whether somebody has to look at the row.
    pub(super) fn is_failure(self) -> bool {
        matches!(self, Self::Refused | Self::Unreadable)
    }
}

/// What a row or a call means for the rest of the import.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Verdict {
    Done(Answer),
    /// The same again, after this time where the service says so. It may have been carried out.
    Again(Option<Duration>),
    /// A limit of hours: all that comes would meet it, too.
    Limit(Limit),
    /// The token is not good, or not good any more.
    Token,
    /// The whole call is refused, and would be again.
    No(String),
}

/// The answer for a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    pub(super) reason: String,
    pub(super) message: String,
    /// The resource name.
    pub(super) invitation: String,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Limit {
    pub(super) reason: ErrorReason,
    pub(super) retry_after: Option<Duration>,
}

/// A row that has an invitation.
pub(super) fn of_invitation(invitation: &Invitation, is_dry_run: bool) -> Answer {
    let outcome = if is_dry_run { Outcome::WouldBeInvited } else { Outcome::Invited };
    // a repeated request returns the invitation as it is by now
    let message = match invitation.state() {
        State::Revoked | State::Declined | State::Rejected | State::Expired => {
            let state = invitation.state().as_str_name();
            format!("was invited by an earlier run; the invitation is {state} by now")
        }
        _ => String::new(),
    };
    Answer { outcome, reason: String::new(), message, invitation: invitation.name.clone() }
}

/// A row that has none.
pub(super) fn of_row(status: &RowStatus) -> Verdict {
    let details = Details::from(status);
    let refused = || refused(status);
    match details.reason {
        Some(ErrorReason::OpenInvitationExists) => {
            let invitation = details.metadata.get("invitation").cloned().unwrap_or_default();
            Verdict::Done(Answer { outcome: Outcome::AlreadyInvited, invitation, ..refused() })
        }
        Some(ErrorReason::AlreadyMember) => Verdict::Done(Answer { outcome: Outcome::AlreadyMember, ..refused() }),
        Some(ErrorReason::DuplicateInBatch) => Verdict::Done(Answer { outcome: Outcome::Duplicate, ..refused() }),
        _ => common(Code::from(status.code), &details).unwrap_or_else(|| Verdict::Done(refused())),
    }
}

/// The service's words as the last ones on a row.
pub(super) fn refused(status: &RowStatus) -> Answer {
    let details = Details::from(status);
    let reason = details.reason.map_or(String::new(), |reason| reason.as_str_name().to_owned());
    let rules = details.fields.iter().map(|bad| format!("{} {}", column(&bad.field), bad.rule)).collect::<Vec<_>>();
    let message = if rules.is_empty() { status.message.clone() } else { rules.join("; ") };
    Answer { outcome: Outcome::Refused, reason, message, invitation: String::new() }
}

/// `email` of `requests[3].invitation.email`: people know columns.
fn column(field: &str) -> &str {
    let field = field.split_once("].").map_or(field, |(_, field)| field);
    field.strip_prefix("invitation.").unwrap_or(field)
}

/// A call as a whole.
pub(super) fn of_call(status: &Status) -> Verdict {
    let details = Details::from(status);
    if status.code() == Code::Unauthenticated {
        return Verdict::Token;
    }
    let never = is_unknown_certificate(status).then(|| Verdict::No(cause(status)));
    never.or_else(|| common(status.code(), &details)).unwrap_or_else(|| {
        let reason = details.reason.map_or(String::new(), |reason| format!(" ({})", reason.as_str_name()));
        let rules = details.fields.iter().map(|bad| format!("{} {}", bad.field, bad.rule));
        let all = std::iter::once(format!("{}{reason}", cause(status))).chain(rules);
        Verdict::No(all.collect::<Vec<_>>().join("; "))
    })
}

/// Why a call failed, for people: where no service was reached, what lies beneath.
pub(super) fn cause(status: &Status) -> String {
    let mut cause = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        // each layer says what it does, the last one why not
        cause = error.to_string();
        source = error.source();
    }
    cause
}

/// Waiting makes no certificate good.
fn is_unknown_certificate(status: &Status) -> bool {
    status.source().is_some() && cause(status).contains("certificate")
}

/// What is no last word.
fn common(code: Code, details: &Details) -> Option<Verdict> {
    if let Some(
        reason @ (ErrorReason::TooManyInvitations
        | ErrorReason::TooManyOrganizationInvitations
        | ErrorReason::TooManyOpenInvitations),
    ) = details.reason
    {
        return Some(Verdict::Limit(Limit { reason, retry_after: details.retry_after }));
    }
    let passes = [
        Code::Unavailable,
        Code::ResourceExhausted,
        Code::DeadlineExceeded,
        Code::Aborted,
        Code::Cancelled,
        // a connection that breaks off, a proxy that speaks no gRPC
        Code::Unknown,
        Code::Internal,
    ];
    passes.contains(&code).then_some(Verdict::Again(details.retry_after))
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    fn row(code: Code, reason: ErrorReason, metadata: &[(&str, &str)], wait: Option<Duration>) -> RowStatus {
        let mut details = ErrorDetails::new();
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let metadata = metadata.iter().map(own).collect::<std::collections::HashMap<_, _>>();
        details.set_error_info(reason.as_str_name(), "invitations.ipmhub.io", metadata);
        if wait.is_some() {
            details.set_retry_info(wait);
        }
        let status = Status::with_error_details(code, "no", details);
        prost::Message::decode(status.details()).unwrap()
    }

    #[test]
    fn who_is_invited_or_a_member_is_no_failure() {
        let name = "organizations/acme/invitations/1";
        let open = row(Code::AlreadyExists, ErrorReason::OpenInvitationExists, &[("invitation", name)], None);
        let Verdict::Done(answer) = of_row(&open) else { panic!() };
        assert_eq!((answer.outcome, answer.invitation.as_str()), (Outcome::AlreadyInvited, name));
        let Verdict::Done(answer) = of_row(&row(Code::AlreadyExists, ErrorReason::AlreadyMember, &[], None)) else {
            panic!()
        };
        assert_eq!((answer.outcome, answer.reason.as_str()), (Outcome::AlreadyMember, "ALREADY_MEMBER"));
        assert!(!Outcome::AlreadyInvited.is_failure() && !Outcome::AlreadyMember.is_failure());
    }

    #[test]
    fn what_passes_is_told_from_what_takes_hours_and_from_a_last_word() {
        let wait = Some(Duration::from_secs(3));
        let overloaded = row(Code::ResourceExhausted, ErrorReason::Overloaded, &[], wait);
        assert_eq!(of_row(&overloaded), Verdict::Again(wait));
        assert_eq!(of_row(&row(Code::Unavailable, ErrorReason::DatabaseUnavailable, &[], None)), Verdict::Again(None));
        for reason in [
            ErrorReason::TooManyInvitations,
            ErrorReason::TooManyOrganizationInvitations,
            ErrorReason::TooManyOpenInvitations,
        ] {
            let limit = Verdict::Limit(Limit { reason, retry_after: wait });
            assert_eq!(of_row(&row(Code::ResourceExhausted, reason, &[], wait)), limit);
        }
        let Verdict::Done(answer) =
            of_row(&row(Code::FailedPrecondition, ErrorReason::EmailDomainNotAllowed, &[], None))
        else {
            panic!()
        };
        assert_eq!((answer.outcome, answer.reason.as_str()), (Outcome::Refused, "EMAIL_DOMAIN_NOT_ALLOWED"));
    }

    #[test]
    fn a_call_is_refused_for_its_token_or_for_good() {
        assert_eq!(of_call(&Status::unauthenticated("")), Verdict::Token);
        assert_eq!(of_call(&Status::unavailable("")), Verdict::Again(None));
        assert_eq!(of_call(&Status::permission_denied("ask")), Verdict::No("ask".to_owned()));
    }

    #[test]
    fn a_bad_field_is_called_as_its_column() {
        let details = ErrorDetails::with_bad_request_violation("requests[3].invitation.email", "must be good");
        let status = Status::with_error_details(Code::InvalidArgument, "no", details);
        let Verdict::Done(answer) = of_row(&prost::Message::decode(status.details()).unwrap()) else { panic!() };
        assert_eq!(answer.message, "email must be good");
        assert_eq!(column("requests[0].invitation.annotations[\"a].b\"]"), "annotations[\"a].b\"]");
        assert_eq!(column("parent"), "parent");
    }

    #[test]
    fn each_outcome_is_read_as_it_is_written() {
        assert!(Outcome::ALL.into_iter().all(|outcome| Outcome::parse(outcome.as_str()) == Some(outcome)));
    }
}
