//! Who calls: the account of an identity, the role, and the invitation that is read, in one statement for all calls that
//! wait.

use super::changer::Changer;
use super::{App, Result};
use crate::domain::{
    Caller, EmailAddress, Identity, InvitationId, Method, OrganizationId, Refusal, Role, Service, Standing, Subject,
    Timestamp, Username,
};
use crate::store::accounts::{self, identity_hash};
use crate::store::callers::{Access, Found, FoundInvitation, KnownAccount, Question, Who};

/// A caller, with what was found for the call.
#[derive(Debug)]
pub struct Call {
    pub caller: Caller,
    /// The hash of who is behind the caller, which outlives the account.
    pub(super) identity: [u8; 32],
    found: Option<Found>,
}

/// What a call is about, as far as it is asked together with the account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    pub organization: Option<OrganizationId>,
    pub invitation: Option<InvitationId>,
    /// A change decides on what its transaction loads; only a person's role matters before.
    pub is_read: bool,
}

impl About {
    /// Nothing but who calls.
    pub const NOTHING: Self = Self { organization: None, invitation: None, is_read: false };
}

impl App {
    /// The call of a person; `None`: their identity has no account. Brings the account's addresses up to date.
    pub async fn call_of_person(&self, identity: &Identity, about: About) -> Result<Option<Call>> {
        let hash = identity_hash(&identity.issuer, &identity.subject);
        let who = Who::Identity { hash, attest_time: identity.attest_time };
        let mut found = self.find(who.clone(), about.clone(), false).await?;
        let Some(account) = found.account.take() else { return Ok(None) };
        if self.attest(identity, &account).await? && about.invitation.is_some() {
            // what is shown of an invitation depends on the addresses
            found = self.find(who, about, false).await?;
        }
        Ok(Some(Call { caller: Caller::Account(account.username), identity: hash, found: Some(found) }))
    }

    /// The call of a service, whose rights are in the configuration.
    pub async fn call_of_service(&self, service: Service, about: About) -> Result<Call> {
        let identity = identity_hash(&service.issuer, std::slice::from_ref(&service.subject));
        let found = if about.is_read { Some(self.find(Who::Service, about, false).await?) } else { None };
        Ok(Call { caller: Caller::Service(service), identity, found })
    }

    /// The same caller once more, after a change: whoever has made it is told how it went.
    pub(super) async fn call_again(&self, changer: &Changer, about: About) -> Result<Call> {
        let who = changer.caller.username().map_or(Who::Service, |username| Who::Account(username.clone()));
        let found = Some(self.find(who, about, true).await?);
        Ok(Call { caller: changer.caller.clone(), identity: changer.identity, found })
    }

    async fn find(&self, who: Who, about: About, has_changed_it: bool) -> Result<Found> {
        let About { organization, invitation, .. } = about;
        self.callers.ask(Question { who, organization, invitation, has_changed_it }).await
    }

    /// Writes the addresses that a newer token attests, where they differ; else only how new they are. `true`: they
    /// differed.
    async fn attest(&self, identity: &Identity, known: &KnownAccount) -> Result<bool> {
        let Some(emails) = &identity.emails else { return Ok(false) };
        if known.attest_time.is_some_and(|attested| attested >= identity.attest_time) {
            return Ok(false);
        }
        let older = known.older_emails.as_ref();
        let is_same = older.map_or(emails.is_empty(), |older| older.iter().eq(emails.iter().map(EmailAddress::typed)));
        let before = known.attest_time.filter(|_| is_same);
        let identity = identity.clone();
        self.finish(|app| async move {
            let mut connection = app.writes.acquire().await?;
            if let Some(before) = before
                && accounts::attest_again(&mut connection, &identity, before).await?
            {
                return Ok(false);
            }
            let mut transaction = sqlx::Connection::begin(&mut *connection).await?;
            accounts::attest(&mut transaction, &identity).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }
}

impl Call {
    /// The caller's role in the organization that the call is about.
    pub(super) fn role(&self) -> Option<Role> {
        self.found.as_ref()?.access.as_ref()?.role
    }

    pub(super) fn changer(&self) -> Changer {
        Changer { caller: self.caller.clone(), role: self.role(), identity: self.identity }
    }

    pub(super) fn username(&self) -> Option<&Username> {
        self.caller.username()
    }

    /// The organization, where it exists, and what the caller is to it; `None`: a stranger.
    pub(super) fn access(
        &self,
        organization: &OrganizationId,
        subject: &Subject,
    ) -> Result<(&Access, Option<Standing>)> {
        let access = self.found.as_ref().and_then(|found| found.access.as_ref());
        let access = access.ok_or_else(|| Refusal::not_found(organization, subject))?;
        Ok((access, Standing::of(&self.caller, organization, access.role)))
    }

    /// What the caller is to the organization; strangers get the answer of what does not exist.
    pub(super) fn standing(&self, organization: &OrganizationId, subject: &Subject) -> Result<(&Access, Standing)> {
        let (access, standing) = self.access(organization, subject)?;
        Ok((access, standing.ok_or_else(|| Refusal::not_found(organization, subject))?))
    }

    /// The same, for a caller who may call that RPC about that subject.
    pub(super) fn admitted(
        &self,
        method: Method,
        organization: &OrganizationId,
        subject: &Subject,
    ) -> Result<(&Access, Standing)> {
        let (access, standing) = self.standing(organization, subject)?;
        standing.check_call(method, &self.caller, subject)?;
        Ok((access, standing))
    }

    /// The database's clock when it was asked.
    pub(super) fn now(&self) -> Timestamp {
        self.found.as_ref().map_or(Timestamp::UNIX_EPOCH, |found| found.now)
    }

    /// The invitation that the call is about, where it is shown to the caller.
    pub(super) fn take_invitation(&mut self) -> Option<FoundInvitation> {
        self.found.as_mut()?.invitation.take()
    }
}
