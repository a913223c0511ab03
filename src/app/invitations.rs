//! Invitations: what is read, and the two changes that count wrong tries.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::batch::{Decided, Shown};
use super::callers::{About, Call};
use super::changer::Changer;
use super::limits::Guess;
use super::reading::read;
use super::views::{Audience, InvitationView};
use super::{App, Error, InvitationPlace, Page, Result, one_more};
use crate::domain::{
    Account, Caller, Command, Deliveries, DisplayName, InvitationCode, InvitationId, InvitationSearch, Method,
    Operation, OrganizationId, Refusal, Request, Subject, Timestamp, Username,
};
use crate::store::invitations::{self, FIRST_PAGE};
use crate::store::{self, accounts, search};

/// Which invitations of an organization are wanted.
#[derive(Debug)]
pub struct InvitationFilter {
    /// `None`: there can be none.
    pub search: Option<InvitationSearch>,
    /// Where the page begins.
    pub before: Option<InvitationId>,
    pub size: usize,
}

/// A code that somebody sent.
#[derive(Debug)]
pub struct RequestAccess {
    pub call: Call,
    pub code: InvitationCode,
    pub request: Option<Request>,
}

impl App {
    /// One invitation, for inviters and for the account that it is bound to.
    pub fn invitation(&self, mut call: Call, (organization, id): InvitationPlace) -> Result<InvitationView> {
        let subject = Subject::Invitation(id);
        let found = call.take_invitation();
        // also where there is an invitation: strangers hear the same as of one that does not exist
        let (access, standing) = call.access(&organization, &subject)?;
        let found = found.and_then(|found| {
            let deliveries = || found.deliveries;
            let audience =
                Audience::of(&call.caller, standing.as_ref(), &found.invitation, deliveries, found.is_own_email)?;
            Some((found.invitation, audience))
        });
        let Some((invitation, audience)) = found else {
            let (_, standing) = call.standing(&organization, &subject)?;
            standing.check_call(Method::GetInvitation, &call.caller, &subject)?;
            return Err(Refusal::not_found(&organization, &subject).into());
        };
        let name = access.display_name.clone();
        Ok(InvitationView::new(organization, name, invitation, call.now(), audience))
    }

    /// The answer to a change of an invitation. Only where it was made before is it read.
    async fn changed_invitation(
        &self,
        changer: &Changer,
        organization: OrganizationId,
        decided: Decided,
    ) -> Result<InvitationView> {
        let id = match (decided.shown, decided.subject) {
            (Some(Shown::Invitation(view)), _) => return Ok(*view),
            (_, Subject::Invitation(id)) => id,
            _ => return Err(Error::Fault),
        };
        let about = About { organization: Some(organization.clone()), invitation: Some(id), is_read: true };
        let mut call = self.call_again(changer, about).await?;
        let found =
            call.take_invitation().ok_or_else(|| Refusal::not_found(&organization, &Subject::Invitation(id)))?;
        let (access, standing) = call.access(&organization, &Subject::Invitation(id))?;
        let deliveries = || found.deliveries;
        let audience = Audience::of(&call.caller, standing.as_ref(), &found.invitation, deliveries, found.is_own_email);
        let name = access.display_name.clone();
        let audience = audience.unwrap_or(Audience::Changer);
        Ok(InvitationView::new(organization, name, found.invitation, call.now(), audience))
    }

    /// Changes an invitation, and answers with it as it is then.
    pub async fn change_invitation(&self, call: &Call, command: Command) -> Result<InvitationView> {
        let (organization, changer) = (command.organization.clone(), call.changer());
        let decided = match self.change(command.clone(), &changer).await {
            Err(Error::Refused(Refusal::CodeKeyMissing(key))) if !self.is_key_held(&key).await? => {
                self.change(command.with_gone_key(key), &changer).await?
            }
            decided => decided?,
        };
        self.changed_invitation(&changer, organization, decided).await
    }

