//! What keeps a file as a whole from being read.

use std::{fmt, io};

/// One fault, for people. It repeats nothing of what stands in the file.
#[derive(Debug)]
pub(super) enum Fault {
    /// Reading failed.
    Io(io::Error),
    /// From this line on.
    Line(u64, String),
    /// The whole of it; the text completes "the file …".
    File(String),
}

impl Fault {
    pub(super) fn at(line: u64, what: impl Into<String>) -> Self {
        Self::Line(line, what.into())
    }

    pub(super) fn file(what: impl Into<String>) -> Self {
        Self::File(what.into())
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the file cannot be read: {error}"),
            Self::Line(line, what) => write!(f, "line {line}: {what}"),
            Self::File(what) => write!(f, "the file {what}"),
        }
    }
}
