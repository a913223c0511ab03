//! When an email that did not get through is tried again.

use std::time::Duration;

/// After the first attempt; each further wait is twice as long.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_hours(1);
/// The waits together. Counted in waits, not since the email was written: a reminder is written days before it is due,
/// and a service that stood still for a weekend must not give up what it never tried.
const GIVE_UP_AFTER: Duration = Duration::from_hours(3 * 24);

/// Until an email is taken again whose code's key this replica lacks: by then another one may take it.
pub const KEY_WAIT: Duration = Duration::from_secs(30);
/// How long the key of a code may be missing. While keys are rolled out, a replica with the key takes the email before.
pub const KEY_GIVE_UP_AFTER: Duration = Duration::from_hours(1);
/// Until an email is looked at again that only a newer version understands.
pub const NEWER_WAIT: Duration = Duration::from_mins(1);

/// How long to wait after that attempt (1, 2, …); `None`: give up.
///
/// `jitter` of 0 to 1 spreads the wait over ±20 %, so that what failed together does not come back together.
pub fn delay(attempt: i32, jitter: f64) -> Option<Duration> {
    (waited(attempt) <= GIVE_UP_AFTER).then(|| wait(attempt).mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0)))
}

/// Whether the attempt before that one was the last: then it was never settled.
pub fn is_spent(attempt: i32) -> bool {
    waited(attempt - 1) > GIVE_UP_AFTER
}

fn waited(attempts: i32) -> Duration {
    (1..=attempts).map(wait).sum()
}

fn wait(attempt: i32) -> Duration {
    let doublings = u32::try_from(attempt - 1).unwrap_or(0);
    FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without jitter.
    fn waits() -> Vec<Duration> {
        (1..).map_while(|attempt| delay(attempt, 0.5)).collect()
    }

    #[test]
    fn waits_double_up_to_an_hour() {
        let seconds = waits().iter().take(12).map(Duration::as_secs).collect::<Vec<_>>();
        assert_eq!(seconds, [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]);
    }

    #[test]
    fn three_days_of_waits_are_the_end() {
        let total = waits().iter().sum::<Duration>();
        assert!(total <= GIVE_UP_AFTER);
        assert!(total + LONGEST > GIVE_UP_AFTER);
        let last = i32::try_from(waits().len()).unwrap() + 1;
        assert_eq!(delay(last, 0.5), None);
        assert!(!is_spent(1) && !is_spent(last));
        assert!(is_spent(last + 1));
    }

    #[test]
    fn jitter_spreads_a_wait_by_a_fifth_to_each_side() {
        assert_eq!(delay(1, 0.0), Some(Duration::from_secs(8)));
        assert_eq!(delay(1, 1.0), Some(Duration::from_secs(12)));
    }
}
