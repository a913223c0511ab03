//! One question for all, for a minute, and a flood that nobody notices who is known.

use std::{
    io::Read,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::{super::token::Token, *};

const REFUSED: TokenError = TokenError::Invalid("as asked for");

fn key(token: &str) -> Key {
    Token::parse(token).unwrap().key()
}

/// Counts the questions, and answers each in the same way once there is a permit.
struct Asked {
    count: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
    answer: Answer,
}

/// That may ask as often as it likes.
fn cache() -> Cache {
    Cache::new(Pace::new(u32::MAX, Instant::now()))
}

impl Asked {
    fn answering(answer: Answer) -> Self {
        Self { count: Arc::default(), permits: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)), answer }
    }

    async fn of(&self, cache: &Cache, token: &str, now: Instant) -> Answer {
        let (count, permits, answer) = (Arc::clone(&self.count), Arc::clone(&self.permits), self.answer.clone());
        let ask = |_| async move {
            count.fetch_add(1, Relaxed);
            permits.acquire().await.unwrap().forget();
            answer
        };
        cache.get(key(token), now, ask).await
    }

    async fn by(&self, cache: &Cache, token: &str, now: Instant) -> TokenError {
        self.of(cache, token, now).await.unwrap_err()
    }

    fn count(&self) -> usize {
        self.count.load(Relaxed)
    }
}

#[tokio::test]
async fn an_answer_is_good_for_a_minute_and_for_its_token_only() {
    let (cache, asked, start) = (cache(), Asked::answering(Err(REFUSED)), Instant::now());
    for seconds in [0, 1, 59] {
        assert_eq!(asked.by(&cache, "gho_one", start + Duration::from_secs(seconds)).await, REFUSED);
    }
    assert_eq!(asked.count(), 1);
    asked.by(&cache, "gho_two", start).await;
    assert_eq!(asked.count(), 2);
    asked.by(&cache, "gho_one", start + LIFETIME).await;
    assert_eq!(asked.count(), 3);
    // the time counts from the question that it answers
    asked.by(&cache, "gho_one", start + LIFETIME * 2).await;
    assert_eq!(asked.count(), 4);
    assert!(cache.answers.lock().unwrap().known.len() <= 2);
}

#[tokio::test]
async fn all_who_come_at_once_wait_for_one_question() {
    let (cache, asked, now) = (cache(), Asked::answering(Err(REFUSED)), Instant::now());
    let all = join_all((0..50).map(|_| asked.by(&cache, "gho_one", now))).await;
    assert_eq!((all, asked.count()), (vec![REFUSED; 50], 1));
    // the control: as many tokens are as many questions
    let tokens = (0..50).map(|number| format!("gho_{number}")).collect::<Vec<_>>();
    join_all(tokens.iter().map(|token| asked.by(&cache, token, now))).await;
    assert_eq!(asked.count(), 51);
}

#[tokio::test]
async fn that_nobody_answered_is_no_refusal_and_not_kept() {
    let (cache, now) = (cache(), Instant::now());
    let down = Asked::answering(Err(TokenError::NO_ANSWER));
    let all = join_all((0..50).map(|_| down.by(&cache, "gho_one", now))).await;
    assert_eq!((all, down.count()), (vec![TokenError::NO_ANSWER; 50], 1));
    let up = Asked::answering(Err(REFUSED));
    assert_eq!((up.by(&cache, "gho_one", now).await, up.count()), (REFUSED, 1));
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_cancel_the_question() {
    let (cache, asked, now) = (cache(), Asked::answering(Err(REFUSED)), Instant::now());
    asked.permits.forget_permits(Semaphore::MAX_PERMITS);
    // polled once, then dropped
    let first = tokio::time::timeout(Duration::from_millis(1), asked.by(&cache, "gho_one", now)).await;
    assert!(first.is_err());
    asked.permits.add_permits(1);
    assert_eq!((asked.by(&cache, "gho_one", now).await, asked.count()), (REFUSED, 1));
}

#[tokio::test]
async fn a_question_that_panics_is_forgotten() {
    let (cache, now) = (cache(), Instant::now());
    let answer = cache.get(key("gho_one"), now, |_| async { panic!("as asked for") }).await;
    assert_eq!(answer.unwrap_err(), TokenError::NO_ANSWER);
    assert_eq!(Asked::answering(Err(REFUSED)).by(&cache, "gho_one", now).await, REFUSED);
}

#[tokio::test]
async fn the_oldest_answers_make_room() {
    let (cache, asked, now) = (cache(), Asked::answering(Err(REFUSED)), Instant::now());
    for number in 0..MAX_ANSWERS + 10 {
        asked.by(&cache, &number.to_string(), now).await;
    }
    let kept = cache.answers.lock().unwrap().known.len();
    assert_eq!(kept, MAX_ANSWERS);
    asked.by(&cache, &(MAX_ANSWERS + 9).to_string(), now).await;
    assert_eq!(asked.count(), MAX_ANSWERS + 10);
    asked.by(&cache, "0", now).await;
    assert_eq!(asked.count(), MAX_ANSWERS + 11);
}

fn anna() -> Arc<Identity> {
    Arc::new(Identity {
        issuer: "github".to_owned(),
        subject: vec!["1".to_owned()],
        provider: "github".to_owned(),
        tenant: None,
        emails: None,
        attest_time: time::OffsetDateTime::UNIX_EPOCH,
    })
}

#[tokio::test]
async fn a_flood_of_made_up_tokens_takes_nothing_from_those_that_were_good() {
    let start = Instant::now();
    let cache = Cache::new(Pace::new(4, start));
    let (good, flood) = (Asked::answering(Ok(anna())), Asked::answering(Err(REFUSED)));
    for token in ["gho_one", "gho_two"] {
        good.of(&cache, token, start).await.unwrap();
    }
    for minute in 0..10 {
        let now = start + LIFETIME * minute;
        let asked = flood.count();
        for number in 0..MAX_ANSWERS + 10 {
            let token = format!("gho_{minute}_{number}");
            let known = number < 2 && minute > 0;
            let expected = if known { REFUSED } else { TokenError::NO_ANSWER };
            assert_eq!(flood.by(&cache, &token, now).await, expected, "{token}");
        }
        assert_eq!(flood.count() - asked, if minute == 0 { 0 } else { 2 });
        // nothing is left behind by those that nobody was asked about
        assert!(cache.answers.lock().unwrap().order.len() <= 4);
        for token in ["gho_one", "gho_two"] {
            good.of(&cache, token, now).await.unwrap();
        }
        // once a minute each, first from the bucket and then from what is kept
        assert_eq!(good.count(), 2 * (minute as usize + 1));
    }
}

#[tokio::test]
async fn a_flood_of_made_up_tokens_is_a_line_a_second() {
    let (mut log, writer) = std::io::pipe().unwrap();
    let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(Arc::new(writer)).finish();
    let here = tracing::subscriber::set_default(lines);
    let (start, flood) = (Instant::now(), Asked::answering(Err(REFUSED)));
    let cache = Cache::new(Pace::new(1, start));
    for number in 0..100 {
        flood.by(&cache, &number.to_string(), start).await;
    }
    drop(here);
    let mut lines = String::new();
    log.read_to_string(&mut lines).unwrap();
    assert!(lines.contains("GitHub tokens not checked") && lines.contains("count=1"), "{lines}");
    let seconds = usize::try_from(start.elapsed().as_secs()).unwrap();
    assert!(lines.lines().count() <= seconds + 1, "{lines}");
}
