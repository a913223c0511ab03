//! How often GitHub is asked: a stranger with made-up tokens must not use up what GitHub allows our app, nor what those
//! need who are known here.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::token::Key;

/// How long it is remembered that a token was good, from its last check on.
const MEMORY: Duration = Duration::from_hours(24);
/// Tokens that are remembered. Only what GitHub calls good takes a place here, so made-up ones cannot empty it.
const MAX_GOOD: usize = 10_000;

/// A bucket that holds a minute's checks and is filled evenly. The lower half of it is for tokens that were good before,
/// so that others get what these leave.
#[derive(Debug)]
pub(super) struct Pace {
    per_minute: f64,
    /// What is left, and when it was counted.
    left: (f64, Instant),
    /// Tokens by their hash, and when they were last found good.
    good: HashMap<Key, Instant>,
}

impl Pace {
    pub fn new(per_minute: u32, now: Instant) -> Self {
        let per_minute = f64::from(per_minute);
        Self { per_minute, left: (per_minute, now), good: HashMap::new() }
    }

    /// Whether the token was good within the last 24 h.
    pub fn was_good(&self, key: &Key, now: Instant) -> bool {
        self.good.get(key).is_some_and(|good| now.saturating_duration_since(*good) < MEMORY)
    }

    /// Whether one more may be asked about now, one that was good before or another.
    pub fn take(&mut self, was_good: bool, now: Instant) -> bool {
        let (left, counted) = self.left;
        let gained = now.saturating_duration_since(counted).as_secs_f64() / 60.0 * self.per_minute;
        let left = (left + gained).min(self.per_minute);
        let kept = if was_good { 0.0 } else { (self.per_minute / 2.0).floor() };
        let may = left >= kept + 1.0;
        self.left = (if may { left - 1.0 } else { left }, counted.max(now));
        may
    }

    /// What GitHub said about a token.
    pub fn learn(&mut self, key: Key, is_good: bool, now: Instant) {
        if !is_good {
            self.good.remove(&key);
            return;
        }
        if self.good.len() >= MAX_GOOD && !self.good.contains_key(&key) {
            let oldest = self.good.iter().min_by_key(|(_, good)| **good).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.good.remove(&oldest);
            }
        }
        self.good.insert(key, now);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::token::Token, *};

    const SECOND: Duration = Duration::from_secs(1);

    fn key(token: &str) -> Key {
        Token::parse(token).unwrap().key()
    }

    fn taken(pace: &mut Pace, was_good: bool, now: Instant) -> usize {
        (0..1000).filter(|_| pace.take(was_good, now)).count()
    }

    #[test]
    fn a_minute_has_so_many_checks_and_no_more() {
        let start = Instant::now();
        let mut pace = Pace::new(60, start);
        assert_eq!(taken(&mut pace, true, start), 60);
        assert_eq!(taken(&mut pace, true, start + SECOND * 9 / 10), 0);
        assert_eq!(taken(&mut pace, true, start + SECOND * 10), 10);
        // what was not used in an hour is not saved up
        assert_eq!(taken(&mut pace, true, start + SECOND * 3600), 60);
    }

    #[test]
    fn unknown_tokens_leave_half_to_those_that_were_good() {
        let start = Instant::now();
        let mut pace = Pace::new(60, start);
        assert_eq!(taken(&mut pace, false, start), 30);
        assert_eq!(taken(&mut pace, true, start), 30);
        // a flood goes on beside as many of these as a minute has
        for second in 1..=600 {
            let now = start + SECOND * second;
            assert!(pace.take(true, now), "second {second}");
            assert_eq!(taken(&mut pace, false, now), 0, "second {second}");
        }
        // what these do not need is for the others
        let others = (1..=600).map(|second| taken(&mut pace, false, start + SECOND * (600 + second))).sum::<usize>();
        assert_eq!(others, 570);
        for (per_minute, unknown) in [(1, 1), (2, 1), (3, 2)] {
            assert_eq!(taken(&mut Pace::new(per_minute, start), false, start), unknown);
        }
    }

    #[test]
    fn a_good_token_was_good_for_a_day_or_until_it_is_bad() {
        let start = Instant::now();
        let mut pace = Pace::new(60, start);
        let (good, bad) = (key("gho_good"), key("gho_bad"));
        pace.learn(good, true, start);
        pace.learn(bad, true, start);
        pace.learn(bad, false, start);
        assert!(pace.was_good(&good, start + SECOND) && !pace.was_good(&bad, start + SECOND));
        assert!(!pace.was_good(&good, start + MEMORY));
        pace.learn(good, true, start + MEMORY);
        assert!(pace.was_good(&good, start + MEMORY));
        // the oldest make room
        for number in 0..MAX_GOOD {
            pace.learn(key(&number.to_string()), true, start + MEMORY + SECOND);
        }
        assert!(!pace.was_good(&good, start + MEMORY + SECOND) && pace.was_good(&key("0"), start + MEMORY + SECOND));
        assert_eq!(pace.good.len(), MAX_GOOD);
    }
}
