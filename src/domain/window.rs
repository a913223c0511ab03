//! How often something happens in a sliding window of time: the rule behind every counted limit.
//!
//! Two counters: of the present window, and of the one before, which counts by the part of it that is left, rounded
//! down. So whoever has used a limit up gets it back bit by bit and never twice at the end of a window.
//! What belongs to an organization is counted here, under its lock; `store::limits` has the same rule as a statement,
//! for what belongs to a caller or an address.

use time::Duration;

use super::Timestamp;

/// The window of whatever is limited per day.
pub const DAY: Duration = Duration::DAY;

/// What was counted for one subject.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// When the present window began; windows follow one another without gaps.
    pub start: Timestamp,
    pub used: i32,
    pub used_before: i32,
}

impl Window {
    /// Nothing was counted yet.
    pub fn new(now: Timestamp) -> Self {
        Self { start: now, used: 0, used_before: 0 }
    }

    /// Counts one more, unless that is more than the limit (`None`: there is none) allows in a window of that length.
    ///
    /// # Errors
    ///
    /// How long to wait until one more is allowed.
    pub fn charge(&mut self, now: Timestamp, length: Duration, limit: Option<i32>) -> Result<(), Duration> {
        let present = self.moved_to(now, length);
        let wait = limit.map_or(Duration::ZERO, |limit| present.wait(now, length, limit));
        if wait.is_positive() {
            return Err(wait);
        }
        *self = Self { used: present.used.saturating_add(1), ..present };
        Ok(())
    }

    /// How long until one more is allowed; zero: it is now. A limit below 1 allows none, and waits for a window.
    pub fn wait(&self, now: Timestamp, length: Duration, limit: i32) -> Duration {
        let present = self.moved_to(now, length);
        let free = limit - present.used;
        let (start, used, free) = match free {
            _ if limit < 1 => return length,
            1.. => (present.start, present.used_before, free),
            _ => (present.start + length, present.used, limit),
        };
        // floor(used × what is left) < free, so what is left < free ÷ used
        let end = if used < free { start } else { start + length * (1.0 - f64::from(free) / f64::from(used)) };
        // at that very moment it is not yet less
        let step = if used < free { Duration::ZERO } else { Duration::MICROSECOND };
        (end + step - now).max(Duration::ZERO)
    }

    /// The same counters, seen at a later moment.
    fn moved_to(self, now: Timestamp, length: Duration) -> Self {
        let windows = ((now - self.start) / length).floor();
        match windows {
            _ if windows < 1.0 => self,
            _ if windows < 2.0 => Self { start: self.start + length, used: 0, used_before: self.used },
            _ => Self { start: self.start + length * windows, used: 0, used_before: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTH: Duration = Duration::minutes(15);

    fn at(minutes: f64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::MINUTE * minutes
    }

    /// Charges until it is refused; how often it was not.
    fn fill(window: &mut Window, now: Timestamp, limit: i32) -> i32 {
        (0..1000).find(|_| window.charge(now, LENGTH, Some(limit)).is_err()).unwrap()
    }

    #[test]
    fn a_limit_holds_and_comes_back_bit_by_bit() {
        let mut window = Window::new(at(0.0));
        assert_eq!(fill(&mut window, at(14.9), 10), 10);
        // a fixed window would allow ten more
        assert_eq!(fill(&mut window, at(15.1), 10), 1);
        assert_eq!(fill(&mut window, at(22.6), 10), 5);
        assert_eq!(fill(&mut window, at(60.0), 10), 10);
    }

    #[test]
    fn without_a_limit_it_only_counts() {
        let mut window = Window::new(at(0.0));
        for _ in 0..100 {
            window.charge(at(1.0), LENGTH, None).unwrap();
        }
        assert_eq!(window.used, 100);
    }

    #[test]
    fn a_limit_of_nothing_allows_nothing() {
        assert_eq!(Window::new(at(0.0)).charge(at(99.0), LENGTH, Some(0)), Err(LENGTH));
    }

    proptest! {
        /// Whoever waits as long as they are told is let in, and not a millisecond before.
        #[test]
        fn the_wait_is_neither_too_long_nor_too_short(
            limit in 1..30_i32,
            used in 0..40_i32,
            used_before in 0..40_i32,
            minutes in 0.0..40.0_f64,
        ) {
            let window = Window { start: at(0.0), used, used_before };
            let now = at(minutes);
            let wait = window.wait(now, LENGTH, limit);
            prop_assert!(wait <= LENGTH * 2);
            let charge = |mut window: Window, now| window.charge(now, LENGTH, Some(limit)).is_ok();
            prop_assert!(charge(window, now + wait + Duration::MICROSECOND));
            prop_assert!(wait <= Duration::MILLISECOND || !charge(window, now + wait - Duration::MILLISECOND));
        }

        /// Never more than the limit in a window as it is counted, whenever the tries come.
        #[test]
        fn no_two_windows_hold_more_than_twice_the_limit(
            limit in 1..10_i32,
            tries in prop::collection::vec(0..120_u32, 1..200),
        ) {
            let (mut window, mut now, mut let_in) = (Window::new(at(0.0)), at(0.0), Vec::new());
            for seconds in tries {
                now += Duration::seconds(seconds.into());
                if window.charge(now, LENGTH, Some(limit)).is_ok() {
                    let_in.push(now);
                }
            }
            for first in &let_in {
                let counted = let_in.iter().filter(|time| *time >= first && **time < *first + LENGTH).count();
                prop_assert!(counted < 2 * usize::try_from(limit).unwrap() + 1);
            }
        }
    }
}
