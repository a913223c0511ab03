//! What is wrong with a field, for programs and in a few words.

use crate::domain::FieldFault;
use crate::pb::FieldReason;

impl FieldFault {
    pub fn reason(self) -> FieldReason {
        self.told().0
    }

    /// Completes "{field} …".
    pub(super) fn words(self) -> &'static str {
        self.told().1
    }

    fn told(self) -> (FieldReason, &'static str) {
        match self {
            Self::Missing => (FieldReason::FieldMissing, "is missing"),
            Self::Malformed => (FieldReason::FieldMalformed, "is malformed"),
            Self::TooLong => (FieldReason::FieldTooLong, "is too long"),
            Self::TooMany => (FieldReason::FieldTooMany, "has too many entries"),
            Self::OutOfRange => (FieldReason::FieldOutOfRange, "is out of range"),
            Self::UnknownValue => (FieldReason::FieldUnknownValue, "is not known"),
            Self::UnknownPath => (FieldReason::FieldUnknownPath, "has an unknown path"),
            Self::NotAllowed => (FieldReason::FieldNotAllowed, "is not allowed"),
            Self::Conflict => (FieldReason::FieldConflict, "contradicts another value"),
        }
    }
}
