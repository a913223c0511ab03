//! How the tables are distributed over the nodes of Citus: the rows of an owner stay together.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::{Result, owner};

/// Kinds of owners: the column that names one, and the tables that have it. The first one is distributed, and the rows of
/// the others live where those of the first do.
pub const GROUPS: [(&str, &[&str]); 5] = [
    (
        "organization",
        &[
            "organizations",
            "organization_heads",
            "members",
            "invitations",
            "annotations",
            "events",
            "emails",
            "mail_turns",
            "request_ids",
        ],
    ),
    ("username", &["accounts", "account_emails", "erasures"]),
    ("identity", &["identities", "account_request_ids", "attestations"]),
    ("subject", &["subject_limits"]),
    ("address_hash", &["email_suppressions"]),
];

/// Small, and read as a whole: every node has all of it.
pub const COPIED: [&str; 1] = ["key_checks"];

/// Stays on the node that it was made on, from where the others can read it.
pub const LOCAL: [&str; 1] = ["_sqlx_migrations"];

/// Why the tables are not distributed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the database has no extension citus: CREATE EXTENSION citus on every node, and add the nodes")]
    NoCitus,
    #[error(transparent)]
    Database(#[from] owner::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Each table with the statement that distributes it, in the order in which they have to run: foreign keys point to
/// tables that come before.
pub fn statements() -> Vec<(&'static str, String)> {
    let mut statements = Vec::new();
    for (key, tables) in GROUPS {
        for table in tables {
            let place = if *table == tables[0] { "none" } else { tables[0] };
            let distribute = format!("SELECT create_distributed_table('{table}', '{key}', colocate_with => '{place}')");
            statements.push((*table, distribute));
        }
    }
    statements.extend(COPIED.map(|table| (table, format!("SELECT create_reference_table('{table}')"))));
    statements.extend(LOCAL.map(|table| (table, format!("SELECT citus_add_local_table_to_metadata('{table}')"))));
    statements
}

/// Runs those that have not run yet, and says how many these were.
pub async fn apply(url: &str) -> std::result::Result<usize, Error> {
    let mut connection = owner::connect(url).await?;
    let citus = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')";
    if !sqlx::query_scalar::<_, bool>(citus).fetch_one(&mut connection).await? {
        return Err(Error::NoCitus);
    }
    let mut count = 0;
    for (table, statement) in statements() {
        let known = "SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = $1::text::regclass)";
        if !sqlx::query_scalar::<_, bool>(known).bind(table).fetch_one(&mut connection).await? {
            connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
            count += 1;
        }
    }
    connection.close().await?;
    Ok(count)
}

/// Fails where a node does not answer: what each kind of owner needs is asked of all of them.
pub async fn reach(connection: &mut PgConnection) -> Result<()> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM (
             (SELECT 1 FROM organization_heads LIMIT 1) UNION ALL (SELECT 1 FROM accounts LIMIT 1)
             UNION ALL (SELECT 1 FROM identities LIMIT 1) UNION ALL (SELECT 1 FROM subject_limits LIMIT 1)) reached"#
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_is_distributed_once_and_after_the_one_it_lives_with() {
        let statements = statements();
        for (nth, (table, statement)) in statements.iter().enumerate() {
            assert_eq!(statements.iter().filter(|(other, _)| other == table).count(), 1, "{table}");
            let place = statement.split_once("colocate_with => '").map(|(_, rest)| rest.trim_end_matches("')"));
            let is_there = |place: &str| place == "none" || statements[..nth].iter().any(|(other, _)| *other == place);
            assert!(place.is_none_or(is_there), "{statement}");
        }
    }
}
