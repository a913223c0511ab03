//! A pending change as the column `organizations.pending_change` holds it.

use serde::{Deserialize, Serialize};

use super::policy;
use crate::domain::{Actor, PendingChange, Policy, PolicyEdit, Timestamp};

#[derive(Serialize, Deserialize)]
struct Stored {
    author: String,
    /// Named as in the contract.
    fields: Vec<String>,
    /// The values of these fields.
    policy: serde_json::Value,
}

pub fn encode(change: &PendingChange) -> serde_json::Value {
    let stored = Stored {
        author: change.author.to_string(),
        fields: change.policy.names().into_iter().map(str::to_owned).collect(),
        policy: policy::encode(&change.policy.apply(Policy::default())),
    };
    serde_json::to_value(stored).unwrap_or_default()
}

/// Reads what the columns hold. What a newer version has written in another form is left to it: here nothing waits.
pub fn decode(
    stored: Option<serde_json::Value>,
    create_time: Option<Timestamp>,
    effective_time: Option<Timestamp>,
) -> Option<PendingChange> {
    let stored = serde_json::from_value::<Stored>(stored?).ok()?;
    let values = policy::decode(stored.policy);
    let policy = PolicyEdit::of(&values, |name| stored.fields.iter().any(|field| field == name));
    let is_known = values.is_known() && policy.names().len() == stored.fields.len();
    let author = Actor::stored(&stored.author);
    let change = PendingChange { policy, author, create_time: create_time?, effective_time };
    is_known.then_some(change)
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::domain::AddressMatch;

    #[test]
    fn a_change_reads_back_and_what_is_newer_is_left_alone() {
        let policy = PolicyEdit {
            allowed_email_domains: Some(Vec::new()),
            blocked_email_domains: Some(vec!["a.example".to_owned()]),
            allowed_providers: Some(vec!["github".to_owned()]),
            address_match: Some(AddressMatch::Warn),
            invitation_lifetime: Some(Duration::hours(2)),
            offer_lifetime: Some(Duration::hours(3)),
            max_attestation_age: Some(Some(Duration::days(3))),
            approval_role: Some(None),
            reminders: Some(false),
            expiry_notifications: Some(true),
        };
        let now = Timestamp::UNIX_EPOCH;
        for policy in [PolicyEdit { approval_role: Some(None), ..PolicyEdit::default() }, policy] {
            let author = Actor::stored("accounts/olga");
            let change = PendingChange { policy, author, create_time: now, effective_time: None };
            let stored = encode(&change);
            assert_eq!(decode(Some(stored.clone()), Some(now), None), Some(change));
            for (key, newer) in [
                ("fields", serde_json::json!(["approval_role", "of_the_next_version"])),
                ("policy", serde_json::json!({"approval_role": "AUDITOR"})),
                ("author", serde_json::json!(7)),
            ] {
                let mut stored = stored.clone();
                stored[key] = newer;
                assert_eq!(decode(Some(stored), Some(now), None), None, "{key}");
            }
        }
        assert_eq!(decode(None, None, None), None);
    }
}
