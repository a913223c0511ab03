//! Update masks (AIP-134, AIP-203): what is not named stays, and what cannot be set does no harm.

use invitations::pb::{self, Organization, OrganizationLimits, Policy, Role, policy::AddressMatch};
use prost_types::{Duration, FieldMask};
use tonic::Status;

use crate::support::{Person, Service, bad_fields, reason};

async fn update(caller: &Person, organization: Organization, mask: Option<&[&str]>) -> Result<Organization, Status> {
    let paths = |paths: &[&str]| FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
    let message = pb::UpdateOrganizationRequest {
        organization: Some(Organization { name: "organizations/acme".to_owned(), ..organization }),
        update_mask: mask.map(paths),
        ..Default::default()
    };
    Ok(caller.organizations.clone().update_organization(message).await?.into_inner())
}

fn with(policy: Policy) -> Organization {
    Organization { policy: Some(policy), ..Default::default() }
}

#[tokio::test]
async fn without_a_mask_what_is_populated_is_changed_and_nothing_else() {
    let service = Service::start().await;
    service.owner("olga", "acme").await;
    // for whom nothing waits
    let owner = service.service("billing", &["organizations.admin"]);
    let protection = Policy {
        allowed_email_domains: vec!["example.com".to_owned()],
        blocked_email_domains: vec!["bad.example".to_owned()],
        allowed_providers: vec!["github".to_owned()],
        address_match: AddressMatch::Require.into(),
        invitation_lifetime: Some(Duration { seconds: 7200, nanos: 0 }),
        offer_lifetime: Some(Duration { seconds: 10_800, nanos: 0 }),
        max_attestation_age: Some(Duration { seconds: 3600, nanos: 0 }),
        approval_role: Role::Manager.into(),
        reminders_disabled: true,
        expiry_notifications_disabled: true,
    };
    let set = update(&owner, with(protection.clone()), None).await.unwrap();
    assert_eq!(set.policy, Some(protection.clone()));

    // each leaf alone, also in an empty mask
    let lifetime = Some(Duration { seconds: 86_400, nanos: 0 });
    let changed = with(Policy { offer_lifetime: lifetime, ..Default::default() });
    let expected = Policy { offer_lifetime: lifetime, ..protection.clone() };
    assert_eq!(update(&owner, changed, Some(&[])).await.unwrap().policy, Some(expected.clone()));
    let domains = vec!["other.example".to_owned()];
    let changed = with(Policy { blocked_email_domains: domains.clone(), ..Default::default() });
    let expected = Policy { blocked_email_domains: domains, ..expected };
    assert_eq!(update(&owner, changed, None).await.unwrap().policy, Some(expected.clone()));
    // neither an empty policy nor other fields touch it
    assert_eq!(update(&owner, with(Policy::default()), None).await.unwrap().policy, Some(expected.clone()));
    let renamed = Organization { display_name: "Acme Works".to_owned(), ..with(Policy::default()) };
    let renamed = update(&owner, renamed, None).await.unwrap();
    assert_eq!((renamed.display_name.as_str(), renamed.policy), ("Acme Works", Some(expected.clone())));

    // control: what a mask names is set as a whole
    let emptied = update(&owner, with(Policy::default()), Some(&["policy.allowed_email_domains"])).await.unwrap();
    assert_eq!(emptied.policy, Some(Policy { allowed_email_domains: Vec::new(), ..expected }));
    let reset = update(&owner, with(Policy::default()), Some(&["policy"])).await.unwrap().policy.unwrap();
    assert!(!reset.reminders_disabled && reset.allowed_providers.is_empty() && reset.approval_role == 0);
    service.stop().await;
}

#[tokio::test]
async fn limits_without_a_mask_are_changed_one_by_one() {
    let service = Service::start().await;
    service.owner("olga", "acme").await;
    let admin = service.service("admin", &["organizations.admin"]);
    let limits = |invitations_per_day, open_invitations| Organization {
        limits: Some(OrganizationLimits { invitations_per_day, open_invitations }),
        ..Default::default()
    };
    update(&admin, limits(Some(5), Some(7)), None).await.unwrap();
    let changed = update(&admin, limits(Some(0), None), None).await.unwrap();
    assert_eq!(changed.limits, limits(Some(0), Some(7)).limits);
    let seats = Organization { seat_limit: Some(0), ..Default::default() };
    let changed = update(&admin, seats, None).await.unwrap();
    assert_eq!((changed.seat_limit, changed.limits), (Some(0), limits(Some(0), Some(7)).limits));
    // control: named as a whole
    let changed = update(&admin, limits(None, Some(3)), Some(&["limits"])).await.unwrap();
    assert_eq!(changed.limits, limits(None, Some(3)).limits);
    service.stop().await;
}

