//! What GitHub said about a token, good for 60 s, refusals too; and one question for all who come with one token.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{TokenError, pace::Pace, token::Key};
use crate::{domain::Identity, flood::Flood};

/// How long a token that GitHub has taken back is still good here, and how rarely GitHub is asked about a bad one.
const LIFETIME: Duration = Duration::from_mins(1);
/// Answers that are kept. Far above what the pace lets be asked within [`LIFETIME`] by default.
const MAX_ANSWERS: usize = 10_000;

type Answer = Result<Arc<Identity>, TokenError>;

#[derive(Debug)]
pub(super) struct Cache {
    answers: Arc<Mutex<Answers>>,
}

#[derive(Debug)]
struct Answers {
    pace: Pace,
    refused: Flood,
    /// `None` within: GitHub is being asked.
    known: HashMap<Key, (Instant, watch::Receiver<Option<Answer>>)>,
    /// The keys with the times of their questions, oldest first. A key that was asked about anew is there twice.
    order: VecDeque<(Instant, Key)>,
}

impl Cache {
    pub fn new(pace: Pace) -> Self {
        let answers = Answers { pace, refused: Flood::default(), known: HashMap::new(), order: VecDeque::new() };
        Self { answers: Arc::new(Mutex::new(answers)) }
    }

    /// The answer of at most 60 s before `now`, or else what `ask` says, which hears whether the token was good before.
    /// That runs on when its caller hangs up, because others wait for it. That GitHub could not be asked is no answer to
    /// keep, and what the pace refuses leaves nothing behind.
    pub async fn get<F>(&self, key: Key, now: Instant, ask: impl FnOnce(bool) -> F) -> Answer
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let mut answer = {
            let mut answers = lock(&self.answers);
            answers.forget(now);
            match answers.known.get(&key) {
                Some((_, answer)) => answer.clone(),
                None => self.begin(&mut answers, key, now, ask)?,
            }
        };
        if let Ok(answer) = answer.wait_for(Option::is_some).await
            && let Some(answer) = answer.clone()
        {
            return answer;
        }
        // whoever asked has panicked
        lock(&self.answers).known.remove(&key);
        Err(TokenError::NO_ANSWER)
    }

    fn begin<F>(
        &self,
        answers: &mut Answers,
        key: Key,
        now: Instant,
        ask: impl FnOnce(bool) -> F,
    ) -> Result<watch::Receiver<Option<Answer>>, TokenError>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        // before anything is kept: made-up tokens would push out the answers about good ones
        let Some(was_good) = answers.pace.admit(&key, now) else {
            if let Some(count) = answers.refused.count() {
                tracing::warn!(count, "GitHub tokens not checked: more came than checks_per_minute allows");
            }
            return Err(TokenError::NO_ANSWER);
        };
        let (sender, receiver) = watch::channel(None);
        answers.known.insert(key, (now, receiver.clone()));
        answers.order.push_back((now, key));
        let (all, asked) = (Arc::clone(&self.answers), ask(was_good));
        tokio::spawn(async move {
            let answer = asked.await;
            match &answer {
                Err(TokenError::IssuerUnavailable(_)) => lock(&all).forget_one(&key, now),
                answer => {
                    let person = answer.as_ref().ok().and_then(|identity| identity.subject.first());
                    lock(&all).pace.learn(key, person.map(String::as_str), now);
                }
            }
            sender.send_replace(Some(answer));
        });
        Ok(receiver)
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
mod tests;
