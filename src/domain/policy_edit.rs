//! The policy field by field: some of its fields, their names, and which differ.

use time::Duration;

use super::{AddressMatch, Change, Policy, Role};

/// Lists of a policy stand in events up to this length, in bytes.
const LONGEST_LIST: usize = 200;

/// Some fields of a policy; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyEdit {
    pub allowed_email_domains: Option<Vec<String>>,
    pub blocked_email_domains: Option<Vec<String>>,
    pub allowed_providers: Option<Vec<String>>,
    pub address_match: Option<AddressMatch>,
    pub invitation_lifetime: Option<Duration>,
    pub offer_lifetime: Option<Duration>,
    pub max_attestation_age: Option<Option<Duration>>,
    pub approval_role: Option<Option<Role>>,
    pub reminders: Option<bool>,
    pub expiry_notifications: Option<bool>,
}

impl PolicyEdit {
    /// The fields of a policy that are named as in the contract.
    pub fn of(policy: &Policy, is_named: impl Fn(&str) -> bool) -> Self {
        let policy = policy.clone();
        Self {
            allowed_email_domains: is_named("allowed_email_domains").then_some(policy.allowed_email_domains),
            blocked_email_domains: is_named("blocked_email_domains").then_some(policy.blocked_email_domains),
            allowed_providers: is_named("allowed_providers").then_some(policy.allowed_providers),
            address_match: is_named("address_match").then_some(policy.address_match),
            invitation_lifetime: is_named("invitation_lifetime").then_some(policy.invitation_lifetime),
            offer_lifetime: is_named("offer_lifetime").then_some(policy.offer_lifetime),
            max_attestation_age: is_named("max_attestation_age").then_some(policy.max_attestation_age),
            approval_role: is_named("approval_role").then_some(policy.approval_role),
            reminders: is_named("reminders_disabled").then_some(policy.reminders),
            expiry_notifications: is_named("expiry_notifications_disabled").then_some(policy.expiry_notifications),
        }
    }

    /// The names of the fields that it has.
    pub fn names(&self) -> Vec<&'static str> {
        let fields = [
            ("allowed_email_domains", self.allowed_email_domains.is_some()),
            ("blocked_email_domains", self.blocked_email_domains.is_some()),
            ("allowed_providers", self.allowed_providers.is_some()),
            ("address_match", self.address_match.is_some()),
            ("invitation_lifetime", self.invitation_lifetime.is_some()),
            ("offer_lifetime", self.offer_lifetime.is_some()),
            ("max_attestation_age", self.max_attestation_age.is_some()),
            ("approval_role", self.approval_role.is_some()),
            ("reminders_disabled", self.reminders.is_some()),
            ("expiry_notifications_disabled", self.expiry_notifications.is_some()),
        ];
        fields.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
    }

    /// The same fields as they are in a policy.
    #[must_use]
    pub fn as_in(&self, policy: &Policy) -> Self {
        let names = self.names();
        Self::of(policy, |name| names.contains(&name))
    }

    pub fn apply(&self, policy: Policy) -> Policy {
        let edit = self.clone();
        Policy {
            allowed_email_domains: edit.allowed_email_domains.unwrap_or(policy.allowed_email_domains),
            blocked_email_domains: edit.blocked_email_domains.unwrap_or(policy.blocked_email_domains),
            allowed_providers: edit.allowed_providers.unwrap_or(policy.allowed_providers),
            address_match: edit.address_match.unwrap_or(policy.address_match),
            invitation_lifetime: edit.invitation_lifetime.unwrap_or(policy.invitation_lifetime),
            offer_lifetime: edit.offer_lifetime.unwrap_or(policy.offer_lifetime),
            max_attestation_age: edit.max_attestation_age.unwrap_or(policy.max_attestation_age),
            approval_role: edit.approval_role.unwrap_or(policy.approval_role),
            reminders: edit.reminders.unwrap_or(policy.reminders),
            expiry_notifications: edit.expiry_notifications.unwrap_or(policy.expiry_notifications),
        }
    }
}

/// What differs, for events.
pub(super) fn policy_changes(old: &Policy, new: &Policy) -> Vec<Change> {
    let fields = |policy: &Policy| {
        [
            ("policy.allowed_email_domains", policy.allowed_email_domains.join(",")),
            ("policy.blocked_email_domains", policy.blocked_email_domains.join(",")),
            ("policy.allowed_providers", policy.allowed_providers.join(",")),
            ("policy.address_match", policy.address_match.as_str().to_owned()),
            ("policy.invitation_lifetime", seconds(policy.invitation_lifetime)),
            ("policy.offer_lifetime", seconds(policy.offer_lifetime)),
            ("policy.max_attestation_age", policy.max_attestation_age.map(seconds).unwrap_or_default()),
            ("policy.approval_role", policy.approval_role.map_or("", Role::as_str).to_owned()),
            ("policy.reminders_disabled", (!policy.reminders).to_string()),
            ("policy.expiry_notifications_disabled", (!policy.expiry_notifications).to_string()),
        ]
    };
    let pairs = fields(old).into_iter().zip(fields(new)).filter(|(old, new)| old != new);
    pairs.map(|((field, before), (_, after))| Change::new(field, shorten(before), shorten(after))).collect()
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.whole_seconds())
}

/// A list that is too long to be kept for ever is told by its length.
fn shorten(list: String) -> String {
    if list.len() > LONGEST_LIST { format!("{} entries", list.split(',').count()) } else { list }
}