#[tokio::test]
async fn what_a_mask_does_not_name_is_not_looked_at() {
    let service = Service::start().await;
    service.owner("olga", "acme").await;
    let admin = service.service("admin", &["organizations.admin"]);
    let policy = |policy: Policy| ("policy", with(policy));
    let limits = |limits| ("limits", Organization { limits: Some(limits), ..Default::default() });
    let second = Some(Duration { seconds: 1, nanos: 0 });
    let bad = [
        (
            "allowed_email_domains",
            policy(Policy { allowed_email_domains: vec!["*.example".to_owned()], ..Default::default() }),
        ),
        (
            "blocked_email_domains",
            policy(Policy { blocked_email_domains: vec!["a.example".to_owned(); 101], ..Default::default() }),
        ),
        ("allowed_providers", policy(Policy { allowed_providers: vec!["gone".to_owned()], ..Default::default() })),
        ("address_match", policy(Policy { address_match: 99, ..Default::default() })),
        ("invitation_lifetime", policy(Policy { invitation_lifetime: second, ..Default::default() })),
        ("offer_lifetime", policy(Policy { offer_lifetime: second, ..Default::default() })),
        ("max_attestation_age", policy(Policy { max_attestation_age: second, ..Default::default() })),
        ("approval_role", policy(Policy { approval_role: 99, ..Default::default() })),
        ("invitations_per_day", limits(OrganizationLimits { invitations_per_day: Some(-1), ..Default::default() })),
        ("open_invitations", limits(OrganizationLimits { open_invitations: Some(1_000_001), ..Default::default() })),
    ];
    for (number, (field, (whole, organization))) in bad.into_iter().enumerate() {
        let path = format!("{whole}.{field}");
        let named = |name: String| Organization { display_name: name, ..organization.clone() };
        let before = update(&admin, Organization::default(), None).await.unwrap();
        for (way, mask) in
            [&["display_name"][..], &["display_name", "policy.reminders_disabled"]].into_iter().enumerate()
        {
            let name = format!("Acme {number}-{way}");
            let changed = update(&admin, named(name.clone()), Some(mask)).await.unwrap();
            assert_eq!(changed.display_name, name, "{path}");
            assert_eq!((&changed.policy, &changed.limits), (&before.policy, &before.limits), "{path}");
        }
        // the neighbours: named, alone or as a whole, or given without a mask
        for mask in [Some(&["display_name", &path][..]), Some(&[whole]), Some(&["*"]), None] {
            let given = Organization {
                locale: "en".to_owned(),
                notification_email: before.notification_email.clone(),
                ..named("Acme".to_owned())
            };
            let refused = update(&admin, given, mask).await.expect_err(&path);
            assert_eq!(bad_fields(&refused), [format!("organization.{path}")], "{mask:?}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn names_that_cannot_be_set_do_no_harm_in_a_mask() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let read = owner.organization("acme").await;
    // what was read, changed and sent back, with a mask of everything that a form shows
    let all = ["name", "display_name", "locale", "seats_taken", "create_time", "update_time", "etag"];
    let changed = Organization { display_name: "Acme Works".to_owned(), seats_taken: 99, ..read.clone() };
    let changed = update(&owner, changed, Some(&all)).await.unwrap();
    assert_eq!((changed.display_name.as_str(), changed.seats_taken), ("Acme Works", read.seats_taken));
    assert_eq!(changed.create_time, read.create_time);

    // nothing else named: nothing is changed, whatever the message holds
    let before = service.tables().await;
    for mask in [&["etag"][..], &["name"], &["seats_taken", "update_time"], &["create_time", "name", "etag"]] {
        let other = Organization {
            display_name: "Another".to_owned(),
            ..with(Policy { reminders_disabled: true, ..Default::default() })
        };
        assert_eq!(update(&owner, other, Some(mask)).await.unwrap(), changed, "{mask:?}");
    }
    // the etag is checked all the same
    let stale = Organization { etag: read.etag, display_name: "Another".to_owned(), ..Default::default() };
    assert_eq!(reason(update(&owner, stale, Some(&["display_name", "etag"])).await), "ETAG_MISMATCH");
    // and a mistake stays one
    for bad in [&["colour"][..], &["display_name", "Etag"], &["displayName"], &["policy.name"], &["policy.etag"], &[""]]
    {
        let named = Organization { display_name: "Another".to_owned(), ..Default::default() };
        let refused = update(&owner, named, Some(bad)).await.expect_err("it is no field");
        assert_eq!(bad_fields(&refused), ["update_mask"], "{bad:?}");
    }
    before.assert_same(&service.tables().await, "a mask of nothing that can be set");
    service.stop().await;
}

#[tokio::test]
async fn the_same_holds_for_a_member() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    service.member(&owner, "acme", "max", "READER").await;
    let read = owner.member("acme", "max").await.unwrap();
    let set = async |role: Role, mask: &[&str]| -> Result<pb::Member, Status> {
        let paths = mask.iter().map(|path| (*path).to_owned()).collect();
        let message = pb::UpdateMemberRequest {
            member: Some(pb::Member {
                role: role.into(),
                email: "other@example.com".to_owned(),
                etag: String::new(),
                ..read.clone()
            }),
            update_mask: Some(FieldMask { paths }),
            ..Default::default()
        };
        Ok(owner.organizations.clone().update_member(message).await?.into_inner())
    };
    let before = service.tables().await;
    for mask in [&["etag"][..], &["name", "account"], &["email", "inviter", "create_time", "update_time"]] {
        for role in [Role::Owner, Role::Unspecified] {
            assert_eq!(set(role, mask).await.unwrap(), read, "{mask:?}");
        }
    }
    for bad in [&["role", "colour"][..], &["roles"], &["member.role"]] {
        assert_eq!(bad_fields(&set(Role::None, bad).await.expect_err("it is no field")), ["update_mask"], "{bad:?}");
    }
    assert_eq!(bad_fields(&set(Role::Unspecified, &["role"]).await.expect_err("no role")), ["member.role"]);
    before.assert_same(&service.tables().await, "a mask without the role");
    let changed = set(Role::Contributor, &["role", "etag", "email", "name"]).await.unwrap();
    assert_eq!((changed.role(), changed.email), (Role::Contributor, read.email.clone()));
    service.stop().await;
}
