//! An organization, its head row, and its members.

use super::{
    Actor, DisplayName, EmailAddress, OrganizationId, PendingChange, Policy, Role, Timestamp, Username, Window,
    member_name,
};

/// What an organization has set for itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Organization {
    pub id: OrganizationId,
    pub display_name: DisplayName,
    /// Where the organization hears of access requests, joins and refusals.
    pub notification_email: EmailAddress,
    /// `None`: somebody has shown that this address is theirs.
    pub missing_proof: Option<MissingProof>,
    /// BCP 47; of its emails where an invitation names none.
    pub locale: String,
    pub policy: Policy,
    /// As it was written: see [`Organization::at`].
    pub pending_change: Option<PendingChange>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub revision: i32,
}

impl Organization {
    /// As it is at that moment, whether or not anybody has written it: what was due has taken effect, what was over has
    /// ended.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        let Some(pending) = self.pending_change.as_ref().filter(|_| self.policy.is_known()) else { return self };
        let Some((moment, takes_effect)) = pending.outcome(now) else { return self };
        if takes_effect {
            self.policy = pending.policy.apply(self.policy);
        }
        self.pending_change = None;
        self.update_time = moment;
        self.revision += 1;
        self
    }

    /// The notification address, if somebody has shown that it is theirs.
    pub fn proven_address(&self) -> Option<EmailAddress> {
        Some(self.notification_email.clone()).filter(|_| self.missing_proof.is_none())
    }
}

/// The code that was sent to a notification address and that nobody has entered. It is not stored: it follows from this,
/// the organization and the address, so a code is none for any other address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MissingProof {
    pub key_id: String,
    /// The organization's revision when the address was set.
    pub generation: i32,
    pub expire_time: Timestamp,
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
    pub limits: OrganizationLimits,
    /// Invitations of the last days, for their limit.
    pub invitations: Window,
}

impl Head {
    /// Of an organization in which nothing has happened yet.
    pub fn new(seat_limit: Option<i32>, limits: OrganizationLimits) -> Self {
        Self {
            event_position: 0,
            seat_limit,
            seats_taken: 0,
            owners: 0,
            open_invitations: 0,
            limits,
            invitations: Window::default(),
        }
    }
}

/// Limits that an organization has instead of the deployment's; `None`: the deployment's, 0: not one.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct OrganizationLimits {
    /// Emails to people who may not expect them, in 24 hours: see [`super::OrganizationState::count_invitation`].
    pub invitations_per_day: Option<i32>,
    pub open_invitations: Option<i32>,
}

/// An account in an organization.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    pub username: Username,
    pub role: Role,
    /// The address they were offered under; of the founder the account's first one at that time, `None` if it had none.
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
