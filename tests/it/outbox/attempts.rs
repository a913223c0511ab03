//! What becomes of an email, by what the mail server does and by what its invitation wants.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use invitations::dev::mailbox::{Action, Step};
use invitations::mail::Round;

use super::{Outbox, identity, round, until};

const LATER: Action = Action::Reply("451 4.3.0 1@acme.example has to wait");
const NEVER: Action = Action::Reply("554 5.7.1 1@acme.example is not wanted");

/// What becomes of the email when the server does that at a step: state and answer.
fn expected(step: &str, action: Action) -> &'static str {
    match action {
        Action::Stall => "RETRYING 1 TIMEOUT",
        Action::Drop => "RETRYING 1 CONNECTION",
        LATER => "RETRYING 1 451",
        // a server that wants nothing from us at all says nothing about the email
        _ if step == "Connect" || step == "Mail" => "RETRYING 1 554",
        _ => "FAILED 1 554",
    }
}

#[tokio::test]
async fn every_answer_at_every_step_has_its_outcome() {
    let trouble = Arc::new(Mutex::new(("", Action::Proceed)));
    let met = Arc::new(AtomicUsize::new(0));
    let (now, count) = (Arc::clone(&trouble), Arc::clone(&met));
    let outbox = Outbox::start(move |step| {
        let (at, action) = *now.lock().unwrap();
        if format!("{step:?}") == at {
            count.fetch_add(1, Ordering::SeqCst);
            action
        } else {
            Action::Proceed
        }
    })
    .await;
    outbox.organization("acme").await;
    outbox.invite("acme", 1).await;
    for step in ["Connect", "Mail", "Rcpt", "Data", "Message", "Stored"] {
        for action in [LATER, NEVER, Action::Stall, Action::Drop] {
            let (before, met_before) = (outbox.arrived_for().len(), met.load(Ordering::SeqCst));
            let mut worker = if action == Action::Stall { outbox.impatient_worker(step) } else { outbox.worker() };
            let is_unreachable = step == "Connect" || step == "Mail";
            *trouble.lock().unwrap() = (step, action);
            let mut tries = 0;
            let troubled = loop {
                outbox
                    .execute("UPDATE emails SET state = 'QUEUED', attempt = 0, answer = NULL, due_time = now()")
                    .await;
                let troubled = round(&mut worker).await;
                tries += 1;
                // with little time, a machine that stood still has not come as far as the step
                let is_early = action == Action::Stall && troubled.unreachable && !is_unreachable;
                if !is_early || tries == 20 {
                    break troubled;
                }
            };
            let outcome = expected(step, action);
            assert_eq!(outbox.rows().await, [format!("1@acme.example {outcome}")], "{action:?} at {step}");
            assert_eq!(troubled.unreachable, is_unreachable, "{action:?} at {step}");
            if step == "Message" || step == "Stored" {
                // a server comes to what was sent to it also when nobody waits for that any more
                until(async || met.load(Ordering::SeqCst) > met_before).await;
            }
            // what the server kept before the trouble comes again, which is all that "at least once" allows
            let kept = usize::from(step == "Stored");
            assert_eq!(outbox.arrived_for().len(), before + kept, "{action:?} at {step}");

            trouble.lock().unwrap().0 = "";
            if action == Action::Stall {
                worker = outbox.worker();
            }
            outbox.make_due().await;
            let again = usize::from(outcome.starts_with("RETRYING"));
            assert_eq!(round(&mut worker).await.sent, again, "{action:?} at {step}");
            assert_eq!(outbox.arrived_for().len(), before + kept + again, "{action:?} at {step}");
            worker.hang_up().await;
        }
    }
    let received = outbox.mailbox.received();
    assert!(received.iter().all(|email| identity(email) == identity(&received[0])), "each attempt is the same email");
}

