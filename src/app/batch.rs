//! What happens inside one transaction: lock, load, decide, write.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::PgConnection;

use crate::domain::{
    self, Account, Actor, Caller, Command, Context, Deployment, Invitation, InvitationId, Operation, OrganizationId,
    OrganizationState, Refusal, Remembered, Subject, Timestamp, Username,
};
use crate::store::changes::Changed;
use crate::store::request_ids::{self, Done, Key};
use crate::store::tenants::{self, Lock, Wanted};
use crate::store::{self, accounts, changes};

/// What became of a command.
#[derive(Debug)]
pub(super) struct Decided {
    pub subject: Subject,
    /// Whether an organization was founded or something counted: not by a repetition, nor by an offer that answers an
    /// access request, nor by settings that stay as they are.
    pub is_counted: bool,
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
    remembered: HashMap<Key, Remembered>,
    /// Request ids of what was decided here.
    done: Vec<Done>,
}

impl Batch {
    /// Locks the organizations, in sorted order, and then loads what the commands touch: all of it stays true until the
    /// commit.
    pub async fn load(
        connection: &mut PgConnection,
        commands: &[Command],
        deployment: &Deployment,
        lock: Lock,
    ) -> store::Result<Self> {
        let ids = commands.iter().map(|command| command.organization.clone()).collect::<BTreeSet<_>>();
        let ids = ids.into_iter().collect::<Vec<_>>();
        let mut before = tenants::load(connection, &ids, lock).await?;

        let mut wanted = Wanted::default();
        let full = before.values().filter(|state| is_full(state, deployment));
        wanted.overdue_of.extend(full.map(|state| state.id().as_str().to_owned()));
        for command in commands {
            want(&mut wanted, command);
        }
        for (id, invitation) in tenants::invitations(connection, &wanted).await? {
            want_people_of(&mut wanted, &id, &invitation);
            if let Some(state) = before.get_mut(&id) {
                state.invitations.insert(invitation.id, invitation);
            }
        }
        let mut usernames = commands.iter().filter_map(founder).collect::<BTreeSet<_>>();
        usernames.extend(wanted.accounts.iter().chain(&wanted.members).map(|(_, username)| username.clone()));
        for (id, member) in tenants::members(connection, &wanted).await? {
            usernames.insert(member.username.as_str().to_owned());
            if let Some(state) = before.get_mut(&id) {
                state.members.insert(member.username.clone(), member);
            }
        }
        let joining = commands.iter().filter_map(joins).collect::<BTreeSet<_>>();
        if lock == Lock::Yes && !joining.is_empty() {
            accounts::hold(connection, &joining.into_iter().collect::<Vec<_>>()).await?;
        }
        let accounts = accounts::load(connection, &usernames.into_iter().collect::<Vec<_>>()).await?;
        let keys = commands.iter().filter_map(request_key).collect::<Vec<_>>();
        let remembered = request_ids::load(connection, &keys).await?;
        let now = tenants::now(connection).await?;
        let after = ids.into_iter().map(|id| (id.clone(), before.get(&id).cloned())).collect();
        Ok(Self { now, before, after, accounts, remembered, done: Vec::new() })
    }

    /// Decides one command; the next one sees what it did.
    pub fn decide(&mut self, command: &Command, deployment: &Deployment) -> Result<Decided, Refusal> {
        let context = Context { now: self.now, accounts: &self.accounts, deployment };
        let state = self.after.entry(command.organization.clone()).or_default();
        let key = request_key(command);
        let remembered = key.as_ref().and_then(|key| self.remembered.get(key));
        // no organization and one that is being founded differ as well
        let counted = |state: &Option<OrganizationState>| state.as_ref().map(|state| state.counted);
        let before = counted(state);
        let subject = domain::decide(state, &context, command, remembered)?;
        let is_counted = counted(state) != before;
        if let (Some(key), None, Some(request)) = (key, remembered, &command.request) {
            let remembered = Remembered {
                method: command.operation.method().to_owned(),
                digest: request.digest.to_vec(),
                resource: subject.name(&command.organization),
            };
            self.remembered.insert(key.clone(), remembered.clone());
            self.done.push(Done { key, remembered });
        }
        Ok(Decided { subject, is_counted })
    }

