//! What GitHub said about a token, good for 60 s, refusals too; and one question for all who come with one token.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::TokenError;
use crate::domain::Identity;

/// How long a token that GitHub has taken back is still good here, and how rarely GitHub is asked about a bad one.
const LIFETIME: Duration = Duration::from_mins(1);
/// Answers that are kept. Far above what the pace lets happen within [`LIFETIME`] by default.
const MAX_ANSWERS: usize = 10_000;

type Key = [u8; 32];
type Answer = Result<Identity, TokenError>;

/// No token is kept, only its hash.
pub(super) fn key(token: &str) -> Key {
    Sha256::digest(token).into()
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    answers: Arc<Mutex<Answers>>,
}

#[derive(Debug, Default)]
struct Answers {
    /// `None` within: GitHub is being asked.
    known: HashMap<Key, (Instant, watch::Receiver<Option<Answer>>)>,
    /// The keys with the times of their questions, oldest first. A key that was asked about anew is there twice.
    order: VecDeque<(Instant, Key)>,
}

impl Cache {
    /// The answer of at most 60 s before `now`, or else what `ask` says. That runs on when its caller hangs up, because
    /// others wait for it. That GitHub could not be asked is no answer to keep.
    pub async fn get<F>(&self, key: Key, now: Instant, ask: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let mut answer = {
            let mut answers = lock(&self.answers);
            answers.forget(now);
            match answers.known.get(&key) {
                Some((_, answer)) => answer.clone(),
                None => self.begin(&mut answers, key, now, ask()),
            }
        };
        if let Ok(answer) = answer.wait_for(Option::is_some).await
            && let Some(answer) = answer.clone()
        {
            return answer;
        }
        // whoever asked has panicked
        lock(&self.answers).known.remove(&key);
        Err(TokenError::IssuerUnavailable)
    }

    fn begin<F>(&self, answers: &mut Answers, key: Key, now: Instant, asked: F) -> watch::Receiver<Option<Answer>>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let (sender, receiver) = watch::channel(None);
        answers.known.insert(key, (now, receiver.clone()));
        answers.order.push_back((now, key));
        let all = Arc::clone(&self.answers);
        tokio::spawn(async move {
            let answer = asked.await;
            if matches!(answer, Err(TokenError::IssuerUnavailable)) {
                lock(&all).forget_one(&key, now);
            }
            sender.send_replace(Some(answer));
        });
        receiver
    }
}

impl Answers {
    fn forget(&mut self, now: Instant) {
        while let Some((asked, key)) = self.order.front().copied()
            && (self.order.len() >= MAX_ANSWERS || now.saturating_duration_since(asked) >= LIFETIME)
        {
            self.order.pop_front();
            self.forget_one(&key, asked);
        }
    }

    /// Only the answer of that question.
    fn forget_one(&mut self, key: &Key, asked: Instant) {
        if self.known.get(key).is_some_and(|(at, _)| *at == asked) {
            self.known.remove(key);
        }
    }
}

/// Nothing is half done where a holder of the lock panics.
fn lock(answers: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    const REFUSED: TokenError = TokenError::Invalid("as asked for");

    /// Counts the questions, and answers each in the same way once there is a permit.
    struct Asked {
        count: Arc<AtomicUsize>,
        permits: Arc<Semaphore>,
        answer: TokenError,
    }

    impl Asked {
        fn answering(answer: TokenError) -> Self {
            Self { count: Arc::default(), permits: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)), answer }
        }

        async fn by(&self, cache: &Cache, token: &str, now: Instant) -> TokenError {
            let (count, permits, answer) = (Arc::clone(&self.count), Arc::clone(&self.permits), self.answer);
            let ask = || async move {
                count.fetch_add(1, Relaxed);
                permits.acquire().await.unwrap().forget();
                Err(answer)
            };
            cache.get(key(token), now, ask).await.unwrap_err()
        }

        fn count(&self) -> usize {
            self.count.load(Relaxed)
        }
    }

    #[tokio::test]
    async fn an_answer_is_good_for_a_minute_and_for_its_token_only() {
        let (cache, asked, start) = (Cache::default(), Asked::answering(REFUSED), Instant::now());
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
        let (cache, asked, now) = (Cache::default(), Asked::answering(REFUSED), Instant::now());
        let all = join_all((0..50).map(|_| asked.by(&cache, "gho_one", now))).await;
        assert_eq!((all, asked.count()), (vec![REFUSED; 50], 1));
        // the control: as many tokens are as many questions
        let tokens = (0..50).map(|number| format!("gho_{number}")).collect::<Vec<_>>();
        join_all(tokens.iter().map(|token| asked.by(&cache, token, now))).await;
        assert_eq!(asked.count(), 51);
    }

    #[tokio::test]
    async fn that_nobody_answered_is_no_refusal_and_not_kept() {
        let (cache, now) = (Cache::default(), Instant::now());
        let down = Asked::answering(TokenError::IssuerUnavailable);
        let all = join_all((0..50).map(|_| down.by(&cache, "gho_one", now))).await;
        assert_eq!((all, down.count()), (vec![TokenError::IssuerUnavailable; 50], 1));
        let up = Asked::answering(REFUSED);
        assert_eq!((up.by(&cache, "gho_one", now).await, up.count()), (REFUSED, 1));
    }

    #[tokio::test]
    async fn a_caller_that_hangs_up_does_not_cancel_the_question() {
        let (cache, asked, now) = (Cache::default(), Asked::answering(REFUSED), Instant::now());
        asked.permits.forget_permits(Semaphore::MAX_PERMITS);
        // polled once, then dropped
        let first = tokio::time::timeout(Duration::from_millis(1), asked.by(&cache, "gho_one", now)).await;
        assert!(first.is_err());
        asked.permits.add_permits(1);
        assert_eq!((asked.by(&cache, "gho_one", now).await, asked.count()), (REFUSED, 1));
    }

    #[tokio::test]
    async fn a_question_that_panics_is_forgotten() {
        let (cache, now) = (Cache::default(), Instant::now());
        let answer = cache.get(key("gho_one"), now, || async { panic!("as asked for") }).await;
        assert_eq!(answer.unwrap_err(), TokenError::IssuerUnavailable);
        assert_eq!(Asked::answering(REFUSED).by(&cache, "gho_one", now).await, REFUSED);
    }

    #[tokio::test]
    async fn the_oldest_answers_make_room() {
        let (cache, asked, now) = (Cache::default(), Asked::answering(REFUSED), Instant::now());
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
}
