//! How often GitHub is asked: a stranger with made-up tokens must not use up what GitHub allows our app.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// A bucket that holds a minute's checks and is filled evenly.
#[derive(Debug)]
pub(super) struct Pace {
    per_minute: f64,
    /// What is left, and when it was counted.
    left: Mutex<(f64, Instant)>,
}

impl Pace {
    pub fn new(per_minute: u32, now: Instant) -> Self {
        let per_minute = f64::from(per_minute);
        Self { per_minute, left: Mutex::new((per_minute, now)) }
    }

    /// Whether one more may be asked now.
    pub fn take(&self, now: Instant) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(left.1).as_secs_f64() / 60.0 * self.per_minute;
        *left = ((left.0 + gained).min(self.per_minute), left.1.max(now));
        let may = left.0 >= 1.0;
        if may {
            left.0 -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_minute_has_so_many_checks_and_no_more() {
        let start = Instant::now();
        let pace = Pace::new(60, start);
        let take = |now| (0..1000).filter(|_| pace.take(now)).count();
        assert_eq!(take(start), 60);
        assert_eq!(take(start + Duration::from_millis(900)), 0);
        assert_eq!(take(start + Duration::from_secs(10)), 10);
        // what was not used in an hour is not saved up
        assert_eq!(take(start + Duration::from_hours(1)), 60);
    }
}
