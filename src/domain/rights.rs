//! Who may do what: one table of RPC, caller and role, asked by every RPC.
//!
//! [`Method::admits`] says for each RPC who may call it, [`Standing::check`] what an action in an
//! organization needs of a role or a scope.

use super::{Caller, Deployment, Method, OrganizationId, Refusal, Role, Scope, Service, Subject, Username};

/// Who may call an RPC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admits {
    /// Whoever has signed in, with or without an account. No service.
    Person,
    /// Every account. No service.
    Account,
    /// The account that the invitation is bound to. No service.
    Invitee,
    /// An account, about itself; services with the scope, about every account.
    Oneself(Scope),
    /// The same; and who has no account any more may ask whether an earlier call has worked.
    Former(Scope),
    /// Accounts where the deployment allows it; services with the scope.
    Founder(Scope),
    /// Members and services that may do this in the organization.
    Organization(Action),
    /// Every account, about the organizations that it is a member of; services that may do this, about all that they reach.
    Organizations(Action),
    /// The same, and the account that the invitation is bound to.
    InviteeOr(Action),
    /// The same, and every member about itself.
    MemberOr(Action),
    /// Services with the scope.
    Service(Scope),
}

impl Method {
    /// The table.
    #[expect(clippy::match_same_arms, reason = "one row for each RPC")]
    pub fn admits(self) -> Admits {
        use Admits::{
            Account, Former, Founder, Invitee, InviteeOr, MemberOr, Oneself, Organization, Organizations, Person,
        };
        // who may give or take the lowest role: the role of the request itself is asked when it is known
        let grant = Action::Grant(Role::None);
        match self {
            Self::CreateInvitation => Organization(Action::Invite),
            Self::BatchCreateInvitations => Organization(Action::Invite),
            Self::GetInvitation => InviteeOr(Action::SeeInvitations),
            Self::BatchGetInvitations => Organization(Action::SeeInvitations),
            Self::ListInvitations => Organization(Action::SeeInvitations),
            Self::ListAccountInvitations => Oneself(Scope::AccountsRead),
            Self::RequestAccess => Account,
            Self::OfferMembership => Organization(grant),
            Self::ApproveOffer => Organization(Action::Approve),
            Self::RejectAccess => Organization(Action::Invite),
            Self::RevokeInvitation => Organization(Action::Invite),
            Self::RevokeInvitations => Organization(Action::Invite),
            Self::ResendInvitation => Organization(Action::Invite),
            Self::AcceptInvitation => Invitee,
            Self::DeclineInvitation => Invitee,

            Self::CreateOrganization => Founder(Scope::OrganizationsAdmin),
            Self::GetOrganization => Organization(Action::SeeOrganization),
            Self::ListOrganizations => Organizations(Action::SeeOrganization),
            Self::UpdateOrganization => Organization(Action::Edit),
            Self::ApproveOrganizationChange => Organization(Action::ApproveChange),
            Self::WithdrawOrganizationChange => Organization(Action::EditProtection),
            Self::VerifyNotificationEmail => Organization(Action::EditProtection),
            Self::GetMember => MemberOr(Action::SeeMembers),
            Self::ListMembers => MemberOr(Action::SeeMembers),
            Self::UpdateMember => MemberOr(grant),
            Self::DeleteMember => MemberOr(grant),
            Self::ListEvents => Organization(Action::SeeEvents),
            Self::WatchEvents => Organization(Action::SeeEvents),

            Self::CreateAccount => Person,
            Self::GetAccount => Oneself(Scope::AccountsRead),
            Self::DeleteAccount => Former(Scope::AccountsAdmin),
            Self::ListAccountMemberships => Oneself(Scope::AccountsRead),

            Self::SuppressEmail => Admits::Service(Scope::MailOperate),
            Self::UnsuppressEmail => Admits::Service(Scope::MailOperate),
        }
    }

    /// Whether that kind of caller may call at all, asked before the request is read. `None`: a person without an
    /// account.
    pub fn check_kind(self, caller: Option<&Caller>) -> Result<(), Refusal> {
        match (self.admits(), caller) {
            (Admits::Person | Admits::Former(_), None) => Ok(()),
            (_, None) => Err(Refusal::AccountRequired),
            (Admits::Person, Some(Caller::Service(_))) => Err(Refusal::PersonRequired),
            (Admits::Service(scope), Some(Caller::Account(_))) => Err(Refusal::ServiceRequired(scope)),
            (Admits::Service(scope), Some(Caller::Service(service))) => service.check(scope),
            (Admits::Organizations(action), Some(Caller::Service(service))) => check_service(service, action),
            (_, Some(_)) => Ok(()),
        }
    }

    /// Whether the caller may do it to that account, or see it. Other people's accounts do not exist for anybody.
    pub fn check_account(self, caller: &Caller, username: &Username) -> Result<(), Refusal> {
        match (self.admits(), caller) {
            (Admits::Oneself(_) | Admits::Former(_), Caller::Account(own)) if own == username => Ok(()),
            (Admits::Oneself(scope) | Admits::Former(scope), Caller::Service(service)) => service.check(scope),
            _ => Err(Refusal::AccountNotFound(username.name())),
        }
    }

    /// Whether the caller may found that organization.
    pub fn check_founder(self, caller: &Caller, id: &OrganizationId, deployment: &Deployment) -> Result<(), Refusal> {
        match (self.admits(), caller) {
            (Admits::Founder(_), Caller::Account(_)) if deployment.accounts_create_organizations => Ok(()),
            (Admits::Founder(scope), Caller::Account(_)) => Err(Refusal::ServiceRequired(scope)),
            (Admits::Founder(scope), Caller::Service(service)) if service.reaches(id) => service.check(scope),
            _ => Err(Refusal::OrganizationNotFound(id.name())),
        }
    }
}

