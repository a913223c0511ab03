//! Limits of organizations: the deployment's, and those of their own.

use invitations::pb;

use super::{Limited, assert_limited, request_id};
use crate::support::{Person, Service, named, patiently, reason};

/// Sets limits as a service may, who names only what is to be changed.
async fn limit(
    person: &Person,
    paths: &[&str],
    limits: pb::OrganizationLimits,
) -> Result<pb::Organization, tonic::Status> {
    let message = pb::UpdateOrganizationRequest {
        organization: Some(pb::Organization {
            name: "organizations/acme".to_owned(),
            limits: Some(limits),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }),
        ..Default::default()
    };
    person.organizations.clone().update_organization(message).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn an_organization_sends_only_so_many_invitations_a_day_whoever_sends_them() {
    let limited = Limited::start(&[("invitations_per_organization_limit", "4")]).await;
    let service = &limited.service;
    let olga = service.owner("olga", "acme").await;
    let mia = service.member(&olga, "acme", "mia", "MANAGER").await;
    let there = mia.on(&limited.second);
    // mia's offer was the first of the four
    let message = pb::CreateInvitationRequest {
        parent: "organizations/acme".to_owned(),
        invitation: Some(pb::Invitation { email: "one@example.com".to_owned(), ..Default::default() }),
        request_id: request_id(),
        ..Default::default()
    };
    let one = olga.invitations.clone().create_invitation(message.clone()).await.unwrap().into_inner();
    let two = there.invite("acme", "two@example.com").await.unwrap();
    olga.resend(&two.name, true).await.unwrap();

    service.account("anna").await;
    let before = service.tables().await;
    for person in [&olga, &there] {
        let refused = person.invite("acme", "three@example.com").await;
        assert_eq!(named(&refused, "limit"), "4");
        assert_limited(refused, "TOO_MANY_ORGANIZATION_INVITATIONS");
        let offered = person.offer("acme", "anna", "anna@example.com", "READER").await;
        assert_limited(offered, "TOO_MANY_ORGANIZATION_INVITATIONS");
        assert_limited(person.resend(&one.name, false).await, "TOO_MANY_ORGANIZATION_INVITATIONS");
    }
    let again = olga.invitations.clone().create_invitation(message).await.unwrap().into_inner();
    assert_eq!(again.name, one.name);
    before.assert_same(&service.tables().await, "an invitation too many");

    // another organization has a limit of its own, and without the limit there is none
    olga.create_organization("beta").await.unwrap();
    olga.invite("beta", "three@example.com").await.unwrap();
    olga.on(&limited.unlimited).invite("acme", "three@example.com").await.unwrap();
    service.let_limits_pass(48 * 60).await;
    there.invite("acme", "four@example.com").await.unwrap();
    service.recount().await;
}

#[tokio::test]
async fn the_offer_after_an_invitation_by_email_is_one_more_of_the_organization() {
    let limited = Limited::start(&[("invitations_per_organization_limit", "4")]).await;
    let service = &limited.service;
    let olga = service.owner("olga", "acme").await;
    let (_, asked) = service.requested(&olga, "acme", "anna").await;
    // the answer to a request is none, to send it again is
    olga.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    olga.resend(&asked.name, false).await.unwrap();

    service.account("bob").await;
    let invited = olga.invite("acme", "bob@example.com").await.unwrap();
    let offered = olga.offer("acme", "bob", "bob@example.com", "READER").await.unwrap();
    assert_eq!(offered.name, invited.name);
    for person in [olga.clone(), olga.on(&limited.second)] {
        assert_limited(person.resend(&offered.name, false).await, "TOO_MANY_ORGANIZATION_INVITATIONS");
        assert_limited(person.resend(&asked.name, false).await, "TOO_MANY_ORGANIZATION_INVITATIONS");
    }
    olga.on(&limited.unlimited).resend(&offered.name, false).await.unwrap();
    service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_at_once_share_the_limit_of_their_organization() {
    let limited = Limited::start(&[("invitations_per_organization_limit", "7")]).await;
    let olga = limited.service.owner("olga", "acme").await;
    let invite = async |(n, olga): (usize, Person)| {
        let (email, request_id) = (format!("{n}@example.com"), request_id());
        patiently(async || olga.invite_by("acme", &email, &request_id).await).await
    };
    let outcomes = futures_util::future::join_all(limited.in_turn(&olga, 32).enumerate().map(invite)).await;
    let (sent, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(sent.len(), 7);
    for outcome in refused {
        assert_limited(outcome, "TOO_MANY_ORGANIZATION_INVITATIONS");
    }
    limited.service.recount().await;
}

#[tokio::test]
async fn an_organization_can_have_limits_of_its_own() {
    let settings = [("invitations_per_organization_limit", "1"), ("open_invitations_limit", "1")];
    let limited = Limited::start(&settings).await;
    let service = &limited.service;
    let olga = service.owner("olga", "acme").await;
    let billing = service.service("billing", &["organizations.admin"]);
    olga.invite("acme", "one@example.com").await.unwrap();
    assert_limited(olga.invite("acme", "two@example.com").await, "TOO_MANY_OPEN_INVITATIONS");

    let limits = pb::OrganizationLimits { invitations_per_day: Some(3), open_invitations: Some(2) };
    let limited_to = limit(&billing, &["limits"], limits).await.unwrap();
    assert_eq!(limited_to.limits, Some(limits));
    olga.on(&limited.second).invite("acme", "two@example.com").await.unwrap();
    let refused = olga.invite("acme", "three@example.com").await;
    assert_eq!(named(&refused, "limit"), "2");
    assert_limited(refused, "TOO_MANY_OPEN_INVITATIONS");

    // one by itself; the other stays
    let limits = pb::OrganizationLimits { open_invitations: None, invitations_per_day: Some(9) };
    limit(&billing, &["limits.open_invitations"], limits).await.unwrap();
    let seen = olga.organization("acme").await;
    assert_eq!(seen.limits, Some(pb::OrganizationLimits { invitations_per_day: Some(3), open_invitations: None }));
    limit(&billing, &["limits"], pb::OrganizationLimits::default()).await.unwrap();
    assert_eq!(olga.organization("acme").await.limits, None);
    // 0 is not "no limit", but not one
    let none = pb::OrganizationLimits { invitations_per_day: Some(0), open_invitations: Some(9) };
    limit(&billing, &["limits"], none).await.unwrap();
    assert_limited(olga.invite("acme", "three@example.com").await, "TOO_MANY_ORGANIZATION_INVITATIONS");
    limit(&billing, &["limits"], pb::OrganizationLimits { invitations_per_day: Some(3), open_invitations: Some(9) })
        .await
        .unwrap();
    olga.invite("acme", "three@example.com").await.unwrap();
    service.recount().await;
}

#[tokio::test]
async fn only_services_set_limits_and_everybody_who_sees_settings_sees_them() {
    let service = Service::start().await;
    let olga = service.owner("olga", "acme").await;
    let reader = service.member(&olga, "acme", "rick", "READER").await;
    let billing = service.service("billing", &["organizations.admin"]);
    let limits = pb::OrganizationLimits { invitations_per_day: Some(5), open_invitations: None };
    let before = service.tables().await;
    assert_eq!(reason(limit(&olga, &["limits"], limits).await), "SCOPE_REQUIRED");
    for bad in [-1, 1_000_001] {
        let limits = pb::OrganizationLimits { invitations_per_day: Some(bad), open_invitations: Some(bad) };
        let refused = limit(&billing, &["limits"], limits).await.unwrap_err();
        let fields = ["organization.limits.invitations_per_day", "organization.limits.open_invitations"];
        assert_eq!(crate::support::bad_fields(&refused), fields);
    }
    before.assert_same(&service.tables().await, "a limit that nobody may set");

    limit(&billing, &["limits.invitations_per_day"], limits).await.unwrap();
    let seen = olga.organization("acme").await;
    assert_eq!(seen.limits, Some(limits));
    assert_eq!(reader.organization("acme").await.limits, None);
    // whoever leaves them as they are needs no right to them
    let everything = pb::Organization { display_name: "Other".to_owned(), ..seen };
    let message = pb::UpdateOrganizationRequest {
        organization: Some(everything),
        update_mask: Some(prost_types::FieldMask { paths: vec!["*".to_owned()] }),
        ..Default::default()
    };
    let updated = olga.organizations.clone().update_organization(message).await.unwrap().into_inner();
    assert_eq!(updated.limits, Some(limits));

    let parent = "organizations/acme".to_owned();
    let list = pb::ListEventsRequest { parent, page_size: 200, ..Default::default() };
    let events = olga.organizations.clone().list_events(list).await.unwrap().into_inner().events;
    let changes = events.iter().flat_map(|event| &event.changes);
    let changes = changes.filter(|change| change.field.starts_with("limits")).collect::<Vec<_>>();
    assert_eq!(changes.len(), 1);
    assert_eq!(
        (changes[0].field.as_str(), changes[0].before.as_str(), changes[0].after.as_str()),
        ("limits.invitations_per_day", "", "5")
    );

    // an account founds without limits of its own, a service may give them
    let organization = pb::Organization {
        display_name: "Beta".to_owned(),
        notification_email: "notify@beta.example".to_owned(),
        limits: Some(limits),
        ..Default::default()
    };
    let message = pb::CreateOrganizationRequest {
        organization_id: "beta".to_owned(),
        organization: Some(organization),
        ..Default::default()
    };
    assert_eq!(reason(olga.organizations.clone().create_organization(message.clone()).await), "SCOPE_REQUIRED");
    let message = pb::CreateOrganizationRequest { owner: "accounts/olga".to_owned(), ..message };
    let founded = billing.organizations.clone().create_organization(message).await.unwrap().into_inner();
    assert_eq!(founded.limits, Some(limits));
}
