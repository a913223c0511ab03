//! Batches that break off, and what others feel of them.

use std::time::Duration;

use invitations::dev::mailbox::Script;
use sqlx::{Postgres, Transaction};
use tonic::Request;
use uuid::Uuid;

use super::{batch, create, invited, many, names, with_id};
use crate::support::{PATIENCE, Service, reason};

async fn service(settings: &[(&str, &str)]) -> Service {
    Service::start_with(&[&[("mail_paused", "true")], settings].concat(), Script::accept_all()).await
}

/// Holds the organization between two transactions of a batch: whoever waits for the lock gets it there.
async fn lock_acme(service: &Service) -> Transaction<'static, Postgres> {
    let mut transaction = service.pool().begin().await.unwrap();
    let lock = "SELECT FROM organization_heads WHERE organization = 'acme' FOR UPDATE";
    sqlx::query(lock).execute(&mut *transaction).await.unwrap();
    transaction
}

async fn until_some_are_invited(service: &Service) {
    let some = async { while invited(service).await.0 == 0 {} };
    tokio::time::timeout(PATIENCE, some).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_caller_has_left_is_not_carried_out_until_the_same_request_comes_again() {
    let service = service(&[("invitations_per_caller_limit", "5000")]).await;
    let owner = service.owner("olga", "acme").await;
    let message = with_id(many(1000, "example.com"), &Uuid::new_v4().to_string());
    let (caller, sent) = (owner.clone(), message.clone());
    let call = tokio::spawn(async move { create(&caller, sent).await });
    until_some_are_invited(&service).await;
    let gate = lock_acme(&service).await;
    let (before, _) = invited(&service).await;
    assert!(before % 100 == 0 && before < 1000, "{before} rows in whole parts");
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // what is charged for rows that nobody will carry out is given back, but for the part that may have begun
    let given_back = async { while service.charges().await > before + 100 {} };
    tokio::time::timeout(PATIENCE, given_back).await.unwrap();
    gate.commit().await.unwrap();
    // at most what had begun comes after it, and that comes before this
    owner.invite("acme", "next@example.com").await.unwrap();
    create(&owner, batch(["another@example.com"])).await.unwrap();
    let (after, _) = invited(&service).await;
    assert!((before..=before + 100).contains(&(after - 2)), "{before} before, {after} after");

    // the rest is done by another replica
    let there = owner.on(&service.replica(&[("mail_paused", "true")]).await);
    let outcomes = create(&there, message.clone()).await.unwrap();
    assert_eq!(names(&outcomes), names(&create(&owner, message.clone()).await.unwrap()));
    assert_eq!(invited(&service).await, (1002, 1002));
    // the control: as another request, the rows that were done are open
    let other = create(&owner, with_id(message, "")).await.unwrap();
    assert!(other.into_iter().all(|outcome| reason(outcome) == "OPEN_INVITATION_EXISTS"));
    service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_goes_on_where_the_database_breaks_off() {
    let service = service(&[]).await;
    let owner = service.owner("olga", "acme").await;
    let message = with_id(many(1000, "example.com"), &Uuid::new_v4().to_string());
    let (caller, sent) = (owner.clone(), message.clone());
    let call = tokio::spawn(async move { create(&caller, sent).await });
    until_some_are_invited(&service).await;
    let gate = lock_acme(&service).await;
    service.database.end_sessions().await;
    gate.commit().await.unwrap();
    // it may have been in the middle of a COMMIT: then the caller is told, and asks again
    let first = call.await.unwrap();
    if let Ok(outcomes) = first {
        for outcome in outcomes.into_iter().filter(Result::is_err) {
            assert_eq!(reason(outcome), "DATABASE_UNAVAILABLE");
        }
    }
    let again = crate::support::patiently(async || create(&owner, message.clone()).await).await.unwrap();
    assert_eq!(names(&again).len(), 1000);
    assert_eq!(invited(&service).await, (1000, 1000));
    service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_written_fails_alone() {
    let service = service(&[]).await;
    let owner = service.owner("olga", "acme").await;
    let poison = "ALTER TABLE emails ADD CONSTRAINT emails_bulk_poison CHECK (recipient <> 'guest-130@poison.example')";
    sqlx::query(poison).execute(service.pool()).await.unwrap();
    let outcomes = create(&owner, many(250, "poison.example")).await.unwrap();
    for (n, outcome) in outcomes.into_iter().enumerate() {
        if n == 130 {
            assert_eq!(reason(outcome), "INTERNAL_ERROR");
        } else {
            assert_eq!(outcome.unwrap().email, format!("guest-{n}@poison.example"));
        }
    }
    // the control: elsewhere the same row is written
    owner.create_organization("beta").await.unwrap();
    assert_eq!(invited(&service).await, (249, 249));
    service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_have_not_begun_at_the_deadline_are_never_carried_out() {
    let service = service(&[]).await;
    let owner = service.owner("olga", "acme").await;
    let within = |time| {
        let mut request = Request::new(many(300, "example.com"));
        request.set_timeout(time);
        request
    };
    let gate = lock_acme(&service).await;
    let late = owner.invitations.clone().batch_create_invitations(within(Duration::from_millis(1500))).await;
    let late = late.expect_err("the organization is locked for longer than the call may take");
    assert!([tonic::Code::DeadlineExceeded, tonic::Code::Cancelled].contains(&late.code()), "{late:?}");
    gate.commit().await.unwrap();
    // whatever waited for the lock comes before this
    owner.invite("acme", "next@example.com").await.unwrap();
    create(&owner, batch(["another@example.com"])).await.unwrap();
    let (count, _) = invited(&service).await;
    assert!(count <= 102, "{count}: what had begun, and two others");
    // the control: with time enough all are invited
    create(&owner, many(300, "control.example")).await.unwrap();
    assert_eq!(invited(&service).await.0, count + 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_come_in_between_and_a_locked_organization_holds_up_no_other_batch() {
    let service = service(&[]).await;
    let owner = service.owner("olga", "acme").await;
    let other = service.owner("otto", "beta").await;
    let caller = owner.clone();
    let call = tokio::spawn(async move { create(&caller, many(1000, "example.com")).await });
    until_some_are_invited(&service).await;
    // a change of the same organization does not wait for the end of the batch
    owner.invite("acme", "between@example.com").await.unwrap();
    let (at_that_time, _) = invited(&service).await;
    let gate = lock_acme(&service).await;
    let beta = invitations::pb::BatchCreateInvitationsRequest {
        parent: "organizations/beta".to_owned(),
        ..many(250, "beta.example")
    };
    assert_eq!(names(&create(&other, beta).await.unwrap()).len(), 250);
    other.invite("beta", "single@beta.example").await.unwrap();
    assert!(!call.is_finished(), "the batch of acme waits for its lock");
    gate.commit().await.unwrap();
    assert_eq!(names(&call.await.unwrap().unwrap()).len(), 1000);
    assert!(at_that_time < 1001, "{at_that_time} were invited when the single call was answered");
    assert_eq!(invited(&service).await, (1252, 1252));
    service.recount().await;
}
