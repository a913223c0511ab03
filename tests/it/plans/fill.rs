//! What the statements are run on: everything of 100,000 invitations.

use sqlx::AssertSqlSafe;

use crate::support::Database;

/// Some invitations by their numbers, with all that belongs to them.
#[derive(Clone, Copy)]
pub struct Part {
    first: i64,
    last: i64,
    /// Nothing of it is open, due or old.
    is_quiet: bool,
}

/// A day after the installation.
pub const SMALL: Part = Part { first: 0, last: 199, is_quiet: true };
/// All the others.
pub const FLOOD: Part = Part { first: 200, last: 99_999, is_quiet: false };
/// Enough of them for a control.
pub const CONTROL: Part = Part { last: 29_999, ..FLOOD };

/// An empty database, where nobody but the test analyzes.
pub async fn database() -> Database {
    let database = Database::create().await;
    execute(&database, include_str!("names.sql")).await;
    database
}

pub async fn fill(database: &Database, Part { first, last, is_quiet }: Part) {
    let statements = include_str!("fill.sql").replace("FIRST", &first.to_string()).replace("LAST", &last.to_string());
    execute(database, &statements.replace("QUIET", &is_quiet.to_string())).await;
}

pub async fn analyze(database: &Database) {
    execute(database, "ANALYZE").await;
}

async fn execute(database: &Database, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&database.pool).await.unwrap();
}
