//! Steps of a random walk: thrown as dice, aimed by what the model holds so that walks get far, and told to the code.

use time::Duration;

use super::model::{Model, Name, Person, ROBOT, Row};
use super::world::{World, at, code_hash, email, id, keys, user};
use crate::domain::{
    AddressMatch, Annotations, DisplayName, Edit, InvitationState as S, Invite, Offer, Operation, PolicyEdit, Refusal,
    Role, Subject, etag,
};

/// Who may be invited. Bert and Cleo both hold the address that they share.
const PEOPLE: [Name; 3] = ["anna", "bert", "cleo"];
const ADMINISTRATORS: [Name; 4] = ["olga", "mia", "sam", ROBOT];
pub(super) const EVERYBODY: [Name; 9] = ["anna", "bert", "cleo", "olga", "mia", "sam", "rita", "stranger", ROBOT];
/// All that are ever written; the first two are the same one.
pub(super) const ADDRESSES: [Name; 9] = [
    "anna@one.example",
    "ANNA@one.example",
    "anna@two.example",
    "bert@one.example",
    "shared@two.example",
    "cleo@sub.two.example",
    "nobody@one.example",
    "olga@acme.example",
    "desk@acme.example",
];
const EARLIER: [S; 3] = [S::Invited, S::AccessRequested, S::Offered];

#[derive(Clone, Copy, Debug)]
pub(super) enum Tag {
    None,
    Right,
    Stale,
}

impl Tag {
    pub fn check(self) -> Result<(), Refusal> {
        if matches!(self, Self::Stale) { Err(Refusal::EtagMismatch) } else { Ok(()) }
    }

