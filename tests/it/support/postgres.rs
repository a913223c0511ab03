//! One private Postgres for the whole test binary, one database for each test.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};

use invitations::dev::postgres::{self, Durability};
use invitations::store::{migrations, roles};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};

const TEMPLATE: &str = "migrated";
const SERVICE_ROLE: &str = "service";
static SERVICE_URL: OnceLock<String> = OnceLock::new();

/// A migrated database of its own.
pub struct Database {
    pub name: String,
    /// As the owner of the tables.
    pub url: String,
    /// As the service connects: with the rights that it needs and no others.
    pub service_url: String,
    pub pool: PgPool,
}

impl Database {
    pub async fn create() -> Self {
        Self::create_from(TEMPLATE).await
    }

    /// Without a single table.
    pub async fn create_empty() -> Self {
        Self::create_from("template0").await
    }

    /// Without a single table, and with what follows the template's name in CREATE DATABASE.
    pub async fn create_empty_with(options: &str) -> Self {
        Self::create_from(&format!("template0 {options}")).await
    }

    /// As another role, which has what the service needs. Its name begins with `test_`, its password is `first`.
    pub async fn used_by(mut self, role: &str) -> Self {
        self.service_url = roles::make(&self.url, role, "first").await.unwrap();
        assert!(roles::restrict(&self.url, role).await.unwrap());
        self
    }

    /// Carries a statement out as the superuser.
    pub async fn execute(&self, statement: &str) {
        execute(&self.url, statement).await;
    }

    /// The same from outside of the database: it may be renamed, or closed to everybody.
    pub async fn execute_outside(&self, statement: &str) {
        execute(server(), statement).await;
    }

    /// Ends all sessions of the service.
    pub async fn end_sessions(&self) {
        let sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                        WHERE application_name LIKE 'invitations %' AND datname = '";
        self.execute_outside(&format!("{sessions}{}'", self.name)).await;
    }

    async fn create_from(template: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let server = server();
        execute(server, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        let url = in_database(server, &name);
        let pool = PgPoolOptions::new().max_connections(8).connect_lazy(&url).unwrap();
        let service_url = in_database(SERVICE_URL.get().unwrap(), &name);
        Self { name, url, service_url, pool }
    }
}

/// The server's URL. It ends with this process: it watches a pipe that the process holds.
fn server() -> &'static str {
    static SERVER: OnceLock<String> = OnceLock::new();
    SERVER.get_or_init(|| {
        super::evidence::begin();
        let (sender, started) = mpsc::channel();
        // a thread of its own: each test has another runtime, and the server outlives them all
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres-it");
                std::fs::create_dir_all(&dir).unwrap();
                let server = postgres::start(&dir, Durability::FsyncOff).await.unwrap();
                prepare(server.url()).await;
                sender.send(server.url().to_owned()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        started.recv().expect("the private Postgres starts")
    })
}

/// Removes what an earlier run left and makes the template.
async fn prepare(url: &str) {
    let pool = PgPoolOptions::new().max_connections(1).connect(url).await.unwrap();
    let leftovers = format!("SELECT datname FROM pg_database WHERE datname LIKE 'test\\_%' OR datname = '{TEMPLATE}'");
    let leftovers: Vec<String> = sqlx::query_scalar(AssertSqlSafe(leftovers)).fetch_all(&pool).await.unwrap();
    for name in leftovers {
        execute(url, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }
    // they belong to the whole server; what they owned and were granted has gone with the databases
    let roles = "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'test\\_%'";
    let roles: Vec<String> = sqlx::query_scalar(roles).fetch_all(&pool).await.unwrap();
    for name in roles {
        execute(url, &format!("DROP ROLE {name}")).await;
    }
    execute(url, &format!("CREATE DATABASE {TEMPLATE}")).await;
    let template = in_database(url, TEMPLATE);
    migrations::run(&template).await.unwrap();
    SERVICE_URL.set(roles::make(&template, SERVICE_ROLE, "service").await.unwrap()).unwrap();
    assert!(roles::restrict(&template, SERVICE_ROLE).await.unwrap());
    pool.close().await;
}

async fn execute(url: &str, statement: &str) {
    use sqlx::{Connection, Executor};
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    connection.execute(sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))).await.unwrap();
    connection.close().await.unwrap();
}

fn in_database(url: &str, name: &str) -> String {
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}
