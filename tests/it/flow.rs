//! From "please join us" to "you have access", as the people go through it.

mod accept;
mod administer;
mod annotations;
mod answers;
mod approvals;
mod codes;
mod decline;
mod deletion;
mod etags;
mod headers;
mod moved;
mod noops;
mod offers;
mod policy;
mod repeats;
mod requests;
pub mod revocations;
mod settled;
mod states;
mod uncovered;

use invitations::pb::invitation::State;
use invitations::pb::{self, Role};

use crate::support::{Service, reason, words};

#[tokio::test]
async fn a_person_is_invited_asks_is_offered_a_role_and_accepts() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;

    let invitation = owner.invite("acme", "Anna@Example.com").await.unwrap();
    assert_eq!(invitation.state(), State::Invited);
    assert_eq!(invitation.email, "Anna@Example.com");
    assert_eq!(invitation.inviter, "accounts/olga");
    let code = service.code_to("Anna@example.com", 1).await;

    let anna = service.account("anna").await;
    let requested = anna.request_access(&code.to_lowercase().replace('-', " ")).await.unwrap();
    assert_eq!(requested.name, invitation.name);
    assert_eq!(requested.state(), State::AccessRequested);
    assert_eq!(requested.expire_time, None);
    let told = words(&*service.email_to("notify@acme.example", 1).await);
    assert!(told.contains("anna") && told.contains("anna@example.com"), "{told}");

    let offered = owner.offer("acme", "anna", "anna@example.com", "CONTRIBUTOR").await.unwrap();
    assert_eq!(offered.name, invitation.name);
    assert_eq!((offered.state(), offered.role()), (State::Offered, Role::Contributor));
    service.email_to("anna@example.com", 1).await;

    let accepted = anna.accept(&invitation.name).await.unwrap();
    assert_eq!(accepted.state(), State::Accepted);
    assert_eq!(owner.member("acme", "anna").await.unwrap().role(), Role::Contributor);
    service.email_to("anna@example.com", 2).await;
    service.email_to("notify@acme.example", 2).await;

    let events = ["ORGANIZATION_CREATED", "INVITED", "ACCESS_REQUESTED", "OFFERED", "ACCEPTED"];
    assert_eq!(owner.events("acme").await, events);
    let organization = pb::GetOrganizationRequest { name: "organizations/acme".to_owned() };
    let organization = owner.organizations.clone().get_organization(organization).await.unwrap().into_inner();
    assert_eq!(organization.seats_taken, 2);
    service.recount().await;
    assert_eq!(reason(owner.invite("acme", "anna@example.com").await), "ALREADY_MEMBER");
    service.stop().await;
}
