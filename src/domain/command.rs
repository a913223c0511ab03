//! A change of one organization, from the request to the decision.

use uuid::Uuid;

use super::{
    Actor, Caller, Context, Edit, Event, Found, InvitationId, Invite, Method, Offer, OrganizationId, Refusal, Role,
    Scope, Standing, Tenant, Username, administer, answer, expire, invite, membership, offer,
    organization::member_name, request_access, rights::Admits, settings,
};

/// Who wants what of which organization.
#[derive(Clone, Debug)]
pub struct Command {
    pub organization: OrganizationId,
    /// `None`: the service itself.
    pub caller: Option<Caller>,
    pub request: Option<Request>,
    pub operation: Operation,
}

/// What makes a retry the same request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Chosen by the caller.
    pub id: Uuid,
    /// SHA-256 over method and body.
    pub digest: [u8; 32],
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Operation {
    CreateOrganization(Box<Found>),
    UpdateOrganization(Box<Edit>),
    CreateInvitation(Invite),
    RequestAccess {
        invitation: InvitationId,
        code_hash: [u8; 32],
    },
    OfferMembership(Offer),
    ApproveOffer {
        invitation: InvitationId,
        etag: Option<String>,
    },
    AcceptInvitation {
        invitation: InvitationId,
        etag: Option<String>,
    },
    DeclineInvitation {
        invitation: InvitationId,
        etag: Option<String>,
    },
    RejectAccess {
        invitation: InvitationId,
        etag: Option<String>,
    },
    RevokeInvitation {
        invitation: InvitationId,
        etag: Option<String>,
    },
    ResendInvitation {
        invitation: InvitationId,
        etag: Option<String>,
        rotate_code: bool,
    },
    UpdateMember {
        member: Username,
        role: Role,
        etag: Option<String>,
    },
    DeleteMember {
        member: Username,
        etag: Option<String>,
    },
    /// The sweep's.
    Expire(Vec<InvitationId>),
    /// Of an account that is being deleted.
    Leave(Username),
}

impl Operation {
    /// The RPC that asks for it; `None`: nobody does but the service itself.
    pub fn rpc(&self) -> Option<Method> {
        Some(match self {
            Self::CreateOrganization(_) => Method::CreateOrganization,
            Self::UpdateOrganization(_) => Method::UpdateOrganization,
            Self::CreateInvitation(_) => Method::CreateInvitation,
            Self::RequestAccess { .. } => Method::RequestAccess,
            Self::OfferMembership(_) => Method::OfferMembership,
            Self::ApproveOffer { .. } => Method::ApproveOffer,
            Self::AcceptInvitation { .. } => Method::AcceptInvitation,
            Self::DeclineInvitation { .. } => Method::DeclineInvitation,
            Self::RejectAccess { .. } => Method::RejectAccess,
            Self::RevokeInvitation { .. } => Method::RevokeInvitation,
            Self::ResendInvitation { .. } => Method::ResendInvitation,
            Self::UpdateMember { .. } => Method::UpdateMember,
            Self::DeleteMember { .. } => Method::DeleteMember,
            Self::Expire(_) | Self::Leave(_) => return None,
        })
    }

    /// The method that a request id belongs to.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Expire(_) => "Expire",
            Self::Leave(_) => "Leave",
            _ => self.rpc().map_or("", Method::name),
        }
    }

    /// What the request named; a stranger is told that it does not exist.
    pub fn subject(&self) -> Subject {
        match self {
            Self::RequestAccess { invitation, .. }
            | Self::ApproveOffer { invitation, .. }
            | Self::AcceptInvitation { invitation, .. }
            | Self::DeclineInvitation { invitation, .. }
            | Self::RejectAccess { invitation, .. }
            | Self::RevokeInvitation { invitation, .. }
            | Self::ResendInvitation { invitation, .. } => Subject::Invitation(*invitation),
            Self::UpdateMember { member, .. } | Self::DeleteMember { member, .. } => Subject::Member(member.clone()),
            Self::CreateOrganization(_)
            | Self::UpdateOrganization(_)
            | Self::CreateInvitation(_)
            | Self::OfferMembership(_)
            | Self::Expire(_)
            | Self::Leave(_) => Subject::Organization,
        }
    }
}

/// What a command was about, so that the answer can be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    Organization,
    Invitation(InvitationId),
    Member(Username),
}

impl Subject {
    /// The resource name.
    pub fn name(&self, organization: &OrganizationId) -> String {
        match self {
            Self::Organization => organization.name(),
            Self::Invitation(id) => id.name(organization),
            Self::Member(username) => member_name(organization, username),
        }
    }

