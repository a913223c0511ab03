//! One organization as one batch of changes sees it: what was loaded, and what the decisions made of it.

use std::collections::{BTreeMap, HashMap};

use super::{
    Account, Actor, Caller, Change, Cover, DAY, Deployment, Email, EmailAddress, EmailKind, Event, EventKind, Head,
    Invitation, InvitationId, InvitationState, Member, Organization, OrganizationId, Refusal, Role, Standing,
    Timestamp, TraceParent, Transition, Username, Withdrawal,
};

/// What a decision may know beside the organization.
#[derive(Debug)]
pub struct Context<'a> {
    /// The database's clock, read under the organization's lock.
    pub now: Timestamp,
    /// The accounts that the commands of the batch name, as far as they exist.
    pub accounts: &'a HashMap<Username, Account>,
    pub deployment: &'a Deployment,
}

/// An organization under its lock. All of it is true until the commit, and decisions change it in memory: the next
/// command of the batch sees what the one before it did.
#[derive(Clone, Debug)]
pub struct OrganizationState {
    pub organization: Organization,
    pub head: Head,
    /// Only those that the batch touches.
    pub members: BTreeMap<Username, Member>,
    /// Only those that the batch touches.
    pub invitations: BTreeMap<InvitationId, Invitation>,
    /// When the email of an invitation was sent again, as often as the limit is: only of those that the batch sends again.
    pub resends: BTreeMap<InvitationId, Vec<Timestamp>>,
    /// To be appended.
    pub events: Vec<Event>,
    /// To be written to the outbox.
    pub emails: Vec<Email>,
    /// To be taken back from the outbox.
    pub withdrawals: Vec<Withdrawal>,
    /// Of the command that is being decided: emails are linked to it.
    pub trace: Option<TraceParent>,
    /// Which invitations have come into another state: to be counted.
    pub transitions: Vec<Transition>,
    /// Invitations and changes of the protection that were counted in this batch: what the limit of their caller counts,
    /// too.
    pub counted: u32,
}

impl OrganizationState {
    pub fn new(organization: Organization, head: Head) -> Self {
        Self {
            organization,
            head,
            members: BTreeMap::new(),
            invitations: BTreeMap::new(),
            resends: BTreeMap::new(),
            events: Vec::new(),
            emails: Vec::new(),
            withdrawals: Vec::new(),
            trace: None,
            transitions: Vec::new(),
            counted: 0,
        }
    }

    pub fn id(&self) -> &OrganizationId {
        &self.organization.id
    }

    // rows; what the head counts follows from them

    /// Writes an invitation.
    pub fn put_invitation(&mut self, invitation: Invitation) {
        let open = |invitation: &Invitation| i32::from(invitation.state.is_open());
        self.head.seats_taken += invitation.seats();
        self.head.open_invitations += open(&invitation);
        if let Some(old) = self.invitations.insert(invitation.id, invitation) {
            self.head.seats_taken -= old.seats();
            self.head.open_invitations -= open(&old);
        }
    }

    /// Writes a member.
    pub fn put_member(&mut self, member: Member) {
        self.remove_member(&member.username.clone());
        self.head.seats_taken += member.role.seats();
        self.head.owners += i32::from(member.role == Role::Owner);
        self.members.insert(member.username.clone(), member);
    }

    /// Ends a membership.
    pub fn remove_member(&mut self, username: &Username) {
        if let Some(old) = self.members.remove(username) {
            self.head.seats_taken -= old.role.seats();
            self.head.owners -= i32::from(old.role == Role::Owner);
        }
    }

    // what decisions ask

    /// What the caller is to the organization. A deleted account is nothing to anybody.
    pub fn standing(&self, caller: &Caller, accounts: &HashMap<Username, Account>) -> Option<Standing> {
        let username = caller.username().filter(|username| accounts.contains_key(*username));
        let role = username.and_then(|username| self.members.get(username)).map(|member| member.role);
        Standing::of(caller, self.id(), role)
    }

