//! Finds a Postgres server on this machine, or has one fetched.

use std::cmp::Reverse;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::account::{self, User};
use super::fetch;

/// The oldest major version that the migrations are tried on.
const OLDEST: u32 = 15;

/// Names the folder of the server's programs to use, instead of a search.
const BIN: &str = "INVITATIONS_PG_BIN";

/// With the value `1`: installed servers are ignored and one is fetched.
const FETCH: &str = "INVITATIONS_PG_FETCH";

/// Where packages put the programs; `*` is any name. PATH is looked through as well.
const PLACES: [&str; 5] = [
    "/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
    "/usr/pgsql-*/bin",                                   // the project's own packages for Red Hat
    "/opt/homebrew/opt/postgresql@*/bin",                 // Homebrew on Apple silicon
    "/usr/local/opt/postgresql@*/bin",                    // Homebrew on Intel
    "/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
];

/// Why there is no server to run.
#[derive(Debug, thiserror::Error)]
pub enum BinariesError {
    /// The named folder is not fit.
    #[error("{BIN} names {dir}, where {problem}: name the bin folder of PostgreSQL {wanted}, or unset it")]
    Named {
        /// The setting's value.
        dir: PathBuf,
        /// What is wrong with it.
        problem: Problem,
        /// The version that is needed.
        wanted: Wanted,
    },
    /// Nothing is installed and nothing could be fetched.
    #[error("no PostgreSQL {wanted} is installed, and none could be fetched ({reason}); install it: {}", wanted.package())]
    None {
        /// The version that is needed.
        wanted: Wanted,
        /// Why fetching failed.
        reason: String,
    },
}

/// What is wrong with a folder of programs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not there, not readable for the server's user, or for another machine.
    #[error("initdb and postgres do not run")]
    NotRunning,
    /// Too old, or not the version that made the data.
    #[error("the version is {0}")]
    Version(u32),
}

/// The major versions that will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Any that the migrations run on.
    Any,
    /// The one that made the data.
    Exactly(u32),
}

impl Wanted {
    fn fits(self, major: u32) -> bool {
        match self {
            Self::Any => major >= OLDEST,
            Self::Exactly(wanted) => major == wanted,
        }
    }

    /// The command that installs it here.
    fn package(self) -> String {
        match (cfg!(target_os = "macos"), self) {
            (true, Self::Any) => format!("brew install postgresql@{}", fetch::DEFAULT_MAJOR),
            (true, Self::Exactly(major)) => format!("brew install postgresql@{major}"),
            (false, Self::Any) => "apt-get install postgresql".to_owned(),
            (false, Self::Exactly(major)) => {
                format!("apt-get install postgresql-{major} (or drop the data: dev --fresh)")
            }
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => write!(f, "{OLDEST} or newer"),
            Self::Exactly(major) => write!(f, "{major} (which made the data)"),
        }
    }
}

/// The folder of a server that `user` can run: the named one, else the newest installed one, else a fetched one.
pub(super) async fn find(user: Option<User>, wanted: Wanted) -> Result<PathBuf, BinariesError> {
    if env::var_os(FETCH).is_none_or(|value| value != "1") {
        if let Some(dir) = env::var_os(BIN).filter(|dir| !dir.is_empty()) {
            let dir = std::path::absolute(&dir).unwrap_or_else(|_| dir.into());
            return match check(&dir, user, wanted) {
                Ok(_) => Ok(dir),
                Err(problem) => Err(BinariesError::Named { dir, problem, wanted }),
            };
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let installed = installed(&path);
        let fitting = installed.into_iter().filter_map(|dir| Some((check(&dir, user, wanted).ok()?, dir)));
        if let Some((_, dir)) = fitting.min_by_key(|(version, _)| Reverse(*version)) {
            return Ok(dir);
        }
    }
    let major = match wanted {
        Wanted::Any => fetch::DEFAULT_MAJOR,
        Wanted::Exactly(major) => major,
    };
    let none = |reason: String| BinariesError::None { wanted, reason };
    let dir = fetch::bin_dir(major, user.is_some()).await.map_err(|error| none(error.to_string()))?;
    match check(&dir, user, wanted) {
        Ok(_) => Ok(dir),
        Err(problem) => Err(none(format!("{}: {problem}", dir.display()))),
    }
}

/// Every folder that has a server's programs.
fn installed(path: &OsStr) -> Vec<PathBuf> {
    let places = PLACES.iter().flat_map(|place| expand(place)).chain(env::split_paths(path));
    places.filter(|dir| dir.join("postgres").is_file() && dir.join("initdb").is_file()).collect()
}

/// The paths that a pattern with one `*` stands for.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![pattern.into()];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or((".", before));
    let names = fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .map(|name| PathBuf::from(format!("{parent}/{name}{after}")))
        .collect()
}

/// The version in `dir` if it fits, asked as `user`: a folder may be closed to the server though open to us.
fn check(dir: &Path, user: Option<User>, wanted: Wanted) -> Result<(u32, u32), Problem> {
    let version_of = |program: &str| {
        let answer = account::command(&dir.join(program), user).arg("--version").output().ok()?;
        parse_version(&String::from_utf8_lossy(&answer.stdout))
    };
    let version = version_of("initdb").and(version_of("postgres")).ok_or(Problem::NotRunning)?;
    if wanted.fits(version.0) { Ok(version) } else { Err(Problem::Version(version.0)) }
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` and `postgres (PostgreSQL) 19beta1`.
fn parse_version(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.split(' ').nth(2)?.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_a_minor_part() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some((15, 18)));
        assert_eq!(parse_version("initdb (PostgreSQL) 9.6.24"), Some((9, 6)));
        assert_eq!(parse_version("postgres (PostgreSQL) 19beta1\n"), Some((19, 0)));
        assert_eq!(parse_version("postgres: command not found"), None);
    }

    #[test]
    fn data_is_opened_only_by_the_version_that_made_it() {
        assert!(Wanted::Any.fits(OLDEST) && !Wanted::Any.fits(OLDEST - 1));
        assert!(Wanted::Exactly(16).fits(16) && !Wanted::Exactly(16).fits(17));
    }

    #[test]
    fn a_place_stands_for_every_folder_that_fits_its_star() {
        let root = env::temp_dir().join(format!("places-{}", std::process::id()));
        for name in ["pg-15/bin", "pg-17/bin", "other/bin"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let mut found = expand(&format!("{}/pg-*/bin", root.display()));
        found.sort();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, [root.join("pg-15/bin"), root.join("pg-17/bin")]);
    }
}