    /// Reads [`Self::name`].
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.splitn(4, '/').skip(2);
        match (parts.next(), parts.next()) {
            (None, _) => Some(Self::Organization),
            (Some("invitations"), Some(id)) => InvitationId::parse(id).map(Self::Invitation),
            (Some("members"), Some(id)) => Username::parse(id).map(Self::Member),
            _ => None,
        }
    }
}

/// What a committed request id remembers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remembered {
    pub method: String,
    pub digest: Vec<u8>,
    /// A resource name.
    pub resource: String,
}

impl Remembered {
    /// Whether that command is the same request again.
    pub fn is_of(&self, command: &Command) -> bool {
        let same_body = command.request.as_ref().is_some_and(|request| self.digest == request.digest);
        same_body && self.method == command.operation.method()
    }
}

/// Decides one command on a loaded organization. `remembered` is what its request id was used for before.
///
/// The order is the contract's: may the caller see the object, request id, right, then the rule of the operation.
pub fn decide(
    tenant: &mut Option<Tenant>,
    context: &Context<'_>,
    command: &Command,
    remembered: Option<&Remembered>,
) -> Result<Subject, Refusal> {
    if let Operation::CreateOrganization(found) = &command.operation {
        return decide_create(tenant, context, command, found, remembered);
    }
    let unknown = || match &command.operation {
        // whoever sends a code names no organization, and hears of none
        Operation::RequestAccess { .. } => Refusal::CodeNotFound,
        operation => Refusal::not_found(&command.organization, &operation.subject()),
    };
    let tenant = tenant.as_mut().ok_or_else(unknown)?;
    expire::close_overdue(tenant, context);
    // what had to be closed first is not of this request
    let earlier = tenant.events.len();
    let outcome = decide_on(tenant, context, command, remembered);
    sign(&mut tenant.events[earlier..], command);
    outcome
}

/// Puts the request id on the events that the command has made.
fn sign(events: &mut [Event], command: &Command) {
    for event in events {
        event.request_id = command.request.as_ref().map(|request| request.id);
    }
}

fn decide_on(
    tenant: &mut Tenant,
    context: &Context<'_>,
    command: &Command,
    remembered: Option<&Remembered>,
) -> Result<Subject, Refusal> {
    match (&command.operation, &command.caller) {
        (Operation::Expire(_), _) => Ok(Subject::Organization),
        (Operation::Leave(username), caller) => {
            // the sweep, which finishes a deletion, knows only whose it is
            let actor = caller.as_ref().map_or_else(|| Actor::Account(username.clone()), Caller::actor);
            membership::leave(tenant, context, &actor, username).map(|()| Subject::Member(username.clone()))
        }
        (_, Some(caller)) => {
            if may_see(tenant, context, caller, &command.operation)
                && let Some(earlier) = replay(command, remembered)?
            {
                return Ok(earlier);
            }
            operate(tenant, context, caller, &command.operation)
        }
        (_, None) => Err(Refusal::not_found(&command.organization, &command.operation.subject())),
    }
}

/// Whether a request id may be looked up at all: by those for whom the organization, or their invitation, exists.
fn may_see(tenant: &Tenant, context: &Context<'_>, caller: &Caller, operation: &Operation) -> bool {
    let bound = |id: &InvitationId| {
        let invitation = tenant.invitations.get(id);
        caller.username().is_some() && invitation.is_some_and(|i| i.username.as_ref() == caller.username())
    };
    match operation {
        Operation::AcceptInvitation { invitation, .. } | Operation::DeclineInvitation { invitation, .. } => {
            bound(invitation)
        }
        Operation::RequestAccess { invitation, code_hash } => {
            bound(invitation) || request_access::is_open_to_all(tenant, context, *invitation, code_hash)
        }
        // one who removed themselves is a stranger now and may still ask whether it worked
        Operation::DeleteMember { member, .. } if caller.username() == Some(member) => true,
        _ => standing(tenant, context, caller).is_some(),
    }
}

fn operate(
    tenant: &mut Tenant,
    context: &Context<'_>,
    caller: &Caller,
    operation: &Operation,
) -> Result<Subject, Refusal> {
    match (operation, caller) {
        (Operation::RequestAccess { invitation, code_hash }, Caller::Account(person)) => {
            request_access::request_access(tenant, context, person, *invitation, code_hash)?;
        }
        (Operation::AcceptInvitation { invitation, etag }, Caller::Account(person)) => {
            answer::accept(tenant, context, person, *invitation, etag.as_deref())?;
        }
        (Operation::DeclineInvitation { invitation, etag }, Caller::Account(person)) => {
            answer::decline(tenant, context, person, *invitation, etag.as_deref())?;
        }
        _ => return administer(tenant, context, caller, operation),
    }
    Ok(operation.subject())
}

