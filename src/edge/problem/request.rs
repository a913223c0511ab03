//! What is wrong with the request itself.

use super::{Code, Problem};
use crate::domain::InvalidField;
use crate::pb::ErrorReason;

pub(super) fn invalid_fields(fields: Vec<InvalidField>) -> Problem {
    let sentence = fields.iter().map(|bad| format!("{} {}", bad.field, bad.description)).collect::<Vec<_>>().join("; ");
    Problem { fields, ..Problem::new(Code::InvalidArgument, ErrorReason::FieldInvalid, sentence) }
}

pub(super) fn code_mistyped() -> Problem {
    let sentence = "the code has a typing error: compare it with the email";
    Problem::new(Code::InvalidArgument, ErrorReason::CodeMistyped, sentence).with_field("code", "has a typing error")
}

pub(super) fn page_token_invalid() -> Problem {
    let sentence = "the page token does not belong to this list: start again without one";
    Problem::new(Code::InvalidArgument, ErrorReason::PageTokenInvalid, sentence)
        .with_field("page_token", "does not belong to this list")
}

pub(super) fn request_id_reused() -> Problem {
    let sentence = "this request_id was used for another request: choose a new UUID for each new request";
    Problem::new(Code::FailedPrecondition, ErrorReason::RequestIdReused, sentence)
}

pub(super) fn etag_mismatch() -> Problem {
    let sentence = "it has changed since: get it again, decide again, send the new etag";
    Problem::new(Code::Aborted, ErrorReason::EtagMismatch, sentence)
}
