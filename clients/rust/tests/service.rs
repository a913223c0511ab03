//! Against the service itself: `../../tests/clients/run cargo test`.

use invitations::client::{Client, Details, v1};
use invitations_client_example::{ORGANIZATION, Who, invite, request_id, seven_steps};
use tonic::{Code, Status};
use v1::{ErrorReason, ResendInvitationRequest, Role};

fn owner(who: &Who) -> Client {
    Client::connect(&who.url, &who.owner_token).unwrap()
}

#[tokio::test]
async fn the_seven_steps_end_with_a_membership() {
    let who = Who::from_environment().unwrap();
    let owner = owner(&who);
    let person = owner.with_token(&who.person_token).unwrap();
    let member = seven_steps(&owner, &person, &who).await.unwrap();
    assert_eq!(member.name, format!("{ORGANIZATION}/members/{}", who.username));
    assert_eq!(member.role(), Role::Contributor);
}

#[tokio::test]
async fn a_repeated_change_with_its_request_id_is_the_same_change() {
    let owner = owner(&Who::from_environment().unwrap());
    let mut change = invite(ORGANIZATION, "bert@example.com");
    let first = owner.invitations().create_invitation(change.clone()).await.unwrap().into_inner();
    let again = owner.invitations().create_invitation(change.clone()).await.unwrap().into_inner();
    assert_eq!(again.name, first.name);
    change.request_id = request_id();
    let refused = owner.invitations().create_invitation(change).await.unwrap_err();
    assert_eq!(Details::from(&refused).reason, Some(ErrorReason::OpenInvitationExists));
}

#[tokio::test]
async fn an_error_has_its_reason_and_all_bad_fields_each_with_a_reason_of_its_own() {
    let owner = owner(&Who::from_environment().unwrap());
    let refused = owner.invitations().create_invitation(invite("acme", "no address")).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let details = Details::from(&refused);
    assert_eq!(details.reason, Some(ErrorReason::FieldInvalid));
    let fields = details.fields.iter().map(|bad| bad.field.as_str()).collect::<Vec<_>>();
    assert_eq!(fields, ["parent", "invitation.email"]);
    for bad in &details.fields {
        assert!(bad.reason.starts_with("FIELD_") && bad.rule.starts_with("must be "), "{bad:?}");
    }
}

#[tokio::test]
async fn an_error_that_waiting_helps_against_says_how_long() {
    let owner = owner(&Who::from_environment().unwrap());
    let made = owner.invitations().create_invitation(invite(ORGANIZATION, "carl@example.com")).await;
    let name = made.unwrap().into_inner().name;
    let request = ResendInvitationRequest { name, request_id: request_id(), ..Default::default() };
    let refused = owner.invitations().resend_invitation(request).await.unwrap_err();
    let details = Details::from(&refused);
    assert_eq!(details.reason, Some(ErrorReason::ResentTooSoon));
    assert!(details.retry_after.is_some_and(|wait| !wait.is_zero()), "{details:?}");
}

/// The control: nothing is made up.
#[test]
fn an_error_of_something_else_has_no_details() {
    assert_eq!(Details::from(&Status::unavailable("no route")), Details::default());
}
