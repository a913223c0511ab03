//! One organization with its people, held in memory as the writer holds it.

use std::collections::HashMap;

use time::Duration;
use uuid::Uuid;

use crate::domain::{
    Account, Actor, AddressKey, Annotations, Caller, CodeKey, CodeKeys, Command, Context, Deployment, DisplayName,
    EmailAddress, Head, Invitation, InvitationCode, InvitationId, InvitationState, Member, Operation, Organization,
    OrganizationId, OrganizationLimits, OrganizationState, Policy, Refusal, Remembered, Request, Role, Scope, Service,
    StoredCode, Subject, Timestamp, Username, decide,
};

/// Between two emails of an invitation that somebody asks for.
pub(super) const RESEND_HOURS: i64 = 2;
/// Open invitations of the organization.
pub(super) const OPEN_LIMIT: i32 = 4;
pub(super) const NOTIFIED: &str = "desk@acme.example";

const FIRST_ID: u128 = 0x0190_0000_0000_7000_8000_0000_0000_0000;

pub(super) fn acme() -> OrganizationId {
    OrganizationId::parse("acme").unwrap()
}

pub(super) fn user(name: &str) -> Username {
    Username::parse(name).unwrap()
}

pub(super) fn email(typed: &str) -> EmailAddress {
    EmailAddress::parse(typed).unwrap()
}

/// The id of the n-th invitation.
pub(super) fn id(row: usize) -> InvitationId {
    InvitationId(Uuid::from_u128(FIRST_ID + row as u128))
}

pub(super) fn row_of(invitation: InvitationId) -> usize {
    usize::try_from(invitation.0.as_u128() - FIRST_ID).unwrap()
}

/// Hours since the world began.
pub(super) fn at(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::hours(hours)
}

pub(super) fn key(id: &str) -> CodeKey {
    CodeKey::new(id.to_owned(), id.as_bytes().repeat(32)).unwrap()
}

pub(super) fn keys(ids: &[&str]) -> CodeKeys {
    CodeKeys::new(ids.iter().map(|id| key(id)).collect()).unwrap()
}

pub(super) fn code_hash(key_id: &str, row: usize, generation: i32) -> [u8; 32] {
    InvitationCode::derive(&key(key_id), id(row), generation).hash()
}

pub(super) fn service(subject: &str, scopes: &[Scope]) -> Service {
    Service {
        issuer: "k8s".to_owned(),
        subject: subject.to_owned(),
        scopes: scopes.to_vec(),
        organizations: Some(vec![acme()]),
        highest_role: Role::Contributor,
    }
}

/// The bare name of a caller: these worlds hold no service that is called like a person.
pub(super) fn name_of(actor: &Actor) -> &str {
    match actor {
        Actor::Account(username) => username.as_str(),
        Actor::Service { subject, .. } => subject,
        Actor::Newer(text) => text,
    }
}

pub(super) struct World {
    pub state: Option<OrganizationState>,
    pub accounts: HashMap<Username, Account>,
    pub deployment: Deployment,
    pub now: Timestamp,
    /// What the request ids of each caller were used for.
    memory: HashMap<(String, Uuid), Remembered>,
}

impl World {
    /// An organization without anybody in it yet, at hour 0.
    pub fn empty() -> Self {
        let organization = Organization {
            id: acme(),
            display_name: DisplayName::parse("Acme").unwrap(),
            notification_email: email(NOTIFIED),
            missing_proof: None,
            locale: "en".to_owned(),
            policy: Policy::default(),
            pending_change: None,
            create_time: at(0),
            update_time: at(0),
            revision: 1,
        };
        let head = Head::new(None, OrganizationLimits::default());
        Self {
            state: Some(OrganizationState::new(organization, head)),
            accounts: HashMap::new(),
            deployment: Deployment {
                code_keys: keys(&["k1"]),
                address_key: AddressKey::new(vec![5; 32]).unwrap(),
                reserved_names: Vec::new(),
                accounts_create_organizations: true,
                max_attestation_age: Duration::days(30),
                asks_for_proof: false,
                resend_interval: Duration::hours(RESEND_HOURS),
                resends_limit: None,
                open_invitations_limit: Some(OPEN_LIMIT),
                daily_invitations_limit: None,
                services: Vec::new(),
            },
            now: at(0),
            memory: HashMap::new(),
        }
    }

    pub fn state(&mut self) -> &mut OrganizationState {
        self.state.as_mut().unwrap()
    }

    pub fn policy(&mut self) -> &mut Policy {
        &mut self.state().organization.policy
    }

