//! Accounts that are opened, for all who ask together.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::Result;
use super::accounts::insert_emails;
use super::columns::{column, username};
use crate::domain::{Account, Identity, Remembered, Timestamp, Username};

/// The hash of an identity.
pub type IdentityHash = [u8; 32];

/// What decides whether an account can be opened.
#[derive(Debug)]
pub struct Known {
    /// The transaction's clock.
    pub now: Timestamp,
    /// Accounts of the identities that ask.
    pub accounts: HashMap<IdentityHash, Username>,
    /// When identities whose accounts were deleted attested addresses last.
    pub attested: HashMap<IdentityHash, Timestamp>,
    /// Those of the wanted usernames that somebody has or had.
    pub taken: HashSet<Username>,
    pub remembered: HashMap<(IdentityHash, Uuid), Remembered>,
}

/// Who wants which username, and the id of the request.
pub type Wanted<'a> = (IdentityHash, &'a Username, Option<Uuid>);

/// An account that is to be written, with its identity and what is remembered of its request.
#[derive(Debug)]
pub struct Registration {
    pub hash: IdentityHash,
    pub identity: Identity,
    pub account: Account,
    pub request: Option<(Uuid, Remembered)>,
}

/// What is known of all who ask, at one moment, each kind by its owners: whoever sees the account of the same request sees its id.
pub async fn load(connection: &mut PgConnection, wanted: &[Wanted<'_>]) -> Result<Known> {
    let rows = sqlx::query!(
        r#"SELECT now() AS "now?", NULL::bytea AS "identity?", NULL::text AS "username?", NULL::uuid AS "request_id?",
                  NULL::text AS "method?", NULL::bytea AS "digest?", NULL::text AS "resource?",
                  NULL::timestamptz AS "attest_time?"
           UNION ALL
           SELECT NULL, identity, username, NULL, NULL, NULL, NULL, NULL FROM identities WHERE identity = ANY($1)
           UNION ALL
           SELECT NULL, identity, NULL, NULL, NULL, NULL, NULL, attest_time FROM attestations WHERE identity = ANY($1)
           UNION ALL
           SELECT NULL, NULL, username, NULL, NULL, NULL, NULL, NULL FROM accounts WHERE username = ANY($2)
           UNION ALL
           SELECT NULL, r.identity, NULL, r.request_id, r.method, r.digest, r.resource, NULL
             FROM unnest($1::bytea[], $3::uuid[]) AS q(i, r), account_request_ids r
            WHERE r.identity = ANY(ARRAY[q.i]) AND r.request_id = q.r"#,
        &column(wanted, |(hash, ..)| hash.to_vec()),
        &column(wanted, |(_, name, _)| username(name)),
        &column(wanted, |(.., request)| *request) as &[Option<Uuid>],
    )
    .fetch_all(connection)
    .await?;
    let mut known = Known {
        now: rows.iter().find_map(|row| row.now).unwrap_or(Timestamp::UNIX_EPOCH),
        accounts: HashMap::new(),
        attested: HashMap::new(),
        taken: HashSet::new(),
        remembered: HashMap::new(),
    };
    for row in rows {
        let hash = row.identity.and_then(|identity| IdentityHash::try_from(identity).ok());
        let remembered = || Some(Remembered { method: row.method?, digest: row.digest?, resource: row.resource? });
        match (hash, row.username.map(Username::stored)) {
            (Some(hash), Some(username)) => drop(known.accounts.insert(hash, username)),
            (None, Some(username)) => drop(known.taken.insert(username)),
            (Some(hash), None) => {
                known.attested.extend(row.attest_time.map(|time| (hash, time)));
                known.remembered.extend(row.request_id.map(|id| (hash, id)).zip(remembered()));
            }
            (None, None) => {}
        }
    }
    Ok(known)
}

/// Writes accounts. A constraint refuses them all where another transaction has taken a username, or opened an account
/// for an identity, after these were loaded.
pub async fn insert(connection: &mut PgConnection, registrations: &[Registration]) -> Result<()> {
    sqlx::query!(
        "INSERT INTO identities (identity, issuer, subject, username, attest_time) \
         SELECT i, s, ARRAY(SELECT jsonb_array_elements_text(j)), u, t \
           FROM unnest($1::bytea[], $2::text[], $3::jsonb[], $4::text[], $5::timestamptz[]) AS n(i, s, j, u, t)",
        &column(registrations, |new| new.hash.to_vec()),
        &column(registrations, |new| new.identity.issuer.clone()),
        &column(registrations, |new| serde_json::Value::from(new.identity.subject.clone())),
        &column(registrations, |new| username(&new.account.username)),
        &column(registrations, |new| new.identity.emails.is_some().then_some(new.identity.attest_time))
            as &[Option<Timestamp>],
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO accounts (username, identity, display_name, provider, tenant, create_time) \
         SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])",
        &column(registrations, |new| username(&new.account.username)),
        &column(registrations, |new| new.hash.to_vec()),
        &column(registrations, |new| new.account.display_name.as_ref().map(|name| name.as_str().to_owned()))
            as &[Option<String>],
        &column(registrations, |new| new.account.provider.clone()),
        &column(registrations, |new| new.account.tenant.clone()) as &[Option<String>],
        &column(registrations, |new| new.account.create_time),
    )
    .execute(&mut *connection)
    .await?;
    insert_emails(
        &mut *connection,
        &registrations.iter().map(|new| (&new.account.username, &new.identity)).collect::<Vec<_>>(),
    )
    .await?;
    let remembered = registrations.iter().filter_map(|new| Some((new.hash, new.request.as_ref()?)));
    let remembered = remembered.collect::<Vec<_>>();
    sqlx::query!(
        "INSERT INTO account_request_ids (identity, request_id, method, digest, resource) \
         SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::text[], $4::bytea[], $5::text[])",
        &column(&remembered, |(hash, _)| hash.to_vec()),
        &column(&remembered, |(_, (id, _))| *id),
        &column(&remembered, |(_, (_, remembered))| remembered.method.clone()),
        &column(&remembered, |(_, (_, remembered))| remembered.digest.clone()),
        &column(&remembered, |(_, (_, remembered))| remembered.resource.clone()),
    )
    .execute(connection)
    .await?;
    Ok(())
}
