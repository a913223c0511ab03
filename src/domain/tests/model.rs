//! The contract a second time, as naively as possible: plain rows, nothing counted in advance, bare names for people and
//! services, hours for times. Written from the contract's tables, not from the code: where the two differ, one is wrong.
//!
//! Here is what is there and what may be asked about it; `model_rules`, `model_members` and
//! `model_changes` have what each call does.

use std::collections::BTreeMap;

use super::model_changes::Waiting;
use super::world::{OPEN_LIMIT, acme, id};
use crate::domain::{AddressMatch, EmailKind, EventKind, InvitationState as S, Policy, Refusal, Role, Subject};

pub(super) type Name = &'static str;
pub(super) type Outcome = Result<Subject, Refusal>;

/// The one service, which has every scope of the organization and grants up to CONTRIBUTOR.
pub(super) const ROBOT: Name = "robot";

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Row {
    pub state: S,
    pub email: Name,
    pub account: Option<Name>,
    pub account_email: Option<Name>,
    pub role: Option<Role>,
    pub inviter: Option<Name>,
    pub offerer: Option<Name>,
    pub approver: Option<Name>,
    /// 0: never had a code.
    pub generation: i32,
    /// The key of the code.
    pub key: Name,
    pub created: i64,
    pub updated: i64,
    pub ends: Option<i64>,
    /// When somebody last asked for an email.
    pub asked: i64,
    /// Whether the account asked for access.
    pub requested: bool,
    pub revision: i32,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Member {
    pub role: Role,
    pub email: Option<Name>,
    pub inviter: Option<Name>,
    pub joined: i64,
    pub updated: i64,
    pub revision: i32,
}

#[derive(Clone, Debug)]
pub(super) struct Person {
    pub provider: Name,
    pub emails: Vec<Name>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Mail {
    pub kind: EmailKind,
    pub row: Option<usize>,
    pub to: Name,
    pub due: i64,
    /// Of the code in it; 0: none.
    pub generation: i32,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Happened {
    pub kind: EventKind,
    pub by: Option<Name>,
    pub row: Option<usize>,
    pub member: Option<Name>,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub now: i64,
    /// The newest first.
    pub keys: &'static [Name],
    /// Deleted ones are gone.
    pub accounts: BTreeMap<Name, Person>,
    pub members: BTreeMap<Name, Member>,
    /// The n-th invitation is the n-th row, for ever.
    pub rows: Vec<Row>,
    pub policy: Policy,
    pub waiting: Option<Waiting>,
    pub notified: Name,
    pub display_name: Name,
    pub seat_limit: Option<i32>,
    pub revision: i32,
    /// What is limited by count, so far.
    pub counted: u32,
    // of the last step
    pub told: Vec<Mail>,
    pub events: Vec<Happened>,
}

pub(super) fn invitation_name(row: usize) -> String {
    format!("organizations/{}/invitations/{}", acme(), id(row))
}

pub(super) fn member_name(member: Name) -> String {
    format!("organizations/{}/members/{member}", acme())
}

/// The answer of what does not exist.
pub(super) fn not_found(subject: &Subject) -> Refusal {
    match subject {
        Subject::Organization => Refusal::OrganizationNotFound("organizations/acme".to_owned()),
        Subject::Invitation(id) => Refusal::InvitationNotFound(format!("organizations/acme/invitations/{id}")),
        Subject::Member(name) => Refusal::MemberNotFound(format!("organizations/acme/members/{name}")),
    }
}

pub(super) fn same(a: Name, b: Name) -> bool {
    a.eq_ignore_ascii_case(b)
}

pub(super) fn is_offer(state: S) -> bool {
    state == S::Offered || state == S::PendingApproval
}

pub(super) fn is_open(state: S) -> bool {
    is_offer(state) || state == S::Invited || state == S::AccessRequested
}

/// How many seats a role takes.
pub(super) fn seats(role: Role) -> i32 {
    i32::from(role != Role::None)
}

impl Model {
    /// What the caller may grant, who invites if that is anything; `None`: a stranger.
    fn grants(&self, caller: Name) -> Option<&'static [Role]> {
        use Role::{Contributor, Manager, Newer, None, Owner, Reader, SecurityManager};
        if caller == ROBOT {
            return Some(&[None, Reader, Contributor]);
        }
        let member = self.members.get(caller).filter(|_| self.accounts.contains_key(caller))?;
        Some(match member.role {
            Newer | None | Reader | Contributor => &[],
            SecurityManager => &[None, Reader, Contributor],
            Manager => &[None, Reader, Contributor, SecurityManager, Manager],
            Owner => &[None, Reader, Contributor, SecurityManager, Manager, Owner],
        })
    }

    /// Strangers hear that it does not exist, members without the right that they have not got it.
    pub fn inviter(&self, caller: Name, subject: &Subject) -> Result<&'static [Role], Refusal> {
        let roles = self.grants(caller).ok_or_else(|| not_found(subject))?;
        if roles.is_empty() { Err(Refusal::RoleRequired(Role::SecurityManager)) } else { Ok(roles) }
    }

    pub fn granter(&self, caller: Name, subject: &Subject, role: Role) -> Result<(), Refusal> {
        let may = self.inviter(caller, subject)?.contains(&role);
        if may { Ok(()) } else { Err(Refusal::RoleNotGrantable(role)) }
    }

    pub fn may_still_grant(&self, granter: Name, role: Role) -> bool {
        self.grants(granter).is_some_and(|roles| roles.contains(&role))
    }

    /// The role of a member; `None`: the service.
    pub fn role(&self, caller: Name, subject: &Subject) -> Result<Option<Role>, Refusal> {
        let member = self.members.get(caller).filter(|_| self.accounts.contains_key(caller));
        match member {
            Some(member) => Ok(Some(member.role)),
            None if caller == ROBOT => Ok(None),
            None => Err(not_found(subject)),
        }
    }

    pub fn holds(&self, account: Name, address: Name) -> bool {
        self.accounts.get(account).is_some_and(|person| person.emails.iter().any(|held| same(held, address)))
    }

    pub fn admits_domain(&self, address: Name) -> Result<(), Refusal> {
        let domain = address.split_once('@').unwrap().1;
        let blocked = &self.policy.blocked_email_domains;
        let allowed = &self.policy.allowed_email_domains;
        let is_blocked = blocked.iter().any(|listed| domain == listed || domain.ends_with(&format!(".{listed}")));
        if is_blocked || !allowed.is_empty() && !allowed.iter().any(|listed| listed == domain) {
            return Err(Refusal::EmailDomainNotAllowed(domain.to_owned()));
        }
        Ok(())
    }

    /// Domains and providers, for the account as it is now: where domains are restricted it has to hold the address.
    pub fn admits(&self, account: Name, address: Name) -> Result<(), Refusal> {
        self.admits_provider(account)?;
        self.admits_domain(address)?;
        if !self.policy.allowed_email_domains.is_empty() && !self.holds(account, address) {
            return Err(Refusal::AddressMismatch);
        }
        Ok(())
    }

    /// No address satisfies nothing that is asked of one.
    pub fn admits_no_address(&self, account: Name) -> Result<(), Refusal> {
        self.admits_provider(account)?;
        let lists = [&self.policy.allowed_email_domains, &self.policy.blocked_email_domains];
        let is_asked = self.policy.address_match == AddressMatch::Require || lists.iter().any(|list| !list.is_empty());
        if is_asked { Err(Refusal::EmailNotVerified) } else { Ok(()) }
    }

    fn admits_provider(&self, account: Name) -> Result<(), Refusal> {
        let provider = self.accounts[account].provider;
        let providers = &self.policy.allowed_providers;
        if !providers.is_empty() && !providers.iter().any(|listed| listed == provider) {
            return Err(Refusal::ProviderNotAllowed(provider.to_owned()));
        }
        Ok(())
    }

    pub fn needs_approval(&self, role: Role) -> bool {
        self.policy.approval_role.is_some_and(|from| from <= role)
    }

    /// Members and offers of a role other than NONE.
    pub fn seats_taken(&self) -> i32 {
        let offers = self.rows.iter().filter(|row| is_offer(row.state)).filter_map(|row| row.role);
        self.members.values().map(|member| member.role).chain(offers).map(seats).sum()
    }

    pub fn seat(&self, more: i32) -> Result<(), Refusal> {
        match self.seat_limit {
            Some(limit) if more > 0 && self.seats_taken() + more > limit => Err(Refusal::SeatsExhausted { limit }),
            _ => Ok(()),
        }
    }

    pub fn owners(&self) -> usize {
        self.members.values().filter(|member| member.role == Role::Owner).count()
    }

    pub fn open_invitations(&self) -> usize {
        self.rows.iter().filter(|row| is_open(row.state)).count()
    }

    pub fn quota(&self) -> Result<(), Refusal> {
        let is_full = self.open_invitations() >= usize::try_from(OPEN_LIMIT).unwrap();
        if is_full { Err(Refusal::TooManyOpenInvitations { limit: OPEN_LIMIT }) } else { Ok(()) }
    }

    pub fn open_of_address(&self, address: Name) -> Option<usize> {
        self.rows.iter().position(|row| is_open(row.state) && same(row.email, address))
    }

    pub fn open_of_account(&self, account: Name) -> Option<usize> {
        self.rows.iter().position(|row| is_open(row.state) && row.account == Some(account))
    }

    pub fn wrong_state(&self, row: usize) -> Refusal {
        Refusal::InvitationState { name: invitation_name(row), state: self.rows[row].state }
    }

    // what is left behind

    pub fn happened(&mut self, kind: EventKind, by: Option<Name>, row: Option<usize>, member: Option<Name>) {
        self.events.push(Happened { kind, by, row, member });
    }

    pub fn tell(&mut self, kind: EmailKind, row: usize, to: Name, due: i64) {
        let has_code = matches!(kind, EmailKind::AccountInvitation | EmailKind::InvitationReminder);
        let generation = if has_code { self.rows[row].generation } else { 0 };
        self.told.push(Mail { kind, row: Some(row), to, due, generation });
    }

    /// An email to one who has to answer, and its reminder 24 hours before the end.
    pub fn ask(&mut self, kind: EmailKind, reminder: EmailKind, row: usize, to: Name) {
        self.tell(kind, row, to, self.now);
        let due = self.rows[row].ends.unwrap() - 24;
        if self.policy.reminders && due > self.now {
            self.tell(reminder, row, to, due);
        }
    }

    /// The notification address hears who asks, and after three days that nobody has answered.
    pub fn tell_request(&mut self, row: usize) {
        self.tell(EmailKind::AccessRequested, row, self.notified, self.now);
        if self.policy.reminders {
            self.tell(EmailKind::AccessRequestReminder, row, self.notified, self.now + 72);
        }
    }

    /// The address that a policy judges a member by.
    pub fn address_of_member(&self, name: Name) -> Option<Name> {
        let first = || self.accounts.get(name).and_then(|person| person.emails.first().copied());
        self.members[name].email.or_else(first)
    }

    /// Where the organization writes to an OWNER: an address of an account, and one that it still has.
    fn address_of_owner(&self, name: Name) -> Option<Name> {
        let first = self.accounts.get(name)?.emails.first().copied();
        self.members[name].email.filter(|email| self.holds(name, email)).or(first)
    }

    /// Warns the old notification address and every OWNER, each address once.
    pub fn warn(&mut self, old_address: Name) {
        let owners = self.members.iter().filter(|(_, member)| member.role == Role::Owner).map(|(name, _)| *name);
        let mut to = vec![old_address];
        for address in owners.filter_map(|name| self.address_of_owner(name)).collect::<Vec<_>>() {
            if !to.iter().any(|known| same(known, address)) {
                to.push(address);
            }
        }
        let mail = |to| Mail { kind: EmailKind::OrganizationChanged, row: None, to, due: self.now, generation: 0 };
        self.told.extend(to.into_iter().map(mail).collect::<Vec<_>>());
    }
}
