//! Why a use case did not happen.

use crate::domain::Refusal;
use crate::store;

/// How often a transaction that met another one is tried.
pub(super) const ATTEMPTS: u32 = 3;

/// A use case's outcome.
pub type Result<T> = std::result::Result<T, Error>;

/// The outcome of a use case that is no answer.
#[derive(Clone, Debug)]
pub enum Error {
    /// The request was decided, and the answer is no.
    Refused(Refusal),
    /// Too much is waiting, or somebody else has locked what is to be changed; nothing was done.
    Overloaded,
    /// Postgres is away. A change may have taken effect: its request id tells.
    Unavailable,
    /// Ours, already logged.
    Fault,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Logs what is ours or the operator's to know; the caller learns only what they can act upon.
impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Unavailable(why) => {
                tracing::warn!(why, "database unavailable");
                Self::Unavailable
            }
            store::Error::Locked | store::Error::Exhausted => {
                tracing::debug!(%error, "overloaded");
                Self::Overloaded
            }
            store::Error::Conflict | store::Error::Constraint(_) | store::Error::Stale(_) | store::Error::Fault(_) => {
                tracing::error!(%error, "a statement failed");
                Self::Fault
            }
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        store::Error::from(error).into()
    }
}
