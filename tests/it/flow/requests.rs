//! A person uses the code: who may, what it binds, and what everybody else is told.

use invitations::pb::invitation::State;
use invitations::pb::policy::AddressMatch;
use invitations::pb::{Policy, Role};

use crate::support::{Person, Service, named, reason, words};

#[tokio::test]
async fn the_first_account_binds_a_code_and_for_the_second_it_is_unknown() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let invitation = owner.invite("acme", "anna@example.com").await.unwrap();
    let code = service.code_to("anna@example.com", 1).await;
    let (anna, eve) = (service.account("anna").await, service.account("eve").await);

    assert_eq!(anna.request_access(&code).await.unwrap().name, invitation.name);
    let before = service.tables().await;
    assert_eq!(reason(eve.request_access(&code).await), "CODE_NOT_FOUND");
    before.assert_same(&service.tables().await, "the second account");
    assert_eq!(service.charges().await, 1);

    // whoever it is bound to may ask again, and nobody hears of it
    assert_eq!(anna.request_access(&code).await.unwrap().state(), State::AccessRequested);
    before.assert_same(&service.tables().await, "the same account again");
    assert_eq!(service.charges().await, 1);
}

#[tokio::test]
async fn another_address_than_the_invited_one_is_bound_with_a_warning() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let invitation = owner.invite("acme", "anna@work.example").await.unwrap();
    let code = service.code_to("anna@work.example", 1).await;
    let anna = service.account("anna").await;
    anna.request_access(&code).await.unwrap();

    let seen = owner.get(&invitation.name).await.unwrap();
    assert_eq!((seen.email.as_str(), seen.account_email.as_str()), ("anna@work.example", "anna@example.com"));
    let told = words(&*service.email_to("notify@acme.example", 1).await);
    assert!(told.contains("WARNING") && told.contains("anna@work.example") && told.contains("GitHub"), "{told}");

    // the control: the invited address, in another spelling, is no reason to warn
    owner.invite("acme", "Bob@Example.com").await.unwrap();
    let bob = service.account("bob").await;
    bob.request_access(&service.code_to("Bob@example.com", 1).await).await.unwrap();
    let told = words(&*service.email_to("notify@acme.example", 2).await);
    assert!(!told.contains("WARNING") && told.contains("bob"), "{told}");
}

#[tokio::test]
async fn an_organization_may_require_the_invited_address() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let require = Policy { address_match: AddressMatch::Require.into(), ..Policy::default() };
    owner.set_policy("acme", &["address_match"], require).await;
    let invitation = owner.invite("acme", "anna@work.example").await.unwrap();
    let code = service.code_to("anna@work.example", 1).await;
    let anna = service.account("anna").await;

    let before = service.tables().await;
    assert_eq!(reason(anna.request_access(&code).await), "ADDRESS_MISMATCH");
    before.assert_same(&service.tables().await, "the wrong account");
    let moved = service.signed_in_later("anna", 10, "anna@work.example");
    assert_eq!(moved.request_access(&code).await.unwrap().state(), State::AccessRequested);
    assert_eq!(owner.get(&invitation.name).await.unwrap().account_email, "anna@work.example");
}

#[tokio::test]
async fn an_account_without_a_verified_address_cannot_ask() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let invitation = owner.invite("acme", "anna@example.com").await.unwrap();
    let code = service.code_to("anna@example.com", 1).await;
    let anna = service.unverified("anna", "anna@example.com");
    anna.create_account("anna").await.unwrap();

    assert_eq!(reason(anna.request_access(&code).await), "EMAIL_NOT_VERIFIED");
    assert_eq!(owner.get(&invitation.name).await.unwrap().state(), State::Invited);
    let verified = service.signed_in_later("anna", 10, "anna@example.com");
    assert_eq!(verified.request_access(&code).await.unwrap().state(), State::AccessRequested);
}

