//! A change of one organization, from the request to the decision.

use uuid::Uuid;

use super::{
    Actor, Caller, Context, Edit, Found, InvitationId, Invite, Offer, OrganizationId, Refusal, Role, Scope, Standing,
    Tenant, Username, administer, answer, expire, invite, membership, offer, organization::member_name, request_access,
    rights::Action, settings,
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
    /// The method that a request id belongs to.
    pub fn method(&self) -> &'static str {
        match self {
            Self::CreateOrganization(_) => "CreateOrganization",
            Self::UpdateOrganization(_) => "UpdateOrganization",
            Self::CreateInvitation(_) => "CreateInvitation",
            Self::RequestAccess { .. } => "RequestAccess",
            Self::OfferMembership(_) => "OfferMembership",
            Self::ApproveOffer { .. } => "ApproveOffer",
            Self::AcceptInvitation { .. } => "AcceptInvitation",
            Self::DeclineInvitation { .. } => "DeclineInvitation",
            Self::RejectAccess { .. } => "RejectAccess",
            Self::RevokeInvitation { .. } => "RevokeInvitation",
            Self::ResendInvitation { .. } => "ResendInvitation",
            Self::UpdateMember { .. } => "UpdateMember",
            Self::DeleteMember { .. } => "DeleteMember",
            Self::Expire(_) => "Expire",
            Self::Leave(_) => "Leave",
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
    let unknown = || Refusal::not_found(&command.organization, &command.operation.subject());
    let tenant = tenant.as_mut().ok_or_else(unknown)?;
    expire::close_overdue(tenant, context);
    match (&command.operation, &command.caller) {
        (Operation::Expire(_), _) => Ok(Subject::Organization),
        (Operation::Leave(username), _) => {
            membership::leave(tenant, context, username).map(|()| Subject::Member(username.clone()))
        }
        (_, Some(caller)) => {
            if may_see(tenant, context, caller, &command.operation)
                && let Some(earlier) = replay(command, remembered)?
            {
                return Ok(earlier);
            }
            operate(tenant, context, caller, &command.operation)
        }
        (_, None) => Err(unknown()),
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
    let actor = caller.actor();
    match operation {
        Operation::CreateInvitation(invite) => {
            stand(tenant, context, caller, operation)?.check(Action::Invite)?;
            invite::create(tenant, context, &actor, invite).map(Subject::Invitation)
        }
        Operation::RequestAccess { invitation, code_hash } => {
            let person = person(tenant, context, caller, operation)?;
            request_access::request_access(tenant, context, person, *invitation, code_hash).map(Subject::Invitation)
        }
        Operation::OfferMembership(offer) => {
            stand(tenant, context, caller, operation)?.check(Action::Grant(offer.role))?;
            offer::offer(tenant, context, &actor, offer).map(Subject::Invitation)
        }
        Operation::ApproveOffer { invitation, etag } => {
            let standing = stand(tenant, context, caller, operation)?;
            let approver = person(tenant, context, caller, operation)?;
            standing.check(Action::Invite)?;
            offer::approve(tenant, context, approver, &standing, *invitation, etag.as_deref())?;
            Ok(Subject::Invitation(*invitation))
        }
        Operation::AcceptInvitation { invitation, etag } => {
            let person = person(tenant, context, caller, operation)?;
            answer::accept(tenant, context, person, *invitation, etag.as_deref())?;
            Ok(Subject::Invitation(*invitation))
        }
        Operation::DeclineInvitation { invitation, etag } => {
            let person = person(tenant, context, caller, operation)?;
            answer::decline(tenant, context, person, *invitation, etag.as_deref())?;
            Ok(Subject::Invitation(*invitation))
        }
        Operation::RejectAccess { invitation, etag } => {
            stand(tenant, context, caller, operation)?.check(Action::Invite)?;
            administer::reject(tenant, context, &actor, *invitation, etag.as_deref())?;
            Ok(Subject::Invitation(*invitation))
        }
        Operation::RevokeInvitation { invitation, etag } => {
            let standing = stand(tenant, context, caller, operation)?;
            standing.check(Action::Invite)?;
            administer::revoke(tenant, context, &actor, &standing, *invitation, etag.as_deref())?;
            Ok(Subject::Invitation(*invitation))
        }
        Operation::ResendInvitation { invitation, etag, rotate_code } => {
            let standing = stand(tenant, context, caller, operation)?;
            standing.check(Action::Invite)?;
            administer::resend(tenant, context, &actor, &standing, *invitation, etag.as_deref(), *rotate_code)?;
            Ok(Subject::Invitation(*invitation))
        }
        Operation::UpdateOrganization(edit) => {
            let standing = stand(tenant, context, caller, operation)?;
            settings::update(tenant, context, &actor, &standing, edit).map(|()| Subject::Organization)
        }
        Operation::UpdateMember { member, role, etag } => {
            let standing = stand(tenant, context, caller, operation)?;
            membership::update(tenant, context, &actor, &standing, member, *role, etag.as_deref())?;
            Ok(Subject::Member(member.clone()))
        }
        Operation::DeleteMember { member, etag } => {
            let standing = stand(tenant, context, caller, operation)?;
            membership::delete(tenant, context, &actor, &standing, member, etag.as_deref())?;
            Ok(Subject::Member(member.clone()))
        }
        Operation::CreateOrganization(_) | Operation::Expire(_) | Operation::Leave(_) => {
            unreachable!("decided before the caller's standing matters")
        }
    }
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
    settings::founder(context, caller, &command.organization, found)?;
    if command.organization.is_reserved(&context.deployment.reserved_names) {
        return Err(Refusal::field("organization_id", "is reserved, choose another one"));
    }
    if tenant.is_some() {
        return Err(Refusal::OrganizationExists(command.organization.name()));
    }
    *tenant = Some(settings::create(context, caller, &command.organization, found)?);
    Ok(Subject::Organization)
}

/// What the caller is to the organization. A deleted account is nothing to anybody.
fn standing(tenant: &Tenant, context: &Context<'_>, caller: &Caller) -> Option<Standing> {
    let username = caller.username().filter(|username| context.accounts.contains_key(username));
    let role = username.and_then(|username| tenant.members.get(username)).map(|member| member.role);
    Standing::of(caller, tenant.id(), role)
}

/// The same, or the refusal of a stranger.
fn stand(tenant: &Tenant, context: &Context<'_>, caller: &Caller, operation: &Operation) -> Result<Standing, Refusal> {
    standing(tenant, context, caller).ok_or_else(|| Refusal::not_found(tenant.id(), &operation.subject()))
}

/// The account that asks or answers. No service does it for anybody, and one that does not reach the organization must
/// not learn from the refusal that it exists.
fn person<'a>(
    tenant: &Tenant,
    context: &Context<'_>,
    caller: &'a Caller,
    operation: &Operation,
) -> Result<&'a Username, Refusal> {
    match caller.username() {
        Some(username) => Ok(username),
        None => stand(tenant, context, caller, operation).and(Err(Refusal::PersonRequired)),
    }
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
    /// The typed caller under which a request id is kept.
    pub fn actor(&self) -> Option<Actor> {
        self.caller.as_ref().map(Caller::actor)
    }
}
