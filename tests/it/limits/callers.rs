//! Limits of callers and of the people behind them.

use invitations::pb;

use super::{Limited, assert_limited, request_id};
use crate::support::{Person, patiently, reason};

fn invite(organization: &str, email: &str) -> pb::CreateInvitationRequest {
    pb::CreateInvitationRequest {
        parent: format!("organizations/{organization}"),
        invitation: Some(pb::Invitation { email: email.to_owned(), ..Default::default() }),
        ..Default::default()
    }
}

async fn create(person: &Person, message: pb::CreateInvitationRequest) -> Result<pb::Invitation, tonic::Status> {
    person.invitations.clone().create_invitation(message).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_caller_sends_only_so_many_invitations_a_day_over_all_organizations() {
    let limited = Limited::start(&[("invitations_per_caller_limit", "4")]).await;
    let service = &limited.service;
    let olga = service.owner("olga", "acme").await;
    olga.create_organization("beta").await.unwrap();
    service.account("anna").await;
    let [here, there] = [olga.clone(), olga.on(&limited.second)];

    let first = pb::CreateInvitationRequest { request_id: request_id(), ..invite("acme", "one@example.com") };
    let one = create(&here, first.clone()).await.unwrap();
    there.invite("beta", "two@example.com").await.unwrap();
    // an offer out of the blue and a resend are invitations as well
    let offer = here.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    there.resend(&one.name, false).await.unwrap();
    assert_eq!(service.charges().await, 4);

    let before = service.tables().await;
    for person in [&here, &there] {
        assert_limited(person.invite("beta", "three@example.com").await, "TOO_MANY_INVITATIONS");
        assert_limited(person.resend(&offer.name, false).await, "TOO_MANY_INVITATIONS");
        // the same offer again is no invitation, and a repetition is none either
        person.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
        assert_eq!(create(person, first.clone()).await.unwrap().name, one.name);
        // what is refused anyway is refused for that
        assert_eq!(reason(person.invite("acme", "one@example.com").await), "OPEN_INVITATION_EXISTS");
        assert_eq!(reason(person.invite("nowhere", "one@example.com").await), "ORGANIZATION_NOT_FOUND");
    }
    before.assert_same(&service.tables().await, "an invitation too many");
    assert_eq!(service.charges().await, 4);

    // another caller has a limit of their own, and without the limit there is none
    let mia = service.member(&olga.on(&limited.unlimited), "acme", "mia", "MANAGER").await;
    mia.invite("acme", "four@example.com").await.unwrap();
    olga.on(&limited.unlimited).invite("beta", "five@example.com").await.unwrap();
    service.let_limits_pass(48 * 60).await;
    there.invite("beta", "three@example.com").await.unwrap();
}

#[tokio::test]
async fn what_comes_to_nothing_and_what_is_repeated_is_charged_nothing() {
    let limited = Limited::start(&[("invitations_per_caller_limit", "4")]).await;
    let service = &limited.service;
    let olga = service.owner("olga", "acme").await;
    let first = pb::CreateInvitationRequest { request_id: request_id(), ..invite("acme", "one@example.com") };
    for person in limited.in_turn(&olga, 6) {
        create(&person, first.clone()).await.unwrap();
        assert_eq!(reason(person.invite("acme", "one@example.com").await), "OPEN_INVITATION_EXISTS");
    }
    assert_eq!(service.charges().await, 1);
    // an offer that answers an access request is expected; its resend is one more
    let anna = service.account("anna").await;
    anna.request_access(&{
        olga.invite("acme", "anna@example.com").await.unwrap();
        service.code_to("anna@example.com", 1).await
    })
    .await
    .unwrap();
    let offer = olga.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    olga.resend(&offer.name, false).await.unwrap();
    assert_eq!(service.charges().await, 3);
}

#[tokio::test]
async fn an_invitation_by_email_is_no_way_around_the_limit_for_the_offer_after_it() {
    let limited = Limited::start(&[("invitations_per_caller_limit", "3")]).await;
    let service = &limited.service;
    let olga = service.owner("olga", "acme").await;
    let there = olga.on(&limited.second);
    service.account("anna").await;
    let invited = olga.invite("acme", "anna@example.com").await.unwrap();
    // nobody has used the code: the offer takes the invitation up, and comes out of the blue all the same
    let offered = there.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    assert_eq!(offered.name, invited.name);
    olga.resend(&offered.name, false).await.unwrap();
    assert_eq!(service.charges().await, 3);
    let before = service.tables().await;
    for person in [&olga, &there] {
        assert_limited(person.resend(&offered.name, false).await, "TOO_MANY_INVITATIONS");
    }
    before.assert_same(&service.tables().await, "a resend too many");

    service.account("bob").await;
    let unlimited = olga.on(&limited.unlimited);
    let invited = unlimited.invite("acme", "bob@example.com").await.unwrap();
    assert_limited(olga.offer("acme", "bob", "bob@example.com", "READER").await, "TOO_MANY_INVITATIONS");
    let offered = unlimited.offer("acme", "bob", "bob@example.com", "READER").await.unwrap();
    assert_eq!(offered.name, invited.name);
}

#[tokio::test]
async fn a_check_without_writing_is_charged_to_its_caller() {
    let limited = Limited::start(&[("invitations_per_caller_limit", "2")]).await;
    let service = &limited.service;
    let olga = service.owner("olga", "acme").await;
    let check = || pb::CreateInvitationRequest { validate_only: true, ..invite("acme", "one@example.com") };
    let before = service.tables().await;
    for person in limited.in_turn(&olga, 2) {
        create(&person, check()).await.unwrap();
    }
    assert_limited(create(&olga, check()).await, "TOO_MANY_INVITATIONS");
    assert_limited(olga.invite("acme", "one@example.com").await, "TOO_MANY_INVITATIONS");
    create(&olga.on(&limited.unlimited), check()).await.unwrap();
    before.assert_same(&service.tables().await, "validate_only");
}

#[tokio::test]
async fn a_service_is_limited_as_every_caller() {
    let limited = Limited::start(&[("invitations_per_caller_limit", "2")]).await;
    let service = &limited.service;
    service.owner("olga", "acme").await;
    let gateway = service.service("gateway", &["invitations.write", "invitations.read"]);
    let first = pb::CreateInvitationRequest { request_id: request_id(), ..invite("acme", "one@example.com") };
    create(&gateway, first.clone()).await.unwrap();
    gateway.on(&limited.second).invite("acme", "two@example.com").await.unwrap();
    assert_limited(gateway.invite("acme", "three@example.com").await, "TOO_MANY_INVITATIONS");
    create(&gateway, first).await.unwrap();
    assert_eq!(
        reason(service.service("reader", &["invitations.read"]).invite("acme", "x@example.com").await),
        "SCOPE_REQUIRED"
    );
    gateway.on(&limited.unlimited).invite("acme", "three@example.com").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invitations_at_once_do_not_overshoot_the_limit() {
    let limited = Limited::start(&[("invitations_per_caller_limit", "5")]).await;
    let olga = limited.service.owner("olga", "acme").await;
    let invite = async |(n, olga): (usize, Person)| {
        let (email, request_id) = (format!("{n}@example.com"), request_id());
        patiently(async || olga.invite_by("acme", &email, &request_id).await).await
    };
    let outcomes = futures_util::future::join_all(limited.in_turn(&olga, 24).enumerate().map(invite)).await;
    let (sent, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(sent.len(), 5);
    for outcome in refused {
        assert_limited(outcome, "TOO_MANY_INVITATIONS");
    }
    limited.service.recount().await;
}

#[tokio::test]
async fn an_identity_founds_only_so_many_organizations_a_day() {
    let limited = Limited::start(&[("organizations_per_identity_limit", "3")]).await;
    let service = &limited.service;
    let olga = service.account("olga").await;
    let found = |id: &str, request_id: &str| pb::CreateOrganizationRequest {
        organization_id: id.to_owned(),
        organization: Some(pb::Organization {
            display_name: "Acme".to_owned(),
            notification_email: "notify@acme.example".to_owned(),
            ..Default::default()
        }),
        request_id: request_id.to_owned(),
        ..Default::default()
    };
    let id = request_id();
    olga.organizations.clone().create_organization(found("acme", &id)).await.unwrap();
    assert_eq!(reason(olga.create_organization("acme").await), "ORGANIZATION_EXISTS");
    olga.on(&limited.second).create_organization("beta").await.unwrap();
    for person in limited.in_turn(&olga, 2) {
        assert_limited(person.create_organization("gamma").await, "TOO_MANY_ORGANIZATIONS");
        assert_limited(person.create_organization("acme").await, "TOO_MANY_ORGANIZATIONS");
        person.organizations.clone().create_organization(found("acme", &id)).await.unwrap();
    }
    assert_eq!(service.charges().await, 3);

    // another account of the same identity is the same person
    let rosa = service.owner("rosa", "delta").await;
    rosa.create_organization("epsilon").await.unwrap();
    assert_eq!(reason(rosa.create_organization("acme").await), "ORGANIZATION_EXISTS");
    for organization in ["delta", "epsilon"] {
        let heir = olga.on(&limited.unlimited);
        let offer = rosa.offer(organization, "olga", "olga@example.com", "OWNER").await.unwrap();
        heir.accept(&offer.name).await.unwrap();
    }
    let delete = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
    rosa.accounts.clone().delete_account(delete).await.unwrap();
    rosa.create_account("rosa-anew").await.unwrap();
    assert_limited(rosa.create_organization("zeta").await, "TOO_MANY_ORGANIZATIONS");
    rosa.on(&limited.unlimited).create_organization("zeta").await.unwrap();

    // services found for others, and have the limit as well
    let signup = service.service("signup", &["organizations.admin"]);
    for (n, outcome) in [true, true, true, false].into_iter().enumerate() {
        let message =
            pb::CreateOrganizationRequest { owner: "accounts/olga".to_owned(), ..found(&format!("shop{n}"), "") };
        let founded = signup.organizations.clone().create_organization(message).await;
        if outcome {
            founded.unwrap();
        } else {
            assert_limited(founded, "TOO_MANY_ORGANIZATIONS");
        }
    }
    service.let_limits_pass(48 * 60).await;
    olga.create_organization("gamma").await.unwrap();
}

#[tokio::test]
async fn a_person_tries_only_so_often_to_create_an_account() {
    let limited = Limited::start(&[("account_attempts_per_identity_limit", "3")]).await;
    let service = &limited.service;
    service.account("taken").await;
    let charged = service.charges().await;
    let anna = service.stranger("anna", "anna@example.com");
    let [here, there] = [anna.clone(), anna.on(&limited.second)];
    for person in [&here, &there] {
        assert_eq!(reason(person.create_account("taken").await), "USERNAME_TAKEN");
        // what cannot be read is no try
        assert_eq!(reason(person.create_account("No Name").await), "FIELD_INVALID");
    }
    let message =
        pb::CreateAccountRequest { account_id: "anna".to_owned(), request_id: request_id(), ..Default::default() };
    here.accounts.clone().create_account(message.clone()).await.unwrap();
    for person in [&here, &there] {
        assert_limited(person.create_account("anna").await, "TOO_MANY_ACCOUNT_ATTEMPTS");
        person.accounts.clone().create_account(message.clone()).await.unwrap();
    }
    assert_eq!(service.charges().await, charged + 3);

    assert_eq!(reason(anna.on(&limited.unlimited).create_account("anna").await), "ACCOUNT_EXISTS");
    service.account("bob").await;
    service.let_limits_pass(48 * 60).await;
    assert_eq!(reason(there.create_account("anna").await), "ACCOUNT_EXISTS");
}

#[tokio::test]
async fn what_was_counted_long_ago_is_swept_and_what_still_counts_stays() {
    let service = crate::support::Service::start_with(
        &[("sweep_interval_seconds", "1"), ("account_attempts_per_identity_limit", "5")],
        invitations::dev::mailbox::Script::accept_all(),
    )
    .await;
    service.account("anna").await;
    service.let_limits_pass(48 * 60 + 1).await;
    service.account("bob").await;
    // the window before the present one still counts
    service.let_limits_pass(47 * 60).await;
    let rows = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM subject_limits").fetch_one(service.pool()).await.unwrap()
    };
    let swept = async { while rows().await > 1 {} };
    tokio::time::timeout(crate::support::PATIENCE, swept).await.expect("the sweep comes");
    assert_eq!(rows().await, 1);
    assert_eq!(service.charges().await, 1);
}
