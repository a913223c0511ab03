//! Offers: which invitation they move, what they cost, and when they are none.

use invitations::dev::mailbox::Script;
use invitations::pb::invitation::State;
use invitations::pb::{self, Role};

use crate::support::{Person, Service, named, reason, retry_after, words};

#[tokio::test]
async fn an_account_can_be_offered_a_role_out_of_the_blue() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (_, offered) = service.offered(&owner, "acme", "anna", "CONTRIBUTOR").await;
    assert_eq!((offered.state(), offered.role()), (State::Offered, Role::Contributor));
    assert_eq!((offered.email.as_str(), offered.account_email.as_str()), ("anna@example.com", "anna@example.com"));
    assert_eq!((offered.inviter.as_str(), offered.offerer.as_str()), ("", "accounts/olga"));
    assert_eq!(owner.story(&offered.name).await, ["OFFERED accounts/olga"]);
    let text = words(&*service.email_to("anna@example.com", 1).await);
    assert!(text.contains("invites your IPMHub account anna"), "{text}");
    assert_eq!(
        service.outbox(&offered.name).await,
        ["ORGANIZATION_INVITATION anna@example.com", "OFFER_REMINDER anna@example.com in 144 h"]
    );
    service.recount().await;
}

#[tokio::test]
async fn an_offer_picks_up_the_unused_invitation_of_its_address() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let invited = owner.invite("acme", "Anna@Example.com").await.unwrap();
    let code = service.code_to("Anna@example.com", 1).await;
    let (anna, offered) = service.offered(&owner, "acme", "anna", "READER").await;

    assert_eq!((offered.name.as_str(), offered.state()), (invited.name.as_str(), State::Offered));
    assert_eq!((offered.email.as_str(), offered.account_email.as_str()), ("Anna@Example.com", "anna@example.com"));
    assert_eq!(
        service.outbox(&offered.name).await,
        [
            "ACCOUNT_INVITATION Anna@example.com",
            "INVITATION_REMINDER Anna@example.com in 144 h dropped",
            "ORGANIZATION_INVITATION anna@example.com",
            "OFFER_REMINDER anna@example.com in 144 h",
        ]
    );
    let eve = service.account("eve").await;
    assert_eq!(reason(eve.request_access(&code).await), "CODE_NOT_FOUND");
    assert_eq!(anna.request_access(&code).await.unwrap().state(), State::Offered);
    service.recount().await;
}

#[tokio::test]
async fn an_offer_answers_the_accounts_request_whatever_address_it_goes_to() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let invited = owner.invite("acme", "anna@work.example").await.unwrap();
    let anna = service.account("anna").await;
    anna.request_access(&service.code_to("anna@work.example", 1).await).await.unwrap();
    // an open invitation of the very address is not the one: the account has its own
    let other = owner.invite("acme", "anna@example.com").await.unwrap();

    let offered = owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    assert_eq!(offered.name, invited.name);
    assert_eq!((offered.email.as_str(), offered.account_email.as_str()), ("anna@work.example", "anna@example.com"));
    assert_eq!(owner.get(&other.name).await.unwrap().state(), State::Invited);
    service.email_to("anna@example.com", 2).await;
}

#[tokio::test]
async fn the_same_offer_again_sends_nothing_and_another_one_is_refused() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    owner.ask_for_approval_of("acme", Role::Manager).await;
    let (anna, _) = service.offered(&owner, "acme", "anna", "READER").await;
    let (bob, _) = service.offered(&owner, "acme", "bob", "MANAGER").await;
    for (person, username, role) in [(anna, "anna", "READER"), (bob, "bob", "MANAGER")] {
        let email = format!("{username}@example.com");
        let first = owner.offer("acme", username, &email, role).await.unwrap();
        let before = service.tables().await;
        let again = owner.offer("acme", username, &email.to_uppercase(), role).await.unwrap();
        assert_eq!((again.name.as_str(), again.etag), (first.name.as_str(), first.etag));

        let refused = owner.offer("acme", username, &email, "CONTRIBUTOR").await;
        assert_eq!(named(&refused, "invitation"), first.name);
        assert_eq!(reason(refused), "ALREADY_OFFERED");
        before.assert_same(&service.tables().await, "the offer again");

        let other = "other@example.com";
        let moved = service.signed_in_later(username, 10, other);
        moved.accounts.clone().get_account(pb::GetAccountRequest { name: "accounts/me".to_owned() }).await.unwrap();
        assert_eq!(reason(owner.offer("acme", username, other, role).await), "ALREADY_OFFERED");
        owner.revoke(&first.name).await.unwrap();
        let anew = owner.offer("acme", username, other, "CONTRIBUTOR").await.unwrap();
        assert_ne!(anew.name, first.name);
        person.decline(&anew.name).await.unwrap();
    }
    service.recount().await;
}

#[tokio::test]
async fn an_address_that_is_bound_to_another_account_is_not_offered_twice() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (_, requested) = service.requested(&owner, "acme", "anna").await;
    // two accounts may hold one address
    let twin = service.entra_stranger("anna", "anna@example.com");
    twin.create_account("anna-at-work").await.unwrap();

    let before = service.tables().await;
    let refused = owner.offer("acme", "anna-at-work", "anna@example.com", "READER").await;
    assert_eq!(named(&refused, "invitation"), requested.name);
    assert_eq!(reason(refused), "INVITATION_NOT_OPEN_FOR_THIS");
    before.assert_same(&service.tables().await, "an offer for the bound address");
    owner.reject(&requested.name).await.unwrap();
    owner.offer("acme", "anna-at-work", "anna@example.com", "READER").await.unwrap();
}

