//! The bound account says no: to an offer, or to its own request.

use invitations::pb::Role;
use invitations::pb::invitation::State;

use crate::support::{Service, words};

#[tokio::test]
async fn an_access_request_can_be_withdrawn() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (anna, requested) = service.requested(&owner, "acme", "anna").await;
    service.email_to("notify@acme.example", 1).await;

    let declined = anna.decline(&requested.name).await.unwrap();
    assert_eq!((declined.state(), declined.expire_time), (State::Declined, None));
    let told = words(&*service.email_to("notify@acme.example", 2).await);
    assert!(told.contains("withdrawn its request") && told.contains("anna"), "{told}");
    assert_eq!(
        owner.story(&requested.name).await,
        ["INVITED accounts/olga", "ACCESS_REQUESTED accounts/anna", "DECLINED accounts/anna"]
    );
    assert_eq!(
        service.outbox(&requested.name).await,
        [
            "ACCOUNT_INVITATION anna@example.com",
            "INVITATION_REMINDER anna@example.com in 144 h dropped",
            "ACCESS_REQUESTED notify@acme.example",
            "ACCESS_REQUEST_REMINDER notify@acme.example in 72 h dropped",
            "INVITATION_DECLINED notify@acme.example",
        ]
    );
    let anew = owner.invite("acme", "anna@example.com").await.unwrap();
    assert_ne!(anew.name, requested.name);
    service.recount().await;
}

#[tokio::test]
async fn an_offer_can_be_declined_and_its_seat_is_free() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (anna, offered) = service.offered(&owner, "acme", "anna", "READER").await;
    service.email_to("anna@example.com", 1).await;
    assert_eq!(owner.seats_taken("acme").await, 2);

    let declined = anna.decline(&offered.name).await.unwrap();
    assert_eq!((declined.state(), declined.role()), (State::Declined, Role::Reader));
    assert_eq!(owner.seats_taken("acme").await, 1);
    let told = words(&*service.email_to("notify@acme.example", 1).await);
    assert!(told.contains("declined to become a member") && told.contains("anna"), "{told}");
    assert_eq!(owner.story(&offered.name).await, ["OFFERED accounts/olga", "DECLINED accounts/anna"]);
    assert_eq!(
        service.outbox(&offered.name).await,
        [
            "ORGANIZATION_INVITATION anna@example.com",
            "OFFER_REMINDER anna@example.com in 144 h dropped",
            "INVITATION_DECLINED notify@acme.example",
        ]
    );
    let anew = owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    assert_ne!(anew.name, offered.name);
    service.recount().await;
}

#[tokio::test]
async fn an_offer_that_waits_for_a_second_person_can_be_declined() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    owner.ask_for_approval_of("acme", Role::Manager).await;
    let (anna, pending) = service.offered(&owner, "acme", "anna", "MANAGER").await;
    assert_eq!(pending.state(), State::PendingApproval);
    assert_eq!(owner.seats_taken("acme").await, 2);

    assert_eq!(anna.decline(&pending.name).await.unwrap().state(), State::Declined);
    assert_eq!(owner.seats_taken("acme").await, 1);
    assert_eq!(service.outbox(&pending.name).await, ["INVITATION_DECLINED notify@acme.example"]);
    service.recount().await;
}