    /// One that something may be done with.
    pub fn invitation(&self, id: InvitationId) -> Result<&Invitation, Refusal> {
        let invitation = self.invitations.get(&id).ok_or_else(|| Refusal::InvitationNotFound(id.name(self.id())))?;
        invitation.check_known().map(|()| invitation)
    }

    /// The open invitation of an account, if there is one.
    pub fn open_of_account(&self, username: &Username, now: Timestamp) -> Option<&Invitation> {
        self.invitations.values().find(|i| i.username.as_ref() == Some(username) && i.is_open(now))
    }

    /// The open invitation of an address, if there is one.
    pub fn open_of_address(&self, email: &EmailAddress, now: Timestamp) -> Option<&Invitation> {
        self.invitations.values().find(|i| i.email.key() == email.key() && i.is_open(now))
    }

    /// Refuses where `more` seats are not left.
    pub fn check_seats(&self, more: i32) -> Result<(), Refusal> {
        match self.head.seat_limit {
            Some(limit) if more > 0 && self.head.seats_taken + more > limit => Err(Refusal::SeatsExhausted { limit }),
            _ => Ok(()),
        }
    }

    /// How many invitations may be open; `None`: any number.
    pub fn open_invitations_limit(&self, deployment: &Deployment) -> Option<i32> {
        self.head.limits.open_invitations.or(deployment.open_invitations_limit)
    }

    /// Refuses one more open invitation than there may be.
    pub fn check_open_invitations(&self, context: &Context<'_>) -> Result<(), Refusal> {
        match self.open_invitations_limit(context.deployment) {
            Some(limit) if self.head.open_invitations >= limit => Err(Refusal::TooManyOpenInvitations { limit }),
            _ => Ok(()),
        }
    }

    /// Refuses one more resend of an invitation than there may be in 24 hours. Each has left its event, so none is counted
    /// twice or forgotten.
    pub fn check_resends(&self, id: InvitationId, context: &Context<'_>) -> Result<(), Refusal> {
        let Some(limit) = context.deployment.resends_limit else { return Ok(()) };
        let is_resend = |event: &&Event| event.invitation == Some(id) && event.kind.is_some_and(EventKind::is_resend);
        let of_batch = self.events.iter().filter(is_resend).map(|event| event.create_time);
        let mut times = of_batch.chain(self.resends.get(&id).into_iter().flatten().copied()).collect::<Vec<_>>();
        times.sort_unstable_by(|a, b| b.cmp(a));
        let last_allowed = usize::try_from(limit).unwrap_or_default().checked_sub(1).and_then(|n| times.get(n));
        match last_allowed.map(|time| *time + DAY - context.now) {
            Some(wait) if wait.is_positive() => Err(Refusal::TooManyResends { limit, wait }),
            _ => Ok(()),
        }
    }

    /// Counts an invitation, or refuses: an email to somebody who need not know the organization. That is an invitation by
    /// email, an offer that nobody has asked for, and each resend, which would else be a way around the limit; but no
    /// answer to an access request.
    pub fn count_invitation(&mut self, context: &Context<'_>) -> Result<(), Refusal> {
        let limit = self.head.limits.invitations_per_day.or(context.deployment.daily_invitations_limit);
        let refusal = |wait| Refusal::TooManyOrganizationInvitations { limit: limit.unwrap_or_default(), wait };
        self.head.invitations.charge(context.now, DAY, limit).map_err(refusal)?;
        self.counted += 1;
        Ok(())
    }

    /// What an offer rests on; `None`: it is no offer. A deleted account has no role any more.
    fn cover(&self, invitation: &Invitation, accounts: &HashMap<Username, Account>) -> Option<Cover> {
        let granter = |actor: &Actor| {
            let member = actor.username().filter(|name| accounts.contains_key(*name)).and_then(|n| self.members.get(n));
            (actor.clone(), member.map(|member| member.role))
        };
        let (role, offerer) = invitation.role.zip(invitation.offerer.as_ref())?;
        Some(Cover { role, offerer: granter(offerer), approver: invitation.approver.as_ref().map(granter) })
    }

