//! The databases of the tests, which stay where they are until the next run: their codes, and all their rows.

use std::path::Path;

use futures_util::TryStreamExt;
use invitations::dev::postgres::{self, Durability, Postgres};
use invitations::domain::{CodeKey, InvitationCode, InvitationId};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

/// Each invitation that has had a code, the number of its codes, and the newest one's hash; of one that is not there any
/// more, what its emails and events tell.
const CODES: &str = "
    SELECT invitation, generation, code_hash FROM invitations WHERE generation > 0
    UNION ALL
    SELECT invitation, max(generation), NULL FROM (
        SELECT invitation, generation FROM emails WHERE generation > 0 AND invitation IS NOT NULL
        UNION ALL
        SELECT invitation, 1 FROM events WHERE invitation IS NOT NULL
    ) told WHERE NOT EXISTS (SELECT FROM invitations i WHERE i.invitation = told.invitation) GROUP BY 1";

/// One private server of the tests, started again.
pub struct Server {
    postgres: Postgres,
    pub databases: Vec<Database>,
}

impl Server {
    /// `name` tells its databases from those of others.
    pub async fn start(dir: &Path, name: &str) -> Self {
        let postgres = postgres::start(dir, Durability::FsyncOff).await.unwrap();
        let mut connection = PgConnection::connect(postgres.url()).await.unwrap();
        let names = "SELECT datname::text FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'";
        let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let (server, _) = postgres.url().rsplit_once('/').unwrap();
        let database =
            |database: &String| Database { name: format!("{name}{database}"), url: format!("{server}/{database}") };
        Self { databases: names.iter().map(database).collect(), postgres }
    }

    pub async fn stop(self) {
        self.postgres.stop().await;
    }
}

#[derive(Clone)]
pub struct Database {
    pub name: String,
    url: String,
}

impl Database {
    /// Every code that was made with the key of the tests.
    pub async fn codes(self) -> Vec<String> {
        let key = CodeKey::new("test".to_owned(), vec![7; 32]).unwrap();
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        if !tables(&mut connection).await.iter().any(|table| table == "invitations") {
            return Vec::new();
        }
        let invitations: Vec<(Uuid, i32, Option<Vec<u8>>)> =
            sqlx::query_as(CODES).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let mut codes = Vec::new();
        for (id, generations, hash) in invitations {
            let code = |generation| InvitationCode::derive(&key, InvitationId(id), generation);
            // tests make up rows by the thousands, without a code
            if hash.is_none_or(|hash| hash == code(generations).hash()) {
                codes.extend((1..=generations).map(|generation| code(generation).reveal()));
            }
        }
        codes
    }

    /// Every table with all its rows as text.
    pub async fn rows(self) -> Vec<(String, Vec<u8>)> {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let mut all = Vec::new();
        for table in tables(&mut connection).await {
            let mut copied = connection.copy_out_raw(&format!("COPY \"{table}\" TO STDOUT")).await.unwrap();
            let mut rows = Vec::new();
            while let Some(piece) = copied.try_next().await.unwrap() {
                rows.extend_from_slice(&piece);
            }
            drop(copied);
            all.push((table, rows));
        }
        connection.close().await.unwrap();
        all
    }
}

async fn tables(connection: &mut PgConnection) -> Vec<String> {
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    sqlx::query_scalar(tables).fetch_all(connection).await.unwrap()
}