    /// A page of an organization's invitations, newest first.
    pub async fn invitations(
        &self,
        call: &Call,
        organization: &OrganizationId,
        filter: InvitationFilter,
    ) -> Result<Page<InvitationView, InvitationId>> {
        let (access, _) = call.admitted(Method::ListInvitations, organization, &Subject::Organization)?;
        let InvitationFilter { search, before, size } = filter;
        let Some(search) = search else { return Ok(Page { items: Vec::new(), next: None }) };
        let (page, mut deliveries) = read!(self.reads, connection, async {
            let page = if search == InvitationSearch::default() {
                let before = before.map_or(FIRST_PAGE, |InvitationId(id)| id);
                let found = invitations::list(&mut connection, organization, before, one_more(size)).await?;
                Page::cut(found, size, |invitation| invitation.id)
            } else {
                let found = search::find(&mut connection, organization, &search, before, size).await?;
                let items = found.invitations.into_iter().map(|invitation| (invitation.id, invitation));
                Page { items: items.collect(), next: found.next }
            };
            let ids = page.items.iter().map(|(id, _)| id.0).collect::<Vec<_>>();
            let deliveries = invitations::deliveries(&mut connection, organization, &ids).await?;
            store::Result::Ok((page, deliveries))
        })?;
        Ok(page.map(|invitation| {
            let audience = Audience::Inviter(deliveries.remove(&invitation.id).unwrap_or_default());
            InvitationView::new(organization.clone(), access.display_name.clone(), invitation, call.now(), audience)
        }))
    }

    /// The invitations with these ids, one for each and in their order; all of them or none.
    pub async fn invitations_named(
        &self,
        call: &Call,
        organization: &OrganizationId,
        ids: &[InvitationId],
    ) -> Result<Vec<InvitationView>> {
        let (access, _) = call.admitted(Method::BatchGetInvitations, organization, &Subject::Organization)?;
        let different = ids.iter().map(|InvitationId(id)| *id).collect::<BTreeSet<_>>();
        let different = Vec::from_iter(different);
        let (found, deliveries) = read!(self.reads, connection, async {
            let found = invitations::named(&mut connection, organization, &different).await?;
            let deliveries = if found.len() == different.len() {
                invitations::deliveries(&mut connection, organization, &different).await?
            } else {
                HashMap::new()
            };
            store::Result::Ok((found, deliveries))
        })?;
        let view = |id: &InvitationId| {
            let invitation = found.get(id).cloned();
            let invitation = invitation.ok_or_else(|| Refusal::InvitationNotFound(id.name(organization)))?;
            let audience = Audience::Inviter(deliveries.get(id).cloned().unwrap_or_default());
            let name = access.display_name.clone();
            Ok(InvitationView::new(organization.clone(), name, invitation, call.now(), audience))
        };
        ids.iter().map(view).collect()
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
        let (organizations, before, limit) = (caller.organizations(), (id, organization.as_str()), one_more(size));
        let (page, names, now) = read!(self.reads, connection, async {
            let found = invitations::list_of_account(&mut connection, username, organizations, before, limit).await?;
            let page = Page::cut(found, size, |(organization, invitation)| (organization.clone(), invitation.id));
            let ids =
                page.items.iter().map(|((organization, _), _)| organization.as_str().to_owned()).collect::<Vec<_>>();
            let names = invitations::display_names(&mut connection, &ids).await?;
            store::Result::Ok((page, names, accounts::now(&mut connection).await?))
        })?;
        Ok(page.map(|(organization, invitation)| {
            let name = names.get(&organization).cloned().unwrap_or_else(|| DisplayName::stored(String::new()));
            let audience = Audience::invitee(&account, &invitation);
            InvitationView::new(organization, name, invitation, now, audience)
        }))
    }

    /// Binds the caller to the invitation of a code. Wrong codes slow down the caller, never the invitation. Runs to its
    /// end: a caller who leaves has still guessed, and one who was right is not charged for leaving.
    pub async fn request_access(&self, request: RequestAccess) -> Result<InvitationView> {
        self.finish(|app| async move { app.try_code(request).await }).await
    }

