//! What happened to an organization, its invitations and its members; never changed afterwards.

use uuid::Uuid;

use super::{Actor, InvitationId, Timestamp, Username};

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    OrganizationCreated,
    OrganizationUpdated,
    Invited,
    Resent,
    CodeRotated,
    AccessRequested,
    Offered,
    Approved,
    Accepted,
    Declined,
    Rejected,
    Revoked,
    Expired,
    MemberUpdated,
    MemberRemoved,
    ChangeProposed,
    ChangeApproved,
    ChangeWithdrawn,
    Prolonged,
}

impl EventKind {
    pub const ALL: [Self; 19] = [
        Self::OrganizationCreated,
        Self::OrganizationUpdated,
        Self::Invited,
        Self::Resent,
        Self::CodeRotated,
        Self::AccessRequested,
        Self::Offered,
        Self::Approved,
        Self::Accepted,
        Self::Declined,
        Self::Rejected,
        Self::Revoked,
        Self::Expired,
        Self::MemberUpdated,
        Self::MemberRemoved,
        Self::ChangeProposed,
        Self::ChangeApproved,
        Self::ChangeWithdrawn,
        Self::Prolonged,
    ];

    /// The name in the contract and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrganizationCreated => "ORGANIZATION_CREATED",
            Self::OrganizationUpdated => "ORGANIZATION_UPDATED",
            Self::Invited => "INVITED",
            Self::Resent => "RESENT",
            Self::CodeRotated => "CODE_ROTATED",
            Self::AccessRequested => "ACCESS_REQUESTED",
            Self::Offered => "OFFERED",
            Self::Approved => "APPROVED",
            Self::Accepted => "ACCEPTED",
            Self::Declined => "DECLINED",
            Self::Rejected => "REJECTED",
            Self::Revoked => "REVOKED",
            Self::Expired => "EXPIRED",
            Self::MemberUpdated => "MEMBER_UPDATED",
            Self::MemberRemoved => "MEMBER_REMOVED",
            Self::ChangeProposed => "ORGANIZATION_CHANGE_PROPOSED",
            Self::ChangeApproved => "ORGANIZATION_CHANGE_APPROVED",
            Self::ChangeWithdrawn => "ORGANIZATION_CHANGE_WITHDRAWN",
            Self::Prolonged => "PROLONGED",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether somebody has asked for the email of an invitation again.
    pub fn is_resend(self) -> bool {
        matches!(self, Self::Resent | Self::CodeRotated)
    }
}

/// One event. Its position is the order of commits within the organization, without gaps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    pub position: i64,
    /// `None`: one that a newer version has written.
    pub kind: Option<EventKind>,
    /// `None`: the service itself.
    pub actor: Option<Actor>,
    pub invitation: Option<InvitationId>,
    /// The member that it is about.
    pub member: Option<Username>,
    pub changes: Vec<Change>,
    pub create_time: Timestamp,
    /// Of the request that did it.
    pub request_id: Option<Uuid>,
}

/// A field before and after. Holds no personal data but names of resources, as no event is ever erased: an address or a
/// display name shows as changed, not as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    pub field: String,
    pub before: String,
    pub after: String,
}

impl Change {
    pub fn new(field: &str, before: impl Into<String>, after: impl Into<String>) -> Self {
        Self { field: field.to_owned(), before: before.into(), after: after.into() }
    }
}
