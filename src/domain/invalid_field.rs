//! What is wrong with a field of a request.

/// A field of a request and the rule that it breaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidField {
    /// The path as in the proto, `invitation.email`.
    pub field: String,
    pub fault: FieldFault,
    /// Completes "{field} …" in at most 100 characters.
    pub rule: String,
}

/// In which way. Each is one `FieldReason` of the contract, which says what it means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldFault {
    Missing,
    Malformed,
    TooLong,
    TooMany,
    OutOfRange,
    UnknownValue,
    UnknownPath,
    NotAllowed,
    Conflict,
}

impl InvalidField {
    pub fn new(field: &str, fault: FieldFault, rule: impl Into<String>) -> Self {
        Self { field: field.to_owned(), fault, rule: rule.into() }
    }
}
