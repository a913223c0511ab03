//! How connections to Postgres are made: where it is, as whom, and with which settings.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Single statements that write nothing.
    Read,
    /// Transactions of one caller.
    Write,
    /// Transactions of many callers: one lock that is not to be had must not keep the others.
    Batch,
    /// Counting what callers do, for many at once. A crash of Postgres may forget the last half second of it, so no commit waits for the disk.
    Charge,
    /// The outbox.
    Mail,
}

impl Purpose {
    /// In the session's name and as a label of metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Batch => "batch",
            Self::Charge => "charge",
            Self::Mail => "mail",
        }
    }
}

/// What answers behind the URL.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Engine {
    /// One Postgres, which has every row.
    #[default]
    Single,
    /// Citus: the rows of an owner are together on one node, and those of several owners are not. A statement that locks or
    /// writes is for one owner, and what belongs to another kind of owner is asked apart.
    Distributed,
}

/// Connections are made anew after this time, however well they work.
pub const MAX_LIFETIME: Duration = Duration::from_mins(10);

/// How every statement is planned: once for each connection, and the same way whatever the statistics say. Plans made
/// for the values of each call cost more than most statements take. Plans made while the tables were empty stay in use
/// until the tables are analyzed, so the statements leave no choice but the index of the key (`tests/it/plans.rs`).
/// What a plan is thought to cost is far off then, so nothing is compiled because of it. Where the database is distributed,
/// the first of these is not: Citus has to know the owner to plan for its node.
pub const PLANNING: [(&str, &str); 5] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_seqscan", "off"),
    ("jit", "off"),
];

/// The same for this engine.
pub fn planning(engine: Engine) -> [(&'static str, &'static str); 5] {
    let mut planning = PLANNING;
    if engine == Engine::Distributed {
        planning[0].1 = "auto";
    }
    planning
}

/// Longer than any statement of ours takes, shorter than a call's deadline; in milliseconds. A session's own settings do
/// not reach the nodes of a distributed database: there the role has them too ([`super::roles`]).
pub const TIMEOUTS: [(&str, &str); 3] =
    [("statement_timeout", "3000"), ("lock_timeout", "2000"), ("idle_in_transaction_session_timeout", "10000")];
/// Where many callers would wait for a lock.
const BATCH_LOCK_TIMEOUT: (&str, &str) = ("lock_timeout", "100");

/// Whether that is where a Postgres may be.
pub fn is_url(text: &str) -> bool {
    // sqlx takes any scheme
    let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    is_postgres && text.parse::<PgConnectOptions>().is_ok()
}

/// Where the database is, and the password of it. It may change while the service runs: new connections are made with
/// what it is then.
#[derive(Clone)]
pub struct DatabaseUrl {
    known: Arc<Mutex<SecretString>>,
    again: Again,
    engine: Engine,
    /// Whether a pooler in between has refused the settings that sessions ask for at their start: then the role has to have
    /// them ([`super::roles`]).
    refuses_settings: Arc<AtomicBool>,
}

/// Reads it anew; `None`: it cannot be read, or it does not change.
type Again = Arc<dyn Fn() -> Option<SecretString> + Send + Sync>;

impl DatabaseUrl {
    pub fn new(url: SecretString, again: impl Fn() -> Option<SecretString> + Send + Sync + 'static) -> Self {
        let (known, again) = (Arc::new(Mutex::new(url)), Arc::new(again));
        Self { known, again, engine: Engine::default(), refuses_settings: Arc::default() }
    }

    /// The same place, with that engine behind it.
    #[must_use]
    pub fn with(self, engine: Engine) -> Self {
        Self { engine, ..self }
    }

    /// As it is now. What is no URL, like a file that is being written, is not taken.
    fn now(&self) -> SecretString {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(url) = (self.again)().filter(|url| is_url(url.expose_secret())) {
            *known = url;
        }
        known.clone()
    }
}

/// One that does not change.
impl<T: AsRef<str> + ?Sized> From<&T> for DatabaseUrl {
    fn from(url: &T) -> Self {
        Self::new(url.as_ref().into(), || None)
    }
}