    async fn try_code(&self, request: RequestAccess) -> Result<InvitationView> {
        let RequestAccess { call, code, request } = request;
        let changer = call.changer();
        let username = call.username().ok_or(Refusal::PersonRequired)?;
        let code_hash = code.hash();
        let (place, missing_key) = self.find_code(&code_hash, username).await?;
        // an unknown code, like a dead one, is looked for in an organization that does not exist: with all statements
        // that a live one takes
        let (organization, invitation) = place.unwrap_or_else(nowhere);
        let operation = Operation::RequestAccess { invitation, code_hash };
        let command = Command::new(organization.clone(), Some(call.caller.clone()), request, operation);
        let settlement = Operation::SettleInvitation { invitation, code_hash };
        let settlement = Command { operation: settlement, ..command.clone() };
        let charge = self.charge_guess(&changer.identity, Guess::Code, &command).await?;
        let outcome = match missing_key {
            Some(key) => Err(Refusal::CodeKeyMissing(key).into()),
            None => self.change(command, &changer).await,
        };
        let outcome = match outcome {
            Err(Error::Refused(refusal @ Refusal::AlreadyMember(_))) => {
                Err(self.settle_code(settlement, &changer, refusal).await)
            }
            outcome => outcome,
        };
        let decided = self.settle_guess(Guess::Code, charge, outcome)?;
        self.changed_invitation(&changer, organization, decided).await
    }

    /// Where the invitation of a code is that this replica can check; else the key of the code, if another one has it.
    async fn find_code(
        &self,
        code_hash: &[u8; 32],
        caller: &Username,
    ) -> Result<(Option<InvitationPlace>, Option<String>)> {
        let found = read!(self.reads, connection, invitations::find_by_code(&mut connection, code_hash, caller))?;
        let key = match found {
            Some((organization, id, key)) if self.deployment.code_keys.get(&key).is_some() => {
                return Ok((Some((organization, id)), None));
            }
            Some((.., key)) => Some(key),
            None => None,
        };
        // asked for each bad code alike
        let is_held = self.is_key_held(key.as_deref().unwrap_or_default()).await?;
        Ok((None, key.filter(|_| is_held)))
    }

    /// Ends the invitation whose code a member has used, and returns what they are told.
    async fn settle_code(&self, settlement: Command, changer: &Changer, refusal: Refusal) -> Error {
        match self.change(settlement, changer).await {
            // refused: somebody was faster, or it was settled before
            Ok(_) | Err(Error::Refused(_)) => refusal.into(),
            Err(error) => error,
        }
    }

    /// Offers a role. Wrong pairs of username and address are counted against the caller, also of one who leaves.
    pub async fn offer(&self, call: &Call, command: Command) -> Result<InvitationView> {
        let changer = call.changer();
        self.finish(move |app| async move {
            let organization = command.organization.clone();
            let charge = app.charge_guess(&changer.identity, Guess::Account, &command).await?;
            let outcome = app.change(command, &changer).await;
            let decided = app.settle_guess(Guess::Account, charge, outcome)?;
            app.changed_invitation(&changer, organization, decided).await
        })
        .await
    }

    /// What an invitation would be: every check runs, and nothing is written but what the caller is charged as if it
    /// had been made.
    pub async fn preview(&self, call: &Call, command: Command) -> Result<InvitationView> {
        let dry_run = self.dry_runs.ask(command.clone()).await?;
        let Some(Shown::Invitation(mut view)) = dry_run.outcome?.shown else { return Err(Error::Fault) };
        if let Some(counted) = self.counted(&command) {
            self.charge(counted, &call.identity).await?;
        }
        // no email is written
        view.audience = Audience::Inviter(Deliveries::default());
        Ok(*view)
    }

    /// An account, for itself and for services that may read accounts; for those of some organizations only where these
    /// have to do with it.
    pub async fn account(&self, method: Method, caller: &Caller, username: &Username) -> Result<Account> {
        method.check_account(caller, username)?;
        let (account, exists) = read!(self.reads, connection, async {
            let account = accounts::get(&mut connection, username).await?;
            let exists = match caller.organizations() {
                Some(organizations) => accounts::is_known_to(&mut connection, username, organizations).await?,
                None => true,
            };
            store::Result::Ok((account, exists))
        })?;
        let account = account.filter(|_| exists).ok_or_else(|| Refusal::AccountNotFound(username.name()))?;
        // only to be shown: what is decided goes by the database's clock
        Ok(account.at(Timestamp::now_utc(), self.deployment.max_attestation_age))
    }
}

/// A place that no invitation has.
fn nowhere() -> InvitationPlace {
    (OrganizationId::stored(String::new()), InvitationId(Uuid::nil()))
}
