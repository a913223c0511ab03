//! Guesses at once, and the window that slides: both were ways around a limit that is checked first and counted after.

use std::time::Duration;

use futures_util::future::join_all;
use invitations::domain::{CodeKey, InvitationCode, InvitationId, Timestamp, Window};
use invitations::store::limits::{self, Asked, Charge};
use tokio::sync::Barrier;

use super::{Limited, assert_limited};
use crate::support::{Person, Service, reason};

const LIMIT: i32 = 10;
const WINDOW: Duration = Duration::from_mins(15);

fn unknown_code(n: usize) -> String {
    let key = CodeKey::new("elsewhere".to_owned(), vec![9; 32]).unwrap();
    InvitationCode::derive(&key, InvitationId(uuid::Uuid::from_u128(n as u128)), 1).reveal()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_wrong_codes_at_once_exactly_ten_are_looked_at() {
    let limited = Limited::start(&[("wrong_codes_limit", "10")]).await;
    let anna = limited.service.account("anna").await;
    let guess = async |(n, anna): (usize, Person)| {
        loop {
            let reason = reason(anna.request_access(&unknown_code(n)).await);
            // so many at once are more than a busy machine has time or connections for: nothing was counted then
            if !["DATABASE_UNAVAILABLE", "OVERLOADED"].contains(&reason.as_str()) {
                return reason;
            }
        }
    };
    let reasons = join_all(limited.in_turn(&anna, 64).enumerate().map(guess)).await;
    let count = |reason: &str| reasons.iter().filter(|other| *other == reason).count();
    assert_eq!((count("CODE_NOT_FOUND"), count("TOO_MANY_WRONG_CODES")), (10, 54), "{reasons:?}");
    assert_eq!(limited.service.charges().await, 10);

    // without the limit each of them is looked at
    let unlimited = anna.on(&limited.unlimited);
    let reasons = join_all((0..16).map(|n| guess((n, unlimited.clone())))).await;
    assert!(reasons.iter().all(|reason| reason == "CODE_NOT_FOUND"), "{reasons:?}");
}

/// The control: what is checked first and counted after lets all of them through.
#[tokio::test]
async fn a_limit_that_is_checked_first_and_counted_after_is_overshot() {
    let service = Service::start().await;
    let begin = Barrier::new(8);
    let check_then_charge = async |_| {
        let mut connection = service.pool().acquire().await.unwrap();
        let used = counted(&mut connection, "somebody").await.map_or(0, |(window, now)| count(&window, now));
        begin.wait().await;
        if used < 4 {
            charge(&mut connection, "somebody", i32::MAX).await.unwrap();
        }
        used < 4
    };
    let let_in = join_all((0..8).map(check_then_charge)).await;
    assert_eq!(let_in.iter().filter(|let_in| **let_in).count(), 8);

    let charge_at_once = async |_| {
        let mut connection = service.pool().acquire().await.unwrap();
        charge(&mut connection, "somebody else", 4).await.is_some()
    };
    let let_in = join_all((0..8).map(charge_at_once)).await;
    assert_eq!(let_in.iter().filter(|let_in| **let_in).count(), 4);
}

#[tokio::test]
async fn a_used_up_limit_comes_back_after_its_window_and_not_at_a_border() {
    let service = Service::start().await;
    let anna = service.account("anna").await;
    let mut guesses = 0;
    let mut guess_until_refused = async || {
        let begin = guesses;
        loop {
            guesses += 1;
            let outcome = anna.request_access(&unknown_code(guesses)).await;
            if retry(&outcome) {
                assert_limited(outcome, "TOO_MANY_WRONG_CODES");
                return guesses - begin - 1;
            }
            assert_eq!(reason(outcome), "CODE_NOT_FOUND");
        }
    };
    assert_eq!(guess_until_refused().await, 10);
    // two counters of 15 minutes would let in nine more within them
    for _ in 0..3 {
        service.let_limits_pass(4).await;
        assert_eq!(guess_until_refused().await, 0);
    }
    service.let_limits_pass(6).await;
    assert_eq!(guess_until_refused().await, 10);
    service.let_limits_pass(30).await;
    assert_eq!(guess_until_refused().await, 10);
}

fn retry<T>(outcome: &Result<T, tonic::Status>) -> bool {
    outcome.as_ref().is_err_and(|status| status.code() == tonic::Code::ResourceExhausted)
}

#[tokio::test]
async fn the_statement_and_the_pure_rule_count_alike() {
    let service = Service::start().await;
    let mut connection = service.pool().acquire().await.unwrap();
    let length = WINDOW.try_into().unwrap();
    for minutes in [0, 0, 0, 4, 9, 1, 1, 3, 20, 2, 7, 7, 7, 1, 90, 1, 14, 14, 14, 31] {
        service.let_limits_pass(minutes).await;
        for _ in 0..3 {
            let before = counted(&mut connection, "both").await;
            let expected = before.map(|(mut window, now)| (window.charge(now, length, Some(LIMIT)).is_ok(), window));
            let is_ok = charge(&mut connection, "both", LIMIT).await.is_some();
            let (after, _) = counted(&mut connection, "both").await.unwrap();
            if let Some(expected) = expected {
                assert_eq!((is_ok, after), expected, "after {minutes} minutes");
            }
        }
    }
}

#[tokio::test]
async fn a_charge_is_given_back_to_the_window_that_it_was_counted_in() {
    let service = Service::start().await;
    let mut connection = service.pool().acquire().await.unwrap();
    let used = async |connection: &mut sqlx::PgConnection| used(connection, "somebody").await;
    let mut first = charge(&mut connection, "somebody", LIMIT).await.unwrap();
    limits::give_back(&mut connection, std::slice::from_ref(&first)).await.unwrap();
    assert_eq!(used(&mut connection).await, 0);
    // nothing is given back that is not there
    limits::give_back(&mut connection, std::slice::from_ref(&first)).await.unwrap();
    assert_eq!(used(&mut connection).await, 0);

    // so many slots of the window have begun in between
    for (passed, left) in [(0, 0), (1, 0), (2, 1)] {
        sqlx::query("TRUNCATE subject_limits").execute(&mut *connection).await.unwrap();
        first = charge(&mut connection, "somebody", LIMIT).await.unwrap();
        let second = charge(&mut connection, "somebody", LIMIT).await.unwrap();
        limits::give_back(&mut connection, std::slice::from_ref(&second)).await.unwrap();
        assert_eq!(used(&mut connection).await, 1);
        let pass = "UPDATE subject_limits SET slot = slot + $1, totals = array_fill(totals[1], ARRAY[$1 + 1])";
        sqlx::query(pass).bind(passed).execute(&mut *connection).await.unwrap();
        limits::give_back(&mut connection, std::slice::from_ref(&first)).await.unwrap();
        assert_eq!(used(&mut connection).await, left, "{passed} slots later");
    }
}

#[tokio::test]
async fn what_is_charged_together_is_counted_as_if_one_came_after_the_other() {
    let service = Service::start().await;
    let mut connection = service.pool().acquire().await.unwrap();
    let asked = |subject: &str| Asked { subject: subject.to_owned(), window: WINDOW, limit: LIMIT };
    let is_counted = async |connection: &mut sqlx::PgConnection, subjects: &[&str]| {
        let asked = subjects.iter().map(|subject| asked(subject)).collect::<Vec<_>>();
        let counted = limits::charge(connection, &asked).await.unwrap();
        counted.iter().map(Result::is_ok).collect::<Vec<_>>()
    };
    // one more than the limit allows, between those of others
    let limit = usize::try_from(LIMIT).unwrap();
    let mut subjects = vec!["many"; limit + 1];
    subjects.insert(1, "one");
    subjects.push("other");
    let mut expected = vec![true; limit + 3];
    expected[limit + 1] = false;
    assert_eq!(is_counted(&mut connection, &subjects).await, expected);
    assert_eq!(is_counted(&mut connection, &["many", "one"]).await, [false, true]);
    assert_eq!(used(&mut connection, "many").await, i64::from(LIMIT));
    assert_eq!(used(&mut connection, "one").await, 2);

    // all that is given back makes room at once
    let asked = ["both", "both", "other"].map(asked);
    let charges = limits::charge(&mut connection, &asked).await.unwrap();
    let charges = charges.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(used(&mut connection, "both").await, 2);
    limits::give_back(&mut connection, &charges).await.unwrap();
    assert_eq!(used(&mut connection, "both").await, 0);
    assert_eq!(used(&mut connection, "other").await, 1);
}

async fn charge(connection: &mut sqlx::PgConnection, subject: &str, limit: i32) -> Option<Charge> {
    let asked = Asked { subject: subject.to_owned(), window: WINDOW, limit };
    limits::charge(connection, &[asked]).await.unwrap().remove(0).ok()
}

async fn counted(connection: &mut sqlx::PgConnection, subject: &str) -> Option<(Window, Timestamp)> {
    limits::counted(connection, &[subject.to_owned()]).await.unwrap().remove(subject)
}

async fn used(connection: &mut sqlx::PgConnection, subject: &str) -> i64 {
    let (window, now) = counted(connection, subject).await.unwrap();
    count(&window, now)
}

fn count(window: &Window, now: Timestamp) -> i64 {
    window.count(now, WINDOW.try_into().unwrap())
}
