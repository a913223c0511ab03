//! Changes of an organization that people are warned of: each one writes to an address that nobody has verified.

use invitations::pb;

use super::{Limited, assert_limited, request_id};
use crate::support::{Person, patiently, reason};

/// Changes what `organization` sets, at the path.
fn change(id: &str, path: &str, organization: pb::Organization) -> pb::UpdateOrganizationRequest {
    pb::UpdateOrganizationRequest {
        organization: Some(pb::Organization { name: format!("organizations/{id}"), ..organization }),
        update_mask: Some(prost_types::FieldMask { paths: vec![path.to_owned()] }),
        ..Default::default()
    }
}

fn silence(id: &str, reminders_disabled: bool) -> pb::UpdateOrganizationRequest {
    let policy = Some(pb::Policy { reminders_disabled, ..Default::default() });
    change(id, "policy.reminders_disabled", pb::Organization { policy, ..Default::default() })
}

fn notify(id: &str, notification_email: &str) -> pb::UpdateOrganizationRequest {
    let notification_email = notification_email.to_owned();
    change(id, "notification_email", pb::Organization { notification_email, ..Default::default() })
}

async fn update(person: &Person, message: pb::UpdateOrganizationRequest) -> Result<pb::Organization, tonic::Status> {
    person.organizations.clone().update_organization(message).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_caller_makes_only_so_many_changes_a_day_that_people_are_warned_of() {
    let limited = Limited::start(&[("protection_changes_per_caller_limit", "3")]).await;
    let service = &limited.service;
    let olga = service.owner("olga", "acme").await;
    olga.create_organization("beta").await.unwrap();
    let mia = service.member(&olga, "acme", "mia", "OWNER").await;
    let there = olga.on(&limited.second);
    let first = pb::UpdateOrganizationRequest { request_id: request_id(), ..notify("acme", "victim@example.com") };
    update(&olga, first.clone()).await.unwrap();
    update(&there, silence("acme", true)).await.unwrap();
    update(&olga, silence("beta", true)).await.unwrap();
    assert_eq!(service.charges().await, 3);

    let before = service.tables().await;
    for person in [&olga, &there] {
        for message in [silence("acme", false), notify("beta", "victim@example.com")] {
            assert_limited(update(person, message).await, "TOO_MANY_PROTECTION_CHANGES");
        }
        // a repetition is no change, and what stays as it is none either
        assert_eq!(update(person, first.clone()).await.unwrap().notification_email, "victim@example.com");
        update(person, silence("acme", true)).await.unwrap();
        // what is refused anyway is refused for that
        let mut stale = silence("acme", false);
        stale.organization.as_mut().unwrap().etag = "b40711a88c703975".to_owned();
        assert_eq!(reason(update(person, stale).await), "ETAG_MISMATCH");
    }
    before.assert_same(&service.tables().await, "a change too many");
    assert_eq!(service.charges().await, 3);

    // nobody is warned of the rest, another caller has a limit of their own, and without the limit there is none
    update(&olga, rename("acme", "Other")).await.unwrap();
    assert_eq!(service.charges().await, 3);
    update(&mia, silence("acme", false)).await.unwrap();
    update(&olga.on(&limited.unlimited), silence("acme", true)).await.unwrap();
    let billing = service.service("billing", &["organizations.admin"]);
    for n in 0..3 {
        update(&billing, silence("acme", n % 2 == 1)).await.unwrap();
    }
    assert_limited(update(&billing, silence("acme", true)).await, "TOO_MANY_PROTECTION_CHANGES");
    service.let_limits_pass(48 * 60).await;
    update(&there, silence("acme", true)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_at_once_do_not_overshoot_the_limit() {
    let limited = Limited::start(&[("protection_changes_per_caller_limit", "3")]).await;
    let olga = limited.service.owner("olga", "acme").await;
    let outcomes = limited.in_turn(&olga, 12).enumerate().map(async |(n, olga)| {
        let message = notify("acme", &format!("victim{n}@example.com"));
        let message = pb::UpdateOrganizationRequest { request_id: request_id(), ..message };
        patiently(async || update(&olga, message.clone()).await).await
    });
    let outcomes = futures_util::future::join_all(outcomes).await;
    let (changed, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(changed.len(), 3);
    for outcome in refused {
        assert_limited(outcome, "TOO_MANY_PROTECTION_CHANGES");
    }
}

fn rename(id: &str, display_name: &str) -> pb::UpdateOrganizationRequest {
    let display_name = display_name.to_owned();
    change(id, "display_name", pb::Organization { display_name, ..Default::default() })
}

#[tokio::test]
async fn one_thing_is_changed_only_so_often_a_day_by_one_caller() {
    let limited = Limited::start(&[("changes_per_subject_limit", "3")]).await;
    let service = &limited.service;
    let olga = service.owner("olga", "acme").await;
    olga.create_organization("beta").await.unwrap();
    let mia = service.member(&olga, "acme", "mia", "OWNER").await;
    for name in ["max", "moa"] {
        service.member(&olga, "acme", name, "READER").await;
    }
    let there = olga.on(&limited.second);
    let last = pb::UpdateOrganizationRequest { request_id: request_id(), ..rename("acme", "Three") };
    update(&olga, rename("acme", "One")).await.unwrap();
    update(&there, rename("acme", "Two")).await.unwrap();
    update(&there, last.clone()).await.unwrap();
    for role in ["NONE", "READER", "NONE"] {
        olga.set_role("acme", "max", role).await.unwrap();
    }
    assert_eq!(service.charges().await, 6);

    let before = service.tables().await;
    for person in [&olga, &there] {
        assert_limited(update(person, rename("acme", "Four")).await, "TOO_MANY_CHANGES");
        assert_limited(update(person, silence("acme", true)).await, "TOO_MANY_CHANGES");
        assert_limited(person.set_role("acme", "max", "READER").await, "TOO_MANY_CHANGES");
        // a repetition is no change, and what stays as it is none either
        update(person, last.clone()).await.unwrap();
        update(person, rename("acme", "Three")).await.unwrap();
        person.set_role("acme", "max", "NONE").await.unwrap();
        // what is refused anyway is refused for that
        assert_eq!(reason(person.set_role("acme", "nobody", "READER").await), "MEMBER_NOT_FOUND");
    }
    before.assert_same(&service.tables().await, "a change too many");
    assert_eq!(service.charges().await, 6);

    // other things and other callers have a pace of their own, and without the limit there is none: the control
    update(&olga, rename("beta", "Other")).await.unwrap();
    olga.set_role("acme", "moa", "NONE").await.unwrap();
    update(&mia, rename("acme", "Four")).await.unwrap();
    update(&olga.on(&limited.unlimited), rename("acme", "Five")).await.unwrap();
    service.let_limits_pass(48 * 60).await;
    update(&there, rename("acme", "Six")).await.unwrap();
}