    /// Of what was created at that hour and has that revision.
    fn of(self, read: Option<(i64, i32)>) -> Option<String> {
        let (created, revision) = read.unwrap_or_default();
        match self {
            Self::None => None,
            Self::Right => read.map(|_| etag(at(created), revision)),
            Self::Stale => Some(etag(at(created), revision - 1)),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Setting {
    DisplayName(Name),
    Notified(Name),
    Allowed(&'static [Name]),
    Blocked(&'static [Name]),
    Providers(&'static [Name]),
    Match(AddressMatch),
    InvitationHours(i64),
    OfferHours(i64),
    Approval(Option<Role>),
    Reminders(bool),
    ExpiryNotifications(bool),
    Seats(Option<i32>),
}

const SETTINGS: [Setting; 24] = [
    Setting::DisplayName("Acme"),
    Setting::DisplayName("Acme Works"),
    Setting::Notified("desk@acme.example"),
    Setting::Notified("olga@acme.example"),
    Setting::Allowed(&[]),
    Setting::Allowed(&["one.example", "acme.example"]),
    Setting::Blocked(&[]),
    Setting::Blocked(&["two.example"]),
    Setting::Providers(&[]),
    Setting::Providers(&["github"]),
    Setting::Match(AddressMatch::Warn),
    Setting::Match(AddressMatch::Require),
    Setting::InvitationHours(12),
    Setting::InvitationHours(168),
    Setting::OfferHours(12),
    Setting::OfferHours(48),
    Setting::Approval(None),
    Setting::Approval(Some(Role::Contributor)),
    Setting::Reminders(true),
    Setting::Reminders(false),
    Setting::ExpiryNotifications(false),
    Setting::Seats(None),
    Setting::Seats(Some(5)),
    Setting::Seats(Some(0)),
];

impl Setting {
    pub fn set(self, model: &mut Model) {
        let list = |names: &[Name]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let policy = &mut model.policy;
        match self {
            Self::DisplayName(name) => model.display_name = name,
            Self::Notified(address) => model.notified = address,
            Self::Allowed(domains) => policy.allowed_email_domains = list(domains),
            Self::Blocked(domains) => policy.blocked_email_domains = list(domains),
            Self::Providers(providers) => policy.allowed_providers = list(providers),
            Self::Match(rule) => policy.address_match = rule,
            Self::InvitationHours(hours) => policy.invitation_lifetime = Duration::hours(hours),
            Self::OfferHours(hours) => policy.offer_lifetime = Duration::hours(hours),
            Self::Approval(role) => policy.approval_role = role,
            Self::Reminders(wanted) => policy.reminders = wanted,
            Self::ExpiryNotifications(wanted) => policy.expiry_notifications = wanted,
            Self::Seats(limit) => model.seat_limit = limit,
        }
    }

    fn edit(self) -> Edit {
        let list = |names: &[Name]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let policy = |policy: PolicyEdit| Edit { policy, ..Edit::default() };
        let none = PolicyEdit::default();
        match self {
            Self::DisplayName(name) => Edit { display_name: DisplayName::parse(name), ..Edit::default() },
            Self::Notified(address) => Edit { notification_email: Some(email(address)), ..Edit::default() },
            Self::Allowed(domains) => policy(PolicyEdit { allowed_email_domains: list(domains), ..none }),
            Self::Blocked(domains) => policy(PolicyEdit { blocked_email_domains: list(domains), ..none }),
            Self::Providers(providers) => policy(PolicyEdit { allowed_providers: list(providers), ..none }),
            Self::Match(rule) => policy(PolicyEdit { address_match: Some(rule), ..none }),
            Self::InvitationHours(n) => policy(PolicyEdit { invitation_lifetime: Some(Duration::hours(n)), ..none }),
            Self::OfferHours(n) => policy(PolicyEdit { offer_lifetime: Some(Duration::hours(n)), ..none }),
            Self::Approval(role) => policy(PolicyEdit { approval_role: Some(role), ..none }),
            Self::Reminders(wanted) => policy(PolicyEdit { reminders: Some(wanted), ..none }),
            Self::ExpiryNotifications(wanted) => policy(PolicyEdit { expiry_notifications: Some(wanted), ..none }),
            Self::Seats(limit) => Edit { seat_limit: Some(limit), ..Edit::default() },
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Hours go by.
    Pass(i64),
    /// The deployment's code keys, the newest first.
    Keys(&'static [Name]),
    /// The account is deleted; what it has in the organization stays until it leaves.
    Bury(Name),
    /// The issuer attests these addresses from now on.
    Attest(Name, &'static [Name]),
    Sweep,
    Leave(Name),
    Call(Name, Call),
}

#[derive(Clone, Debug)]
pub(super) enum Call {
    Create(Name),
    Request {
        row: usize,
        generation: i32,
        key: Name,
    },
    Settle {
        row: usize,
        generation: i32,
        key: Name,
    },
    Offer {
        account: Name,
        address: Name,
        role: Role,
    },
    Approve(usize, Tag),
    Accept(usize, Tag),
    Decline(usize, Tag),
    Reject(usize, Tag),
    Revoke(usize, Tag),
    /// The last one is a key that nobody has any more.
    Resend {
        row: usize,
        tag: Tag,
        rotate: bool,
        gone: Option<Name>,
    },
    UpdateMember(Name, Role, Tag),
    DeleteMember(Name, Tag),
    Edit(Setting, Tag),
    ApproveChange(Tag),
    WithdrawChange(Tag),
}

/// Random bytes, taken one by one.
struct Dice<'a>(&'a [u8]);

impl Dice<'_> {
    fn below(&mut self, n: usize) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first) % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// An invitation in one of these states, or any, or one that is not there.
    fn row(&mut self, model: &Model, states: &[S]) -> usize {
        let rows = model.rows.iter().enumerate().filter(|(_, row)| states.contains(&row.state));
        let rows = rows.map(|(n, _)| n).collect::<Vec<_>>();
        if rows.is_empty() || self.one_in(6) { self.below(model.rows.len() + 1) } else { self.pick(&rows) }
    }

    fn administrator(&mut self) -> Name {
        if self.one_in(5) { self.pick(&EVERYBODY) } else { self.pick(&ADMINISTRATORS) }
    }

    fn invitee(&mut self, model: &Model, row: usize) -> Name {
        let bound = model.rows.get(row).and_then(|row| row.account);
        bound.filter(|_| !self.one_in(6)).unwrap_or_else(|| self.pick(&EVERYBODY))
    }

    fn member(&mut self, model: &Model) -> Name {
        let members = model.members.keys().copied().collect::<Vec<_>>();
        if self.one_in(4) { self.pick(&EVERYBODY[..8]) } else { self.pick(&members) }
    }

    fn tag(&mut self) -> Tag {
        self.pick(&[Tag::None, Tag::None, Tag::None, Tag::Right, Tag::Right, Tag::Right, Tag::Stale])
    }

    fn offer(&mut self, model: &Model) -> Call {
        let row = self.row(model, &[S::AccessRequested, S::Offered]);
        let role = self.pick(&[Role::Reader, Role::Contributor, Role::None, Role::Manager, Role::Owner]);
        match model.rows.get(row).and_then(|row| row.account.zip(row.account_email)) {
            Some((account, address)) if !self.one_in(4) => Call::Offer { account, address, role },
            _ => {
                let account = self.pick(&PEOPLE);
                let own = model.accounts.get(account).and_then(|person| person.emails.first().copied());
                let address = own.filter(|_| !self.one_in(3)).unwrap_or_else(|| self.pick(&ADDRESSES));
                Call::Offer { account, address, role }
            }
        }
    }
}

impl Dice<'_> {
    /// Around a change that waits for another owner.
    fn change(&mut self, model: &Model) -> Step {
        let owners = model.members.iter().filter(|(_, member)| member.role == Role::Owner).map(|(name, _)| *name);
        let owners = owners.collect::<Vec<_>>();
        let caller = if self.one_in(6) { self.pick(&EVERYBODY) } else { self.pick(&owners) };
        let less = SETTINGS.into_iter().filter(|setting| model.asks_less(*setting)).collect::<Vec<_>>();
        let call = match model.waiting {
            _ if owners.len() == 1 && self.one_in(2) => Call::UpdateMember("mia", Role::Owner, self.tag()),
            Some(_) if self.one_in(4) => Call::WithdrawChange(self.tag()),
            Some(_) => Call::ApproveChange(self.tag()),
            None if self.one_in(6) => Call::ApproveChange(self.tag()),
            None if less.is_empty() => Call::Edit(Setting::Blocked(&["two.example"]), self.tag()),
            None => Call::Edit(self.pick(&less), self.tag()),
        };
        Step::Call(caller, call)
    }
}

impl Step {
    /// What these dice mean where the model stands.
    pub fn thrown(model: &Model, dice: &[u8]) -> Self {
        let mut dice = Dice(dice);
        // what waits has to be met before it ends
        if model.waiting.is_some() && dice.one_in(4) {
            return dice.change(model);
        }
        match dice.below(37) {
            0..4 => Self::Pass(dice.pick(&[1, 2, 11, 12, 24, 48, 168])),
            4..7 => Self::Call(dice.administrator(), Call::Create(dice.pick(&ADDRESSES))),
            7..12 => {
                let row = dice.row(model, &[S::Invited]);
                let code = model.rows.get(row).filter(|row| row.generation > 0);
                let (generation, key) = code.map_or((1, "k1"), |row| (row.generation, row.key));
                let generation = if dice.one_in(8) { generation - 1 } else { generation };
                let caller = if dice.one_in(6) { dice.pick(&EVERYBODY) } else { dice.pick(&PEOPLE) };
                Self::Call(caller, Call::Request { row, generation, key })
            }
            12..17 => Self::Call(dice.administrator(), dice.offer(model)),
            17..20 => {
                let row = dice.row(model, &[S::Offered]);
                Self::Call(dice.invitee(model, row), Call::Accept(row, dice.tag()))
            }
            20 => {
                let row = dice.row(model, &[S::AccessRequested, S::PendingApproval, S::Offered]);
                Self::Call(dice.invitee(model, row), Call::Decline(row, dice.tag()))
            }
            21 => Self::Call(dice.administrator(), Call::Reject(dice.row(model, &[S::AccessRequested]), dice.tag())),
            22 => Self::Call(dice.administrator(), Call::Revoke(dice.row(model, &EARLIER), dice.tag())),
            23..25 => {
                let (row, tag) = (dice.row(model, &EARLIER), dice.tag());
                Self::Call(
                    dice.administrator(),
                    Call::Resend { row, tag, rotate: dice.one_in(3), gone: dice.pick(&[None, Some("k1"), Some("k2")]) },
                )
            }
            25..27 => {
                let (member, role) = (dice.member(model), dice.pick(&Role::ALL));
                Self::Call(dice.administrator(), Call::UpdateMember(member, role, dice.tag()))
            }
            27 => Self::Call(dice.administrator(), Call::DeleteMember(dice.member(model), dice.tag())),
            28..30 => {
                let caller = if dice.one_in(4) { dice.pick(&EVERYBODY) } else { dice.pick(&["olga", ROBOT]) };
                Self::Call(caller, Call::Edit(dice.pick(&SETTINGS), dice.tag()))
            }
            30 => Self::Sweep,
            35 => dice.change(model),
            31..33 => {
                let row = dice.row(model, &[S::PendingApproval]);
                Self::Call(dice.administrator(), Call::Approve(row, dice.tag()))
            }
            33..35 => {
                let row = dice.row(model, &[S::Invited]);
                let code = model.rows.get(row).filter(|row| row.generation > 0);
                let (generation, key) = code.map_or((1, "k1"), |row| (row.generation, row.key));
                Self::Call(dice.member(model), Call::Settle { row, generation, key })
            }
            _ => Self::around(model, &mut dice),
        }
    }

    /// A setting to begin with.
    pub fn set_up(dice: &[u8]) -> Self {
        Self::Call(ROBOT, Call::Edit(Dice(dice).pick(&SETTINGS), Tag::None))
    }

    /// What happens around the organization.
    fn around(model: &Model, dice: &mut Dice<'_>) -> Self {
        match dice.below(8) {
            0..2 => Self::Keys(dice.pick(&[&["k1"][..], &["k2", "k1"], &["k2"]])),
            2..5 => {
                let anna: [&[Name]; 3] = [&["anna@one.example", "anna@two.example"], &["anna@two.example"], &[]];
                let bert: [&[Name]; 2] = [&["bert@one.example"], &["shared@two.example", "bert@one.example"]];
                if dice.one_in(2) {
                    Self::Attest("anna", dice.pick(&anna))
                } else {
                    Self::Attest("bert", dice.pick(&bert))
                }
            }
            5..7 => Self::Leave(dice.pick(&EVERYBODY[..8])),
            _ => {
                // an owner leaves before the account is deleted, in the same transaction
                let name = dice.pick(&EVERYBODY[..8]);
                let owns = model.members.get(name).is_some_and(|member| member.role == Role::Owner);
                if owns { Self::Leave(name) } else { Self::Bury(name) }
            }
        }
    }
}

impl World {
    /// The same step for the code, before the model has done it.
    pub fn perform(&mut self, model: &Model, step: &Step) -> Result<Subject, Refusal> {
        match step {
            Step::Pass(hours) => self.now = at(model.now + hours),
            Step::Keys(ids) => self.deployment.code_keys = keys(ids),
            Step::Bury(name) => drop(self.accounts.remove(&user(name))),
            Step::Attest(name, emails) => {
                if let Some(account) = self.accounts.get_mut(&user(name)) {
                    account.emails = emails.iter().map(|typed| email(typed)).collect();
                }
            }
            Step::Sweep => return self.decide_itself(Operation::Expire(Vec::new())),
            Step::Leave(name) => return self.decide_itself(Operation::Leave(user(name))),
            Step::Call(caller, call) => {
                // the etags that are read at that moment
                let mut model = model.clone();
                model.settle_waiting();
                return self.decide(caller, call.operation(&model));
            }
        }
        Ok(Subject::Organization)
    }
}

impl Call {
    fn operation(&self, model: &Model) -> Operation {
        let next = id(model.rows.len());
        let tag = |row: usize, tag: Tag| tag.of(model.rows.get(row).map(|row: &Row| (row.created, row.revision)));
        let own = Some((0, model.revision));
        let member_tag =
            |name, tag: Tag| tag.of(model.members.get(name).map(|member| (member.joined, member.revision)));
        match *self {
            Self::Create(address) => Operation::CreateInvitation(Invite {
                id: next,
                email: email(address),
                locale: None,
                annotations: Annotations::default(),
            }),
            Self::Request { row, generation, key } => {
                Operation::RequestAccess { invitation: id(row), code_hash: code_hash(key, row, generation) }
            }
            Self::Settle { row, generation, key } => {
                Operation::SettleInvitation { invitation: id(row), code_hash: code_hash(key, row, generation) }
            }
            Self::Offer { account, address, role } => {
                Operation::OfferMembership(Offer { id: next, username: user(account), email: email(address), role })
            }
            Self::Approve(row, t) => Operation::ApproveOffer { invitation: id(row), etag: tag(row, t) },
            Self::Accept(row, t) => Operation::AcceptInvitation { invitation: id(row), etag: tag(row, t) },
            Self::Decline(row, t) => Operation::DeclineInvitation { invitation: id(row), etag: tag(row, t) },
            Self::Reject(row, t) => Operation::RejectAccess { invitation: id(row), etag: tag(row, t) },
            Self::Revoke(row, t) => Operation::RevokeInvitation { invitation: id(row), etag: tag(row, t) },
            Self::Resend { row, tag: t, rotate, gone } => {
                let (invitation, etag, gone_key) = (id(row), tag(row, t), gone.map(str::to_owned));
                Operation::ResendInvitation { invitation, etag, rotate_code: rotate, gone_key }
            }
            Self::UpdateMember(name, role, t) => {
                Operation::UpdateMember { member: user(name), role: Some(role), etag: member_tag(name, t) }
            }
            Self::DeleteMember(name, t) => Operation::DeleteMember { member: user(name), etag: member_tag(name, t) },
            Self::Edit(setting, t) => {
                Operation::UpdateOrganization(Box::new(Edit { etag: t.of(own), ..setting.edit() }))
            }
            Self::ApproveChange(t) => Operation::ApproveOrganizationChange { etag: t.of(own) },
            Self::WithdrawChange(t) => Operation::WithdrawOrganizationChange { etag: t.of(own) },
        }
    }
}

/// The accounts that exist at the beginning.
pub(super) fn people() -> Vec<(Name, Person)> {
    let person = |provider, emails: &[Name]| Person { provider, emails: emails.to_vec() };
    vec![
        ("anna", person("github", &["anna@one.example", "anna@two.example"])),
        ("bert", person("entra", &["bert@one.example", "shared@two.example"])),
        ("cleo", person("github", &["cleo@sub.two.example", "shared@two.example"])),
        ("olga", person("entra", &["olga@acme.example"])),
        ("mia", person("github", &["desk@acme.example"])),
        ("sam", person("github", &[])),
        ("rita", person("github", &[])),
        ("stranger", person("github", &["nobody@one.example"])),
    ]
}
