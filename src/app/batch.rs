//! What happens inside one transaction: lock, load, decide, write.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::PgConnection;

use super::together::ROUND;
use super::views::{Audience, InvitationView, MemberView, OrganizationView};
use crate::domain::{
    self, Account, Caller, Command, Context, Deliveries, Delivery, Deployment, InvitationId, Method, Operation,
    OrganizationId, OrganizationState, Refusal, Remembered, Request, Subject, Timestamp, Transition, Username,
};
use crate::store::changes::Changed;
use crate::store::load::{self, Loaded, Wanted};
use crate::store::pool::Engine;
use crate::store::request_ids::{Done, Key};
use crate::store::{self, accounts, changes};

/// What is done about an organization that another transaction has locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Locking {
    /// The commands that need it are left out.
    Skip,
    /// It is waited for, as long as `lock_timeout` lets us.
    Wait,
}

/// What became of a command.
#[derive(Debug)]
pub(super) struct Decided {
    pub subject: Subject,
    /// As it is after this command, for whoever sent it. `None`: the request did this before, so it is read.
    pub shown: Option<Shown>,
    /// Whether an organization was founded or something counted: not by a repetition, nor by an offer that answers an
    /// access request, nor by settings that stay as they are.
    pub is_counted: bool,
    /// Whether anything is other than before: whatever is leaves an event.
    pub is_change: bool,
}

/// The answer to a change.
#[derive(Debug)]
pub(super) enum Shown {
    Invitation(Box<InvitationView>),
    Member(Box<MemberView>),
    Organization(Box<OrganizationView>),
}

/// Commands on their way through one transaction, with everything that they touch.
#[derive(Debug)]
pub(super) struct Batch {
    now: Timestamp,
    /// As loaded.
    before: HashMap<OrganizationId, OrganizationState>,
    /// As decided so far; `None`: there is no such organization. Sorted, so that two transactions that found the same ones
    /// never wait for each other.
    after: BTreeMap<OrganizationId, Option<OrganizationState>>,
    accounts: HashMap<Username, Account>,
    /// As loaded: the newest emails of the invitations.
    deliveries: HashMap<InvitationId, Deliveries>,
    remembered: HashMap<Key, Remembered>,
    /// Organizations and accounts that another transaction has locked.
    busy: (HashSet<OrganizationId>, HashSet<String>),
    /// Request ids of what was decided here.
    done: Vec<Done>,
}

impl Batch {
    /// Locks the organizations, in sorted order, and then loads what the commands touch: all of it stays true until the
    /// commit.
    pub async fn lock(
        connection: &mut PgConnection,
        commands: &[Command],
        locking: Locking,
        deployment: &Deployment,
        engine: Engine,
    ) -> store::Result<Self> {
        let ids = commands.iter().map(|command| command.organization.as_str().to_owned()).collect::<BTreeSet<_>>();
        let locked = load::lock(connection, &Vec::from_iter(ids), locking == Locking::Wait).await?;
        let joining = Vec::from_iter(commands.iter().filter_map(joins).collect::<BTreeSet<_>>());
        // a distributed database locks the rows of one owner at a time
        let at_once = if engine == Engine::Distributed { 1 } else { ROUND };
        let mut held = HashSet::new();
        for joining in joining.chunks(at_once) {
            held.extend(accounts::hold(connection, joining).await?);
        }
        let mut batch = Self::load(connection, commands, deployment, engine).await?;
        // what is there and was not to be had
        let organizations = batch.before.keys().filter(|id| !locked.contains(id.as_str()));
        batch.busy.0 = organizations.cloned().collect();
        let accounts = batch.accounts.keys().map(Username::as_str);
        batch.busy.1 = accounts.filter(|name| !held.contains(*name)).map(str::to_owned).collect();
        Ok(batch)
    }

    /// Whether everything that the command needs is locked here.
    pub fn holds(&self, command: &Command) -> bool {
        let (organizations, accounts) = &self.busy;
        !organizations.contains(&command.organization)
            && joins(command).is_none_or(|account| !accounts.contains(&account))
    }

