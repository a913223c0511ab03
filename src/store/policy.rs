//! A policy as the column `organizations.policy` holds it: a missing field has its default. Fields that this version does
//! not know stay as they are when it writes the others.

use serde::{Deserialize, Serialize};
use time::Duration;

use crate::domain::{AddressMatch, Policy, Role};

/// The fields that this version knows.
pub const FIELDS: [&str; 10] = [
    "allowed_email_domains",
    "blocked_email_domains",
    "allowed_providers",
    "address_match_required",
    "invitation_lifetime_seconds",
    "offer_lifetime_seconds",
    "max_attestation_age_seconds",
    "approval_role",
    "reminders_disabled",
    "expiry_notifications_disabled",
];

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Stored {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_email_domains: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocked_email_domains: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_providers: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    address_match_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    invitation_lifetime_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offer_lifetime_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attestation_age_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_role: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    reminders_disabled: bool,
    #[serde(skip_serializing_if = "is_false")]
    expiry_notifications_disabled: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

pub fn encode(policy: &Policy) -> serde_json::Value {
    let default = Policy::default();
    let other = |lifetime: Duration, default: Duration| (lifetime != default).then(|| lifetime.whole_seconds());
    let stored = Stored {
        allowed_email_domains: policy.allowed_email_domains.clone(),
        blocked_email_domains: policy.blocked_email_domains.clone(),
        allowed_providers: policy.allowed_providers.clone(),
        address_match_required: policy.address_match == AddressMatch::Require,
        invitation_lifetime_seconds: other(policy.invitation_lifetime, default.invitation_lifetime),
        offer_lifetime_seconds: other(policy.offer_lifetime, default.offer_lifetime),
        max_attestation_age_seconds: policy.max_attestation_age.map(Duration::whole_seconds),
        approval_role: policy.approval_role.map(|role| role.as_str().to_owned()),
        reminders_disabled: !policy.reminders,
        expiry_notifications_disabled: !policy.expiry_notifications,
    };
    serde_json::to_value(stored).unwrap_or_default()
}

/// Reads a policy. One that a newer version has written in another form is known to demand something, and no more.
pub fn decode(value: serde_json::Value) -> Policy {
    let default = Policy::default();
    let Ok(stored) = serde_json::from_value::<Stored>(value) else {
        return Policy { address_match: AddressMatch::Newer, approval_role: Some(Role::Newer), ..default };
    };
    Policy {
        allowed_email_domains: stored.allowed_email_domains,
        blocked_email_domains: stored.blocked_email_domains,
        allowed_providers: stored.allowed_providers,
        address_match: if stored.address_match_required { AddressMatch::Require } else { AddressMatch::Warn },
        invitation_lifetime: stored.invitation_lifetime_seconds.map_or(default.invitation_lifetime, Duration::seconds),
        offer_lifetime: stored.offer_lifetime_seconds.map_or(default.offer_lifetime, Duration::seconds),
        max_attestation_age: stored.max_attestation_age_seconds.map(Duration::seconds),
        approval_role: stored.approval_role.as_deref().map(Role::stored),
        reminders: !stored.reminders_disabled,
        expiry_notifications: !stored.expiry_notifications_disabled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field has another value than the default.
    fn unusual() -> Policy {
        let domains = |domain: &str| vec![domain.to_owned()];
        Policy {
            allowed_email_domains: domains("a.example"),
            blocked_email_domains: domains("b.a.example"),
            allowed_providers: domains("github"),
            address_match: AddressMatch::Require,
            invitation_lifetime: Duration::hours(2),
            offer_lifetime: Duration::hours(1),
            max_attestation_age: Some(Duration::days(1)),
            approval_role: Some(Role::Manager),
            reminders: false,
            expiry_notifications: false,
        }
    }

    #[test]
    fn a_policy_reads_back_and_the_default_is_empty() {
        assert_eq!(encode(&Policy::default()), serde_json::json!({}));
        assert_eq!(decode(encode(&unusual())), unusual());
    }

    #[test]
    fn every_field_is_known_by_its_name() {
        let stored = encode(&unusual());
        let mut known = FIELDS;
        known.sort_unstable();
        assert_eq!(stored.as_object().unwrap().keys().collect::<Vec<_>>(), known);
    }

    #[test]
    fn what_a_newer_version_has_written_is_never_taken_for_no_demand() {
        for newer in [
            serde_json::json!({"approval_role": "AUDITOR"}),
            serde_json::json!({"address_match_required": "IN_WRITING"}),
            serde_json::json!(["nothing"]),
        ] {
            let policy = decode(newer);
            assert!(!policy.is_known() && policy.needs_approval(Role::None));
        }
        // a field that it does not know says nothing to it
        assert_eq!(decode(serde_json::json!({"of_the_next_version": true})), Policy::default());
    }
}
