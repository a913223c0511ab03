//! Opens accounts, for all who ask together: one transaction.

use sqlx::Connection;

use super::error::{ATTEMPTS, Error, Result};
use super::together::{Turn, Worker};
use crate::domain::{
    Account, DisplayName, EmailAddress, Identity, Method, Refusal, Remembered, Request, Timestamp, Username,
};
use crate::store;
use crate::store::accounts::identity_hash;
use crate::store::connection::Own;
use crate::store::registrations::{self, IdentityHash, Known, Registration};

/// An account to be opened.
#[derive(Clone, Debug)]
pub struct NewAccount {
    pub identity: Identity,
    pub username: Username,
    pub display_name: Option<DisplayName>,
    pub request: Option<Request>,
}

/// With a connection of its own.
pub(super) struct Registrar(pub Own);

/// What became of a registration.
#[derive(Clone, Debug)]
pub(super) enum Registered {
    New(Account),
    /// The same request has opened this account before; its name.
    Before(String),
}

type Outcome = std::result::Result<Registered, Refusal>;

impl Worker for Registrar {
    const NAME: &'static str = "registrar";
    type Task = NewAccount;
    type Outcome = Outcome;

    async fn work(&mut self, wanted: Vec<NewAccount>, _turn: &Turn) -> Vec<Result<Outcome>> {
        match self.attempt(&wanted).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(error) if error.breaks_connection() || wanted.len() == 1 => {
                let error = Error::from(error);
                wanted.iter().map(|_| Err(error.clone())).collect()
            }
            // one that cannot be written must not fail the others
            Err(_) => {
                let mut outcomes = Vec::with_capacity(wanted.len());
                for one in &wanted {
                    let alone = self.attempt(std::slice::from_ref(one)).await.map_err(Error::from);
                    outcomes.push(alone.and_then(|mut outcome| outcome.pop().ok_or(Error::Fault)));
                }
                outcomes
            }
        }
    }

    async fn end(mut self) {
        self.0.close().await;
    }
}

impl Registrar {
    /// Tried again where another replica came first in a race, whose account is found then, and where the connection was
    /// dead before anything was sent.
    async fn attempt(&mut self, wanted: &[NewAccount]) -> store::Result<Vec<Outcome>> {
        let mut attempt = 1;
        loop {
            let mut committing = false;
            let outcome = self.register(wanted, &mut committing).await;
            let again = match &outcome {
                Err(store::Error::Constraint(_) | store::Error::Conflict) => attempt < ATTEMPTS,
                Err(store::Error::Unavailable(_)) => attempt == 1 && !committing,
                _ => false,
            };
            if !again {
                return outcome;
            }
            attempt += 1;
        }
    }

    async fn register(&mut self, wanted: &[NewAccount], committing: &mut bool) -> store::Result<Vec<Outcome>> {
        let hash = |new: &NewAccount| identity_hash(&new.identity.issuer, &new.identity.subject);
        let wanted = wanted.iter().map(|new| (hash(new), new)).collect::<Vec<_>>();
        let asked = wanted.iter().map(|(hash, new)| (*hash, &new.username, new.request.as_ref().map(|r| r.id)));
        let asked = asked.collect::<Vec<_>>();
        self.0
            .run(async |connection| {
                let mut transaction = connection.begin().await?;
                let mut known = registrations::load(&mut transaction, &asked).await?;
                let mut registrations = Vec::new();
                let mut decide = |(hash, new): &(IdentityHash, &NewAccount)| {
                    if let Some(name) = check(&known, *hash, new)? {
                        return Ok(Registered::Before(name));
                    }
                    let registration = register(&mut known, *hash, new);
                    let account = registration.account.clone();
                    registrations.push(registration);
                    Ok(Registered::New(account))
                };
                let outcomes = wanted.iter().map(&mut decide).collect();
                if !registrations.is_empty() {
                    registrations::insert(&mut transaction, &registrations).await?;
                    *committing = true;
                    transaction.commit().await?;
                }
                Ok(outcomes)
            })
            .await
    }
}

/// Whether the account may be opened; or the name of the one that the same request has opened before.
fn check(known: &Known, hash: IdentityHash, new: &NewAccount) -> std::result::Result<Option<String>, Refusal> {
    let request = new.request.as_ref();
    let remembered = request.and_then(|request| known.remembered.get(&(hash, request.id)));
    if let Some((request, remembered)) = request.zip(remembered) {
        let is_same = remembered.is_request(Method::CreateAccount.name(), request);
        return if is_same { Ok(Some(remembered.resource.clone())) } else { Err(Refusal::RequestIdReused) };
    }
    if let Some(username) = known.accounts.get(&hash) {
        return Err(Refusal::AccountExists(username.name()));
    }
    if known.taken.contains(&new.username) {
        return Err(Refusal::UsernameTaken(new.username.name()));
    }
    Ok(None)
}

/// The next one who asks finds it.
fn register(known: &mut Known, hash: IdentityHash, new: &NewAccount) -> Registration {
    let NewAccount { mut identity, username, display_name, request } = new.clone();
    // an account before this one knew a newer token: then this one begins without addresses, as of that time
    let is_newer = |newest: &&Timestamp| identity.emails.is_none() || **newest > identity.attest_time;
    if let Some(newest) = known.attested.get(&hash).filter(is_newer) {
        identity.emails = Some(Vec::new());
        identity.attest_time = *newest;
    }
    known.accounts.insert(hash, username.clone());
    known.taken.insert(username.clone());
    let request = request.map(|Request { id, digest, .. }| {
        let method = Method::CreateAccount.name().to_owned();
        let remembered = Remembered { method, digest: digest.to_vec(), resource: username.name() };
        known.remembered.insert((hash, id), remembered.clone());
        (id, remembered)
    });
    let mut emails = Vec::<EmailAddress>::new();
    for email in identity.emails.iter().flatten() {
        if !emails.iter().any(|known| known.key() == email.key()) {
            emails.push(email.clone());
        }
    }
    let (provider, tenant) = (identity.provider.clone(), identity.tenant.clone());
    let attest_time = (!emails.is_empty()).then_some(identity.attest_time);
    let account = Account { username, display_name, provider, tenant, emails, attest_time, create_time: known.now };
    Registration { hash, identity, account, request }
}
