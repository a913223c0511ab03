//! Why there is no server.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::account::UserError;
use super::binaries::BinariesError;

/// How long setting up and starting may take, fetching the server's binaries not counted.
pub(super) const START_LIMIT: Duration = Duration::from_mins(1);

/// One line for the developer, and the end of the log where there is one.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file operation failed.
    #[error("cannot {doing} {path}: {source}")]
    File {
        /// The operation, as a verb.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another living process has the folder.
    #[error("another process runs its database in {0}: stop it, or choose another folder with --dir")]
    InUse(PathBuf),
    /// The password of existing data is lost.
    #[error("{0} has data but no postgres.password: start over with dev --fresh")]
    PasswordMissing(PathBuf),
    /// Nobody to run it as.
    #[error(transparent)]
    User(#[from] UserError),
    /// No server to run.
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    /// `initdb` or the server ended.
    #[error("{what} failed; the end of its log:\n{log}")]
    Failed {
        /// Which of them.
        what: &'static str,
        /// The last lines of `postgres.log`.
        log: String,
    },
    /// Not ready in time.
    #[error("postgres was not ready after {} s; the end of its log:\n{log}", START_LIMIT.as_secs())]
    TooSlow {
        /// The last lines of `postgres.log`.
        log: String,
    },
}
