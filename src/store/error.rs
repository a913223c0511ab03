//! What can go wrong in the database, as far as it makes a difference.

use std::{fmt, io};

use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// The result of a statement.
pub type Result<T> = std::result::Result<T, Error>;

/// A statement that failed. Neither `Display` nor `Debug` shows a value: drivers quote them.
pub enum Error {
    /// Serialization failure or deadlock: the whole transaction is worth another try.
    Conflict,
    /// A constraint refused the write.
    Constraint(String),
    /// A conditional write found another row than the one that was read, which the lock should have made impossible.
    Stale(&'static str),
    /// Another transaction has locked what this one needs, and held it for longer than `lock_timeout`. Nothing was written.
    Locked,
    /// All connections are in use. Nothing was asked.
    Exhausted,
    /// Postgres cannot be reached, does not write, or is too busy; nothing is known about a COMMIT that was under way.
    Unavailable(String),
    /// Ours: a statement or a row that should not be.
    Fault(String),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => from_database(error.as_ref()),
            sqlx::Error::Io(error) => Self::Unavailable(of_connection(&error)),
            sqlx::Error::Tls(_) => Self::Unavailable("TLS handshake failed".to_owned()),
            sqlx::Error::Protocol(_) => Self::Unavailable("the connection broke off in mid-message".to_owned()),
            sqlx::Error::RowNotFound => Self::Fault("a row that has to be there is missing".to_owned()),
            sqlx::Error::ColumnDecode { index, .. } => Self::Fault(format!("column {index} cannot be decoded")),
            other => Self::Fault(kind_of(&other).to_owned()),
        }
    }
}

/// What is wrong with the way to the server: `connection refused`, `host unreachable`.
fn of_connection(error: &io::Error) -> String {
    // what the resolver says has no kind
    if error.to_string().starts_with("failed to lookup address") {
        return "the name of its host cannot be looked up".to_owned();
    }
    match error.kind() {
        // of rustls, such as a certificate for another name
        io::ErrorKind::InvalidData => "TLS handshake failed".to_owned(),
        kind => kind.to_string(),
    }
}

/// By SQLSTATE (PostgreSQL manual, appendix A).
fn from_database(error: &(dyn sqlx::error::DatabaseError + 'static)) -> Error {
    let code = error.code().unwrap_or_default();
    let severity = error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity);
    match code.as_ref() {
        "40001" | "40P01" => Error::Conflict,
        "55P03" => Error::Locked,
        "23505" | "23514" | "23503" | "23502" => {
            Error::Constraint(constraint_name(error.constraint(), error.message()).unwrap_or_default().to_owned())
        }
        code => match trouble(code, matches!(severity, Some(PgSeverity::Fatal | PgSeverity::Panic))) {
            Some(why) => Error::Unavailable(format!("{why} (SQLSTATE {code})")),
            None => Error::Fault(format!("SQLSTATE {code}")),
        },
    }
}

/// What is wrong with the server, the session or the way to it, and not with the statement; `None`: nothing. A session
/// that the server ends or refuses is such a thing for whatever reason.
fn trouble(code: &str, ends_the_session: bool) -> Option<&'static str> {
    Some(match code {
        "28P01" => "password refused",
        "25006" => "read-only",
        "25P03" | "25P04" | "57014" => "it took too long",
        "53100" => "its disk is full",
        "53300" => "too many connections",
        "26000" | "42P05" => "a pooler in between mixes up prepared statements",
        "57P05" => "the session was idle for too long",
        _ => match code.get(..2) {
            Some("08") => "connection broken",
            Some("28") => "role or address refused",
            Some("53") => "out of resources",
            Some("57") => "shut down by an operator",
            Some("58") => "a fault of its system",
            _ if ends_the_session => match code {
                "3D000" => "no such database",
                "42501" => "the role may not enter the database",
                _ => "session refused",
            },
            _ => return None,
        },
    })
}

/// The constraint's name: the field, or what the message quotes, without the shard number that Citus appends.
fn constraint_name<'a>(field: Option<&'a str>, message: &'a str) -> Option<&'a str> {
    let name = field.or_else(|| message.rsplit('"').nth(1))?;
    let shard = name.rsplit_once('_').filter(|(_, tail)| tail.len() >= 5 && tail.bytes().all(|b| b.is_ascii_digit()));
    Some(shard.map_or(name, |(name, _)| name))
}

fn kind_of(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Configuration(_) => "the database URL is not valid",
        sqlx::Error::Migrate(_) => "a migration failed",
        sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => "a value cannot be encoded or decoded",
        _ => "unexpected driver error",
    }
}

impl Error {
    /// Whether the connection that it happened on must not be used again.
    pub fn breaks_connection(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("the transaction met another one"),
            Self::Constraint(name) => write!(f, "constraint {name} refused the write"),
            Self::Stale(what) => write!(f, "{what} changed under the lock"),
            Self::Locked => f.write_str("a row is locked by another transaction"),
            Self::Exhausted => f.write_str("all connections are in use"),
            Self::Unavailable(why) => write!(f, "database unavailable: {why}"),
            Self::Fault(why) => write!(f, "database fault: {why}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constraint_is_named_with_and_without_the_field_and_the_shard() {
        let message = r#"duplicate key value violates unique constraint "members_pkey_102076""#;
        assert_eq!(constraint_name(None, message), Some("members_pkey"));
        assert_eq!(constraint_name(Some("members_pkey"), message), Some("members_pkey"));
        assert_eq!(constraint_name(None, "no name here"), None);
    }

    #[test]
    fn what_is_wrong_with_the_way_is_said_as_it_is() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(of_connection(&refused), "connection refused");
        let unknown = io::Error::other("failed to lookup address information: Name or service not known");
        assert_eq!(of_connection(&unknown), "the name of its host cannot be looked up");
        assert_eq!(of_connection(&io::Error::from(io::ErrorKind::InvalidData)), "TLS handshake failed");
    }

    /// Appendix A of the manual has more: each class is taken as a whole.
    #[test]
    fn what_is_wrong_with_the_server_is_no_fault_of_a_statement() {
        for code in [
            "08000", "08001", "08003", "08004", "08006", "08007", "08P01", "25006", "25P03", "25P04", "26000", "28000",
            "28P01", "42P05", "53000", "53100", "53200", "53300", "53400", "57000", "57014", "57P01", "57P02", "57P03",
            "57P04", "57P05", "58000", "58030", "58P01", "58P02", "58P03",
        ] {
            assert!(trouble(code, false).is_some(), "{code}");
        }
        // a database that is not there, that takes no connections, or that the role may not enter
        for (code, why) in [
            ("3D000", "no such database"),
            ("55000", "session refused"),
            ("42501", "the role may not enter the database"),
        ] {
            assert_eq!((trouble(code, true), trouble(code, false)), (Some(why), None), "{code}");
        }
        for code in ["22021", "42P01", "42601", "XX000", "25P02", "0A000", "", "5"] {
            assert_eq!(trouble(code, false), None, "{code}");
        }
        assert_eq!(
            (trouble("28P01", true), trouble("28000", true)),
            (Some("password refused"), Some("role or address refused"))
        );
    }
}
