//! Who sends an email: one worker at a time, and another one where that one is gone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use invitations::dev::mailbox::{Action, Step};
use invitations::domain::{Answer, EmailState, Timestamp};
use invitations::mail::{Round, Timeouts, Worker};
use invitations::store::outbox::{self, Ended, Held};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Outbox, identity, meanwhile, round, until};
use crate::support::{Database, PATIENCE};

const LEASE: Duration = Duration::from_mins(1);

/// How often one email arrives when a second worker looks for email while the first one is sending it.
async fn arrivals(outbox: &Outbox, second: &Mutex<Option<Worker>>) -> usize {
    outbox.organization("acme").await;
    outbox.invite("acme", 1).await;
    *second.lock().unwrap() = Some(outbox.worker());
    assert_eq!(round(&mut outbox.worker()).await.sent, 1);
    outbox.mailbox.received().len()
}

/// An outbox whose mail server sends the second worker out when the first email is on its way.
async fn with_second_worker() -> (Outbox, Arc<Mutex<Option<Worker>>>) {
    let second = Arc::new(Mutex::new(None::<Worker>));
    let waiting = Arc::clone(&second);
    let outbox = Outbox::start(move |step| {
        if matches!(step, Step::Message(_)) {
            let worker = waiting.lock().unwrap().take();
            worker.map(|mut worker| meanwhile(round(&mut worker)));
        }
        Action::Proceed
    });
    (outbox.await, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_that_is_being_sent_is_nobody_elses() {
    let (outbox, second) = with_second_worker().await;
    assert_eq!(arrivals(&outbox, &second).await, 1);

    let (outbox, second) = with_second_worker().await;
    outbox
        .execute(
            "CREATE FUNCTION no_lease() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN NEW.due_time := least(NEW.due_time, now()); RETURN NEW; END'",
        )
        .await;
    outbox.execute("CREATE TRIGGER no_lease BEFORE UPDATE ON emails FOR EACH ROW EXECUTE FUNCTION no_lease()").await;
    assert_eq!(arrivals(&outbox, &second).await, 2, "control: without a lease it is sent twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_workers_send_each_email_once() {
    let outbox = Outbox::start(|_| Action::Proceed).await;
    for (organization, count) in [("acme", 250), ("beta", 50)] {
        outbox.organization(organization).await;
        outbox.invite(organization, count).await;
    }
    let mut workers = JoinSet::new();
    for _ in 0..6 {
        let mut worker = outbox.worker();
        workers.spawn(async move {
            while round(&mut worker).await.claimed > 0 {}
            worker.hang_up().await;
        });
    }
    workers.join_all().await;
    let mut addresses = outbox.arrived_for();
    assert_eq!(addresses.len(), 300);
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 300);
    assert!(outbox.rows().await.iter().all(|row| row.ends_with(" SENT 1 250")));
}

#[tokio::test]
async fn what_a_dead_worker_held_is_sent_by_another_one_as_the_same_email() {
    let stored = Arc::new(Notify::new());
    let signal = Arc::clone(&stored);
    // the mail server has it, and its answer never comes
    let outbox = Outbox::start(move |step| match step {
        Step::Stored(_) => {
            signal.notify_one();
            Action::Stall
        }
        _ => Action::Proceed,
    })
    .await;
    outbox.organization("acme").await;
    outbox.invite("acme", 1).await;
    let mut dying = outbox.worker();
    let dying = tokio::spawn(async move { round(&mut dying).await });
    stored.notified().await;
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    assert_eq!(outbox.rows().await, ["1@acme.example QUEUED 1 - held"]);
    let mut other = outbox.impatient_worker("Stored");
    assert_eq!(round(&mut other).await.claimed, 0, "as long as the lease lasts, it may still be sent");

    outbox.make_due().await;
    assert_eq!(round(&mut other).await.retrying, 1);
    assert_eq!(outbox.rows().await, ["1@acme.example RETRYING 2 TIMEOUT"]);
    // it may be kept only when its sender has gone
    let received = timeout(PATIENCE, outbox.mailbox.wait_for(2)).await.expect("it has arrived again");
    assert_eq!(received.len(), 2);
    assert_eq!(identity(&received[0]), identity(&received[1]));
    assert!(identity(&received[0]).1.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_outlives_the_connection_to_the_database() {
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND application_name = 'invitations'";
    let database = Database::create().await;
    let pool = database.pool.clone();
    let outbox = Outbox::on(&database, move |step| {
        if matches!(step, Step::Stored(_)) {
            meanwhile(sqlx::query(kill).execute(&pool)).unwrap();
        }
        Action::Proceed
    })
    .await;
    outbox.organization("acme").await;
    outbox.invite("acme", 1).await;
    let mut worker = outbox.worker();
    assert_eq!(round(&mut worker).await.sent, 1);
    assert_eq!(outbox.rows().await, ["1@acme.example SENT 1 250"]);

    outbox.execute("UPDATE emails SET state = 'QUEUED', attempt = 0, answer = NULL, due_time = now()").await;
    outbox.forget_connections();
    let mut connection = outbox.workers.acquire().await.unwrap();
    let held = outbox::claim(&mut connection, None, 1, LEASE).await.unwrap().remove(0);
    sqlx::query(kill).execute(&outbox.rows).await.unwrap();
    assert!(outbox::settle(&mut connection, &[ended(&held, EmailState::Sent)]).await.is_err());
    drop(connection.detach());
    assert_eq!(outbox.rows().await, ["1@acme.example QUEUED 1 - held"], "control: with one try it stays unsettled");
    outbox.make_due().await;
    round(&mut outbox.worker()).await;
    let received = outbox.mailbox.received();
    assert_eq!(received.len(), 2, "control: and is sent again");
    assert_eq!(identity(&received[0]), identity(&received[1]));
}

fn ended(held: &Held, state: EmailState) -> Ended {
    let answer = Answer::parse(if state == EmailState::Sent { "250" } else { "550" }).unwrap();
    Ended { held: held.clone(), state, answer, wait: Duration::ZERO }
}

#[tokio::test]
async fn only_the_holder_settles_and_sent_is_a_fact() {
    let outbox = Outbox::start(|_| Action::Proceed).await;
    outbox.organization("acme").await;
    outbox.invite("acme", 1).await;
    let mut connection = outbox.workers.acquire().await.unwrap();
    let connection = &mut *connection;
    let mut first = outbox::claim(connection, None, 16, LEASE).await.unwrap().remove(0);
    assert!(outbox::renew(connection, &mut first, LEASE).await.unwrap());
    assert!(outbox::facts(connection, &[&first]).await.unwrap()[0].is_some());

    outbox.make_due().await;
    let second = outbox::claim(connection, None, 16, LEASE).await.unwrap().remove(0);
    let taken_over = ["1@acme.example QUEUED 2 - held"];
    assert!(!outbox::renew(connection, &mut first, LEASE).await.unwrap());
    let facts = outbox::facts(connection, &[&first, &second, &first]).await.unwrap();
    assert_eq!(facts.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
    for state in [EmailState::Failed, EmailState::Retrying, EmailState::Dropped] {
        outbox::settle(connection, &[ended(&first, state)]).await.unwrap();
        assert_eq!(outbox.rows().await, taken_over, "{state:?}");
    }
    outbox::release(connection, &[(first.clone(), Duration::ZERO)]).await.unwrap();
    assert_eq!(outbox.rows().await, taken_over);

    // an attempt that was given back comes again: its number alone names nobody
    outbox::release(connection, &[(second.clone(), Duration::ZERO)]).await.unwrap();
    let third = outbox::claim(connection, None, 16, LEASE).await.unwrap().remove(0);
    assert_eq!(third.attempt, second.attempt);
    outbox::settle(connection, &[ended(&second, EmailState::Failed)]).await.unwrap();
    assert_eq!(outbox.rows().await, taken_over);
    // control: a statement that names only the attempt takes it away from its holder
    let (attempt, id) = (second.attempt, second.id);
    let careless = "UPDATE emails SET state = 'FAILED', lease_until = NULL WHERE email_id = $1 AND attempt = $2";
    sqlx::query(careless).bind(id).bind(attempt).execute(&outbox.rows).await.unwrap();
    assert_eq!(outbox.rows().await, ["1@acme.example FAILED 2 -"]);

    // nothing leaves a final state but for SENT, which says what has happened, whoever saw it
    for state in ["FAILED", "DROPPED", "RETRYING", "QUEUED"] {
        outbox.execute(&format!("UPDATE emails SET state = '{state}', answer = NULL")).await;
        if state == "FAILED" || state == "DROPPED" {
            outbox::settle(connection, &[ended(&third, EmailState::Retrying)]).await.unwrap();
            assert_eq!(outbox.rows().await, [format!("1@acme.example {state} 2 -")]);
        }
        outbox::settle(connection, &[ended(&first, EmailState::Sent)]).await.unwrap();
        assert_eq!(outbox.rows().await, ["1@acme.example SENT 2 250"]);
    }
    outbox::settle(connection, &[ended(&third, EmailState::Failed)]).await.unwrap();
    assert_eq!(outbox.rows().await, ["1@acme.example SENT 2 250"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_email_keeps_its_lease_and_holds_up_no_other() {
    let (stalled, seen) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (signal, go_on) = (Arc::clone(&stalled), Arc::clone(&seen));
    let outbox = Outbox::start(move |step| match step {
        Step::Message(email) if email.recipients[0].starts_with("1@") => {
            signal.notify_one();
            meanwhile(go_on.notified());
            Action::Drop
        }
        _ => Action::Proceed,
    })
    .await;
    outbox.organization("acme").await;
    outbox.invite("acme", 3).await;
    // the lease outlives any pause of the machine
    let mut slow = outbox.worker_with(Timeouts { sign_of_life: Duration::from_millis(50), ..Timeouts::default() });
    let slow = tokio::spawn(async move { round(&mut slow).await });
    stalled.notified().await;
    let its_lease = "SELECT lease_until FROM emails WHERE recipient LIKE '1@%'";
    let first_end: Timestamp = sqlx::query_scalar(its_lease).fetch_one(&outbox.rows).await.unwrap();

    // what waits behind it is given back
    let mut other = outbox.worker();
    let mut sent = 0;
    until(async || {
        sent += round(&mut other).await.sent;
        sent == 2
    })
    .await;
    assert_eq!(outbox.arrived_for(), ["2@acme.example", "3@acme.example"]);
    // and it stays held, also when the first lease has ended: it comes due later by now
    let is_renewed = "SELECT lease_until > $1 AND due_time > $1 FROM emails WHERE recipient LIKE '1@%'";
    let is_renewed = async || sqlx::query_scalar(is_renewed).bind(first_end).fetch_one(&outbox.rows).await;
    until(async || is_renewed().await.unwrap()).await;
    assert_eq!(round(&mut other).await.claimed, 0);
    seen.notify_one();
    assert_eq!(slow.await.unwrap(), Round { claimed: 3, retrying: 1, released: 2, ..Round::default() });
    assert_eq!(outbox.rows().await[0], "1@acme.example RETRYING 1 CONNECTION");
}

#[tokio::test]
async fn a_worker_that_is_stopped_gives_back_what_it_has_not_tried() {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let outbox = Outbox::start(move |step| {
        if matches!(step, Step::Message(_)) {
            stopped.cancel();
        }
        Action::Proceed
    })
    .await;
    outbox.organization("acme").await;
    outbox.invite("acme", 3).await;
    let round = outbox.worker().deliver_due(&stop).await.unwrap();
    assert_eq!(round, Round { claimed: 3, sent: 1, released: 2, ..Round::default() });
    let rows = ["1@acme.example SENT 1 250", "2@acme.example QUEUED 0 -", "3@acme.example QUEUED 0 -"];
    assert_eq!(outbox.rows().await, rows);
}
