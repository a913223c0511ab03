//! Turns every problem into a gRPC status: a standard code, an `ErrorInfo` with a reason of the contract, and a sentence
//! that says what to do. What only gRPC has to say is put into words here.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message;
use tonic::Status;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use super::telemetry;
use crate::app;
use crate::domain::{FieldFault, InvalidField, Refusal};
use crate::edge::problem::{self, Code, Problem};
use crate::pb::ErrorReason;

/// `ErrorInfo.domain` of every status.
pub const DOMAIN: &str = "invitations.ipmhub.io";

/// How long to wait before a retry, in milliseconds, for gRPC's own retries (A6), which cannot read RetryInfo. Only beside
/// UNAVAILABLE: grpc-java repeats whatever carries it.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        telemetry::note_reason(problem.reason);
        // prost leaves an empty value out of the map entry, and Envoy's transcoder dies of that
        let metadata = problem.metadata.into_iter().filter(|(_, value)| !value.is_empty());
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value)).collect::<HashMap<_, _>>();
        let mut details = ErrorDetails::with_error_info(problem.reason.as_str_name(), DOMAIN, metadata);
        if !problem.fields.is_empty() {
            details.set_bad_request(problem.fields.into_iter().map(violation).collect::<Vec<_>>());
        }
        if let Some(wait) = problem.wait {
            details.set_retry_info(Some(wait));
        }
        let mut status = Self::with_error_details((problem.code as i32).into(), problem.sentence, details);
        if let Some(wait) = problem.wait.filter(|_| problem.code == Code::Unavailable) {
            // rounded up: a millisecond too early would be refused again
            let milliseconds = wait.as_nanos().div_ceil(1_000_000);
            status.metadata_mut().insert(PUSHBACK, u64::try_from(milliseconds).unwrap_or(u64::MAX).into());
        }
        status
    }
}

fn violation(bad: InvalidField) -> FieldViolation {
    let reason = bad.fault.reason().as_str_name().to_owned();
    FieldViolation { field: bad.field, description: bad.rule, reason, localized_message: None }
}

/// The status of a use case that did not happen.
pub fn from_error(error: app::Error) -> Status {
    problem::from_error(error, &telemetry::call_id(), telemetry::changes()).into()
}

/// The status of a request that was refused.
pub fn from_refusal(refusal: Refusal) -> Status {
    Problem::from(refusal).into()
}

/// With the id of the call's log lines, which the answer carries as `x-call-id` too.
pub fn internal() -> Problem {
    problem::internal(&telemetry::call_id())
}

pub fn token_missing() -> Problem {
    let sentence = "send an access token in the authorization metadata: Bearer {token}";
    Problem::new(Code::Unauthenticated, ErrorReason::TokenMissing, sentence)
}

pub fn token_invalid() -> Problem {
    let sentence = "the access token is not accepted: sign in again and send a fresh one, once, as Bearer {token}";
    Problem::new(Code::Unauthenticated, ErrorReason::TokenInvalid, sentence)
}

/// The issuer's keys are not there or too old, the token's key is not among them yet, or GitHub does not answer.
pub fn issuer_unavailable(wait: Duration) -> Problem {
    let sentence = "whether this token is good cannot be told before its issuer is asked again: try again after the time in \
                    RetryInfo";
    Problem::new(Code::Unavailable, ErrorReason::IssuerUnavailable, sentence).retry_after(wait)
}

pub fn deadline_passed(changes: bool) -> Problem {
    let sentence = if changes {
        "the deadline has passed and the change may have taken effect: repeat the call with the same request_id"
    } else {
        "the deadline has passed: repeat the call with more time"
    };
    Problem::new(Code::DeadlineExceeded, ErrorReason::DeadlinePassed, sentence)
}

pub fn method_unknown(method: &str) -> Problem {
    let sentence = "this version has no such method: compare with the reflection service";
    Problem::new(Code::Unimplemented, ErrorReason::MethodUnknown, sentence).with("method", method)
}

pub fn encoding_unsupported() -> Problem {
    let sentence = "this version cannot read the request's compression: send it uncompressed or with gzip";
    Problem::new(Code::Unimplemented, ErrorReason::EncodingUnsupported, sentence)
}

/// What tonic could not make a request of.
pub fn unreadable() -> Problem {
    let (sentence, rule) = (
        "the request cannot be read: send the message of this method",
        "must be one protobuf message of this method in one gRPC frame",
    );
    Problem::new(Code::InvalidArgument, ErrorReason::FieldInvalid, sentence).with_field(
        "request",
        FieldFault::Malformed,
        rule,
    )
}

/// `most`: how long a request of the method may be, in words.
pub fn too_long(most: &str) -> Problem {
    let sentence = format!("the request is longer than {most}: leave something out");
    Problem::new(Code::InvalidArgument, ErrorReason::FieldInvalid, sentence).with_field(
        "request",
        FieldFault::TooLong,
        &format!("must have at most {most}"),
    )
}

/// What is wrong with the call around the message: a header, by its name.
pub fn bad_header(header: &str, fault: FieldFault, rule: &str) -> Status {
    from_refusal(Refusal::field(header, fault, rule))
}

/// The status of one part of a request, with everything that a call of its own would have failed with. The paths of its bad
/// fields begin with `path`, unless that is empty.
pub fn of_part(mut error: app::Error, path: &str) -> tonic_types::Status {
    if let app::Error::Refused(Refusal::InvalidFields(fields)) = &mut error
        && !path.is_empty()
    {
        for bad in fields {
            bad.field = format!("{path}.{}", bad.field);
        }
    }
    let status = from_error(error);
    let (code, message) = (status.code().into(), status.message().to_owned());
    // what the headers of an answer carry is such a message
    tonic_types::Status::decode(status.details()).unwrap_or(tonic_types::Status { code, message, details: Vec::new() })
}

#[cfg(test)]
mod tests;
