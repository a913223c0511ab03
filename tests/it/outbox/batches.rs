//! Many emails by one statement: as many as the mail server takes in a moment, and each of them on its own.

use std::sync::Arc;
use std::time::Duration;

use invitations::dev::mailbox::{Action, Step};
use invitations::domain::{Answer, EmailState};
use invitations::mail::Timeouts;
use invitations::store::outbox::{self, Ended};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Outbox, meanwhile, round, until};
use crate::support::PATIENCE;

const LEASE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn batches_grow_as_long_as_all_of_one_goes_out_in_a_moment() {
    for (fresh, sizes) in [(Duration::from_hours(1), [16, 32, 64, 128, 128]), (Duration::ZERO, [16; 5])] {
        let outbox = Outbox::start(|_| Action::Proceed).await;
        for organization in ["acme", "beta"] {
            outbox.organization(organization).await;
            outbox.invite(organization, 200).await;
        }
        let mut worker = outbox.worker_with(Timeouts { fresh, ..Timeouts::default() });
        for size in sizes {
            let round = round(&mut worker).await;
            assert_eq!((round.claimed, round.sent, round.is_full), (size, size, true));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_is_written_while_the_next_email_takes_its_time() {
    for fresh in [Duration::from_millis(300), Duration::from_hours(1)] {
        let (stalled, seen) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (signal, go_on) = (Arc::clone(&stalled), Arc::clone(&seen));
        let outbox = Outbox::start(move |step| match step {
            Step::Message(email) if email.recipients[0].starts_with("2@") => {
                signal.notify_one();
                meanwhile(go_on.notified());
                Action::Drop
            }
            _ => Action::Proceed,
        })
        .await;
        outbox.organization("acme").await;
        outbox.invite("acme", 2).await;
        let mut worker = outbox.worker_with(Timeouts { fresh, ..Timeouts::default() });
        let worker = tokio::spawn(async move { round(&mut worker).await });
        timeout(PATIENCE, stalled.notified()).await.unwrap();
        if fresh < Duration::from_secs(1) {
            until(async || outbox.rows().await[0] == "1@acme.example SENT 1 250").await;
        }
        let first = outbox.rows().await.remove(0);
        let expected = if fresh < Duration::from_secs(1) { "SENT 1 250" } else { "QUEUED 1 - held" };
        assert_eq!(first, format!("1@acme.example {expected}"), "control: else a crash would send it once more");
        seen.notify_one();
        assert_eq!(worker.await.unwrap().sent, 1);
        assert_eq!(outbox.rows().await, ["1@acme.example SENT 1 250", "2@acme.example RETRYING 1 CONNECTION"]);
    }
}

#[tokio::test]
async fn in_a_batch_each_email_is_settled_or_given_back_on_its_own() {
    let outbox = Outbox::start(|_| Action::Proceed).await;
    for organization in ["acme", "beta"] {
        outbox.organization(organization).await;
        outbox.invite(organization, 3).await;
    }
    let mut connection = outbox.workers.acquire().await.unwrap();
    let mut held = outbox::claim(&mut connection, None, 16, LEASE).await.unwrap();
    held.sort_by_key(|held| held.recipient.wire());
    // somebody else has these by now
    outbox.execute("UPDATE emails SET attempt = 2 WHERE recipient LIKE '2@%'").await;

    let outcomes = [
        (EmailState::Sent, Answer::parse("250 2.0.0 DATA").unwrap()),
        (EmailState::Failed, Answer::parse("550 RCPT").unwrap()),
        (EmailState::Sent, Answer::parse("251").unwrap()),
        (EmailState::Retrying, Answer::Timeout),
    ];
    let settled = held.drain(..4).zip(outcomes);
    let settled = settled.map(|(held, (state, answer))| Ended { held, state, answer, wait: Duration::from_secs(9) });
    outbox::settle(&mut connection, &settled.collect::<Vec<_>>()).await.unwrap();
    let untried = held.into_iter().map(|held| (held, Duration::ZERO)).collect::<Vec<_>>();
    outbox::release(&mut connection, &untried).await.unwrap();
    let rows = [
        "1@acme.example SENT 1 250",
        "1@beta.example FAILED 1 550",
        "2@acme.example SENT 2 251",
        "2@beta.example QUEUED 2 - held",
        "3@acme.example QUEUED 0 -",
        "3@beta.example QUEUED 0 -",
    ];
    assert_eq!(outbox.rows().await, rows);
}

#[tokio::test]
async fn what_is_given_back_keeps_its_turn() {
    let outbox = Outbox::start(|_| Action::Proceed).await;
    outbox.organization("acme").await;
    outbox.invite("acme", 20).await;
    let mut connection = outbox.workers.acquire().await.unwrap();
    let mut claim = async || outbox::claim(&mut connection, None, 20, LEASE).await.unwrap();
    let held = claim().await;
    let turns = held.iter().map(|held| held.recipient.wire()).collect::<Vec<_>>();
    let mut by_key = held.iter().collect::<Vec<_>>();
    by_key.sort_by_key(|held| held.id);
    assert!(
        by_key.iter().map(|held| held.recipient.wire()).ne(turns.clone()),
        "control: the rows are locked in another order"
    );

    let untried = held.into_iter().map(|held| (held, Duration::ZERO)).collect::<Vec<_>>();
    outbox::release(&mut outbox.workers.acquire().await.unwrap(), &untried).await.unwrap();
    let again = claim().await;
    assert_eq!(again.iter().map(|held| held.recipient.wire()).collect::<Vec<_>>(), turns);
}
