//! The same request again.

use invitations::dev::mailbox::Script;
use invitations::pb;
use uuid::Uuid;

use super::{assert_charged, batch, create, invited, many, names, row, with_id};
use crate::support::{Service, bad_fields, reason};

fn id() -> String {
    Uuid::new_v4().to_string()
}

#[tokio::test]
async fn a_repeated_batch_finds_what_is_done_and_tries_the_rest_again() {
    let service = Service::start_with(&[("invitations_per_caller_limit", "1000")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let open = owner.invite("acme", "b@example.com").await.unwrap().name;
    let message = with_id(batch(["a@example.com", "b@example.com", "c@example.com"]), &id());
    let first = create(&owner, message.clone()).await.unwrap();
    assert_eq!(reason(first[1].clone()), "OPEN_INVITATION_EXISTS");
    let (before, charges) = (service.tables().await, 3);
    assert_charged(&service, charges).await;
    for id in [message.request_id.clone(), message.request_id.to_uppercase()] {
        let again = create(&owner, with_id(message.clone(), &id)).await.unwrap();
        assert_eq!(again[0].as_ref().unwrap().name, first[0].as_ref().unwrap().name);
        assert_eq!(again[2].as_ref().unwrap().email, "c@example.com");
        before.assert_same(&service.tables().await, "again");
        assert_charged(&service, charges).await;
    }
    let mut headed = tonic::Request::new(with_id(message.clone(), ""));
    headed.metadata_mut().insert("idempotency-key", message.request_id.parse().unwrap());
    let again = create(&owner, headed).await.unwrap();
    assert_eq!(again[0].as_ref().unwrap().name, first[0].as_ref().unwrap().name);
    // what stood in the way is gone
    owner.revoke(&open).await.unwrap();
    let third = create(&owner, message.clone()).await.unwrap();
    assert_eq!(third[1].as_ref().unwrap().email, "b@example.com");
    assert_eq!(names(&create(&owner, message.clone()).await.unwrap()), names(&third));
    // the events have the id that the caller chose
    let ids: Vec<Option<Uuid>> =
        sqlx::query_scalar("SELECT DISTINCT request_id FROM events WHERE kind = 'INVITED' AND request_id IS NOT NULL")
            .fetch_all(service.pool())
            .await
            .unwrap();
    assert_eq!(ids, [Some(message.request_id.parse().unwrap())]);
    // the control: without the id each row is open already
    let without = create(&owner, with_id(message, "")).await.unwrap();
    assert!(without.into_iter().all(|outcome| reason(outcome) == "OPEN_INVITATION_EXISTS"));
}

#[tokio::test]
async fn an_id_that_was_used_for_another_body_makes_nothing() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    owner.invite("acme", "a@example.com").await.unwrap();
    // the first row was refused, so nothing remembers it
    let message = with_id(batch(["a@example.com", "b@example.com"]), &id());
    assert!(create(&owner, message.clone()).await.unwrap()[1].is_ok());
    let before = service.tables().await;
    let other_bodies =
        [many(1, "other.example"), many(300, "other.example"), batch(["b@example.com", "a@example.com"])];
    for other in other_bodies {
        assert_eq!(reason(create(&owner, with_id(other, &message.request_id)).await), "REQUEST_ID_REUSED");
    }
    // nor is it one for another method
    assert_eq!(reason(owner.invite_by("acme", "z@example.com", &message.request_id).await), "REQUEST_ID_REUSED");
    before.assert_same(&service.tables().await, "another body");
    // the control: an id of its own
    assert!(create(&owner, with_id(many(1, "other.example"), &id())).await.unwrap()[0].is_ok());
    // and what CreateInvitation has used is none for a batch
    let used = id();
    owner.invite_by("acme", "y@example.com", &used).await.unwrap();
    assert_eq!(reason(create(&owner, with_id(many(2, "more.example"), &used)).await), "REQUEST_ID_REUSED");
    assert_eq!(invited(&service).await, (4, 4));
}

#[tokio::test]
async fn a_row_may_have_an_id_which_is_that_of_a_call_of_its_own() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (one, two) = (id(), id());
    let with = |email: &str, id: &str| pb::CreateInvitationRequest { request_id: id.to_owned(), ..row(email) };
    let alone = owner.invite_by("acme", "a@example.com", &one).await.unwrap();
    let requests = vec![with("a@example.com", &one), with("b@example.com", &two), with("c@example.com", &two)];
    let message = pb::BatchCreateInvitationsRequest { requests, ..batch([]) };
    let outcomes = create(&owner, message.clone()).await.unwrap();
    assert_eq!(outcomes[0].as_ref().unwrap().name, alone.name);
    let b = outcomes[1].as_ref().unwrap();
    assert_eq!(reason(outcomes[2].clone()), "REQUEST_ID_REUSED");
    // in another batch, at another place, and alone
    let other = pb::BatchCreateInvitationsRequest {
        requests: vec![row("d@example.com"), with("b@example.com", &two)],
        ..batch([])
    };
    assert_eq!(create(&owner, other).await.unwrap()[1].as_ref().unwrap().name, b.name);
    assert_eq!(owner.invite_by("acme", "b@example.com", &two).await.unwrap().name, b.name);
    assert_eq!(invited(&service).await, (3, 3));
    // not beside that of the whole
    let both = create(&owner, with_id(message, &id())).await.unwrap();
    for (n, outcome) in both.iter().enumerate() {
        assert_eq!(bad_fields(outcome.as_ref().unwrap_err()), [format!("requests[{n}].request_id")]);
    }
}