    /// Writes what the decisions changed.
    pub async fn write(&self, connection: &mut PgConnection) -> store::Result<()> {
        changes::write(connection, &self.changed().collect::<Vec<_>>()).await?;
        request_ids::insert(connection, &self.done).await
    }

    /// Whether the decisions changed anything.
    pub fn is_change(&self) -> bool {
        self.changed().next().is_some()
    }

    fn changed(&self) -> impl Iterator<Item = Changed<'_>> {
        let organizations = self.after.iter().filter_map(|(id, after)| Some((id, after.as_ref()?)));
        let organizations = organizations.map(|(id, after)| Changed { before: self.before.get(id), after });
        organizations.filter(Changed::is_change)
    }

    /// An invitation as decided.
    pub fn invitation(&self, organization: &OrganizationId, id: InvitationId) -> Option<&Invitation> {
        self.after.get(organization)?.as_ref()?.invitations.get(&id)
    }

    pub fn organization(&self, id: &OrganizationId) -> Option<&domain::Organization> {
        self.after.get(id)?.as_ref().map(|state| &state.organization)
    }
}

/// What a command touches.
fn want(wanted: &mut Wanted, command: &Command) {
    let organization = || command.organization.as_str().to_owned();
    let mut invitation = |id: &InvitationId| wanted.invitations.push((organization(), id.0));
    match &command.operation {
        Operation::CreateOrganization(_) => {}
        Operation::UpdateOrganization(_) => wanted.owners_of.push(organization()),
        Operation::CreateInvitation(invite) => wanted.addresses.push((organization(), invite.email.key().to_owned())),
        Operation::OfferMembership(offer) => {
            wanted.addresses.push((organization(), offer.email.key().to_owned()));
            wanted.accounts.push((organization(), offer.username.as_str().to_owned()));
        }
        Operation::RequestAccess { invitation: id, .. } => {
            invitation(id);
            let caller = command.caller.as_ref().and_then(Caller::username);
            wanted.accounts.extend(caller.map(|username| (organization(), username.as_str().to_owned())));
        }
        Operation::ApproveOffer { invitation: id, .. }
        | Operation::AcceptInvitation { invitation: id, .. }
        | Operation::DeclineInvitation { invitation: id, .. }
        | Operation::RejectAccess { invitation: id, .. }
        | Operation::RevokeInvitation { invitation: id, .. }
        | Operation::ResendInvitation { invitation: id, .. } => invitation(id),
        Operation::UpdateMember { member, .. } | Operation::DeleteMember { member, .. } => {
            wanted.members.push((organization(), member.as_str().to_owned()));
        }
        Operation::Expire(ids) => ids.iter().for_each(invitation),
        Operation::Leave(username) => wanted.accounts.push((organization(), username.as_str().to_owned())),
    }
    let caller = command.caller.as_ref().and_then(Caller::username);
    wanted.members.extend(caller.map(|username| (organization(), username.as_str().to_owned())));
}

/// Whose present roles decide about an invitation.
fn want_people_of(wanted: &mut Wanted, organization: &OrganizationId, invitation: &Invitation) {
    let granters = invitation.offerer.iter().chain(&invitation.approver).filter_map(Actor::username);
    for username in granters.chain(&invitation.username) {
        wanted.members.push((organization.as_str().to_owned(), username.as_str().to_owned()));
    }
}

/// The account that becomes the first owner.
fn founder(command: &Command) -> Option<String> {
    let Operation::CreateOrganization(found) = &command.operation else { return None };
    Some(found.owner.as_str().to_owned())
}

/// Whether it stands at a limit, where what is overdue must no longer count.
fn is_full(state: &OrganizationState, deployment: &Deployment) -> bool {
    let at = |limit: Option<i32>, count: i32| limit.is_some_and(|limit| count >= limit);
    at(state.head.seat_limit, state.head.seats_taken)
        || at(state.open_invitations_limit(deployment), state.head.open_invitations)
}

/// The account that becomes a member, or bound, or gets another role: a deletion must see it, or be seen.
fn joins(command: &Command) -> Option<String> {
    match &command.operation {
        Operation::CreateOrganization(_) => founder(command),
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
