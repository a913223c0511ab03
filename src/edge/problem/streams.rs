//! What ends a stream, or keeps it from beginning.

use std::time::Duration;

use super::{Code, Problem};
use crate::domain::FieldFault;
use crate::pb::ErrorReason;

/// How long to wait for another stream of one's own to end.
const STREAM_ENDS: Duration = Duration::from_secs(10);

pub(super) fn token_invalid() -> Problem {
    let sentence = "the resume token does not belong to this stream: begin without one, with the present state";
    Problem::new(Code::InvalidArgument, ErrorReason::ResumeTokenInvalid, sentence).with_field(
        "resume_token",
        FieldFault::Malformed,
        "does not belong to this stream",
    )
}

pub(super) fn token_expired(organization: String, earliest: i64) -> Problem {
    let sentence = format!(
        "events of {organization} before position {earliest} are not kept any more: begin without a token, with the present state"
    );
    Problem::new(Code::OutOfRange, ErrorReason::ResumeTokenExpired, sentence)
        .with("earliest_position", earliest.to_string())
        .with("organization", organization)
}

pub(super) fn too_slow() -> Problem {
    let sentence = "the stream is not read as fast as events come: open it again with the newest token";
    Problem::new(Code::ResourceExhausted, ErrorReason::WatcherTooSlow, sentence)
}

pub(super) fn too_many(limit: usize) -> Problem {
    let sentence = format!("{limit} streams are open, as many as may be: close those that are not needed");
    Problem::new(Code::ResourceExhausted, ErrorReason::TooManyWatches, sentence)
        .with("limit", limit.to_string())
        .retry_after(STREAM_ENDS)
}
