//! Accounts, their identities and addresses.

use std::collections::HashSet;

use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::columns::{column, key, typed, username};
use super::rows::AccountRow;
use super::{Result, erasures};
use crate::domain::{Account, Identity, OrganizationId, Timestamp, Username};

/// What an identity is found by: SHA-256 over its length-prefixed parts, so that no two are written the same.
pub fn identity_hash(issuer: &str, subject: &[String]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in std::iter::once(issuer).chain(subject.iter().map(String::as_str)) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The hash of an account's identity; `None`: it was deleted.
pub async fn identity_of(connection: &mut PgConnection, username: &Username) -> Result<Option<Vec<u8>>> {
    let identity = sqlx::query_scalar!("SELECT identity FROM accounts WHERE username = $1", username.as_str());
    Ok(identity.fetch_optional(connection).await?.flatten())
}

/// An account that exists; a deleted one does not.
pub async fn get(connection: &mut PgConnection, username: &Username) -> Result<Option<Account>> {
    let row = sqlx::query_as!(
        AccountRow,
        r#"SELECT a.username, a.display_name, a.provider, a.tenant, a.create_time,
                  coalesce((SELECT array_agg(ROW(e.ordinal, e.email, e.email_key)) FROM account_emails e
                             WHERE e.username = a.username), '{}') AS "emails!: Vec<(i32, String, String)>"
             FROM accounts a WHERE a.username = $1 AND a.delete_time IS NULL"#,
        username.as_str(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(Account::from))
}

/// The database's clock.
pub async fn now(connection: &mut PgConnection) -> Result<Timestamp> {
    Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(connection).await?)
}

/// Whether the account is a member of one of these organizations, or one of their invitations is bound to it.
pub async fn is_known_to(
    connection: &mut PgConnection,
    username: &Username,
    organizations: &[OrganizationId],
) -> Result<bool> {
    let organizations = organizations.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
    let is_known = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM members WHERE organization = ANY($1) AND username = $2)
               OR EXISTS (SELECT FROM invitations WHERE organization = ANY($1) AND username = $2) AS "is_known!""#,
        &organizations,
        username.as_str(),
    );
    Ok(is_known.fetch_one(connection).await?)
}

/// Keeps accounts from being deleted until the end of the transaction that makes them members: the deletion would not
/// see a membership that is about to be committed. Waits for none that another transaction has locked, and returns these:
/// whoever waits has locked an organization.
pub async fn hold(connection: &mut PgConnection, usernames: &[String]) -> Result<HashSet<String>> {
    let rows = sqlx::query!(
        r#"SELECT w.u AS "username!", a.username IS NULL AND e.username IS NOT NULL AS "is_of_another!"
             FROM unnest($1::text[]) AS w(u)
             LEFT JOIN LATERAL (
               SELECT username FROM accounts WHERE username = w.u FOR SHARE SKIP LOCKED) a ON true
             LEFT JOIN LATERAL (
               SELECT username FROM accounts WHERE username = w.u OFFSET 0) e ON true"#,
        usernames,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().filter(|row| row.is_of_another).map(|row| row.username).collect())
}

/// Notes that a newer token attests what is stored already. `false`: another token was faster.
pub async fn attest_again(connection: &mut PgConnection, identity: &Identity, before: Timestamp) -> Result<bool> {
    let noted = sqlx::query!(
        "UPDATE identities SET attest_time = $2 WHERE identity = $1 AND attest_time = $3",
        &identity_hash(&identity.issuer, &identity.subject),
        identity.attest_time,
        before,
    )
    .execute(connection)
    .await?;
    Ok(noted.rows_affected() > 0)
}

/// Replaces the addresses of an account by those of a token, where it is newer than the one before.
pub async fn attest(connection: &mut PgConnection, identity: &Identity) -> Result<()> {
    let newer = sqlx::query_scalar!(
        "UPDATE identities SET attest_time = $2 WHERE identity = $1 AND (attest_time IS NULL OR attest_time < $2) \
         RETURNING username",
        &identity_hash(&identity.issuer, &identity.subject),
        identity.attest_time,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(username) = newer.map(Username::stored) else { return Ok(()) };
    sqlx::query!("DELETE FROM account_emails WHERE username = $1", username.as_str()).execute(&mut *connection).await?;
    insert_emails(connection, &[(&username, identity)]).await
}

/// Writes the addresses that identities attest, in their order.
pub(super) async fn insert_emails(connection: &mut PgConnection, attested: &[(&Username, &Identity)]) -> Result<()> {
    let rows = attested.iter().flat_map(|(username, identity)| {
        let emails = identity.emails.iter().flatten();
        (0_i32..).zip(emails).map(|(ordinal, email)| (*username, *identity, ordinal, email))
    });
    let rows = rows.collect::<Vec<_>>();
    sqlx::query!(
        "INSERT INTO account_emails (username, issuer, email, email_key, ordinal, attest_time) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::timestamptz[]) \
         ON CONFLICT ON CONSTRAINT account_emails_pkey DO NOTHING",
        &column(&rows, |(name, ..)| username(name)),
        &column(&rows, |(_, identity, ..)| identity.issuer.clone()),
        &column(&rows, |(.., email)| typed(email)),
        &column(&rows, |(.., email)| key(email)),
        &column(&rows, |(_, _, ordinal, _)| *ordinal),
        &column(&rows, |(_, identity, ..)| identity.attest_time),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Erases the person and keeps the name: nobody gets it again. The addresses are noted, to be erased from the rest as
/// well. `false`: there was no such account.
pub async fn tombstone(connection: &mut PgConnection, username: &Username) -> Result<bool> {
    let name = username.as_str();
    let tombstoned = sqlx::query!(
        "UPDATE accounts SET delete_time = now(), identity = NULL, display_name = NULL, tenant = NULL \
          WHERE username = $1 AND delete_time IS NULL",
        name,
    )
    .execute(&mut *connection)
    .await?;
    // the identity first: whoever attests addresses holds its row until they are written
    sqlx::query!("DELETE FROM identities WHERE username = $1", name).execute(&mut *connection).await?;
    let held = sqlx::query_scalar!("DELETE FROM account_emails WHERE username = $1 RETURNING email_key", name)
        .fetch_all(&mut *connection)
        .await?;
    erasures::note(connection, username, &held, None).await?;
    Ok(tombstoned.rows_affected() > 0)
}

/// The organizations of which an account is OWNER, sorted.
pub async fn owned_organizations(connection: &mut PgConnection, username: &Username) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "SELECT organization FROM members WHERE username = $1 AND role::text = 'OWNER' ORDER BY organization",
        username.as_str(),
    )
    .fetch_all(connection)
    .await?)
}

/// Every organization in which an account still has a membership or an open invitation.
pub async fn organizations_of(connection: &mut PgConnection, username: &Username) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT organization AS "organization!" FROM members WHERE username = $1
           UNION SELECT organization FROM invitations
            WHERE username = $1 AND state::text IN ('ACCESS_REQUESTED', 'PENDING_APPROVAL', 'OFFERED')"#,
        username.as_str(),
    )
    .fetch_all(connection)
    .await?)
}
