//! An organization, its head row, and its members.

use super::{Actor, DisplayName, EmailAddress, OrganizationId, Policy, Role, Timestamp, Username};

/// What an organization has set for itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Organization {
    pub id: OrganizationId,
    pub display_name: DisplayName,
    /// Where the organization hears of access requests, joins and refusals.
    pub notification_email: EmailAddress,
    /// BCP 47; of its emails where an invitation names none.
    pub locale: String,
    pub policy: Policy,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub revision: i32,
}

/// What is counted. The row that each change of an organization locks first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Of the last event; 0 before the first.
    pub event_position: i64,
    /// May be set below `seats_taken`: only new seats are refused then.
    pub seat_limit: Option<i32>,
    /// Members and offers of a role other than NONE.
    pub seats_taken: i32,
    /// At least one, always.
    pub owners: i32,
    /// Overdue ones count until they are closed.
    pub open_invitations: i32,
}

/// An account in an organization.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    pub username: Username,
    pub role: Role,
    /// The address they were offered under; `None` for the founder.
    pub email: Option<EmailAddress>,
    /// Who offered; `None` for the founder.
    pub inviter: Option<Actor>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub revision: i32,
}

impl Member {
    pub fn name(&self, organization: &OrganizationId) -> String {
        member_name(organization, &self.username)
    }
}

/// The resource name of a member.
pub fn member_name(organization: &OrganizationId, username: &Username) -> String {
    format!("{}/members/{username}", organization.name())
}
