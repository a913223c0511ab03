//! Invitations: what is read, and the two changes that count wrong tries.

use uuid::Uuid;

use super::limits::Guess;
use super::{App, Error, InvitationPlace, Page, Result, one_more};
use crate::domain::{
    Account, Caller, Command, DisplayName, EmailAddress, Invitation, InvitationCode, InvitationId, InvitationState,
    Method, Operation, OrganizationId, Refusal, Request, Standing, Subject, Timestamp, Username,
};
use crate::store::invitations::{self, Delivery, FIRST_PAGE};
use crate::store::{self, accounts};

/// An invitation for one reader.
#[derive(Debug)]
pub struct InvitationView {
    pub organization: OrganizationId,
    pub organization_display_name: DisplayName,
    pub invitation: Invitation,
    /// What the reader is shown: EXPIRED from the moment on.
    pub state: InvitationState,
    pub update_time: Timestamp,
    pub audience: Audience,
}

/// Who reads, which decides what is shown.
#[derive(Debug)]
pub enum Audience {
    /// Inviters and services see everything, with the emails.
    Inviter(Vec<Delivery>),
    /// The bound account sees what is about itself; the invited address only where it is one of its own.
    Invitee { sees_email: bool },
    /// Who has changed it and may not read it, or not any more, is told that it worked and nothing about anybody.
    Changer,
}

/// Which invitations of an organization are wanted.
#[derive(Debug)]
pub struct InvitationFilter {
    /// As a read shows them; empty: all.
    pub states: Vec<InvitationState>,
    pub email: Option<EmailAddress>,
    /// Where the page begins.
    pub before: Option<InvitationId>,
    pub size: usize,
}

/// A code that somebody sent.
#[derive(Debug)]
pub struct RequestAccess {
    pub caller: Caller,
    pub code: InvitationCode,
    pub request: Option<Request>,
}

impl App {
    /// One invitation, for inviters and for the account that it is bound to.
    pub async fn invitation(&self, caller: &Caller, place: &InvitationPlace) -> Result<InvitationView> {
        self.read_invitation(caller, place, false).await
    }

    /// The answer to a change: whoever made it is told how it went, also a service that may write and not read, and one
    /// who repeats a request and has lost the right since.
    pub async fn changed_invitation(&self, caller: &Caller, place: &InvitationPlace) -> Result<InvitationView> {
        self.read_invitation(caller, place, true).await
    }

    async fn read_invitation(
        &self,
        caller: &Caller,
        (organization, id): &InvitationPlace,
        by_who_changed_it: bool,
    ) -> Result<InvitationView> {
        let subject = Subject::Invitation(*id);
        let not_found = || Refusal::not_found(organization, &subject);
        let mut connection = self.reads.acquire().await?;
        let access = store::organizations::access(&mut connection, organization, caller.username()).await?;
        // also without an organization: strangers are not to tell the two from the time that the answer takes
        let invitation = invitations::get(&mut connection, organization, *id).await?;
        let access = access.ok_or_else(not_found)?;
        let standing = Standing::of(caller, organization, access.role);
        let sees_all = standing
            .ok_or_else(not_found)
            .and_then(|standing| standing.check_call(Method::GetInvitation, caller, &subject));
        let username = caller.username();
        let is_bound = |invitation: &Invitation| username.is_some() && invitation.username.as_ref() == username;
        let (audience, invitation) = match (sees_all, invitation) {
            (Ok(()), None) => return Err(not_found().into()),
            (Ok(()), Some(invitation)) => {
                let mut deliveries = invitations::deliveries(&mut connection, organization, &[id.0]).await?;
                (Audience::Inviter(deliveries.remove(id).unwrap_or_default()), invitation)
            }
            (Err(_), Some(invitation)) if is_bound(&invitation) => {
                let username = username.map(|username| username.as_str().to_owned());
                let accounts = accounts::load(&mut connection, &Vec::from_iter(username)).await?;
                (invitee(accounts.values().next(), &invitation), invitation)
            }
            (Err(_), Some(invitation)) if by_who_changed_it => (Audience::Changer, invitation),
            (Err(refusal), _) => return Err(refusal.into()),
        };
        Ok(view(organization.clone(), access.display_name, invitation, access.now, audience))
    }

    /// A page of an organization's invitations, newest first.
    pub async fn invitations(
        &self,
        caller: &Caller,
        organization: &OrganizationId,
        filter: InvitationFilter,
    ) -> Result<Page<InvitationView, InvitationId>> {
        let (access, _) = self.admitted(Method::ListInvitations, caller, organization, &Subject::Organization).await?;
        let before = filter.before.map_or(FIRST_PAGE, |InvitationId(id)| id);
        let limit = one_more(filter.size);
        let mut connection = self.reads.acquire().await?;
        let found = match &filter.email {
            Some(email) => {
                invitations::list_by_email(&mut connection, organization, before, limit, email.key(), &filter.states)
                    .await?
            }
            None if filter.states.is_empty() => invitations::list(&mut connection, organization, before, limit).await?,
            None => invitations::list_by_state(&mut connection, organization, before, limit, &filter.states).await?,
        };
        let page = Page::cut(found, filter.size, |invitation| invitation.id);
        let ids = page.items.iter().map(|invitation| invitation.id.0).collect::<Vec<_>>();
        let mut deliveries = invitations::deliveries(&mut connection, organization, &ids).await?;
        let show = |invitation: Invitation| {
            let audience = Audience::Inviter(deliveries.remove(&invitation.id).unwrap_or_default());
            view(organization.clone(), access.display_name.clone(), invitation, access.now, audience)
        };
        Ok(Page { items: page.items.into_iter().map(show).collect(), next: page.next })
    }

