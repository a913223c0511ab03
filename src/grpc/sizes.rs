//! How long a request may be. Most hold names, not data.

use crate::domain::Method;

/// The largest request of a method, in bytes; for what a compressed one becomes, too.
const SHORT: usize = 64 * 1024;
const LONG: usize = 1024 * 1024;

/// The methods whose requests and answers may be long: up to 1,000 rows.
pub(super) const LONG_METHODS: [Method; 2] = [Method::BatchCreateInvitations, Method::BatchGetInvitations];

/// By how long the requests and the answers of a method may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Size {
    Short,
    Long,
}

impl Size {
    /// Of the method with that path.
    pub(super) fn of(path: &str) -> Self {
        if LONG_METHODS.iter().any(|method| method.path() == path) { Self::Long } else { Self::Short }
    }

    /// Of its answers: those of RevokeInvitations are long, but not its requests.
    pub(super) fn of_answer(path: &str) -> Self {
        if path == Method::RevokeInvitations.path() { Self::Long } else { Self::of(path) }
    }

    /// The largest request, in bytes.
    pub(super) fn most(self) -> usize {
        match self {
            Self::Short => SHORT,
            Self::Long => LONG,
        }
    }

    /// As people are told it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Short => "64 KiB",
            Self::Long => "1 MiB",
        }
    }

    /// How many of them take the memory of so many short ones: at least one.
    pub(super) fn share(self, count: usize) -> usize {
        (count * SHORT / self.most()).max(1)
    }
}