    /// Refuses an offer that does not count any more. One that waits for its second person may lack them.
    pub fn check_covered(&self, invitation: &Invitation, context: &Context<'_>) -> Result<(), Refusal> {
        let Some(cover) = self.cover(invitation, context.accounts) else { return Ok(()) };
        self.organization.policy.check_known()?;
        if !cover.is_known() {
            return Err(Refusal::NewerVersionNeeded);
        }
        let is_pending = invitation.state == InvitationState::PendingApproval;
        let is_approved = is_pending || !cover.lacks_approval(&self.organization.policy);
        if is_approved && cover.is_granted(self.id(), &context.deployment.services) {
            return Ok(());
        }
        Err(Refusal::OfferNotCovered(cover.role))
    }

    // what decisions leave behind

    /// Appends an event.
    pub fn record(
        &mut self,
        kind: EventKind,
        actor: Option<Actor>,
        invitation: Option<InvitationId>,
        member: Option<Username>,
        changes: Vec<Change>,
        now: Timestamp,
    ) {
        self.head.event_position += 1;
        let position = self.head.event_position;
        self.events.push(Event {
            position,
            kind: Some(kind),
            actor,
            invitation,
            member,
            changes,
            create_time: now,
            request_id: None,
        });
    }

    /// Writes an email about an invitation to the outbox.
    pub fn send(&mut self, kind: EmailKind, invitation: &Invitation, recipient: EmailAddress, due_time: Timestamp) {
        let code = invitation.code.as_ref().filter(|_| kind.carries_code());
        let generation = code.map_or(0, |code| code.generation);
        let (invitation, is_to_owner, trace) = (Some(invitation.id), false, self.trace);
        self.emails.push(Email { kind, invitation, generation, recipient, is_to_owner, due_time, trace });
    }

    /// The owners of those that are loaded.
    pub fn owners(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.role == Role::Owner)
    }

    /// Takes back unsent emails, also those of this batch.
    pub fn withdraw(&mut self, withdrawal: Withdrawal) {
        self.emails.retain(|email| !withdrawal.covers(email));
        self.withdrawals.push(withdrawal);
    }

    /// Moves an invitation to another state, or to the same one anew: the one place that raises the revision, records the
    /// step and takes back what was to be sent about the state before.
    pub fn transition(
        &mut self,
        mut invitation: Invitation,
        state: InvitationState,
        kind: EventKind,
        actor: Option<Actor>,
        now: Timestamp,
    ) -> Invitation {
        let old = self.invitations.get(&invitation.id);
        let mut changes = vec![Change::new("state", old.map_or("", |old| old.state.as_str()), state.as_str())];
        if kind == EventKind::Invited {
            let keys = invitation.annotations.pairs().keys();
            changes.extend(keys.map(|key| Change::new(&format!("annotations.{key}"), "", "")));
        }
        if let Some(role) = invitation.role.filter(|_| matches!(kind, EventKind::Offered | EventKind::Accepted)) {
            changes.push(Change::new("role", "", role.as_str()));
        }
        if old.is_some_and(|old| old.account_email.is_some() && old.account_email != invitation.account_email) {
            changes.push(Change::new("account_email", "", ""));
        }
        self.transitions.extend(Transition::of(old, state, now));
        invitation.state = state;
        invitation.update_time = now;
        invitation.revision += 1;
        if let Some(member) = invitation.username.as_ref().filter(|_| invitation.is_settled()) {
            changes.push(Change::new("account", "", member.name()));
        }
        if self.invitations.contains_key(&invitation.id) {
            self.withdraw(match state {
                _ if invitation.is_settled() => Withdrawal::Settled(invitation.id),
                InvitationState::Revoked => Withdrawal::All(invitation.id),
                _ => Withdrawal::Reminders(invitation.id),
            });
        }
        self.record(kind, actor, Some(invitation.id), invitation.username.clone(), changes, now);
        self.put_invitation(invitation.clone());
        invitation
    }
}