/// Without the password.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// Host and port of a connection: for those who run the service.
pub(super) fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// Where connections of one purpose come from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    url: DatabaseUrl,
    pub purpose: Purpose,
}

impl Source {
    /// # Errors
    ///
    /// It is no URL of Postgres.
    pub fn new(url: DatabaseUrl, purpose: Purpose) -> Result<Self, sqlx::Error> {
        let source = Self { url, purpose };
        source.options().map(|_| source)
    }

    pub fn engine(&self) -> Engine {
        self.url.engine
    }

    /// Host and port, as far as the URL says.
    pub fn place(&self) -> String {
        self.options().map(|options| place(&options)).unwrap_or_default()
    }

    /// Whether the role has to have the settings of its sessions.
    pub fn is_pooled(&self) -> bool {
        self.url.refuses_settings.load(Ordering::Relaxed)
    }

    /// There is a pooler that takes no settings.
    pub fn leave_settings_out(&self) {
        self.url.refuses_settings.store(true, Ordering::Relaxed);
    }

    /// How a connection is made now.
    pub fn options(&self) -> Result<PgConnectOptions, sqlx::Error> {
        let name = format!("invitations {}", self.purpose.name());
        let options = self.url.now().expose_secret().parse::<PgConnectOptions>()?;
        let options = options.application_name(&name).extra_float_digits(None).disable_statement_logging();
        if self.is_pooled() {
            return Ok(options);
        }
        let options = options.options(planning(self.engine())).options(TIMEOUTS);
        // the last one counts
        let options = if self.is_for_many() { options.options([BATCH_LOCK_TIMEOUT]) } else { options };
        Ok(match self.purpose {
            Purpose::Charge => options.options([("synchronous_commit", "off")]),
            Purpose::Read | Purpose::Write | Purpose::Batch | Purpose::Mail => options,
        })
    }

    fn is_for_many(&self) -> bool {
        matches!(self.purpose, Purpose::Batch | Purpose::Charge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_anew_and_what_is_none_is_not_taken() {
        let file = Arc::new(Mutex::new(String::new()));
        let read = Arc::clone(&file);
        let url =
            DatabaseUrl::new("postgres://hub:old@db/hub".into(), move || Some(read.lock().unwrap().as_str().into()));
        for (written, password) in [
            ("postgres://hub:old@db/hub", "old"),
            ("postgres://hub:new@db/hub", "new"),
            ("", "new"),
            ("postgres://hub:ne", "new"),
            ("postgresql://hub:newer@db/hub", "newer"),
        ] {
            *file.lock().unwrap() = written.to_owned();
            let now = url.now().expose_secret().to_owned();
            assert!(now.contains(&format!(":{password}@")), "{written}: {now}");
        }
        assert!(!format!("{url:?}").contains("newer"));
    }

    #[test]
    fn behind_a_pooler_sessions_ask_for_nothing() {
        let source = Source::new(DatabaseUrl::from("postgres://db/hub"), Purpose::Charge).unwrap();
        let another = Source { url: source.url.clone(), purpose: Purpose::Batch };
        assert!(another.options().unwrap().get_options().is_some());
        source.leave_settings_out();
        assert_eq!(another.options().unwrap().get_options(), None);
    }

    #[test]
    fn only_one_postgres_is_told_to_plan_without_values() {
        for (engine, is_told) in [(Engine::Single, true), (Engine::Distributed, false)] {
            let source = Source::new(DatabaseUrl::from("postgres://db/hub").with(engine), Purpose::Write).unwrap();
            let options = source.options().unwrap().get_options().unwrap_or_default().to_owned();
            assert_eq!(options.contains("plan_cache_mode=force_generic_plan"), is_told, "{options}");
            assert!(options.contains("enable_seqscan=off") && options.contains("lock_timeout=2000"), "{options}");
        }
    }

    #[test]
    fn the_url_that_was_given_stays_where_there_is_no_other() {
        let url = DatabaseUrl::from("postgres://hub:only@db/hub");
        assert_eq!(url.now().expose_secret(), "postgres://hub:only@db/hub");
        assert!(Source::new("no url".into(), Purpose::Read).is_err());
    }
}
