//! What a call asks of Postgres: the statements that the server logs meanwhile.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use invitations::dev::mailbox::Script;
use sqlx::AssertSqlSafe;

use super::{Database, Service};

/// A service on a database whose statements Postgres logs.
pub struct Watched {
    pub service: Service,
    log: PathBuf,
}

impl Watched {
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let database = Database::create().await;
        let log_all = format!("ALTER DATABASE {} SET log_statement = 'all'", database.name);
        sqlx::query(AssertSqlSafe(log_all)).execute(&database.pool).await.unwrap();
        let own = [("mail_poll_interval_seconds", "3600")];
        let service = Service::start_on(database, &[&own, settings].concat(), Script::accept_all()).await;
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres-it/postgres.log");
        Self { service, log }
    }

    /// The outcome of a call, and the statements that were carried out meanwhile, but for those of the mail workers and
    /// those that the service asks by itself now and then.
    pub async fn statements<T>(&self, call: impl Future<Output = T>) -> (T, Vec<String>) {
        let mut file = File::open(&self.log).unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        let outcome = call.await;
        let mut written = Vec::new();
        file.read_to_end(&mut written).unwrap();
        let text = String::from_utf8_lossy(&written).into_owned();
        let of_calls = ["read", "write", "batch", "charge"]
            .map(|part| format!(" {}/invitations {part} ", self.service.database.name));
        let statement = |line: &str| {
            let (place, line) = line.split_once("LOG:  ")?;
            let statement = line.strip_prefix("statement: ").or_else(|| line.strip_prefix("execute "))?;
            // the name under which a connection has prepared it
            let statement =
                statement.split_once(": ").filter(|(name, _)| !name.contains(' ')).map_or(statement, |(_, s)| s);
            // readiness is asked every few seconds, a connection after its use, whenever that is, and keys are reported
            let of_its_own =
                ["pg_is_in_recovery", "current_setting('transaction_read_only')", "UPDATE key_checks SET seen_time"];
            let is_own = of_its_own.iter().any(|own| statement.contains(own));
            let is_of_calls = of_calls.iter().any(|part| place.contains(part));
            (is_of_calls && !is_own).then(|| statement.to_owned())
        };
        (outcome, text.lines().filter_map(statement).collect())
    }
}
