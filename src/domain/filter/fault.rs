//! What is wrong with a filter, and where.

use std::fmt;

use super::super::FieldFault;

/// The first thing that is wrong. Its text completes "{field} …" in at most 100 characters and repeats nothing of the
/// filter, which may hold addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FilterFault {
    kind: FieldFault,
    is_expected: bool,
    what: &'static str,
    /// In characters, from 1; one behind the last is the end.
    position: Option<usize>,
}

impl FilterFault {
    /// Something else has to stand there.
    pub fn expected(what: &'static str, position: usize) -> Self {
        Self { kind: FieldFault::Malformed, is_expected: true, what, position: Some(position) }
    }

    /// What stands there is not supported.
    pub fn refused(what: &'static str, position: usize) -> Self {
        Self { kind: FieldFault::Malformed, is_expected: false, what, position: Some(position) }
    }

    /// The length is all that was looked at.
    pub fn too_long() -> Self {
        Self { kind: FieldFault::TooLong, is_expected: true, what: "at most 1024 bytes", position: None }
    }

    /// The value is none of those that there are.
    pub fn unknown_value(what: &'static str, position: usize) -> Self {
        Self { kind: FieldFault::UnknownValue, is_expected: true, what, position: Some(position) }
    }

    pub fn kind(&self) -> FieldFault {
        self.kind
    }
}

impl fmt::Display for FilterFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let must = if self.is_expected { "must have" } else { "must not have" };
        write!(f, "{must} {}", self.what)?;
        self.position.map_or(Ok(()), |position| write!(f, " at character {position}"))
    }
}
