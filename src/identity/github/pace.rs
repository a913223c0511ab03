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
/// Of one person.
const MAX_OF_PERSON: usize = 1_000;
/// Checks in a minute of tokens that are known to be of one person: so one with many is in nobody's way.
const CHECKS_OF_PERSON: usize = 5;
const MINUTE: Duration = Duration::from_mins(1);

/// A bucket that holds a minute's checks and is filled evenly. The lower half of it is for tokens that were good before,
/// so that others get what these leave.
#[derive(Debug)]
pub(super) struct Pace {
    per_minute: f64,
    /// What is left, and when it was counted.
    left: (f64, Instant),
    /// Tokens by their hash.
    good: HashMap<Key, Good>,
}

#[derive(Debug)]
struct Good {
    person: String,
    /// When it was last found good.
    time: Instant,
    /// When it was last asked about.
    asked: Instant,
}

impl Pace {
    pub fn new(per_minute: u32, now: Instant) -> Self {
        let per_minute = f64::from(per_minute);
        Self { per_minute, left: (per_minute, now), good: HashMap::new() }
    }

    /// Whether the token was good within the last 24 h.
    fn was_good(&self, key: &Key, now: Instant) -> bool {
        self.good.get(key).is_some_and(|good| now.saturating_duration_since(good.time) < MEMORY)
    }

    /// Whether the token may be asked about now, and whether it was good before.
    pub fn admit(&mut self, key: &Key, now: Instant) -> Option<bool> {
        let was_good = self.was_good(key, now);
        let of_person = |good: &Good| {
            let own = self.good.values().filter(|other| other.person == good.person);
            own.filter(|other| now.saturating_duration_since(other.asked) < MINUTE).count()
        };
        if self.good.get(key).is_some_and(|good| of_person(good) >= CHECKS_OF_PERSON) || !self.take(was_good, now) {
            return None;
        }
        if let Some(good) = self.good.get_mut(key) {
            good.asked = now;
        }
        Some(was_good)
    }

    /// Whether one more may be asked about now, one that was good before or another.
    fn take(&mut self, was_good: bool, now: Instant) -> bool {
        let (left, counted) = self.left;
        let gained = now.saturating_duration_since(counted).as_secs_f64() / 60.0 * self.per_minute;
        let left = (left + gained).min(self.per_minute);
        let kept = if was_good { 0.0 } else { (self.per_minute / 2.0).floor() };
        let may = left >= kept + 1.0;
        self.left = (if may { left - 1.0 } else { left }, counted.max(now));
        may
    }

    /// Whose token it is, as GitHub said; `None`: nobody's. The oldest makes room, of the same person first.
    pub fn learn(&mut self, key: Key, person: Option<&str>, now: Instant) {
        let before = self.good.remove(&key);
        let Some(person) = person else { return };
        let asked = before.map_or(now, |good| good.asked);
        let own = self.good.iter().filter(|(_, good)| good.person == person);
        let crowded = if own.clone().count() >= MAX_OF_PERSON {
            own.min_by_key(|(_, good)| good.time)
        } else {
            self.good.iter().filter(|_| self.good.len() >= MAX_GOOD).min_by_key(|(_, good)| good.time)
        };
        if let Some(oldest) = crowded.map(|(key, _)| *key) {
            self.good.remove(&oldest);
        }
        self.good.insert(key, Good { person: person.to_owned(), time: now, asked });
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
        pace.learn(good, Some("1"), start);
        pace.learn(bad, Some("1"), start);
        pace.learn(bad, None, start);
        assert!(pace.was_good(&good, start + SECOND) && !pace.was_good(&bad, start + SECOND));
        assert!(!pace.was_good(&good, start + MEMORY));
        pace.learn(good, Some("1"), start + MEMORY);
        assert!(pace.was_good(&good, start + MEMORY));
        // the oldest make room
        for number in 0..MAX_GOOD {
            pace.learn(key(&number.to_string()), Some(&number.to_string()), start + MEMORY + SECOND);
        }
        assert!(!pace.was_good(&good, start + MEMORY + SECOND) && pace.was_good(&key("0"), start + MEMORY + SECOND));
        assert_eq!(pace.good.len(), MAX_GOOD);
    }

    #[test]
    fn of_one_person_so_many_tokens_are_remembered() {
        let start = Instant::now();
        let mut pace = Pace::new(60, start);
        pace.learn(key("other"), Some("2"), start);
        for number in 0..=MAX_OF_PERSON {
            pace.learn(key(&number.to_string()), Some("1"), start + SECOND);
        }
        assert_eq!(pace.good.len(), MAX_OF_PERSON + 1);
        assert!(pace.was_good(&key("other"), start + SECOND));
    }

    #[test]
    fn so_many_tokens_of_one_person_are_checked_in_a_minute() {
        let start = Instant::now();
        let mut pace = Pace::new(60, start);
        let tokens = (0..60).map(|number| key(&number.to_string())).collect::<Vec<_>>();
        for token in &tokens {
            pace.learn(*token, Some("1"), start);
        }
        let mut checked = |now| tokens.iter().filter(|token| pace.admit(token, now).is_some()).count();
        // before anything is known of what was asked
        assert_eq!(checked(start + MINUTE), CHECKS_OF_PERSON);
        assert_eq!(checked(start + MINUTE + SECOND), 0);
        assert_eq!(checked(start + MINUTE * 2), CHECKS_OF_PERSON);
        // another person, and a token that nobody knows, are checked beside them
        pace.learn(key("other"), Some("2"), start);
        assert_eq!(pace.admit(&key("other"), start + MINUTE * 2), Some(true));
        assert_eq!(pace.admit(&key("new"), start + MINUTE * 2), Some(false));
    }

    /// Of the checks of those who are known, and of new tokens, one each in four seconds, so many are refused beside 240 good
    /// tokens whose owner comes first in each second. `person`: whose each of them is.
    fn refused_beside(person: impl Fn(usize) -> String) -> (usize, usize) {
        let start = Instant::now();
        let mut pace = Pace::new(60, start);
        let tokens = (0..240).map(|number| (key(&number.to_string()), person(number))).collect::<Vec<_>>();
        for (key, person) in &tokens {
            pace.learn(*key, Some(person), start);
        }
        let mut asked = HashMap::new();
        let (mut known, mut new) = (0, 0);
        for second in 61..=660 {
            let now = start + SECOND * second;
            for (key, person) in &tokens {
                // what was answered within a minute is not asked again
                if asked.get(key).is_some_and(|at| now.duration_since(*at) < MINUTE) {
                    continue;
                }
                if pace.admit(key, now).is_some() {
                    asked.insert(*key, now);
                    pace.learn(*key, Some(person), now);
                }
            }
            if second % 4 == 0 {
                known += usize::from(!pace.take(true, now));
                new += usize::from(!pace.take(false, now));
            }
        }
        (known, new)
    }

    #[test]
    fn one_person_with_many_tokens_is_in_nobodys_way() {
        assert_eq!(refused_beside(|_| "1".to_owned()), (0, 0));
        // the control: as many people
        let (known, new) = refused_beside(|number| number.to_string());
        assert!(known > 100 && new > 100, "{known} and {new} of 150");
    }
}
