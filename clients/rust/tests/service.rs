//! Against the service itself: `../../tests/clients/run cargo test`.

use invitations::client::{Client, Details, v1};
use invitations_client_example::{ORGANIZATION, Who, invite, request_id, seven_steps};
use tonic::{Code, Status};
use v1::batch_create_invitations_response::result::Result as Outcome;
use v1::{BatchCreateInvitationsRequest, ErrorReason, ResendInvitationRequest, Role, WatchEventsRequest};

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

#[tokio::test]
async fn each_row_of_a_batch_has_a_result() {
    let owner = owner(&Who::from_environment().unwrap());
    let row = |email: &str| v1::CreateInvitationRequest { request_id: String::new(), ..invite("", email) };
    let request = BatchCreateInvitationsRequest {
        parent: ORGANIZATION.to_owned(),
        requests: vec![row("dora@example.com"), row("no address")],
        request_id: request_id(),
        validate_only: false,
    };
    let answer = owner.invitations().batch_create_invitations(request).await.unwrap().into_inner();
    let outcomes = answer.results.into_iter().map(|row| row.result.unwrap()).collect::<Vec<_>>();
    let [Outcome::Invitation(made), Outcome::Status(refused)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!(made.email, "dora@example.com");
    let details = Details::from(refused);
    assert_eq!(details.reason, Some(ErrorReason::FieldInvalid));
    assert_eq!(details.fields.first().unwrap().field, "requests[1].invitation.email");
}

/// Streams end after a second here, each with two messages where nothing happens.
#[tokio::test]
async fn events_come_over_the_ends_of_streams() {
    let owner = owner(&Who::from_environment().unwrap());
    let request = WatchEventsRequest {
        parent: ORGANIZATION.to_owned(),
        filter: "kind = RESENT".to_owned(),
        ..Default::default()
    };
    let mut quiet = owner.watch(request.clone());
    for _ in 0..5 {
        assert!(quiet.next().await.unwrap().events.is_empty());
    }
    let mut events = owner.watch(WatchEventsRequest { filter: "kind = INVITED".to_owned(), ..request });
    events.next().await.unwrap();
    for email in ["eve@example.com", "fred@example.com"] {
        let made = owner.invitations().create_invitation(invite(ORGANIZATION, email)).await.unwrap().into_inner();
        while events.next().await.unwrap().events.iter().all(|event| event.invitation != made.name) {}
    }
    let nobody = owner.with_token("x").unwrap().watch(events.request().clone()).next().await;
    assert_eq!(nobody.unwrap_err().code(), Code::Unauthenticated);
}

/// The control: nothing is made up.
#[test]
fn an_error_of_something_else_has_no_details() {
    assert_eq!(Details::from(&Status::unavailable("no route")), Details::default());
}
