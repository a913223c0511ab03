//! An organization's policy: its bounds, and every call that asks it. AcceptInvitation is in `accept`.

use invitations::pb::{self, Policy, Role};
use prost_types::{Duration, FieldMask};
use tonic::Status;

use crate::support::{Person, Service, bad_fields, reason};

async fn set(owner: &Person, path: &str, policy: Policy) -> Result<pb::Organization, Status> {
    let message = pb::UpdateOrganizationRequest {
        organization: Some(pb::Organization {
            name: "organizations/acme".to_owned(),
            policy: Some(policy),
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec![format!("policy.{path}")] }),
        ..Default::default()
    };
    Ok(owner.organizations.clone().update_organization(message).await?.into_inner())
}

#[tokio::test]
async fn codes_and_offers_live_from_an_hour_to_thirty_days() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let lifetime = |seconds, nanos| Some(Duration { seconds, nanos });
    let both = |lifetime: Option<Duration>| {
        [
            ("invitation_lifetime", Policy { invitation_lifetime: lifetime, ..Default::default() }),
            ("offer_lifetime", Policy { offer_lifetime: lifetime, ..Default::default() }),
        ]
    };
    let before = service.tables().await;
    for bad in [lifetime(3599, 0), lifetime(2_592_001, 0), lifetime(3600, 1), lifetime(0, 0), lifetime(-3600, 0)] {
        for (path, policy) in both(bad) {
            let refused = set(&owner, path, policy).await;
            assert_eq!(bad_fields(refused.as_ref().unwrap_err()), [format!("organization.policy.{path}")], "{bad:?}");
        }
    }
    before.assert_same(&service.tables().await, "a lifetime out of bounds");
    for (seconds, name) in [(3600, "short"), (2_592_000, "long")] {
        for (path, policy) in both(lifetime(seconds, 0)) {
            set(&owner, path, policy).await.unwrap();
        }
        let invited = owner.invite("acme", &format!("{name}@elsewhere.example")).await.unwrap();
        let (_, offered) = service.offered(&owner, "acme", name, "READER").await;
        for invitation in [invited, offered] {
            let life = invitation.expire_time.unwrap().seconds - invitation.create_time.unwrap().seconds;
            assert!((seconds..=seconds + 1).contains(&life), "{name}: {life}");
        }
    }
}

#[tokio::test]
async fn whoever_is_invited_offered_or_raised_has_to_be_admitted() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    service.member(&owner, "acme", "max", "NONE").await;
    service.account("anna").await;
    let billing = service.service("billing", &["organizations.admin"]);
    let code = owner.invite("acme", "early@example.com").await.unwrap();
    let (_, offer) = service.offered(&owner, "acme", "otto", "READER").await;
    let domains = |domain: &str| vec![domain.to_owned()];
    for (path, policy, expected) in [
        (
            "allowed_email_domains",
            Policy { allowed_email_domains: domains("work.example"), ..Default::default() },
            "EMAIL_DOMAIN_NOT_ALLOWED",
        ),
        (
            "blocked_email_domains",
            Policy { blocked_email_domains: domains("example.com"), ..Default::default() },
            "EMAIL_DOMAIN_NOT_ALLOWED",
        ),
        (
            "allowed_providers",
            Policy { allowed_providers: vec!["entra".to_owned()], ..Default::default() },
            "PROVIDER_NOT_ALLOWED",
        ),
    ] {
        set(&owner, path, policy).await.unwrap();
        if path != "allowed_providers" {
            assert_eq!(reason(owner.invite("acme", "ina@example.com").await), expected, "{path}");
            // nor is anything sent once more to whom it would not be sent now
            assert_eq!(reason(owner.resend(&code.name, false).await), expected, "{path}");
            assert_eq!(reason(owner.resend(&offer.name, false).await), expected, "{path}");
        }
        assert_eq!(reason(owner.offer("acme", "anna", "anna@example.com", "READER").await), expected, "{path}");
        assert_eq!(reason(owner.set_role("acme", "max", "READER").await), expected, "{path}");
        // the control: without it all three succeed
        set(&billing, path, Policy::default()).await.unwrap();
        let invited = owner.invite("acme", "ina@example.com").await.unwrap();
        owner.revoke(&invited.name).await.unwrap();
        let offered = owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
        owner.revoke(&offered.name).await.unwrap();
        owner.set_role("acme", "max", "READER").await.unwrap();
        // and to lower somebody needs no policy
        owner.set_role("acme", "max", "NONE").await.unwrap();
    }
    for name in [&code.name, &offer.name] {
        owner.resend(name, false).await.unwrap();
    }
    service.recount().await;
}

#[tokio::test]
async fn a_member_rises_past_the_two_person_rule_only_by_a_new_offer() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let second = service.member(&owner, "acme", "otto", "OWNER").await;
    let max = service.member(&owner, "acme", "max", "READER").await;
    owner.ask_for_approval_of("acme", Role::Manager).await;
    let before = service.tables().await;
    assert_eq!(reason(owner.set_role("acme", "max", "MANAGER").await), "APPROVAL_REQUIRED");
    assert_eq!(reason(owner.set_role("acme", "max", "OWNER").await), "APPROVAL_REQUIRED");
    before.assert_same(&service.tables().await, "a rise by one person");
    owner.set_role("acme", "max", "SECURITY_MANAGER").await.unwrap();

    owner.remove("acme", "max").await.unwrap();
    let pending = owner.offer("acme", "max", "max@example.com", "MANAGER").await.unwrap();
    assert_eq!(reason(owner.approve(&pending.name).await), "SECOND_PERSON_REQUIRED");
    second.approve(&pending.name).await.unwrap();
    max.accept(&pending.name).await.unwrap();
    assert_eq!(owner.member("acme", "max").await.unwrap().role(), Role::Manager);
}

#[tokio::test]
async fn the_last_owner_can_be_neither_lowered_nor_removed_nor_deleted() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let before = service.tables().await;
    assert_eq!(reason(owner.set_role("acme", "olga", "MANAGER").await), "LAST_OWNER");
    assert_eq!(reason(owner.remove("acme", "olga").await), "LAST_OWNER");
    let delete = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
    assert_eq!(reason(owner.accounts.clone().delete_account(delete.clone()).await), "LAST_OWNER");
    before.assert_same(&service.tables().await, "the last owner");
    // the control
    service.member(&owner, "acme", "otto", "OWNER").await;
    owner.accounts.clone().delete_account(delete).await.unwrap();
    service.recount().await;
}
