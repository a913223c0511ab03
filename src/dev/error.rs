//! Why `dev` ends.

use std::fmt;
use std::io;

use tonic::Status;

/// One line for the developer.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn from_display(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::from_display(error)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::new(format!("{:?}: {}", status.code(), status.message()))
    }
}
