//! What came between a request and its decision.

use std::time::Duration;

use super::{Code, Problem};
use crate::app::Error;
use crate::pb::ErrorReason;

/// Of a use case that did not happen; `call_id` is that of the call's log lines.
pub fn from_error(error: Error, call_id: &str) -> Problem {
    match error {
        Error::Refused(refusal) => refusal.into(),
        Error::Overloaded => overloaded(),
        Error::Unavailable => unavailable(),
        Error::Fault => internal(call_id),
    }
}

/// Says nothing but the id by which we find the log lines.
pub fn internal(call_id: &str) -> Problem {
    let sentence = "something went wrong here: report it with the call_id of the details";
    Problem::new(Code::Internal, ErrorReason::InternalError, sentence).with("call_id", call_id)
}

fn overloaded() -> Problem {
    let sentence =
        "too many calls are waiting and nothing was done: repeat the call in a moment with the same request_id";
    Problem::new(Code::ResourceExhausted, ErrorReason::Overloaded, sentence).retry_after(Duration::from_secs(1))
}

fn unavailable() -> Problem {
    let sentence =
        "the database cannot be reached and the change may have taken effect: repeat the call with the same request_id";
    Problem::new(Code::Unavailable, ErrorReason::DatabaseUnavailable, sentence).retry_after(Duration::from_secs(1))
}
