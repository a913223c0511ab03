//! The Postgres role of the service: its rights on each table, and no others. Events are append-only because the role has
//! no right to change or delete them, whatever the code does.

use sqlx::{AssertSqlSafe, Connection, Executor, PgExecutor};

use super::source::{Engine, TIMEOUTS, planning};
use super::{Result, owner};

/// The rights of the service. A row lock needs UPDATE. Tables not listed are inaccessible to the service.
pub const GRANTS: [(&str, &str); 19] = [
    ("_sqlx_migrations", "SELECT"),
    ("account_emails", "SELECT, INSERT, UPDATE, DELETE"),
    ("account_request_ids", "SELECT, INSERT, DELETE"),
    ("accounts", "SELECT, INSERT, UPDATE"),
    ("annotations", "SELECT, INSERT, DELETE"),
    ("attestations", "SELECT, INSERT, UPDATE"),
    ("email_suppressions", "SELECT, INSERT, DELETE"),
    ("emails", "SELECT, INSERT, UPDATE, DELETE"),
    ("erasures", "SELECT, INSERT, UPDATE, DELETE"),
    ("events", "SELECT, INSERT"),
    ("identities", "SELECT, INSERT, UPDATE, DELETE"),
    ("invitations", "SELECT, INSERT, UPDATE, DELETE"),
    ("key_checks", "SELECT, INSERT, UPDATE (seen_time)"),
    ("mail_turns", "SELECT, INSERT, UPDATE"),
    ("members", "SELECT, INSERT, UPDATE, DELETE"),
    ("organization_heads", "SELECT, INSERT, UPDATE"),
    ("organizations", "SELECT, INSERT, UPDATE"),
    ("request_ids", "SELECT, INSERT, DELETE"),
    ("subject_limits", "SELECT, INSERT, UPDATE, DELETE"),
];

/// Whether the name needs no escaping between double quotes: a lower-case letter, then lower-case letters, digits, `_` and
/// `-`, at most 63 characters.
pub fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    text.len() <= 63 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(fits)
}

/// Grants the role what the service needs and revokes everything else, in one transaction, so a running service is not
/// disturbed. Returns `false` and does nothing where the role could change events all the same: as a superuser, as their
/// owner, or as a member of such a role.
pub async fn restrict(url: &str, role: &str) -> std::result::Result<bool, owner::Error> {
    let mut connection = owner::connect(url).await?;
    let mut transaction = connection.begin().await?;
    let mut statements = vec![
        format!(r#"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM "{role}""#),
        format!(r#"GRANT USAGE ON SCHEMA public TO "{role}""#),
    ];
    statements.extend(GRANTS.map(|(table, rights)| format!(r#"GRANT {rights} ON {table} TO "{role}""#)));
    for statement in statements {
        transaction.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    }
    let may_change = sqlx::query_scalar!(
        r#"SELECT has_table_privilege($1, oid, 'UPDATE, DELETE, TRUNCATE') OR pg_has_role($1, relowner, 'MEMBER') AS "may!"
             FROM pg_class WHERE oid = 'events'::regclass"#,
        role,
    )
    .fetch_one(&mut *transaction)
    .await?;
    if may_change {
        return Ok(false);
    }
    transaction.commit().await?;
    connection.close().await?;
    Ok(true)
}

/// Gives the role the settings of the service's sessions: the timeouts that a session sets do not reach the nodes of a
/// distributed database, and a pooler in transaction mode takes no settings at all. Returns `false` and does nothing
/// where this user may not change the role.
pub async fn limit(url: &str, role: &str, engine: Engine) -> std::result::Result<bool, owner::Error> {
    let mut connection = owner::connect(url).await?;
    for (setting, value) in TIMEOUTS.into_iter().chain(planning(engine)) {
        let statement = format!(r#"ALTER ROLE "{role}" SET {setting} = {value}"#);
        let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await;
        let code =
            done.as_ref().err().and_then(sqlx::Error::as_database_error).and_then(sqlx::error::DatabaseError::code);
        if code.as_deref() == Some("42501") {
            return Ok(false);
        }
        done?;
    }
    connection.close().await?;
    Ok(true)
}

/// The timeouts that the role of this connection does not have, whatever the session has.
pub async fn missing_timeouts(connection: impl PgExecutor<'_>) -> Result<Vec<&'static str>> {
    missing(connection, &TIMEOUTS).await
}

/// The same of all settings that a session asks for where no pooler is in between.
pub async fn missing_settings(connection: impl PgExecutor<'_>, engine: Engine) -> Result<Vec<&'static str>> {
    missing(connection, &[&TIMEOUTS[..], &planning(engine)].concat()).await
}

async fn missing(connection: impl PgExecutor<'_>, settings: &[(&'static str, &str)]) -> Result<Vec<&'static str>> {
    let set = sqlx::query_scalar!(
        r#"SELECT coalesce(array_agg(split_part(c, '=', 1)), '{}') AS "names!"
             FROM pg_db_role_setting s, unnest(s.setconfig) AS c
            WHERE s.setrole = (SELECT oid FROM pg_roles WHERE rolname = session_user)
              AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
              AND split_part(c, '=', 2) <> '0'"#
    );
    let set = set.fetch_one(connection).await?;
    let names = settings.iter().map(|(name, _)| *name);
    Ok(names.filter(|name| !set.iter().any(|set| set == name)).collect())
}

/// Whether the role of this connection may change events or delete any of them, or could grant itself that right. Those
/// of an age it may be allowed to delete: see [`super::pruning`].
pub async fn may_change_events(connection: impl PgExecutor<'_>) -> Result<bool> {
    let may = sqlx::query_scalar!(
        r#"SELECT has_table_privilege(oid, 'UPDATE, TRUNCATE') OR pg_has_role(relowner, 'MEMBER')
               OR has_table_privilege(oid, 'DELETE') AND NOT row_security_active(oid) AS "may!"
             FROM pg_class WHERE oid = 'events'::regclass"#,
    );
    Ok(may.fetch_one(connection).await?)
}

/// Creates the role, or changes its password, and returns its URL of the same database. The password must need no
/// escaping.
#[cfg(feature = "dev")]
pub async fn make(url: &str, role: &str, password: &str) -> std::result::Result<String, owner::Error> {
    let mut connection = owner::connect(url).await?;
    let exists = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1) AS "exists!""#, role)
        .fetch_one(&mut connection)
        .await?;
    let verb = if exists { "ALTER" } else { "CREATE" };
    let statement = format!(r#"{verb} ROLE "{role}" LOGIN PASSWORD '{password}'"#);
    connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    connection.close().await?;
    let place = url.rsplit_once('@').map_or(url, |(_, place)| place);
    Ok(format!("postgres://{role}:{password}@{place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_role_cannot_be_more_than_that() {
        for good in ["invitations", "invitations_service", "hub-2"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "1a", "Hub", r#"a"b"#, "a b", "a;b", "a'b", &"a".repeat(64)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
