//! Counts what comes in floods, for one log line a second.

use std::mem;
use std::time::{Duration, Instant};

/// How many there were of one kind.
#[derive(Debug, Default)]
pub(crate) struct Flood {
    count: u64,
    told: Option<Instant>,
}

impl Flood {
    /// How many there were since it was last told; `None`: not yet to be told.
    pub fn count(&mut self) -> Option<u64> {
        self.count_at(Instant::now())
    }

    fn count_at(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < Duration::from_secs(1)) {
            return None;
        }
        self.told = Some(now);
        Some(mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_at_once_and_then_once_a_second() {
        let (mut flood, begin) = (Flood::default(), Instant::now());
        assert_eq!(flood.count_at(begin), Some(1));
        assert_eq!(flood.count_at(begin), None);
        assert_eq!(flood.count_at(begin + Duration::from_millis(999)), None);
        assert_eq!(flood.count_at(begin + Duration::from_secs(1)), Some(3));
        assert_eq!(flood.count_at(begin + Duration::from_secs(1)), None);
    }
}