/// What a caller is to one organization. A stranger is nothing to it and never gets this far.
#[derive(Clone, Debug)]
pub enum Standing {
    Member(Role),
    Service(Service),
}

/// What somebody wants to do in an organization.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Its name.
    SeeOrganization,
    /// Its policy, notification address and seats.
    SeeSettings,
    /// The names and roles of all members; everybody sees themselves.
    SeeMembers,
    /// Members with addresses and inviters.
    SeeMemberAddresses,
    SeeInvitations,
    SeeEvents,
    /// Invite, reject, and resend or revoke what is not yet an offer.
    Invite,
    /// Be the second person for an offer.
    Approve,
    /// Resend or revoke the offer of a role.
    Handle(Role),
    /// Offer a role; give it to a member or take it away.
    Grant(Role),
    /// Anything of the organization: each field has one of the next three rules.
    Edit,
    /// Display name and locale.
    EditProfile,
    /// Notification address and policy.
    EditProtection,
    /// Be the second person for a change of the policy.
    ApproveChange,
    /// The seat limit and the limits of its own.
    EditSeatLimit,
}

impl Standing {
    /// What the caller is to the organization; `None` for a stranger, who gets the answer of what does not exist.
    pub fn of(caller: &Caller, organization: &OrganizationId, role: Option<Role>) -> Option<Self> {
        match caller {
            Caller::Account(_) => role.map(Self::Member),
            Caller::Service(service) => service.reaches(organization).then(|| Self::Service(service.clone())),
        }
    }

    /// Whether the RPC is for this caller in the organization; the rest of the rights follows from what is asked for.
    pub fn check_call(&self, method: Method, caller: &Caller, subject: &Subject) -> Result<(), Refusal> {
        let is_member = matches!(self, Self::Member(_));
        // a list shows members themselves where it shows them nobody else
        let about_oneself = is_member
            && match subject {
                Subject::Member(username) => caller.username() == Some(username),
                Subject::Organization => true,
                Subject::Invitation(_) => false,
            };
        match method.admits() {
            Admits::MemberOr(_) if about_oneself => Ok(()),
            Admits::Organization(action)
            | Admits::Organizations(action)
            | Admits::InviteeOr(action)
            | Admits::MemberOr(action) => self.check(action),
            Admits::Account | Admits::Invitee if is_member => Ok(()),
            Admits::Person | Admits::Account | Admits::Invitee => Err(Refusal::PersonRequired),
            Admits::Oneself(scope) | Admits::Former(scope) | Admits::Founder(scope) | Admits::Service(scope) => {
                Err(if is_member { Refusal::ServiceRequired(scope) } else { Refusal::ScopeRequired(scope) })
            }
        }
    }

    /// What an action needs of a role or of a service.
    pub fn check(&self, action: Action) -> Result<(), Refusal> {
        let is_newer = matches!(action, Action::Grant(Role::Newer) | Action::Handle(Role::Newer));
        match self {
            Self::Member(Role::Newer) => Err(Refusal::NewerVersionNeeded),
            _ if is_newer => Err(Refusal::NewerVersionNeeded),
            Self::Member(role) => check_member(*role, action),
            Self::Service(service) => check_service(service, action),
        }
    }

    pub fn may(&self, action: Action) -> bool {
        self.check(action).is_ok()
    }
}

fn check_member(role: Role, action: Action) -> Result<(), Refusal> {
    let lowest = match action {
        Action::SeeOrganization | Action::Edit => Role::None,
        Action::SeeMembers => Role::Reader,
        Action::SeeSettings
        | Action::SeeMemberAddresses
        | Action::SeeInvitations
        | Action::SeeEvents
        | Action::Invite
        | Action::Approve
        | Action::Handle(_)
        | Action::Grant(_) => Role::SecurityManager,
        Action::EditProfile => Role::Manager,
        Action::EditProtection | Action::ApproveChange => Role::Owner,
        Action::EditSeatLimit => return Err(Refusal::ServiceRequired(Scope::OrganizationsAdmin)),
    };
    match action {
        _ if role < lowest => Err(Refusal::RoleRequired(lowest)),
        Action::Grant(granted) | Action::Handle(granted) if !role.may_grant(granted) => {
            Err(Refusal::RoleNotGrantable(granted))
        }
        _ => Ok(()),
    }
}

fn check_service(service: &Service, action: Action) -> Result<(), Refusal> {
    let scope = match action {
        Action::SeeOrganization | Action::SeeSettings if service.has(Scope::OrganizationsAdmin) => return Ok(()),
        Action::SeeOrganization
        | Action::SeeSettings
        | Action::SeeMembers
        | Action::SeeMemberAddresses
        | Action::SeeInvitations
        | Action::SeeEvents => Scope::InvitationsRead,
        Action::Invite | Action::Handle(_) => Scope::InvitationsWrite,
        Action::Approve | Action::ApproveChange => return Err(Refusal::PersonRequired),
        Action::Grant(_) => Scope::MembersGrant,
        Action::Edit | Action::EditProfile | Action::EditProtection | Action::EditSeatLimit => {
            Scope::OrganizationsAdmin
        }
    };
    service.check(scope)?;
    match action {
        Action::Grant(role) | Action::Handle(role) if role > service.highest_role => {
            Err(Refusal::RoleNotGrantable(role))
        }
        _ => Ok(()),
    }
}
