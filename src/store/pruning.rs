//! The one way in which events go: the service may delete those of an age and no others, by row-level security. So the
//! trail of the time before that age cannot be changed, whatever the code does.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgExecutor};

use super::{Result, owner};

/// Lets the role delete events of that age, or (`None`) no event, after [`super::roles::restrict`]. Returns `false` and
/// does nothing where row-level security does not hold the role.
///
/// Policies are for all roles, which read and append as before: the rights on the table decide. What is right already is
/// left alone, because a change locks the table for a moment.
pub async fn allow(url: &str, role: &str, age: Option<Duration>) -> std::result::Result<bool, owner::Error> {
    let mut connection = owner::connect(url).await?;
    let mut transaction = connection.begin().await?;
    let present = sqlx::query_scalar!(
        r#"SELECT polname::text AS "name!" FROM pg_policy WHERE polrelid = 'events'::regclass AND polcmd = 'd'"#,
    );
    let present = present.fetch_all(&mut *transaction).await?;
    let wanted = age.map(|age| (format!("events_prune_{}", age.as_secs()), age.as_secs()));
    let mut statements = Vec::new();
    if present.iter().ne(wanted.iter().map(|(name, _)| name)) {
        statements.push("SET LOCAL lock_timeout = '5s'".to_owned());
        statements.push("ALTER TABLE events DISABLE ROW LEVEL SECURITY".to_owned());
        let old = present.iter().map(String::as_str).chain(["events_read", "events_append"]);
        statements.extend(old.map(|name| format!(r#"DROP POLICY IF EXISTS "{name}" ON events"#)));
        if let Some((name, seconds)) = &wanted {
            statements.extend([
                "CREATE POLICY events_read ON events FOR SELECT USING (true)".to_owned(),
                "CREATE POLICY events_append ON events FOR INSERT WITH CHECK (true)".to_owned(),
                format!(
                    "CREATE POLICY {name} ON events FOR DELETE USING (create_time < now() - interval '{seconds} seconds')"
                ),
                "ALTER TABLE events ENABLE ROW LEVEL SECURITY".to_owned(),
            ]);
        }
    }
    let verb = if wanted.is_some() { "GRANT DELETE ON events TO" } else { "REVOKE DELETE ON events FROM" };
    statements.push(format!(r#"{verb} "{role}""#));
    for statement in statements {
        transaction.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    }
    let is_exempt = sqlx::query_scalar!(r#"SELECT rolbypassrls AS "is!" FROM pg_roles WHERE rolname = $1"#, role);
    if wanted.is_some() && is_exempt.fetch_one(&mut *transaction).await? {
        return Ok(false);
    }
    transaction.commit().await?;
    connection.close().await?;
    Ok(true)
}

/// Whether the role of this connection may delete events at all.
pub async fn is_allowed(connection: impl PgExecutor<'_>) -> Result<bool> {
    let may = sqlx::query_scalar!(r#"SELECT has_table_privilege('events', 'DELETE') AS "may!""#);
    Ok(may.fetch_one(connection).await?)
}