#[tokio::test]
async fn a_member_and_an_account_with_an_open_invitation_have_nothing_to_ask_for() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let member = service.member(&owner, "acme", "max", "NONE").await;
    let (anna, requested) = service.requested(&owner, "acme", "anna").await;
    let other = owner.invite("acme", "shared@example.com").await.unwrap();
    let code = service.code_to("shared@example.com", 1).await;

    let refused = anna.request_access(&code).await;
    assert_eq!(named(&refused, "invitation"), requested.name);
    assert_eq!(reason(refused), "OPEN_INVITATION_EXISTS");
    assert_eq!(owner.get(&other.name).await.unwrap().state(), State::Invited);
    // which settles it: see `settled`
    let refused = member.request_access(&code).await;
    assert_eq!(named(&refused, "member"), "organizations/acme/members/max");
    assert_eq!(reason(refused), "ALREADY_MEMBER");
    // in another organization the same account is free
    let rival = service.owner("rosa", "rival").await;
    rival.invite("rival", "anna@example.com").await.unwrap();
    anna.request_access(&service.code_to("anna@example.com", 2).await).await.unwrap();
}

/// An access request of Anna's, with the code that it was made with.
async fn requested(service: &Service, owner: &Person) -> (Person, String, String) {
    let (anna, invitation) = service.requested(owner, "acme", "anna").await;
    (anna, invitation.name, service.code_to("anna@example.com", 1).await)
}

/// What the code gets the bound account, and what somebody else.
async fn answers(anna: &Person, eve: &Person, code: &str) -> (String, String) {
    let own = match anna.request_access(code).await {
        Ok(invitation) => invitation.state().as_str_name().to_owned(),
        refused => reason(refused),
    };
    (own, reason(eve.request_access(code).await))
}

#[tokio::test]
async fn a_used_code_tells_its_account_where_it_stands_and_everybody_else_nothing() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    owner.ask_for_approval_of("acme", Role::Manager).await;
    let eve = service.account("eve").await;
    let (anna, name, code) = requested(&service, &owner).await;
    let told = async |state: &str| {
        let before = service.tables().await;
        assert_eq!(answers(&anna, &eve, &code).await, (state.to_owned(), "CODE_NOT_FOUND".to_owned()));
        before.assert_same(&service.tables().await, state);
    };
    told("ACCESS_REQUESTED").await;
    owner.offer("acme", "anna", "anna@example.com", "MANAGER").await.unwrap();
    told("PENDING_APPROVAL").await;
    owner.revoke(&name).await.unwrap();
    told("INVITATION_REVOKED").await;
}

#[tokio::test]
async fn the_code_of_an_ended_invitation_tells_only_its_account_how_it_ended() {
    let service = Service::start().await;
    let eve = service.account("eve").await;
    let ends = ["OFFERED", "ACCEPTED", "INVITATION_DECLINED", "INVITATION_REJECTED", "INVITATION_EXPIRED"];
    for (n, end) in ends.into_iter().enumerate() {
        let (slug, username) = (format!("acme-{n}"), format!("anna-{n}"));
        let owner = service.owner(&format!("olga-{n}"), &slug).await;
        let (anna, invitation) = service.requested(&owner, &slug, &username).await;
        let email = format!("{username}@example.com");
        let code = service.code_to(&email, 1).await;
        if matches!(end, "OFFERED" | "ACCEPTED" | "INVITATION_EXPIRED") {
            owner.offer(&slug, &username, &email, "READER").await.unwrap();
        }
        match end {
            "ACCEPTED" => drop(anna.accept(&invitation.name).await.unwrap()),
            "INVITATION_DECLINED" => drop(anna.decline(&invitation.name).await.unwrap()),
            "INVITATION_REJECTED" => drop(owner.reject(&invitation.name).await.unwrap()),
            "INVITATION_EXPIRED" => service.let_expire(&invitation.name).await,
            _ => {}
        }
        let before = service.tables().await;
        assert_eq!(answers(&anna, &eve, &code).await, (end.to_owned(), "CODE_NOT_FOUND".to_owned()));
        before.assert_same(&service.tables().await, end);
    }
}