    /// The same without the locks, for a dry run: as it is at one moment.
    pub async fn load(
        connection: &mut PgConnection,
        commands: &[Command],
        deployment: &Deployment,
        engine: Engine,
    ) -> store::Result<Self> {
        let mut batch = Self::of(load::load(connection, &wanted(commands, deployment, engine)).await?);
        let at_present = |account: Account| account.at(batch.now, deployment.max_attestation_age);
        batch.accounts = batch.accounts.into_iter().map(|(name, account)| (name, at_present(account))).collect();
        for Command { organization, .. } in commands {
            batch.after.entry(organization.clone()).or_insert_with(|| batch.before.get(organization).cloned());
        }
        Ok(batch)
    }

    /// Invitations as they are, to be shown to somebody who has changed them.
    pub async fn read(
        connection: &mut PgConnection,
        organization: &OrganizationId,
        caller: &Caller,
        ids: &[InvitationId],
        engine: Engine,
    ) -> store::Result<Self> {
        let owner = || organization.as_str().to_owned();
        let wanted = Wanted {
            organizations: vec![owner()],
            invitations: ids.iter().map(|InvitationId(id)| (owner(), *id)).collect(),
            people: caller.username().map(|username| (owner(), username.as_str().to_owned())).into_iter().collect(),
            engine,
            ..Wanted::default()
        };
        let mut batch = Self::of(load::load(connection, &wanted).await?);
        batch.after = batch.before.iter().map(|(id, state)| (id.clone(), Some(state.clone()))).collect();
        Ok(batch)
    }

    fn of(loaded: Loaded) -> Self {
        let Loaded { now, organizations: before, accounts, deliveries, remembered } = loaded;
        let (after, busy, done) = Default::default();
        Self { now, before, after, accounts, deliveries, remembered, busy, done }
    }

    /// Decides one command; the next one sees what it did.
    pub fn decide(&mut self, command: &Command, deployment: &Deployment) -> Result<Decided, Refusal> {
        let context = Context { now: self.now, accounts: &self.accounts, deployment };
        let state = self.after.entry(command.organization.clone()).or_default();
        let (key, whole) = (request_key(command), whole_key(command));
        let find = |key: &Option<Key>| key.as_ref().and_then(|key| self.remembered.get(key));
        // of a part: with another body under the id of the whole, no part is carried out
        let of_whole = find(&whole).filter(|known| !known.is_whole_of(command));
        let remembered = of_whole.or(find(&key));
        let is_repetition = remembered.is_some();
        // no organization and one that is being founded differ as well
        let counted = |state: &Option<OrganizationState>| state.as_ref().map(|state| state.counted);
        let events = |state: &Option<OrganizationState>| state.as_ref().map_or(0, |state| state.events.len());
        let before = (counted(state), events(state));
        let subject = domain::decide(state, &context, command, remembered)?;
        let (is_counted, is_change) = (counted(state) != before.0, events(state) != before.1);
        // what has changed nothing leaves nothing: asked again it changes nothing again
        let request = command.request.as_ref().filter(|_| is_change && !is_repetition);
        if let (Some(key), Some(request)) = (key, request) {
            self.remember(key, command.operation.method(), request, subject.name(&command.organization));
            if let Some(whole) = whole.filter(|whole| !self.remembered.contains_key(whole)) {
                let method = command.operation.rpc_of_many().map_or("", Method::name);
                self.remember(whole, method, request, command.organization.name());
            }
        }
        let shown =
            if is_repetition { None } else { self.show(&command.organization, command.caller.as_ref(), &subject) };
        Ok(Decided { subject, shown, is_counted, is_change })
    }

    fn remember(&mut self, key: Key, method: &str, request: &Request, resource: String) {
        let remembered = Remembered { method: method.to_owned(), digest: request.digest.to_vec(), resource };
        self.remembered.insert(key.clone(), remembered.clone());
        self.done.push(Done { key, remembered });
    }

