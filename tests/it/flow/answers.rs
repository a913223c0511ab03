//! The answer to a change is what the writer decided: the same that a read shows afterwards.

use invitations::pb::delivery::{Kind, State};
use invitations::pb::{self, Invitation};

use crate::support::{Person, Service};

/// An invitation without what a mail worker may have changed meanwhile. Reminders wait for their time, so of them all is
/// kept.
fn settled(mut invitation: Invitation) -> Invitation {
    for delivery in &mut invitation.deliveries {
        let waits = [Kind::InvitationReminder, Kind::AccessRequestReminder, Kind::OfferReminder];
        if !waits.contains(&delivery.kind()) {
            delivery.state = State::Unspecified.into();
            delivery.update_time = None;
            delivery.detail.clear();
            (delivery.attempts, delivery.smtp_code) = (0, 0);
        }
    }
    invitation
}

async fn assert_shown(person: &Person, answer: Invitation, step: &str) -> Invitation {
    let read = person.get(&answer.name).await.unwrap();
    assert_eq!(settled(answer.clone()), settled(read), "{step}");
    answer
}

#[tokio::test]
async fn each_step_is_answered_with_what_a_read_shows() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let approver = service.member(&owner, "acme", "paul", "OWNER").await;
    owner.ask_for_approval_of("acme", pb::Role::Owner).await;

    let invited = owner.invite("acme", "anna@example.com").await.unwrap();
    assert_eq!(invited.deliveries.len(), 2, "the email and its reminder");
    let invited = assert_shown(&owner, invited, "CreateInvitation").await;
    // one that is not sent yet would be taken back with its code
    service.email_to("anna@example.com", 1).await;
    let resent = assert_shown(&owner, owner.resend(&invited.name, true).await.unwrap(), "ResendInvitation").await;
    let dropped = resent.deliveries.iter().filter(|delivery| delivery.state() == State::Dropped).count();
    assert!(dropped > 0, "the reminder with the old code is taken back: {:?}", resent.deliveries);

    let anna = service.account("anna").await;
    let code = service.code_to("anna@example.com", 2).await;
    assert_shown(&anna, anna.request_access(&code).await.unwrap(), "RequestAccess").await;
    let offer = owner.offer("acme", "anna", "anna@example.com", "OWNER").await.unwrap();
    let offer = assert_shown(&owner, offer, "OfferMembership").await;
    assert_shown(&approver, approver.approve(&offer.name).await.unwrap(), "ApproveOffer").await;
    // whoever becomes an inviter sees what inviters see
    let accepted = assert_shown(&anna, anna.accept(&offer.name).await.unwrap(), "AcceptInvitation").await;
    assert!(accepted.deliveries.len() > 4 && !accepted.inviter.is_empty(), "{accepted:?}");

    let rejected = service.requested(&owner, "acme", "bert").await.1;
    assert_shown(&owner, owner.reject(&rejected.name).await.unwrap(), "RejectAccess").await;
    let (carl, declined) = service.offered(&owner, "acme", "carl", "READER").await;
    assert_shown(&carl, carl.decline(&declined.name).await.unwrap(), "DeclineInvitation").await;
    let revoked = owner.invite("acme", "dora@example.com").await.unwrap();
    let revoked = assert_shown(&owner, owner.revoke(&revoked.name).await.unwrap(), "RevokeInvitation").await;
    assert!(revoked.deliveries.iter().all(|delivery| delivery.state() != State::Queued), "{:?}", revoked.deliveries);
}

#[tokio::test]
async fn members_and_organizations_are_answered_with_what_a_read_shows() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    assert_eq!(owner.create_organization("umbrella").await.unwrap(), owner.organization("umbrella").await);
    service.member(&owner, "acme", "anna", "READER").await;
    let changed = owner.set_role("acme", "anna", "MANAGER").await.unwrap();
    assert_eq!(changed, owner.member("acme", "anna").await.unwrap());

    // an offer that is over holds no seat, whether or not the sweep has been there
    let (_, offer) = service.offered(&owner, "acme", "bert", "READER").await;
    assert_eq!(owner.seats_taken("acme").await, 3);
    service.let_expire(&offer.name).await;
    let edited = pb::Organization {
        name: "organizations/acme".to_owned(),
        display_name: "Acme".to_owned(),
        ..Default::default()
    };
    let message = pb::UpdateOrganizationRequest {
        organization: Some(edited),
        update_mask: Some(prost_types::FieldMask { paths: vec!["display_name".to_owned()] }),
        ..Default::default()
    };
    let edited = owner.organizations.clone().update_organization(message).await.unwrap().into_inner();
    assert_eq!((edited.display_name.as_str(), edited.seats_taken), ("Acme", 2));
    assert_eq!(edited, owner.organization("acme").await);
}
