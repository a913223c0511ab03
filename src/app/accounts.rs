//! Accounts: opened once by an identity, kept up to date by its tokens, and erased on request.

use futures_util::future::join_all;
use sqlx::Connection;
use uuid::Uuid;

use super::error::ATTEMPTS;
use super::limits::Counted;
use super::reading::read;
use super::registrar::{NewAccount, Registered};
use super::{App, Error, Result};
use crate::domain::{
    Account, Caller, Command, Method, Operation, OrganizationId, Refusal, Remembered, Request, Username,
};
use crate::store::accounts::{self, identity_hash};
use crate::store::{self, erasures, request_ids};

/// Organizations that an account leaves in one transaction.
const LEAVE_TOGETHER: usize = 64;

/// An account to be deleted, and who asks: a request id is kept under the hash of (issuer, subject), because the caller
/// may have no account any more.
#[derive(Clone, Debug)]
pub struct DeleteAccount {
    pub issuer: String,
    pub subject: Vec<String>,
    /// `None`: an identity without an account.
    pub caller: Option<Caller>,
    /// `None`: the caller's own.
    pub username: Option<Username>,
    pub request: Option<Request>,
}

impl App {
    /// Opens an account. Every try is charged but the repetition of one that has succeeded.
    pub async fn create_account(&self, new: NewAccount) -> Result<Account> {
        let hash = identity_hash(&new.identity.issuer, &new.identity.subject);
        let charge = match self.charge(Counted::AccountAttempt, &hash).await {
            Err(Error::Refused(limit)) => {
                let request = new.request.as_ref();
                let repeated =
                    read!(self.reads, connection, replay(&mut connection, hash, request, Method::CreateAccount))??;
                // a repetition is answered all the same
                repeated.ok_or(limit)?;
                None
            }
            charged => charged?,
        };
        match self.registrar.ask(new).await?? {
            Registered::New(account) => Ok(account),
            Registered::Before(name) => {
                self.give_back(charge);
                let username = Username::from_name(&name).ok_or(Refusal::RequestIdReused)?;
                let caller = Caller::Account(username.clone());
                self.account(Method::GetAccount, &caller, &username).await
            }
        }
    }

    /// Erases an account: first it leaves the organizations that it owns, one after the other; then, in one transaction, it
    /// loses every right; then it leaves the others, which the sweep finishes should this be cut off.
    ///
    /// An account that nobody could replace as the owner is refused on a plain read, and holds up nobody. Where that becomes
    /// so only in between, or this is cut off, the account stays, and stays out of what it has left: the same call again
    /// goes on from there.
    pub async fn delete_account(&self, delete: DeleteAccount) -> Result<()> {
        let hash = identity_hash(&delete.issuer, &delete.subject);
        let request = delete.request.as_ref();
        let repeated = read!(self.reads, connection, replay(&mut connection, hash, request, Method::DeleteAccount))??;
        if repeated.is_some() {
            return Ok(());
        }
        let username = match (&delete.caller, &delete.username) {
            (None, _) => return Err(Refusal::AccountRequired.into()),
            (Some(Caller::Account(own)), None) => own.clone(),
            (Some(caller), Some(named)) => {
                Method::DeleteAccount.check_account(caller, named)?;
                named.clone()
            }
            (Some(Caller::Service(_)), None) => return Err(Refusal::PersonRequired.into()),
        };
        let deletion = Deletion { username, caller: delete.caller, request: delete.request };
        self.finish(move |app| async move {
            let told = read!(app.reads, connection, erasures::told(&mut connection, &deletion.username))?;
            let mut outcome = app.leave_owned(&deletion, hash, &told).await?;
            for _ in 1..ATTEMPTS {
                // whoever came first in a race is found by the next look
                if !matches!(
                    outcome,
                    Err(store::Error::Constraint(_) | store::Error::Conflict | store::Error::Stale(_))
                ) {
                    break;
                }
                outcome = app.leave_owned(&deletion, hash, &told).await?;
            }
            outcome??;
            // deleted it is: what is left is the sweep's, should this fail
            if let Err(error) = app.leave_all(&deletion).await {
                tracing::warn!(?error, "a deleted account has not left every organization, the sweep goes on");
            }
            Ok(())
        })
        .await
    }

