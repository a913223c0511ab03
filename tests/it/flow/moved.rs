//! An address that changes at the provider while the organization makes up its mind.

use invitations::dev::mailbox::Script;
use invitations::pb::invitation::State;
use invitations::pb::policy::AddressMatch;
use invitations::pb::{self, Policy};

use crate::support::{Person, Service, named, reason, retry_after, words};

/// The same person with a newer token and another address, which the account holds from now on.
async fn moved(service: &Service, username: &str, seconds: i64, email: &str) -> Person {
    let person = service.signed_in_later(username, seconds, email);
    let message = pb::GetAccountRequest { name: "accounts/me".to_owned() };
    assert_eq!(person.accounts.clone().get_account(message).await.unwrap().into_inner().emails, [email]);
    person
}

#[tokio::test]
async fn an_offer_to_the_address_of_the_request_is_told_the_way_out_and_charged_nothing() {
    let service = Service::start_with(&[("wrong_accounts_limit", "20")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let rosa = service.owner("rosa", "rival").await;
    let (_, requested) = service.requested(&owner, "acme", "anna").await;
    let code = service.code_to("anna@example.com", 1).await;
    service.email_to("notify@acme.example", 1).await;
    let anna = moved(&service, "anna", 10, "anna@new.example").await;

    let before = service.tables().await;
    for email in ["anna@example.com", "Anna@Example.COM"].iter().cycle().take(22) {
        let refused = owner.offer("acme", "anna", email, "READER").await;
        assert_eq!(named(&refused, "invitation"), requested.name);
        assert!(refused.as_ref().unwrap_err().message().contains("RequestAccess"), "{refused:?}");
        assert_eq!(reason(refused), "ACCOUNT_EMAIL_CHANGED");
    }
    // whoever was not told this pair hears nothing of it, and guesses count
    for (caller, organization, username, email) in [
        (&owner, "acme", "anna", "anna@guess.example"),
        (&owner, "acme", "rosa", "anna@example.com"),
        (&rosa, "rival", "anna", "anna@example.com"),
    ] {
        let refused = caller.offer(organization, username, email, "READER").await;
        assert_eq!(reason(refused), "ACCOUNT_EMAIL_NOT_FOUND", "{organization} {username} {email}");
    }
    before.assert_same(&service.tables().await, "offers that were refused");

    let again = anna.request_access(&code).await.unwrap();
    assert_eq!((again.name.as_str(), again.state()), (requested.name.as_str(), State::AccessRequested));
    assert_eq!((again.account_email.as_str(), again.expire_time), ("anna@new.example", None));
    let told = words(&*service.email_to("notify@acme.example", 2).await);
    assert!(told.contains("anna@new.example") && told.contains("WARNING"), "{told}");
    let story = ["INVITED accounts/olga", "ACCESS_REQUESTED accounts/anna", "ACCESS_REQUESTED accounts/anna"];
    assert_eq!(owner.story(&requested.name).await, story);
    assert_eq!(
        service.outbox(&requested.name).await[2..],
        [
            "ACCESS_REQUESTED notify@acme.example",
            "ACCESS_REQUEST_REMINDER notify@acme.example in 72 h dropped",
            "ACCESS_REQUESTED notify@acme.example",
            "ACCESS_REQUEST_REMINDER notify@acme.example in 72 h",
        ]
    );
    // once is enough
    let before = service.tables().await;
    assert_eq!(anna.request_access(&code).await.unwrap().etag, again.etag);
    before.assert_same(&service.tables().await, "the request once more");

    let offered = owner.offer("acme", "anna", "anna@new.example", "READER").await.unwrap();
    assert_eq!((offered.name.as_str(), offered.state()), (requested.name.as_str(), State::Offered));
    service.email_to("anna@new.example", 1).await;
    anna.accept(&offered.name).await.unwrap();
    assert_eq!(owner.member("acme", "anna").await.unwrap().email, "anna@new.example");
    service.recount().await;
}

#[tokio::test]
async fn a_pair_that_the_organization_was_told_is_never_a_guess() {
    let service = Service::start_with(&[("wrong_accounts_limit", "2")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let (_, offered) = service.offered(&owner, "acme", "anna", "READER").await;
    service.member(&owner, "acme", "max", "READER").await;
    moved(&service, "anna", 10, "anna@new.example").await;
    moved(&service, "max", 10, "max@new.example").await;
    for _ in 0..3 {
        let refused = owner.offer("acme", "anna", "anna@example.com", "READER").await;
        assert_eq!(named(&refused, "invitation"), offered.name);
        assert_eq!(reason(refused), "ACCOUNT_EMAIL_CHANGED");
        let refused = owner.offer("acme", "max", "max@example.com", "CONTRIBUTOR").await;
        assert_eq!(named(&refused, "member"), "organizations/acme/members/max");
        assert_eq!(reason(refused), "ALREADY_MEMBER");
    }
    // the way out of an offer
    owner.revoke(&offered.name).await.unwrap();
    owner.offer("acme", "anna", "anna@new.example", "READER").await.unwrap();

    // the control: what it was told of an invitation that is over is a guess by now
    let (_, requested) = service.requested(&owner, "acme", "bert").await;
    owner.reject(&requested.name).await.unwrap();
    moved(&service, "bert", 10, "bert@new.example").await;
    for expected in ["ACCOUNT_EMAIL_NOT_FOUND", "ACCOUNT_EMAIL_NOT_FOUND", "TOO_MANY_WRONG_ACCOUNTS"] {
        assert_eq!(reason(owner.offer("acme", "bert", "bert@example.com", "READER").await), expected);
    }
}

#[tokio::test]
async fn whoever_asks_again_needs_what_a_first_request_needs() {
    let service = Service::start_with(&[("resend_interval_seconds", "60")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let (anna, requested) = service.requested(&owner, "acme", "anna").await;
    let code = service.code_to("anna@example.com", 1).await;
    service.email_to("notify@acme.example", 1).await;
    let before = service.tables().await;
    assert_eq!(anna.request_access(&code).await.unwrap().etag, requested.etag, "nothing has changed");
    before.assert_same(&service.tables().await, "the same request");

    // addresses that come and go must not fill the organization's mailbox
    let anna = moved(&service, "anna", 10, "anna@new.example").await;
    let before = service.tables().await;
    let refused = anna.request_access(&code).await;
    assert!(retry_after(&refused).is_some_and(|wait| (1..=60).contains(&wait.as_secs())));
    assert_eq!(reason(refused), "RESENT_TOO_SOON");
    before.assert_same(&service.tables().await, "a request within a minute");

    let replica = service.replica(&[]).await;
    let require = Policy { address_match: AddressMatch::Require.into(), ..Policy::default() };
    owner.set_policy("acme", &["address_match"], require).await;
    assert_eq!(reason(anna.on(&replica).request_access(&code).await), "ADDRESS_MISMATCH");
    let billing = service.service("billing", &["organizations.admin"]);
    billing.set_policy("acme", &["address_match"], Policy::default()).await;
    let again = anna.on(&replica).request_access(&code).await.unwrap();
    assert_eq!(again.account_email, "anna@new.example");
    // somebody else with the same code is nobody, whatever addresses they hold
    let eve = service.stranger("eve", "anna@example.com");
    eve.create_account("eve").await.unwrap();
    assert_eq!(reason(eve.on(&replica).request_access(&code).await), "CODE_NOT_FOUND");
}
