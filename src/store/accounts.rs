//! Accounts, their identities and addresses.

use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::columns::{column, key, only, typed, username};
use super::rows::{self, AccountRow};
use super::{Result, attestations, erasures};
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
    Ok(find(connection, &[username.as_str().to_owned()]).await?.pop())
}

/// Those of them that exist.
pub async fn find(connection: &mut PgConnection, usernames: &[String]) -> Result<Vec<Account>> {
    let rows = sqlx::query!(
        r#"SELECT a.username, a.display_name, a.provider, a.tenant, a.create_time, e.ordinals, e.emails, e.email_keys,
                  e.attest_time
             FROM accounts a
             LEFT JOIN LATERAL (
               SELECT array_agg(ordinal) AS ordinals, array_agg(email) AS emails, array_agg(email_key) AS email_keys,
                      max(attest_time) AS attest_time
                 FROM account_emails WHERE username = a.username AND username = ANY($1)) e ON true
            WHERE a.username = ANY($1) AND a.delete_time IS NULL"#,
        usernames,
    )
    .fetch_all(connection)
    .await?;
    let account = rows.into_iter().map(|row| {
        Account::from(AccountRow {
            username: row.username,
            display_name: row.display_name,
            provider: row.provider,
            tenant: row.tenant,
            emails: rows::account_emails(row.ordinals, row.emails, row.email_keys),
            attest_time: row.attest_time,
            create_time: row.create_time,
        })
    });
    Ok(account.collect())
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
        r#"SELECT EXISTS (SELECT 1 FROM members WHERE organization = ANY($1) AND username = $2)
               OR EXISTS (SELECT 1 FROM invitations WHERE organization = ANY($1) AND username = $2) AS "is_known!""#,
        &organizations,
        username.as_str(),
    );
    Ok(is_known.fetch_one(connection).await?)
}

/// Keeps accounts from being deleted until the end of the transaction that makes them members: the deletion would not
/// see a membership that is about to be committed. Waits for none that another transaction has locked, as whoever waits
/// has locked an organization. Returns those that it keeps.
pub async fn hold(connection: &mut PgConnection, usernames: &[String]) -> Result<Vec<String>> {
    let held = sqlx::query_scalar!(
        "SELECT a.username FROM unnest($1::text[]) AS w(u), \
                LATERAL (SELECT username FROM accounts \
                          WHERE username = w.u AND ($2::text IS NULL OR username = $2) FOR SHARE SKIP LOCKED) a",
        usernames,
        only(usernames.iter().map(String::as_str)),
    );
    Ok(held.fetch_all(connection).await?)
}

/// Notes that a newer token attests what is stored already. `false`: another token was faster.
pub async fn attest_again(connection: &mut PgConnection, identity: &Identity, before: Timestamp) -> Result<bool> {
    let noted = sqlx::query_scalar!(
        "UPDATE identities SET attest_time = $2 WHERE identity = $1 AND attest_time = $3 RETURNING username",
        &identity_hash(&identity.issuer, &identity.subject),
        identity.attest_time,
        before,
    );
    let Some(username) = noted.fetch_optional(&mut *connection).await? else { return Ok(false) };
    // what a newer token still has written meanwhile stays
    sqlx::query!(
        "UPDATE account_emails SET attest_time = $2 WHERE username = $1 AND attest_time < $2",
        username,
        identity.attest_time,
    )
    .execute(connection)
    .await?;
    Ok(true)
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
    let identity = identity_of(&mut *connection, username).await?;
    let tombstoned = sqlx::query!(
        "UPDATE accounts SET delete_time = now(), identity = NULL, display_name = NULL, tenant = NULL \
          WHERE username = $1 AND delete_time IS NULL",
        name,
    )
    .execute(&mut *connection)
    .await?;
    // the identity first: whoever attests addresses holds its row until they are written
    let attested = sqlx::query_scalar!("DELETE FROM identities WHERE identity = $1 RETURNING attest_time", identity);
    if let (Some(identity), Some(Some(time))) = (&identity, attested.fetch_optional(&mut *connection).await?) {
        attestations::note(connection, identity, time).await?;
    }
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

/// Of these, one that has no other OWNER.
pub async fn last_owned(connection: &mut PgConnection, owned: &[String]) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        "SELECT organization FROM organization_heads WHERE organization = ANY($1) AND owners <= 1 \
          ORDER BY organization LIMIT 1",
        owned,
    )
    .fetch_optional(connection)
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
