//! The states of an invitation.

/// Where an invitation stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum InvitationState {
    Invited,
    AccessRequested,
    PendingApproval,
    Offered,
    Accepted,
    Declined,
    Rejected,
    Revoked,
    Expired,
    /// One that a newer version has written. Nothing leaves it here: what it stands for is not known.
    Newer,
}

impl InvitationState {
    /// Those that this version knows.
    pub const ALL: [Self; 9] = [
        Self::Invited,
        Self::AccessRequested,
        Self::PendingApproval,
        Self::Offered,
        Self::Accepted,
        Self::Declined,
        Self::Rejected,
        Self::Revoked,
        Self::Expired,
    ];

    /// The name in the contract and the database; empty for what a newer version has written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "INVITED",
            Self::AccessRequested => "ACCESS_REQUESTED",
            Self::PendingApproval => "PENDING_APPROVAL",
            Self::Offered => "OFFERED",
            Self::Accepted => "ACCEPTED",
            Self::Declined => "DECLINED",
            Self::Rejected => "REJECTED",
            Self::Revoked => "REVOKED",
            Self::Expired => "EXPIRED",
            Self::Newer => "",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Reads a row.
    pub fn stored(text: &str) -> Self {
        Self::parse(text).unwrap_or(Self::Newer)
    }

    /// Nothing leaves a state that is not open.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Invited | Self::AccessRequested | Self::PendingApproval | Self::Offered)
    }

    /// Whether it is an offer, which takes a seat.
    pub fn is_offer(self) -> bool {
        matches!(self, Self::PendingApproval | Self::Offered)
    }
}
