//! How often something happens in a sliding window of time: the rule behind every counted limit.
//!
//! A window has slots. What was counted in a slot counts fully until the whole slot is out of the window: so a limit holds
//! in every stretch of time as long as the window, wherever it begins, and each one comes back at most a slot too late.
//! What belongs to an organization is counted here, under its lock; `store::limits` has the same rule as a statement,
//! for what belongs to a caller or an address.

use std::iter::{once, repeat_n};

use time::Duration;

use super::Timestamp;

/// The window of whatever is limited per day.
pub const DAY: Duration = Duration::DAY;
/// Slots of a window.
const SLOTS: i128 = 24;
/// Totals that are kept: of the slots that count, of which the oldest is partly out of the window, and of the one before.
const KEPT: usize = 26;

/// What was counted for one subject.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// The newest slot in which something was counted; slots are numbered from the epoch on.
    pub slot: i64,
    /// How many were ever counted up to the end of that slot, of the one before it, and so on; none before the last.
    pub totals: Vec<i64>,
}

impl Default for Window {
    /// Nothing was counted yet.
    fn default() -> Self {
        Self { slot: 0, totals: vec![0] }
    }
}

impl Window {
    /// Counts one more, unless that is more than the limit (`None`: there is none) allows in a window of that length.
    ///
    /// # Errors
    ///
    /// How long to wait until one more is allowed.
    pub fn charge(&mut self, now: Timestamp, length: Duration, limit: Option<i32>) -> Result<(), Duration> {
        let wait = limit.map_or(Duration::ZERO, |limit| self.wait(now, length, limit));
        if wait.is_positive() {
            return Err(wait);
        }
        let (total, passed) = (self.total(), self.passed(now, length));
        let before = self.totals.iter().skip(1).copied();
        self.totals = once(total + 1).chain(repeat_n(total, passed)).chain(before).take(KEPT).collect();
        self.slot = self.slot.max(slot_of(now, length));
        Ok(())
    }

    /// How long until one more is allowed; zero: it is now. A limit below 1 allows none, and waits for a window.
    pub fn wait(&self, now: Timestamp, length: Duration, limit: i32) -> Duration {
        if limit < 1 {
            return length;
        }
        let passed = self.passed(now, length);
        let free = (passed..KEPT).find(|passed| self.used(*passed) < i64::from(limit)).unwrap_or(KEPT);
        if free == passed { Duration::ZERO } else { begin(self.slot, free, length) - now }
    }

    /// How many more are allowed now.
    pub fn room(&self, now: Timestamp, length: Duration, limit: i32) -> usize {
        usize::try_from(i64::from(limit) - self.count(now, length)).unwrap_or_default()
    }

    /// How many count now.
    pub fn count(&self, now: Timestamp, length: Duration) -> i64 {
        self.used(self.passed(now, length))
    }

    /// How many count so many slots after the newest.
    fn used(&self, passed: usize) -> i64 {
        self.total() - self.totals.get(KEPT - 1 - passed).copied().unwrap_or_default()
    }

    fn total(&self) -> i64 {
        self.totals.first().copied().unwrap_or_default()
    }

    /// How many slots have begun since the newest: no more than there are totals.
    fn passed(&self, now: Timestamp, length: Duration) -> usize {
        usize::try_from(slot_of(now, length) - self.slot).unwrap_or_default().min(KEPT - 1)
    }
}

/// The slot of that moment.
fn slot_of(now: Timestamp, length: Duration) -> i64 {
    let since = (now - Timestamp::UNIX_EPOCH).whole_microseconds();
    let slot = (since * SLOTS).div_euclid(length.whole_microseconds().max(1));
    i64::try_from(slot).unwrap_or(i64::MAX)
}