    /// The first part, each organization in a transaction of its own, and then the second.
    async fn leave_owned(
        &self,
        deletion: &Deletion,
        hash: [u8; 32],
        told: &[String],
    ) -> Result<store::Result<std::result::Result<(), Refusal>>> {
        let (owned, last_owned) = read!(self.reads, connection, async {
            let owned = accounts::owned_organizations(&mut connection, &deletion.username).await?;
            let last_owned = accounts::last_owned(&mut connection, &owned).await?;
            store::Result::Ok((owned, last_owned))
        })?;
        if let Some(organization) = last_owned {
            return Err(Refusal::LastOwner(OrganizationId::stored(organization).name()).into());
        }
        for organization in owned {
            self.submit_in_time(deletion.leave(organization)).await?;
        }
        Ok(self.tombstone(deletion, hash, told).await)
    }

    /// The second part, in one transaction. `told`: the addresses that organizations knew the account by at the beginning.
    async fn tombstone(
        &self,
        deletion: &Deletion,
        hash: [u8; 32],
        told: &[String],
    ) -> store::Result<std::result::Result<(), Refusal>> {
        let Deletion { username, request, .. } = deletion;
        let request = request.as_ref();
        let mut connection = self.writes.acquire().await?;
        let mut transaction = connection.begin().await?;
        // in this order: whoever misses the account that the same request has deleted sees its id
        let is_there = accounts::get(&mut transaction, username).await?.is_some();
        match replay(&mut transaction, hash, request, Method::DeleteAccount).await? {
            Ok(None) if is_there => {}
            Ok(None) => return Ok(Err(Refusal::AccountNotFound(username.name()))),
            Ok(Some(_)) => return Ok(Ok(())),
            Err(refusal) => return Ok(Err(refusal)),
        }
        if !accounts::tombstone(&mut transaction, username).await? {
            return Err(store::Error::Stale("an account"));
        }
        erasures::note(&mut transaction, username, told, None).await?;
        // who is made an owner meanwhile holds the account's row, so it shows here
        if !accounts::owned_organizations(&mut transaction, username).await?.is_empty() {
            return Err(store::Error::Stale("what the account owns"));
        }
        remember(&mut transaction, hash, request, Method::DeleteAccount, username.name()).await?;
        transaction.commit().await?;
        Ok(Ok(()))
    }

    /// The third part.
    pub(super) async fn leave_all(&self, deletion: &Deletion) -> Result<()> {
        let organizations =
            read!(self.reads, connection, accounts::organizations_of(&mut connection, &deletion.username))?;
        self.leave(deletion, organizations).await
    }

    /// Leaves all of them, some together. One that cannot be left now must not keep the others waiting: it is told last.
    pub(super) async fn leave(&self, deletion: &Deletion, organizations: Vec<String>) -> Result<()> {
        let mut outcome = Ok(());
        for some in organizations.chunks(LEAVE_TOGETHER) {
            let left = some.iter().map(|organization| self.submit_in_time(deletion.leave(organization.clone())));
            for left in join_all(left).await {
                match left {
                    // what cannot be carried out was logged
                    Ok(_) | Err(Error::Fault) => {}
                    Err(error) => outcome = Err(error),
                }
            }
        }
        outcome
    }
}

/// A deletion and who has asked for it; nobody, where the sweep goes on with one that was cut off.
#[derive(Clone, Debug)]
pub(super) struct Deletion {
    pub username: Username,
    pub caller: Option<Caller>,
    pub request: Option<Request>,
}

impl Deletion {
    fn leave(&self, organization: String) -> Command {
        let organization = OrganizationId::stored(organization);
        let operation = Operation::Leave(self.username.clone());
        Command::new(organization, self.caller.clone(), self.request.clone(), operation)
    }
}

/// What the same request of an identity did before.
pub(super) async fn replay(
    connection: &mut sqlx::PgConnection,
    identity: [u8; 32],
    request: Option<&Request>,
    method: Method,
) -> store::Result<std::result::Result<Option<String>, Refusal>> {
    let Some(request) = request else { return Ok(Ok(None)) };
    let remembered = request_ids::find_of_identity(connection, &identity, request.id).await?;
    Ok(match remembered {
        Some(remembered) if remembered.is_request(method.name(), request) => Ok(Some(remembered.resource)),
        Some(_) => Err(Refusal::RequestIdReused),
        None => Ok(None),
    })
}

pub(super) async fn remember(
    connection: &mut sqlx::PgConnection,
    identity: [u8; 32],
    request: Option<&Request>,
    method: Method,
    resource: String,
) -> store::Result<()> {
    let Some(Request { id, digest, .. }) = request else { return Ok(()) };
    let id: Uuid = *id;
    let remembered = Remembered { method: method.name().to_owned(), digest: digest.to_vec(), resource };
    request_ids::insert_of_identity(connection, &identity, id, &remembered).await
}
