//! A policy as the column `organizations.policy` holds it: a missing field has its default.

use serde::{Deserialize, Serialize};
use time::Duration;

use crate::domain::{AddressMatch, Policy, Role};

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
        approval_role: policy.approval_role.map(|role| role.as_str().to_owned()),
        reminders_disabled: !policy.reminders,
        expiry_notifications_disabled: !policy.expiry_notifications,
    };
    serde_json::to_value(stored).unwrap_or_default()
}

pub fn decode(value: serde_json::Value) -> super::Result<Policy> {
    let stored: Stored =
        serde_json::from_value(value).map_err(|_| super::Error::Fault("a policy cannot be read".to_owned()))?;
    let default = Policy::default();
    Ok(Policy {
        allowed_email_domains: stored.allowed_email_domains,
        blocked_email_domains: stored.blocked_email_domains,
        allowed_providers: stored.allowed_providers,
        address_match: if stored.address_match_required { AddressMatch::Require } else { AddressMatch::Warn },
        invitation_lifetime: stored.invitation_lifetime_seconds.map_or(default.invitation_lifetime, Duration::seconds),
        offer_lifetime: stored.offer_lifetime_seconds.map_or(default.offer_lifetime, Duration::seconds),
        approval_role: stored.approval_role.as_deref().and_then(Role::parse),
        reminders: !stored.reminders_disabled,
        expiry_notifications: !stored.expiry_notifications_disabled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_reads_back_and_the_default_is_empty() {
        assert_eq!(encode(&Policy::default()), serde_json::json!({}));
        let policy = Policy {
            allowed_email_domains: vec!["a.example".to_owned()],
            address_match: AddressMatch::Require,
            offer_lifetime: Duration::hours(1),
            approval_role: Some(Role::Manager),
            reminders: false,
            ..Policy::default()
        };
        assert_eq!(decode(encode(&policy)).unwrap(), policy);
    }
}