    /// A page of the invitations that are bound to an account, newest first.
    pub async fn account_invitations(
        &self,
        caller: &Caller,
        username: &Username,
        before: Option<InvitationPlace>,
        size: usize,
    ) -> Result<Page<InvitationView, InvitationPlace>> {
        let account = self.account(Method::ListAccountInvitations, caller, username).await?;
        let (organization, id) = before.map_or((String::new(), FIRST_PAGE), |(organization, InvitationId(id))| {
            (organization.as_str().to_owned(), id)
        });
        let mut connection = self.reads.acquire().await?;
        let found = invitations::list_of_account(
            &mut connection,
            username,
            caller.organizations(),
            (id, &organization),
            one_more(size),
        )
        .await?;
        let page = Page::cut(found, size, |(organization, invitation)| (organization.clone(), invitation.id));
        let ids = page.items.iter().map(|(organization, _)| organization.as_str().to_owned()).collect::<Vec<_>>();
        let names = invitations::display_names(&mut connection, &ids).await?;
        let now = store::tenants::now(&mut connection).await?;
        let show = |(organization, invitation): (OrganizationId, Invitation)| {
            let name = names.get(&organization).cloned().unwrap_or_else(|| DisplayName::stored(String::new()));
            let audience = invitee(Some(&account), &invitation);
            view(organization, name, invitation, now, audience)
        };
        Ok(Page { items: page.items.into_iter().map(show).collect(), next: page.next })
    }

    /// Binds the caller to the invitation of a code. Wrong codes slow down the caller, never the invitation. Runs to its
    /// end: a caller who leaves has still guessed, and one who was right is not charged for leaving.
    pub async fn request_access(&self, request: RequestAccess) -> Result<InvitationPlace> {
        self.finish(|app| async move { app.try_code(request).await }).await
    }

    async fn try_code(&self, request: RequestAccess) -> Result<InvitationPlace> {
        let RequestAccess { caller, code, request } = request;
        let username = caller.username().ok_or(Refusal::PersonRequired)?;
        let actor = caller.actor();
        let code_hash = code.hash();
        let found = {
            let mut connection = self.reads.acquire().await?;
            invitations::find_by_code(&mut connection, &code_hash, username).await?
        };
        let found = found.filter(|(_, _, key)| self.deployment.code_keys.get(key).is_some());
        // an unknown code, like a dead one, is looked for in an organization that does not exist: with all statements
        // that a live one takes
        let (organization, invitation) = found.map_or_else(nowhere, |(organization, id, _)| (organization, id));
        let operation = Operation::RequestAccess { invitation, code_hash };
        let command = Command { organization: organization.clone(), caller: Some(caller), request, operation };
        let charge = self.charge_guess(&actor, Guess::Code, &command).await?;
        let outcome = self.change(command).await.map(|_| (organization, invitation));
        self.settle_guess(Guess::Code, charge, outcome).await
    }

    /// Offers a role. Wrong pairs of username and address are counted against the caller, also of one who leaves.
    pub async fn offer(&self, command: Command) -> Result<Subject> {
        let Some(actor) = command.actor() else { return Err(Error::Fault) };
        self.finish(|app| async move {
            let charge = app.charge_guess(&actor, Guess::Account, &command).await?;
            let outcome = app.change(command).await;
            app.settle_guess(Guess::Account, charge, outcome).await
        })
        .await
    }

    /// What an invitation would be: every check runs, and nothing is written but what the caller is charged as if it
    /// had been made.
    pub async fn preview(&self, command: Command) -> Result<InvitationView> {
        let (batch, outcome) = self.dry_run(&command).await?;
        let Subject::Invitation(id) = outcome?.subject else { return Err(Error::Fault) };
        if let Some((counted, who)) = self.counted(&command).await? {
            self.charge(counted, &who).await?;
        }
        let found = batch.invitation(&command.organization, id).zip(batch.organization(&command.organization));
        let (invitation, organization) = found.ok_or(Error::Fault)?;
        let (name, now) = (organization.display_name.clone(), invitation.update_time);
        Ok(view(command.organization.clone(), name, invitation.clone(), now, Audience::Inviter(Vec::new())))
    }

    /// An account, for itself and for services that may read accounts; for those of some organizations only where these
    /// have to do with it.
    pub async fn account(&self, method: Method, caller: &Caller, username: &Username) -> Result<Account> {
        method.check_account(caller, username)?;
        let mut connection = self.reads.acquire().await?;
        let mut accounts = accounts::load(&mut connection, &[username.as_str().to_owned()]).await?;
        let exists = match caller.organizations() {
            Some(organizations) => accounts::is_known_to(&mut connection, username, organizations).await?,
            None => true,
        };
        let account = accounts.remove(username).filter(|_| exists);
        account.ok_or_else(|| Refusal::AccountNotFound(username.name()).into())
    }
}

/// A place that no invitation has.
fn nowhere() -> InvitationPlace {
    (OrganizationId::stored(String::new()), InvitationId(Uuid::nil()))
}

fn invitee(account: Option<&Account>, invitation: &Invitation) -> Audience {
    Audience::Invitee { sees_email: account.is_some_and(|account| account.holds(&invitation.email)) }
}

fn view(
    organization: OrganizationId,
    organization_display_name: DisplayName,
    invitation: Invitation,
    now: Timestamp,
    audience: Audience,
) -> InvitationView {
    let state = invitation.state_at(now);
    let overdue = invitation.expire_time.filter(|_| invitation.is_overdue(now));
    let update_time = overdue.unwrap_or(invitation.update_time);
    InvitationView { organization, organization_display_name, invitation, state, update_time, audience }
}
