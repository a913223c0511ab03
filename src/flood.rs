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
        self.count += 1;
        if self.told.is_some_and(|told| told.elapsed() < Duration::from_secs(1)) {
            return None;
        }
        self.told = Some(Instant::now());
        Some(mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_at_once_and_then_once_a_second() {
        let mut flood = Flood::default();
        assert_eq!(flood.count(), Some(1));
        assert_eq!(flood.count(), None);
        assert_eq!(flood.count(), None);
        flood.told = Instant::now().checked_sub(Duration::from_secs(1));
        assert_eq!(flood.count(), Some(3));
    }
}
