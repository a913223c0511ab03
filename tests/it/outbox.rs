//! The outbox, with a mail server that misbehaves and workers that go when a test tells them to.

mod attempts;
mod batches;
mod leases;
mod log;
mod mixups;
mod service;
mod turns;
mod waiting;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use invitations::dev::mailbox::{Action, Mailbox, Received, Script, Step};
use invitations::domain::{AddressKey, CodeKey, CodeKeys};
use invitations::mail::{MailLimits, MailSettings, Mailer, Round, SmtpTls, Timeouts, Worker, parse_from};
use invitations::store::connection::Own;
use invitations::store::pool::{PLANNING, Purpose};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::support::{Database, PATIENCE, scratch, words};

/// Rows, a mail server, and what a worker needs.
struct Outbox {
    /// To look at rows and to age them.
    rows: PgPool,
    /// Like the workers' connections.
    workers: PgPool,
    url: String,
    mailbox: Mailbox,
}

impl Outbox {
    async fn start(decide: impl Fn(Step<'_>) -> Action + Send + Sync + 'static) -> Self {
        Self::on(&Database::create().await, decide).await
    }

    async fn on(database: &Database, decide: impl Fn(Step<'_>) -> Action + Send + Sync + 'static) -> Self {
        let folder = scratch(&format!("{}_outbox", database.name));
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let mailbox = Mailbox::start(loopback, &folder, Script::new(decide)).await.unwrap();
        // as the service has it, but for the patience of a busy machine
        let options =
            database.url.parse::<PgConnectOptions>().unwrap().options(PLANNING).application_name("invitations");
        let workers = PgPoolOptions::new().max_connections(8).test_before_acquire(false).acquire_timeout(PATIENCE);
        let workers = workers.connect_lazy_with(options);
        Self { rows: database.pool.clone(), workers, url: database.url.clone(), mailbox }
    }

    fn worker(&self) -> Worker {
        self.worker_with(Timeouts::default())
    }

    fn worker_with(&self, timeouts: Timeouts) -> Worker {
        self.worker_of(mailer(self.mailbox.addr()).with_timeouts(timeouts))
    }

    fn worker_of(&self, mailer: Mailer) -> Worker {
        Worker::new(Own::new(&self.url, Purpose::Mail).unwrap(), Arc::new(mailer))
    }

    /// One that waits only a moment for that step to be answered, and for the others as long as the machine needs.
    fn impatient_worker(&self, step: &str) -> Worker {
        let soon = Duration::from_millis(300);
        self.worker_with(match step {
            "Message" | "Stored" => Timeouts { end_of_data: soon, ..Timeouts::default() },
            _ => Timeouts { command: soon, ..Timeouts::default() },
        })
    }

    async fn organization(&self, id: &str) {
        sqlx::query(
            "INSERT INTO organizations (organization, display_name, notification_email, notification_email_key) \
             VALUES ($1, 'The ' || $1 || ' people', 'notify@' || $1 || '.example', 'notify@' || $1 || '.example')",
        )
        .bind(id)
        .execute(&self.rows)
        .await
        .unwrap();
    }

    /// Invites `1@{organization}.example` and so on: each with an email that is due, the first one for the longest.
    async fn invite(&self, organization: &str, count: i32) {
        for statement in [
            "INSERT INTO invitations (organization, invitation, state, email, email_key, inviter, code_hash, code_key_id, \
                                      generation, expire_time, send_time) \
             SELECT $1, md5($1 || n)::uuid, 'INVITED', a, a, 'accounts/olga', sha256(a::bytea), 'test', 1, \
                    now() + interval '7 days', now() \
               FROM generate_series(1, $2) n, concat(n, '@', $1, '.example') a",
            "INSERT INTO emails (organization, email_id, invitation, kind, generation, recipient, due_time) \
             SELECT $1, gen_random_uuid(), md5($1 || n)::uuid, 'ACCOUNT_INVITATION', 1, concat(n, '@', $1, '.example'), \
                    now() - interval '1 hour' + n * interval '1 ms' \
               FROM generate_series(1, $2) n",
        ] {
            sqlx::query(statement).bind(organization).bind(count).execute(&self.rows).await.unwrap();
        }
    }

    async fn execute(&self, statement: &str) {
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&self.rows).await.unwrap();
    }

    /// Whatever can still be sent is due now, also what somebody holds: its lease has ended.
    async fn make_due(&self) {
        self.execute("UPDATE emails SET due_time = now() WHERE state IN ('QUEUED', 'RETRYING')").await;
    }

    /// Connections of the workers that were killed while they were idle would fail once more.
    fn forget_connections(&self) {
        while let Some(connection) = self.workers.try_acquire() {
            drop(connection.detach());
        }
    }

    /// Each email as `recipient state attempt answer`, and `held` where somebody has it. Of the mail server's reply the code.
    async fn rows(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT concat_ws(' ', recipient, state, attempt, coalesce(substring(answer FROM '^[0-9]{3}'), answer, '-'), \
                              CASE WHEN lease_until IS NOT NULL THEN 'held' END) \
               FROM emails ORDER BY recipient",
        )
        .fetch_all(&self.rows)
        .await
        .unwrap()
    }

    /// The addresses that emails arrived for, in this order.
    fn arrived_for(&self) -> Vec<String> {
        self.mailbox.received().iter().map(|email| email.recipients.join(" and ")).collect()
    }
}

/// For a mail server at that address, with the settings and the code key of the services of these tests.
fn mailer(server: SocketAddr) -> Mailer {
    let settings = MailSettings {
        host: server.ip().to_string(),
        port: server.port(),
        tls: SmtpTls::None,
        username: None,
        password: None,
        from: parse_from("IPMHub <invitations@hub.example>").unwrap(),
        public_base_url: "https://hub.example".parse().unwrap(),
        hello_name: "hub.example".to_owned(),
        ca_file: None,
        poll_interval: Duration::from_hours(1),
        workers: 4,
    };
    let key = CodeKey::new("test".to_owned(), vec![7; 32]).unwrap();
    let address_key = AddressKey::new(vec![5; 32]).unwrap();
    let limits = MailLimits { address_key, per_address: None, per_organization: None, unproven: None, notices: None };
    Mailer::new(settings, CodeKeys::new(vec![key]).unwrap(), limits).unwrap()
}

async fn round(worker: &mut Worker) -> Round {
    worker.deliver_due(&CancellationToken::new()).await.unwrap()
}

/// Does it before the mail server goes on: for scripts, in tests with more than one thread.
fn meanwhile<T>(future: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| Handle::current().block_on(future))
}

/// Waits for what no event announces, such as a row that another task writes.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("what the test waits for comes");
}

/// What stays the same whenever an email is sent again: its `Message-ID` and its code.
fn identity(email: &Received) -> (String, Option<String>) {
    let parsed = mail_parser::MessageParser::default().parse(&email.message).unwrap();
    let is_code = |line: &&str| line.split('-').map(str::len).eq([4; 7]);
    let code = words(email).lines().map(str::trim).find(is_code).map(str::to_owned);
    (parsed.message_id().expect("an email has a Message-ID").to_owned(), code)
}