    /// What a caller gets to see of what they have changed.
    pub fn show(&self, organization: &OrganizationId, caller: Option<&Caller>, subject: &Subject) -> Option<Shown> {
        let state = self.after.get(organization)?.as_ref()?;
        let caller = caller?;
        let standing = state.standing(caller, &self.accounts);
        Some(match subject {
            Subject::Organization => {
                let (organization, head) = (state.organization.clone(), state.head.clone());
                Shown::Organization(Box::new(OrganizationView::new(organization, head, &standing?)))
            }
            Subject::Member(username) => {
                let member = state.members.get(username)?.clone();
                Shown::Member(Box::new(MemberView::new(state.id().clone(), member, caller, &standing?)))
            }
            Subject::Invitation(id) => {
                let invitation = state.invitations.get(id)?.clone();
                let account = caller.username().and_then(|username| self.accounts.get(username));
                let is_own_email = account.is_some_and(|account| account.holds(&invitation.email));
                let deliveries = || self.deliveries(state, *id);
                let audience = Audience::of(caller, standing.as_ref(), &invitation, deliveries, is_own_email);
                let audience = audience.unwrap_or(Audience::Changer);
                let name = state.organization.display_name.clone();
                Shown::Invitation(Box::new(InvitationView::new(
                    state.id().clone(),
                    name,
                    invitation,
                    self.now,
                    audience,
                )))
            }
        })
    }

    /// The emails of an invitation as they will be.
    fn deliveries(&self, state: &OrganizationState, id: InvitationId) -> Deliveries {
        let mut deliveries = self.deliveries.get(&id).cloned().unwrap_or_default();
        for withdrawal in state.withdrawals.iter().filter(|withdrawal| withdrawal.invitation() == id) {
            for delivery in &mut deliveries.newest {
                delivery.withdraw(*withdrawal, self.now);
            }
        }
        let new = state.emails.iter().filter(|email| email.invitation == Some(id));
        deliveries.extend(new.map(|email| Delivery::queued(email.kind, self.now)));
        deliveries
    }

    /// Writes what the decisions changed.
    pub async fn write(&self, connection: &mut PgConnection) -> store::Result<()> {
        changes::write(connection, &self.changed().collect::<Vec<_>>(), &self.done, self.now).await
    }

    /// What is to be counted once it is committed.
    pub fn transitions(&self) -> impl Iterator<Item = Transition> {
        self.after.values().flatten().flat_map(|state| state.transitions.iter().copied())
    }

    /// Decides one command as if there were no other, and writes nothing. `true`: it would change something.
    pub fn try_out(&mut self, command: &Command, deployment: &Deployment) -> (Result<Decided, Refusal>, bool) {
        let outcome = self.decide(command, deployment);
        let is_change = self.changed().next().is_some();
        let as_loaded = self.before.get(&command.organization).cloned();
        self.after.insert(command.organization.clone(), as_loaded);
        for done in self.done.drain(..) {
            self.remembered.remove(&done.key);
        }
        (outcome, is_change)
    }

    fn changed(&self) -> impl Iterator<Item = Changed<'_>> {
        let organizations = self.after.iter().filter_map(|(id, after)| Some((id, after.as_ref()?)));
        let organizations = organizations.map(|(id, after)| Changed { before: self.before.get(id), after });
        organizations.filter(Changed::is_change)
    }
}

/// What commands touch.
fn wanted(commands: &[Command], deployment: &Deployment, engine: Engine) -> Wanted {
    let Deployment { open_invitations_limit, resends_limit, .. } = *deployment;
    let mut wanted = Wanted { resends_limit, open_invitations_limit, engine, ..Wanted::default() };
    let organizations =
        commands.iter().map(|command| command.organization.as_str().to_owned()).collect::<BTreeSet<_>>();
    wanted.organizations.extend(organizations);
    for command in commands {
        want(&mut wanted, command);
    }
    // of the commands of one caller, or of parts of one request, each names the same
    for same in [&mut wanted.people, &mut wanted.accounts] {
        same.sort_unstable();
        same.dedup();
    }
    wanted.request_ids.sort_unstable();
    wanted.request_ids.dedup();
    wanted
}