/// When the slot begins that comes so many after that one.
fn begin(slot: i64, after: usize, length: Duration) -> Timestamp {
    let number = i128::from(slot) + i128::try_from(after).unwrap_or_default();
    let since = (number * length.whole_microseconds() + SLOTS - 1).div_euclid(SLOTS);
    Timestamp::UNIX_EPOCH + Duration::microseconds(i64::try_from(since).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTH: Duration = Duration::minutes(16);
    const SLOT: Duration = Duration::seconds(40);

    fn at(minutes: f64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::hours(500_000) + Duration::MINUTE * minutes
    }

    /// Charges until it is refused; how often it was not.
    fn fill(window: &mut Window, now: Timestamp, limit: i32) -> i32 {
        (0..1000).find(|_| window.charge(now, LENGTH, Some(limit)).is_err()).unwrap()
    }

    #[test]
    fn a_limit_holds_and_comes_back_as_it_was_used() {
        let mut window = Window::default();
        assert_eq!(fill(&mut window, at(0.0), 4), 4);
        for _ in 0..3 {
            assert_eq!(window.charge(at(8.0), LENGTH, Some(10)), Ok(()));
        }
        assert_eq!(fill(&mut window, at(15.9), 10), 3);
        assert_eq!(fill(&mut window, at(16.6), 10), 0);
        assert_eq!(fill(&mut window, at(16.7), 10), 4);
        assert_eq!(fill(&mut window, at(24.7), 10), 3);
        assert_eq!(fill(&mut window, at(24.8), 10), 0);
        assert_eq!(fill(&mut window, at(60.0), 10), 10);
    }

    #[test]
    fn without_a_limit_it_only_counts() {
        let mut window = Window::default();
        for _ in 0..100 {
            window.charge(at(1.0), LENGTH, None).unwrap();
        }
        assert_eq!(window.count(at(1.0), LENGTH), 100);
        assert_eq!(window.count(at(18.0), LENGTH), 0);
    }

    #[test]
    fn a_limit_of_nothing_allows_nothing() {
        assert_eq!(Window::default().charge(at(99.0), LENGTH, Some(0)), Err(LENGTH));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_anew() {
        let mut window = Window::default();
        assert_eq!(fill(&mut window, at(20.0), 5), 5);
        assert_eq!(fill(&mut window, at(2.0), 5), 0);
    }

    /// The rule that was here before: the window before counts by the part of it that is left.
    struct TwoCounters {
        start: Timestamp,
        used: i32,
        used_before: i32,
    }

    impl TwoCounters {
        #[expect(clippy::cast_possible_truncation, reason = "the rule as it was, with small numbers")]
        fn charge(&mut self, now: Timestamp, limit: i32) -> bool {
            while now - self.start >= LENGTH {
                *self = Self { start: self.start + LENGTH, used: 0, used_before: self.used };
            }
            let left = 1.0 - (now - self.start) / LENGTH;
            let used = self.used + (f64::from(self.used_before) * left).floor() as i32;
            self.used += i32::from(used < limit);
            used < limit
        }
    }

    /// Counts `let_in` in the stretch of the window's length that holds the most.
    fn most(let_in: &[Timestamp]) -> usize {
        let held = |first: &Timestamp| let_in.iter().filter(|time| *time >= first && **time < *first + LENGTH).count();
        let_in.iter().map(held).max().unwrap_or_default()
    }

    #[test]
    fn two_counters_yield_almost_twice_the_limit_and_slots_do_not() {
        let (mut slots, mut counters) = (Window::default(), TwoCounters { start: at(0.0), used: 0, used_before: 0 });
        let (mut of_slots, mut of_counters) = (Vec::new(), Vec::new());
        // at the end of a window, and then whenever it is let in again
        for now in (950..2000).map(|second| at(f64::from(second) / 60.0)) {
            for _ in 0..10 {
                of_slots.extend(slots.charge(now, LENGTH, Some(10)).is_ok().then_some(now));
                of_counters.extend(counters.charge(now, 10).then_some(now));
            }
        }
        assert_eq!(most(&of_counters), 20);
        assert_eq!(most(&of_slots), 10);
    }

    proptest! {
        /// Whoever waits as long as they are told is let in, and not a microsecond before.
        #[test]
        fn the_wait_is_neither_too_long_nor_too_short(
            limit in 1..30_i32,
            charged in prop::collection::vec(0..120_u32, 0..60),
            minutes in 0.0..40.0_f64,
        ) {
            let (mut window, mut now) = (Window::default(), at(0.0));
            for seconds in charged {
                now += Duration::seconds(seconds.into());
                window.charge(now, LENGTH, None).unwrap();
            }
            let now = now.max(at(minutes));
            let wait = window.wait(now, LENGTH, limit);
            prop_assert!(wait <= LENGTH + SLOT);
            let charge = |mut window: Window, now| window.charge(now, LENGTH, Some(limit)).is_ok();
            prop_assert!(charge(window.clone(), now + wait));
            prop_assert!(wait.is_zero() || !charge(window, now + wait - Duration::MICROSECOND));
        }

        /// Whenever the tries come, and as soon as they are told to come again.
        #[test]
        fn no_stretch_of_a_windows_length_holds_more_than_the_limit(
            limit in 1..10_i32,
            tries in prop::collection::vec((0..120_u32, any::<bool>()), 1..200),
        ) {
            let (mut window, mut now, mut let_in) = (Window::default(), at(0.0), Vec::new());
            for (seconds, is_patient) in tries {
                now += if is_patient { window.wait(now, LENGTH, limit) } else { Duration::seconds(seconds.into()) };
                if window.charge(now, LENGTH, Some(limit)).is_ok() {
                    let_in.push(now);
                }
            }
            prop_assert!(most(&let_in) <= usize::try_from(limit).unwrap());
        }
    }
}