    /// Opens an account with these verified addresses.
    pub fn account(&mut self, name: &str, provider: &str, emails: &[&str]) {
        let account = Account {
            username: user(name),
            display_name: None,
            provider: provider.to_owned(),
            tenant: None,
            emails: emails.iter().map(|typed| email(typed)).collect(),
            attest_time: (!emails.is_empty()).then(|| at(0)),
            create_time: at(0),
        };
        self.accounts.insert(account.username.clone(), account);
    }

    /// Makes somebody a member without an address, as a founder without one is.
    pub fn member(&mut self, name: &str, role: Role) {
        let (create_time, update_time) = (at(0), at(0));
        let username = user(name);
        self.state().put_member(Member {
            username,
            role,
            email: None,
            inviter: None,
            create_time,
            update_time,
            revision: 1,
        });
    }

    /// A row in that state with the fields that it needs, of `account` under `address` where somebody is bound: it asked,
    /// and was offered READER by `owner`, until hour 168.
    pub fn invitation(&mut self, row: usize, state: InvitationState, account: &str, address: &str) {
        use InvitationState as S;
        let owner = Some(Actor::Account(user("owner")));
        let is_bound = state != S::Invited;
        let is_offered = is_bound && !matches!(state, S::AccessRequested | S::Rejected);
        let code = StoredCode { hash: code_hash("k1", row, 1), key_id: "k1".to_owned(), generation: 1 };
        let has_end = !matches!(state, S::AccessRequested | S::Rejected);
        self.state().put_invitation(Invitation {
            id: id(row),
            state,
            email: email(address),
            username: is_bound.then(|| user(account)),
            account_email: is_bound.then(|| email(address)),
            role: is_offered.then_some(Role::Reader),
            inviter: owner.clone(),
            offerer: owner.filter(|_| is_offered),
            approver: None,
            locale: None,
            annotations: Annotations::default(),
            code: Some(code),
            create_time: at(0),
            update_time: at(0),
            expire_time: has_end.then(|| at(168)),
            send_time: at(0),
            request_time: is_bound.then(|| at(0)),
            revision: 3,
        });
    }

    /// The configured service of that name, or the account.
    pub fn caller(&self, name: &str) -> Caller {
        match self.deployment.services.iter().find(|service| service.subject == name) {
            Some(service) => Caller::Service(service.clone()),
            None => Caller::Account(user(name)),
        }
    }

    pub fn decide(&mut self, caller: &str, operation: Operation) -> Result<Subject, Refusal> {
        let caller = Some(self.caller(caller));
        self.carry_out(&Command::new(acme(), caller, None, operation))
    }

    /// What nobody asked for: the sweep, and the deletion of an account.
    pub fn decide_itself(&mut self, operation: Operation) -> Result<Subject, Refusal> {
        self.carry_out(&Command::new(acme(), None, None, operation))
    }

    /// With a request id, which is remembered where the command succeeds.
    pub fn decide_once(&mut self, caller: &str, request: Request, operation: Operation) -> Result<Subject, Refusal> {
        let caller = Some(self.caller(caller));
        self.carry_out(&Command::new(acme(), caller, Some(request), operation))
    }

    /// Pretends that request ids were not kept apart by caller.
    pub fn share_memory(&mut self, from: &str, with: &str) {
        let (from, with) = (self.caller(from).actor().to_string(), self.caller(with).actor().to_string());
        let theirs = self.memory.iter().filter(|((actor, _), _)| *actor == from);
        let copies = theirs.map(|((_, id), remembered)| ((with.clone(), *id), remembered.clone())).collect::<Vec<_>>();
        self.memory.extend(copies);
    }

    pub fn carry_out(&mut self, command: &Command) -> Result<Subject, Refusal> {
        let context = Context { now: self.now, accounts: &self.accounts, deployment: &self.deployment };
        let request = command.request.as_ref().zip(command.actor());
        let key = request.map(|(request, actor)| (actor.to_string(), request.id));
        let remembered = key.as_ref().and_then(|key| self.memory.get(key));
        let subject = decide(&mut self.state, &context, command, remembered)?;
        if let (Some(key), None, Some(request)) = (key, remembered, &command.request) {
            let method = command.operation.method().to_owned();
            let resource = subject.name(&command.organization);
            self.memory.insert(key, Remembered { method, digest: request.digest.to_vec(), resource });
        }
        Ok(subject)
    }
}

/// The name of a refusal without what it says: `RoleRequired(Owner)` is `RoleRequired`.
pub(super) fn reason(refusal: &Refusal) -> String {
    let text = format!("{refusal:?}");
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}