/// What a command touches.
fn want(wanted: &mut Wanted, command: &Command) {
    let organization = || command.organization.as_str().to_owned();
    let person = |username: &Username| (organization(), username.as_str().to_owned());
    let mut invitation = |id: &InvitationId| wanted.invitations.push((organization(), id.0));
    let caller = command.caller.as_ref().and_then(Caller::username);
    match &command.operation {
        Operation::CreateOrganization(new) => wanted.people.push(person(&new.owner)),
        Operation::VerifyNotificationEmail { .. } => wanted.overdue_of.push(organization()),
        Operation::UpdateOrganization(_)
        | Operation::ApproveOrganizationChange { .. }
        | Operation::WithdrawOrganizationChange { .. } => {
            wanted.owners_of.push(organization());
            // so that the answer counts no seat of an offer that is over
            wanted.overdue_of.push(organization());
        }
        Operation::CreateInvitation(invite) => wanted.addresses.push((organization(), invite.email.key().to_owned())),
        Operation::OfferMembership(offer) => {
            wanted.addresses.push((organization(), offer.email.key().to_owned()));
            wanted.accounts.push(person(&offer.username));
            wanted.people.push(person(&offer.username));
        }
        Operation::RequestAccess { invitation: id, .. } => {
            invitation(id);
            wanted.accounts.extend(caller.map(person));
        }
        Operation::SettleInvitation { invitation: id, .. }
        | Operation::ApproveOffer { invitation: id, .. }
        | Operation::AcceptInvitation { invitation: id, .. }
        | Operation::DeclineInvitation { invitation: id, .. }
        | Operation::RejectAccess { invitation: id, .. }
        | Operation::RevokeInvitation { invitation: id, .. } => invitation(id),
        Operation::ResendInvitation { invitation: id, .. } => {
            invitation(id);
            wanted.resends_of.push(id.0);
        }
        Operation::UpdateMember { member, .. } | Operation::DeleteMember { member, .. } => {
            wanted.people.push(person(member));
        }
        // a pending change: its owners hear of it
        Operation::Expire(ids) if ids.is_empty() => wanted.owners_of.push(organization()),
        Operation::Expire(ids) => ids.iter().for_each(invitation),
        Operation::Prolong(waits) => waits.iter().for_each(|(id, _)| invitation(id)),
        Operation::Leave(username) => {
            wanted.accounts.push(person(username));
            wanted.people.push(person(username));
        }
    }
    wanted.people.extend(caller.map(person));
    wanted.request_ids.extend(request_key(command).into_iter().chain(whole_key(command)));
}

/// The account that becomes a member, or bound, or gets another role: a deletion must see it, or be seen.
fn joins(command: &Command) -> Option<String> {
    match &command.operation {
        Operation::CreateOrganization(new) => Some(new.owner.as_str().to_owned()),
        Operation::OfferMembership(offer) => Some(offer.username.as_str().to_owned()),
        Operation::UpdateMember { member, .. } => Some(member.as_str().to_owned()),
        Operation::AcceptInvitation { .. } | Operation::RequestAccess { .. } => {
            command.caller.as_ref().and_then(Caller::username).map(|username| username.as_str().to_owned())
        }
        _ => None,
    }
}

/// What the command's request id is kept under.
pub(super) fn request_key(command: &Command) -> Option<Key> {
    // what the service does itself may carry the id of another request, for the trail only
    command.operation.rpc()?;
    let request = command.request.as_ref()?;
    Some((command.organization.as_str().to_owned(), command.actor()?.to_string(), request.id))
}

/// The same of the request that it is a part of.
fn whole_key(command: &Command) -> Option<Key> {
    let (organization, actor, _) = request_key(command)?;
    Some((organization, actor, command.request.as_ref()?.whole?))
}