#[tokio::test]
async fn an_unknown_username_and_a_wrong_address_get_one_answer_and_are_counted() {
    let service = Service::start_with(&[("wrong_accounts_limit", "3")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    service.account("anna").await;
    let before = service.tables().await;
    let mut told = Vec::new();
    for (username, email) in
        [("nobody", "anna@example.com"), ("anna", "anna@elsewhere.example"), ("nobody", "nobody@example.com")]
    {
        let refused = owner.offer("acme", username, email, "READER").await;
        told.push(refused.as_ref().unwrap_err().message().to_owned());
        assert_eq!(reason(refused), "ACCOUNT_EMAIL_NOT_FOUND");
    }
    assert!(told.iter().all(|message| *message == told[0]), "{told:?}");
    assert_eq!(service.charges().await, 3);
    let refused = owner.offer("acme", "anna", "anna@example.com", "READER").await;
    assert!(retry_after(&refused).is_some_and(|wait| !wait.is_zero()));
    assert_eq!(reason(refused), "TOO_MANY_WRONG_ACCOUNTS");
    before.assert_same(&service.tables().await, "a wrong pair");

    // the control: without the limit, and for another caller with it
    let unlimited = service.replica(&[]).await;
    owner.on(&unlimited).offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    let rosa = service.owner("rosa", "rival").await;
    rosa.offer("rival", "anna", "anna@example.com", "READER").await.unwrap();
}

/// Sets the limit, as only a service may.
async fn limit_seats(service: &Service, seat_limit: i32) {
    let billing = service.service("billing", &["organizations.admin"]);
    let organization =
        pb::Organization { name: "organizations/acme".to_owned(), seat_limit: Some(seat_limit), ..Default::default() };
    let message = pb::UpdateOrganizationRequest { organization: Some(organization), ..Default::default() };
    let limited = billing.organizations.clone().update_organization(message).await.unwrap().into_inner();
    assert_eq!(limited.seat_limit, Some(seat_limit));
}

#[tokio::test]
async fn offers_take_seats_while_there_are_any() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    limit_seats(&service, 2).await;
    let (anna, offered) = service.offered(&owner, "acme", "anna", "READER").await;
    let bob = service.account("bob").await;

    let before = service.tables().await;
    let refused = owner.offer("acme", "bob", "bob@example.com", "READER").await;
    assert_eq!(named(&refused, "seat_limit"), "2");
    assert_eq!(reason(refused), "SEATS_EXHAUSTED");
    before.assert_same(&service.tables().await, "an offer without a seat");
    // NONE takes no seat, and gets one only while there is one
    let none = owner.offer("acme", "bob", "bob@example.com", "NONE").await.unwrap();
    bob.accept(&none.name).await.unwrap();
    assert_eq!(reason(owner.set_role("acme", "bob", "READER").await), "SEATS_EXHAUSTED");

    anna.accept(&offered.name).await.unwrap();
    assert_eq!(owner.seats_taken("acme").await, 2);
    owner.set_role("acme", "anna", "NONE").await.unwrap();
    assert_eq!(owner.seats_taken("acme").await, 1);
    owner.set_role("acme", "bob", "READER").await.unwrap();
    // a limit below what is taken stops only new seats
    limit_seats(&service, 0).await;
    assert_eq!(owner.set_role("acme", "bob", "CONTRIBUTOR").await.unwrap().role(), Role::Contributor);
    assert_eq!(reason(owner.set_role("acme", "anna", "READER").await), "SEATS_EXHAUSTED");
    owner.remove("acme", "bob").await.unwrap();
    assert_eq!(owner.seats_taken("acme").await, 1);
    service.recount().await;
}

#[tokio::test]
async fn roles_from_the_approval_role_on_wait_for_a_second_person() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    owner.ask_for_approval_of("acme", Role::SecurityManager).await;
    let (anna, pending) = service.offered(&owner, "acme", "anna", "MANAGER").await;
    assert_eq!(pending.state(), State::PendingApproval);
    assert_eq!(owner.seats_taken("acme").await, 2);
    assert_eq!(service.outbox(&pending.name).await, Vec::<String>::new());
    assert_eq!(reason(anna.accept(&pending.name).await), "INVITATION_NOT_OPEN_FOR_THIS");
    let (_, offered) = service.offered(&owner, "acme", "bob", "CONTRIBUTOR").await;
    assert_eq!(offered.state(), State::Offered);
    service.recount().await;
}

#[tokio::test]
async fn an_organization_has_only_so_many_open_invitations() {
    let service = Service::start_with(&[("open_invitations_limit", "2")], Script::accept_all()).await;
    let owner: Person = service.owner("olga", "acme").await;
    let first = owner.invite("acme", "one@example.com").await.unwrap();
    service.offered(&owner, "acme", "anna", "READER").await;
    service.account("bob").await;
    let before = service.tables().await;
    assert_eq!(reason(owner.invite("acme", "two@example.com").await), "TOO_MANY_OPEN_INVITATIONS");
    let refused = owner.offer("acme", "bob", "bob@example.com", "READER").await;
    assert_eq!(named(&refused, "limit"), "2");
    assert_eq!(reason(refused), "TOO_MANY_OPEN_INVITATIONS");
    before.assert_same(&service.tables().await, "one invitation too many");
    owner.revoke(&first.name).await.unwrap();
    owner.invite("acme", "two@example.com").await.unwrap();
    service.recount().await;
}
