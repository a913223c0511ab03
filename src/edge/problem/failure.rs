//! What came between a request and its decision.

use std::time::Duration;

use super::{Code, Problem};
use crate::app::Error;
use crate::pb::ErrorReason;

/// Of a use case that did not happen; `call_id` is that of the call's log lines, `changes` says whether it is a change.
pub fn from_error(error: Error, call_id: &str, changes: bool) -> Problem {
    match error {
        Error::Refused(refusal) => refusal.into(),
        Error::Overloaded => overloaded(),
        Error::Unavailable => unavailable(changes),
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
        "too many calls are waiting and nothing was done: repeat it in a moment, a change with the same request_id";
    Problem::new(Code::ResourceExhausted, ErrorReason::Overloaded, sentence).retry_after(Duration::from_secs(1))
}

fn unavailable(changes: bool) -> Problem {
    let sentence = if changes {
        "the database cannot be reached and the change may have taken effect: repeat the call with the same request_id"
    } else {
        "the database cannot be reached: repeat the call after the time in RetryInfo"
    };
    Problem::new(Code::Unavailable, ErrorReason::DatabaseUnavailable, sentence).retry_after(Duration::from_secs(1))
}
