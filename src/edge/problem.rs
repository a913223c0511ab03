//! Why a call was not carried out, in words for programs and for people. Each protocol turns a [`Problem`] into its own
//! form; the words of what any of them may have to say are here, by the groups of `Refusal`.

mod exists;
mod failure;
mod field;
mod limits;
mod not_found;
mod refusal;
mod replica;
mod request;
mod rights;
mod state;
mod streams;

use std::time::Duration;

pub use failure::{from_error, internal};

use crate::domain::{FieldFault, InvalidField};
use crate::pb::ErrorReason;

/// The kinds of problems, with the numbers that `google.rpc.Code` gives them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    pub code: Code,
    /// For programs; each reason has one code.
    pub reason: ErrorReason,
    /// For people: what is wrong, a colon, and what to do.
    pub sentence: String,
    /// Everything variable in the sentence, for programs.
    pub metadata: Vec<(&'static str, String)>,
    /// All bad fields of the request.
    pub fields: Vec<InvalidField>,
    /// When to try again, where waiting helps.
    pub wait: Option<Duration>,
}

impl Problem {
    pub fn new(code: Code, reason: ErrorReason, sentence: impl Into<String>) -> Self {
        Self { code, reason, sentence: sentence.into(), metadata: Vec::new(), fields: Vec::new(), wait: None }
    }

    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.metadata.push((key, value.into()));
        self
    }

    #[must_use]
    pub fn with_field(mut self, field: &str, fault: FieldFault, rule: &str) -> Self {
        self.fields.push(InvalidField::new(field, fault, rule));
        self
    }

    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }
}