#[tokio::test]
async fn a_delay_grows_up_to_an_hour_and_ends_after_three_days() {
    let outbox = Outbox::start(|step| if matches!(step, Step::Rcpt(_)) { LATER } else { Action::Proceed }).await;
    outbox.organization("acme").await;
    outbox.invite("acme", 1).await;
    let mut worker = outbox.worker();
    let mut waits = Vec::<f64>::new();
    loop {
        let round = round(&mut worker).await;
        if round.failed == 1 {
            break;
        }
        assert_eq!(round, Round { claimed: 1, retrying: 1, ..Round::default() });
        let wait = "SELECT extract(epoch FROM due_time - update_time)::float8 FROM emails WHERE lease_until IS NULL";
        waits.push(sqlx::query_scalar(wait).fetch_one(&outbox.rows).await.unwrap());
        outbox.make_due().await;
    }
    let steady = |number: usize| (10.0 * 2_f64.powi(i32::try_from(number).unwrap())).min(3600.0);
    for (number, wait) in waits.iter().enumerate() {
        assert!((steady(number) * 0.8..=steady(number) * 1.2).contains(wait), "wait {number} is {wait} s");
    }
    // control: the same wait each time would bring what failed together back together
    assert!(waits[20..].windows(2).any(|pair| pair[0].to_bits() != pair[1].to_bits()));
    // before chance lengthens or shortens each of them
    let days = |waits: usize| (0..waits).map(steady).sum::<f64>() / 86_400.0;
    assert!(days(waits.len()) <= 3.0 && days(waits.len() + 1) > 3.0, "{} waits", waits.len());
    assert_eq!(outbox.rows().await, [format!("1@acme.example FAILED {} 451", waits.len() + 1)]);
    outbox.make_due().await;
    assert_eq!(round(&mut worker).await.claimed, 0);
}

#[tokio::test]
async fn what_is_refused_unwanted_or_cannot_be_written_stops_no_other() {
    let outbox = Outbox::start(|step| match step {
        Step::Rcpt(recipient) if recipient.starts_with("2@") => Action::Reply("550 5.1.1 no such user"),
        _ => Action::Proceed,
    })
    .await;
    outbox.organization("acme").await;
    outbox.invite("acme", 9).await;
    for (recipient, change) in [
        ("1@acme.example", "expire_time = now()"),
        ("3@acme.example", "code_key_id = 'retired'"),
        ("4@acme.example", "generation = 2"),
        ("5@acme.example", "state = 'REVOKED'"),
    ] {
        outbox.execute(&format!("UPDATE invitations SET {change} WHERE email = '{recipient}'")).await;
    }
    for (recipient, change) in [
        ("6@acme.example", "recipient = '6 is no address'"),
        ("7@acme.example", "kind = 'OF_THE_NEXT_VERSION'"),
        // every attempt so far killed its worker
        ("8@acme.example", "attempt = 1000"),
    ] {
        outbox.execute(&format!("UPDATE emails SET {change} WHERE recipient = '{recipient}'")).await;
    }
    let round = round(&mut outbox.worker()).await;
    assert_eq!(round, Round { claimed: 8, sent: 1, retrying: 1, failed: 3, dropped: 3, ..Round::default() });
    let rows = [
        "1@acme.example DROPPED 1 MOVED_ON",
        "2@acme.example FAILED 1 550",
        "3@acme.example RETRYING 0 KEY_MISSING",
        "4@acme.example DROPPED 1 MOVED_ON",
        "5@acme.example DROPPED 1 MOVED_ON",
        "6 is no address FAILED 1 UNBUILDABLE",
        "7@acme.example QUEUED 0 -",
        "8@acme.example FAILED 1001 UNBUILDABLE",
        "9@acme.example SENT 1 250",
    ];
    let mut sorted = outbox.rows().await;
    sorted.sort();
    assert_eq!(sorted, rows);
    assert_eq!(outbox.arrived_for(), ["9@acme.example"]);
}

#[tokio::test]
async fn a_server_that_takes_nothing_costs_one_attempt_of_one_email() {
    let outbox = Outbox::start(|step| if matches!(step, Step::Connect) { NEVER } else { Action::Proceed }).await;
    outbox.organization("acme").await;
    outbox.invite("acme", 3).await;
    let round = round(&mut outbox.worker()).await;
    assert_eq!(round, Round { claimed: 3, retrying: 1, released: 2, unreachable: true, ..Round::default() });
    let rows = ["1@acme.example RETRYING 1 554", "2@acme.example QUEUED 0 -", "3@acme.example QUEUED 0 -"];
    assert_eq!(outbox.rows().await, rows);
}
