//! The workers of two replicas on one outbox.

use std::collections::BTreeMap;
use std::time::Duration;

use invitations::store::outbox;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::{Replicas, at_once, count, until, until_blocked};
use crate::support::{Database, patiently};

const LEASE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_email_is_sent_once_when_nothing_fails() {
    let replicas = Replicas::start_with(&[("mail_workers", "4"), ("max_calls", "1000")]).await;
    let service = &replicas.service;
    let owner = service.owner("olga", "acme").await;
    let callers = replicas.spread(&owner, 200);
    let invited = callers.iter().enumerate().map(async |(n, owner)| {
        let (email, request_id) = (format!("g{n}@example.com"), Uuid::new_v4().to_string());
        patiently(async || owner.invite_by("acme", &email, &request_id).await).await
    });
    let refused = at_once(invited).await.into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(refused.is_empty(), "{refused:?}");

    service.mailbox.wait_for(200).await;
    // settled is what nobody sends again
    let unsettled = "SELECT count(*) FROM emails WHERE state <> 'SENT' AND due_time <= now() + interval '1 hour'";
    until(service.pool(), unsettled, |unsettled| unsettled == 0).await;
    let mut times_sent = BTreeMap::<String, usize>::new();
    for email in service.mailbox.received() {
        *times_sent.entry(email.recipients.concat()).or_default() += 1;
    }
    assert_eq!(times_sent.len(), 200);
    assert_eq!(times_sent.into_iter().find(|(_, times)| *times != 1), None);
    assert_eq!(count(service.pool(), "SELECT count(*) FROM emails WHERE attempt > 1").await, 0);
}

#[tokio::test]
async fn two_claims_at_once_take_different_emails() {
    let database = outbox_of(4).await;
    let mut first = database.pool.begin().await.unwrap();
    let mut second = database.pool.begin().await.unwrap();
    let firsts = outbox::claim(&mut first, None, 3, LEASE).await.unwrap();
    let seconds = outbox::claim(&mut second, None, 3, LEASE).await.unwrap();
    assert_eq!((firsts.len(), seconds.len()), (3, 1));
    assert!(seconds.iter().all(|held| firsts.iter().all(|other| other.id != held.id)));
}

/// The control: a claim that does not lock what it has chosen.
#[tokio::test]
async fn without_the_row_lock_two_claims_take_the_same_email() {
    let database = outbox_of(1).await;
    let mut first = database.pool.begin().await.unwrap();
    let mut second = database.pool.begin().await.unwrap();
    let firsts = claim_unlocked(&mut first).await;
    let (seconds, ()) = tokio::join!(claim_unlocked(&mut second), async {
        until_blocked(&database.pool).await;
        first.commit().await.unwrap();
    });
    assert_eq!(firsts.len(), 1);
    assert_eq!(firsts, seconds, "both send it");
}

async fn claim_unlocked(transaction: &mut Transaction<'static, Postgres>) -> Vec<Uuid> {
    sqlx::query_scalar(
        "WITH due AS MATERIALIZED (SELECT organization, email_id FROM emails WHERE state = 'QUEUED' AND due_time <= now() LIMIT 3) \
         UPDATE emails e SET attempt = e.attempt + 1, due_time = now() + interval '1 minute', \
                lease_until = now() + interval '1 minute' FROM due \
          WHERE e.organization = due.organization AND e.email_id = due.email_id RETURNING e.email_id",
    )
    .fetch_all(&mut **transaction)
    .await
    .unwrap()
}

/// A database with emails that nobody sends.
async fn outbox_of(emails: i32) -> Database {
    let database = Database::create().await;
    sqlx::raw_sql("INSERT INTO mail_turns (organization, turn_time) VALUES ('acme', now())")
        .execute(&database.pool)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO emails (organization, email_id, kind, recipient) \
         SELECT 'acme', gen_random_uuid(), 'ORGANIZATION_CHANGED', 'notify@acme.example' FROM generate_series(1, $1)",
    )
    .bind(emails)
    .execute(&database.pool)
    .await
    .unwrap();
    database
}
