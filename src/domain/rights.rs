//! Who may do what: one table of action, caller and role, asked by every RPC.

use super::{Caller, OrganizationId, Refusal, Role, Scope, Service};

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
    /// Resend or revoke the offer of a role.
    Handle(Role),
    /// Offer a role; give it to a member or take it away.
    Grant(Role),
    /// Display name and locale.
    EditProfile,
    /// Notification address and policy.
    EditProtection,
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

    /// The table.
    pub fn check(&self, action: Action) -> Result<(), Refusal> {
        match self {
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
        Action::SeeOrganization => Role::None,
        Action::SeeMembers => Role::Reader,
        Action::SeeSettings
        | Action::SeeMemberAddresses
        | Action::SeeInvitations
        | Action::SeeEvents
        | Action::Invite
        | Action::Handle(_)
        | Action::Grant(_) => Role::SecurityManager,
        Action::EditProfile => Role::Manager,
        Action::EditProtection => Role::Owner,
        Action::EditSeatLimit => return Err(Refusal::ScopeRequired(Scope::OrganizationsAdmin)),
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
        Action::Grant(_) => Scope::MembersGrant,
        Action::EditProfile | Action::EditProtection | Action::EditSeatLimit => Scope::OrganizationsAdmin,
    };
    match action {
        _ if !service.has(scope) => Err(Refusal::ScopeRequired(scope)),
        Action::Grant(role) | Action::Handle(role) if role > service.highest_role => {
            Err(Refusal::RoleNotGrantable(role))
        }
        _ => Ok(()),
    }
}
