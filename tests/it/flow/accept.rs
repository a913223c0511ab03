//! The bound account says yes: what has to hold at that moment, and what a second yes is.

use invitations::pb::invitation::State;
use invitations::pb::{Policy, Role};

use crate::support::{Service, reason, words};

#[tokio::test]
async fn accepting_makes_a_member_and_both_sides_hear_of_it() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (anna, offered) = service.offered(&owner, "acme", "anna", "CONTRIBUTOR").await;
    service.email_to("anna@example.com", 1).await;

    let accepted = anna.accept(&offered.name).await.unwrap();
    assert_eq!((accepted.state(), accepted.role()), (State::Accepted, Role::Contributor));
    let member = owner.member("acme", "anna").await.unwrap();
    assert_eq!(
        (member.account.as_str(), member.email.as_str(), member.role(), member.inviter.as_str()),
        ("accounts/anna", "anna@example.com", Role::Contributor, "accounts/olga")
    );
    assert_eq!(owner.seats_taken("acme").await, 2);
    assert_eq!(owner.story(&offered.name).await, ["OFFERED accounts/olga", "ACCEPTED accounts/anna"]);
    assert_eq!(
        service.outbox(&offered.name).await,
        [
            "ORGANIZATION_INVITATION anna@example.com",
            "OFFER_REMINDER anna@example.com in 144 h dropped",
            "ACCESS_GRANTED anna@example.com",
            "MEMBER_JOINED notify@acme.example",
        ]
    );
    let granted = words(&*service.email_to("anna@example.com", 2).await);
    assert!(granted.contains("acme"), "{granted}");
    let joined = words(&*service.email_to("notify@acme.example", 1).await);
    assert!(joined.contains("anna"), "{joined}");
    service.recount().await;
}

#[tokio::test]
async fn accepting_again_is_the_same_answer_and_restores_no_membership() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (anna, offered) = service.offered(&owner, "acme", "anna", "READER").await;
    let first = anna.accept(&offered.name).await.unwrap();
    let before = service.tables().await;
    assert_eq!(anna.accept(&offered.name).await.unwrap().etag, first.etag);
    before.assert_same(&service.tables().await, "a second acceptance");

    owner.remove("acme", "anna").await.unwrap();
    let before = service.tables().await;
    let again = anna.accept(&offered.name).await.unwrap();
    assert_eq!((again.state(), again.etag), (State::Accepted, first.etag));
    before.assert_same(&service.tables().await, "an acceptance after the removal");
    assert_eq!(reason(owner.member("acme", "anna").await), "MEMBER_NOT_FOUND");

    // the way back is a new invitation, at once
    let anew = owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    anna.accept(&anew.name).await.unwrap();
    assert_eq!(owner.member("acme", "anna").await.unwrap().role(), Role::Reader);
    service.recount().await;
}

#[tokio::test]
async fn an_offer_counts_only_while_the_one_who_made_it_may_grant_the_role() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let manager = service.member(&owner, "acme", "max", "MANAGER").await;
    let (anna, offered) = service.offered(&manager, "acme", "anna", "SECURITY_MANAGER").await;
    let before = service.tables().await;

    owner.set_role("acme", "max", "SECURITY_MANAGER").await.unwrap();
    assert_eq!(reason(anna.accept(&offered.name).await), "OFFER_NOT_COVERED");
    owner.remove("acme", "max").await.unwrap();
    assert_eq!(reason(anna.accept(&offered.name).await), "OFFER_NOT_COVERED");
    // the control: whoever has the right again covers the offer again
    let back = owner.offer("acme", "max", "max@example.com", "MANAGER").await.unwrap();
    manager.accept(&back.name).await.unwrap();
    assert_eq!(anna.accept(&offered.name).await.unwrap().state(), State::Accepted);
    assert_ne!(before, service.tables().await);
    service.recount().await;
}

#[tokio::test]
async fn an_offer_of_a_deleted_account_cannot_be_accepted() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let second = service.member(&owner, "acme", "otto", "OWNER").await;
    let (anna, offered) = service.offered(&second, "acme", "anna", "READER").await;
    let message = invitations::pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
    second.accounts.clone().delete_account(message).await.unwrap();
    assert_eq!(reason(anna.accept(&offered.name).await), "OFFER_NOT_COVERED");
}

#[tokio::test]
async fn an_offer_of_a_service_counts_only_while_its_entry_grants_the_role() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let gateway = service.service("gateway", &["members.grant", "invitations.read"]);
    let (anna, offered) = service.offered(&gateway, "acme", "anna", "CONTRIBUTOR").await;
    assert_eq!(offered.offerer, "services/dev-services/gateway");

    let issuers = |highest_role: &str| {
        let mut issuers = serde_json::to_value(invitations::dev::issuer::entries(&service.dir).unwrap()).unwrap();
        issuers[2]["services"][0]["highest_role"] = highest_role.into();
        issuers.to_string()
    };
    let lower = service.replica(&[("issuers", &issuers("READER"))]).await;
    assert_eq!(reason(anna.on(&lower).accept(&offered.name).await), "OFFER_NOT_COVERED");
    let same = service.replica(&[("issuers", &issuers("CONTRIBUTOR"))]).await;
    assert_eq!(anna.on(&same).accept(&offered.name).await.unwrap().state(), State::Accepted);
    assert_eq!(owner.member("acme", "anna").await.unwrap().inviter, "services/dev-services/gateway");
}

#[tokio::test]
async fn the_policy_of_the_moment_decides_about_an_acceptance() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (anna, offered) = service.offered(&owner, "acme", "anna", "READER").await;
    // what asks less of people waits for nobody then
    let billing = service.service("billing", &["organizations.admin"]);
    let domains = |domain: &str| Policy { allowed_email_domains: vec![domain.to_owned()], ..Policy::default() };

    owner.set_policy("acme", &["allowed_email_domains"], domains("elsewhere.example")).await;
    assert_eq!(reason(anna.accept(&offered.name).await), "EMAIL_DOMAIN_NOT_ALLOWED");
    billing.set_policy("acme", &["allowed_email_domains"], Policy::default()).await;

    let blocked = Policy { blocked_email_domains: vec!["example.com".to_owned()], ..Policy::default() };
    owner.set_policy("acme", &["blocked_email_domains"], blocked).await;
    assert_eq!(reason(anna.accept(&offered.name).await), "EMAIL_DOMAIN_NOT_ALLOWED");
    billing.set_policy("acme", &["blocked_email_domains"], Policy::default()).await;

    let entra = Policy { allowed_providers: vec!["entra".to_owned()], ..Policy::default() };
    owner.set_policy("acme", &["allowed_providers"], entra).await;
    assert_eq!(reason(anna.accept(&offered.name).await), "PROVIDER_NOT_ALLOWED");
    billing.set_policy("acme", &["allowed_providers"], Policy::default()).await;

    // where domains are restricted, the account must still hold the address
    owner.set_policy("acme", &["allowed_email_domains"], domains("example.com")).await;
    let moved = service.signed_in_later("anna", 10, "anna@elsewhere.example");
    assert_eq!(reason(moved.accept(&offered.name).await), "ADDRESS_MISMATCH");
    let back = service.signed_in_later("anna", 20, "anna@example.com");
    assert_eq!(back.accept(&offered.name).await.unwrap().state(), State::Accepted);
    service.recount().await;
}
