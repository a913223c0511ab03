//! What this replica cannot do, and another one can: while replicas are restarted with other keys or another version.

use std::time::Duration;

use super::{Code, Problem};
use crate::pb::ErrorReason;

/// Until another replica may answer, or this one was replaced.
const WAIT: Duration = Duration::from_secs(30);

fn elsewhere(reason: ErrorReason, sentence: &str) -> Problem {
    Problem::new(Code::Unavailable, reason, sentence).retry_after(WAIT)
}

pub(super) fn code_key_missing() -> Problem {
    let sentence = "other replicas have the key of this code, this one does not have it yet, and nothing was done: repeat \
                    the call after the time in RetryInfo";
    elsewhere(ErrorReason::CodeKeyMissing, sentence)
}

pub(super) fn newer_version_needed() -> Problem {
    let sentence = "this was written by a newer version than this replica, and nothing was done: repeat the call after the \
                    time in RetryInfo, and have the upgrade finished if that goes on";
    elsewhere(ErrorReason::NewerVersionNeeded, sentence)
}
