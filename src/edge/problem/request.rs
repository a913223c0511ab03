//! What is wrong with the request itself.

use super::{Code, Problem};
use crate::domain::{FieldFault, InvalidField};
use crate::pb::ErrorReason;

/// How much of a sentence names fields, in bytes: the details have all of them.
const NAMED: usize = 145;

pub(super) fn invalid_fields(fields: Vec<InvalidField>) -> Problem {
    let sentence = format!("{}: the details have the rules", named(&fields));
    Problem { fields, ..Problem::new(Code::InvalidArgument, ErrorReason::FieldInvalid, sentence) }
}

/// The first of the bad fields in a few words each, and how many more there are.
fn named(fields: &[InvalidField]) -> String {
    let mut named = String::new();
    for (n, bad) in fields.iter().enumerate() {
        let part = format!("{} {}", bad.field, bad.fault.words());
        if n > 0 && named.len() + part.len() > NAMED {
            return format!("{named} and {} more", fields.len() - n);
        }
        named = if n > 0 { format!("{named}, {part}") } else { part };
    }
    named
}

pub(super) fn code_mistyped() -> Problem {
    let sentence = "the code has a typing error: compare it with the email";
    Problem::new(Code::InvalidArgument, ErrorReason::CodeMistyped, sentence).with_field(
        "code",
        FieldFault::Malformed,
        "has a typing error",
    )
}

pub(super) fn page_token_invalid() -> Problem {
    let sentence = "the page token does not belong to this list: start again without one";
    Problem::new(Code::InvalidArgument, ErrorReason::PageTokenInvalid, sentence).with_field(
        "page_token",
        FieldFault::Malformed,
        "does not belong to this list",
    )
}

pub(super) fn request_id_reused() -> Problem {
    let sentence = "this request_id was used for another request: choose a new UUID for each new request";
    Problem::new(Code::FailedPrecondition, ErrorReason::RequestIdReused, sentence)
}

pub(super) fn etag_mismatch() -> Problem {
    let sentence = "it has changed since: get it again, decide again, send the new etag";
    Problem::new(Code::Aborted, ErrorReason::EtagMismatch, sentence)
}
