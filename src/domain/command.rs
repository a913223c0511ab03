//! A change of one organization, from the request to the decision.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::{
    Actor, Caller, Edit, InvitationId, Invite, Method, NewOrganization, Offer, OrganizationId, Role, Standing, Subject,
    Timestamp, TraceParent, Username, rights::Admits,
};

/// Who wants what of which organization.
#[derive(Clone, Debug)]
pub struct Command {
    pub organization: OrganizationId,
    /// `None`: the service itself.
    pub caller: Option<Caller>,
    pub request: Option<Request>,
    pub operation: Operation,
    /// The call that it comes from, where that is recorded.
    pub trace: Option<TraceParent>,
}

/// What makes a retry the same request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Chosen by the caller.
    pub id: Uuid,
    /// SHA-256 over method and body.
    pub digest: [u8; 32],
    /// The id of the request that this one is a part of.
    pub whole: Option<Uuid>,
}

impl Request {
    pub fn new(id: Uuid, digest: [u8; 32]) -> Self {
        Self { id, digest, whole: None }
    }

    /// One part of this request: with an id of its own, so that a repetition finds out which parts were done, and with the
    /// digest of the whole. `part` is another number for each.
    #[must_use]
    pub fn part(&self, part: u128) -> Self {
        let hash = Sha256::new().chain_update(self.id).chain_update(part.to_be_bytes()).finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        Self { id: Builder::from_custom_bytes(id).into_uuid(), digest: self.digest, whole: Some(self.id) }
    }

    /// The id that the caller chose.
    pub fn chosen_id(&self) -> Uuid {
        self.whole.unwrap_or(self.id)
    }
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Operation {
    CreateOrganization(Box<NewOrganization>),
    UpdateOrganization(Box<Edit>),
    ApproveOrganizationChange {
        etag: Option<String>,
    },
    WithdrawOrganizationChange {
        etag: Option<String>,
    },
    VerifyNotificationEmail {
        code_hash: [u8; 32],
    },
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
        /// A code key that nobody has any more.
        gone_key: Option<String>,
    },
    UpdateMember {
        member: Username,
        /// `None` stays as it is.
        role: Option<Role>,
        etag: Option<String>,
    },
    DeleteMember {
        member: Username,
        etag: Option<String>,
    },
    /// A member has used the code, and was refused: whoever was invited is there already.
    SettleInvitation {
        invitation: InvitationId,
        code_hash: [u8; 32],
    },
    /// The sweep's. Whatever it names, it also writes that a pending change has taken effect or ended.
    Expire(Vec<InvitationId>),
    /// The sweep's: their emails wait until then.
    Prolong(Vec<(InvitationId, Timestamp)>),
    /// Of an account that is being deleted.
    Leave(Username),
}

impl Operation {
    /// The RPC that asks for it; `None`: nobody does but the service itself.
    pub fn rpc(&self) -> Option<Method> {
        Some(match self {
            Self::CreateOrganization(_) => Method::CreateOrganization,
            Self::UpdateOrganization(_) => Method::UpdateOrganization,
            Self::ApproveOrganizationChange { .. } => Method::ApproveOrganizationChange,
            Self::WithdrawOrganizationChange { .. } => Method::WithdrawOrganizationChange,
            Self::VerifyNotificationEmail { .. } => Method::VerifyNotificationEmail,
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
            Self::SettleInvitation { .. } | Self::Expire(_) | Self::Prolong(_) | Self::Leave(_) => return None,
        })
    }

    /// The RPC that asks for several of these in one call.
    pub fn rpc_of_many(&self) -> Option<Method> {
        match self {
            Self::CreateInvitation(_) => Some(Method::BatchCreateInvitations),
            Self::RevokeInvitation { .. } => Some(Method::RevokeInvitations),
            _ => None,
        }
    }

    /// The method that a request id belongs to.
    pub fn method(&self) -> &'static str {
        match self {
            Self::SettleInvitation { .. } => "SettleInvitation",
            Self::Expire(_) => "Expire",
            Self::Prolong(_) => "Prolong",
            Self::Leave(_) => "Leave",
            _ => self.rpc().map_or("", Method::name),
        }
    }

    /// What the request named; a stranger is told that it does not exist.
    pub fn subject(&self) -> Subject {
        match self {
            Self::RequestAccess { invitation, .. }
            | Self::SettleInvitation { invitation, .. }
            | Self::ApproveOffer { invitation, .. }
            | Self::AcceptInvitation { invitation, .. }
            | Self::DeclineInvitation { invitation, .. }
            | Self::RejectAccess { invitation, .. }
            | Self::RevokeInvitation { invitation, .. }
            | Self::ResendInvitation { invitation, .. } => Subject::Invitation(*invitation),
            Self::UpdateMember { member, .. } | Self::DeleteMember { member, .. } => Subject::Member(member.clone()),
            Self::CreateOrganization(_)
            | Self::UpdateOrganization(_)
            | Self::ApproveOrganizationChange { .. }
            | Self::WithdrawOrganizationChange { .. }
            | Self::VerifyNotificationEmail { .. }
            | Self::CreateInvitation(_)
            | Self::OfferMembership(_)
            | Self::Expire(_)
            | Self::Prolong(_)
            | Self::Leave(_) => Subject::Organization,
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
        command.request.as_ref().is_some_and(|request| self.is_request(command.operation.method(), request))
    }

    /// Whether it is the request that the command is a part of.
    pub fn is_whole_of(&self, command: &Command) -> bool {
        let method = command.operation.rpc_of_many().map_or("", Method::name);
        command.request.as_ref().is_some_and(|request| self.is_request(method, request))
    }

    /// Whether it is of that request to that method, with the same body.
    pub fn is_request(&self, method: &str, request: &Request) -> bool {
        self.method == method && self.digest == request.digest
    }
}

impl Command {
    /// Of no trace.
    pub fn new(
        organization: OrganizationId,
        caller: Option<Caller>,
        request: Option<Request>,
        operation: Operation,
    ) -> Self {
        Self { organization, caller, request, operation, trace: None }
    }

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

    /// The same, knowing that nobody has that code key any more.
    #[must_use]
    pub fn with_gone_key(mut self, key: String) -> Self {
        if let Operation::ResendInvitation { gone_key, .. } = &mut self.operation {
            *gone_key = Some(key);
        }
        self
    }

    /// The typed caller under which a request id is kept.
    pub fn actor(&self) -> Option<Actor> {
        self.caller.as_ref().map(Caller::actor)
    }
}