/// What needs a right in the organization. A service that asks for a person hears that it may not, and one that does not
/// reach the organization not even that.
fn administer(
    tenant: &mut Tenant,
    context: &Context<'_>,
    caller: &Caller,
    operation: &Operation,
) -> Result<Subject, Refusal> {
    let subject = operation.subject();
    let standing = standing(tenant, context, caller).ok_or_else(|| Refusal::not_found(tenant.id(), &subject))?;
    if let Some(method) = operation.rpc() {
        standing.check_call(method, caller, &subject)?;
    }
    let (standing, actor) = (&standing, &caller.actor());
    match operation {
        Operation::CreateInvitation(invite) => {
            return invite::create(tenant, context, actor, invite).map(Subject::Invitation);
        }
        Operation::OfferMembership(offer) => {
            return offer::offer(tenant, context, actor, standing, offer).map(Subject::Invitation);
        }
        Operation::ApproveOffer { invitation, etag } => {
            offer::approve(tenant, context, actor, standing, *invitation, etag.as_deref())?;
        }
        Operation::RejectAccess { invitation, etag } => {
            administer::reject(tenant, context, actor, *invitation, etag.as_deref())?;
        }
        Operation::RevokeInvitation { invitation, etag } => {
            administer::revoke(tenant, context, actor, standing, *invitation, etag.as_deref())?;
        }
        Operation::ResendInvitation { invitation, etag, rotate_code } => {
            administer::resend(tenant, context, actor, standing, *invitation, etag.as_deref(), *rotate_code)?;
        }
        Operation::UpdateOrganization(edit) => settings::update(tenant, context, actor, standing, edit)?,
        Operation::UpdateMember { member, role, etag } => {
            membership::update(tenant, context, actor, standing, member, *role, etag.as_deref())?;
        }
        Operation::DeleteMember { member, etag } => {
            membership::delete(tenant, context, actor, standing, member, etag.as_deref())?;
        }
        Operation::RequestAccess { .. }
        | Operation::AcceptInvitation { .. }
        | Operation::DeclineInvitation { .. }
        | Operation::CreateOrganization(_)
        | Operation::Expire(_)
        | Operation::Leave(_) => unreachable!("decided before the caller's standing matters"),
    }
    Ok(subject)
}

fn decide_create(
    tenant: &mut Option<Tenant>,
    context: &Context<'_>,
    command: &Command,
    found: &Found,
    remembered: Option<&Remembered>,
) -> Result<Subject, Refusal> {
    if let Some(earlier) = replay(command, remembered)? {
        return Ok(earlier);
    }
    let Some(caller) = &command.caller else {
        return Err(Refusal::ScopeRequired(Scope::OrganizationsAdmin));
    };
    settings::check_founder(context, caller, &command.organization, found)?;
    if tenant.is_some() {
        return Err(Refusal::OrganizationExists(command.organization.name()));
    }
    let mut founded = settings::create(context, caller, &command.organization, found)?;
    sign(&mut founded.events, command);
    *tenant = Some(founded);
    Ok(Subject::Organization)
}

/// What the caller is to the organization. A deleted account is nothing to anybody.
fn standing(tenant: &Tenant, context: &Context<'_>, caller: &Caller) -> Option<Standing> {
    let username = caller.username().filter(|username| context.accounts.contains_key(username));
    let role = username.and_then(|username| tenant.members.get(username)).map(|member| member.role);
    Standing::of(caller, tenant.id(), role)
}

/// What the same request did before.
fn replay(command: &Command, remembered: Option<&Remembered>) -> Result<Option<Subject>, Refusal> {
    match remembered.filter(|_| command.request.is_some()) {
        Some(remembered) if remembered.is_of(command) => Ok(Subject::parse(&remembered.resource)),
        Some(_) => Err(Refusal::RequestIdReused),
        None => Ok(None),
    }
}

impl Command {
    /// Whether it may take the organization's lock before anybody has looked at whether it can succeed: of inviters, and
    /// of services that have the right. `role` is the caller's, where they are a member.
    pub fn is_trusted(&self, role: Option<Role>) -> bool {
        let admits = self.operation.rpc().map(Method::admits);
        let Some(Admits::Organization(action) | Admits::MemberOr(action)) = admits else { return false };
        match &self.caller {
            Some(Caller::Account(_)) => role.is_some_and(Role::may_invite),
            Some(caller @ Caller::Service(_)) => {
                Standing::of(caller, &self.organization, role).is_some_and(|standing| standing.may(action))
            }
            None => true,
        }
    }

    /// The typed caller under which a request id is kept.
    pub fn actor(&self) -> Option<Actor> {
        self.caller.as_ref().map(Caller::actor)
    }
}
