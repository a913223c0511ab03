//! Places that somebody holds for as long as they like: where there are too few, the oldest holder gives way.
//!
//! What is held for milliseconds by everybody else is held longest by whoever wants to be in the way, so they push out
//! their own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Clones share the places.
#[derive(Clone, Debug)]
pub(super) struct Places {
    held: Arc<Mutex<Held>>,
    max: usize,
}

/// By age: who is to be told.
#[derive(Default, Debug)]
struct Held {
    next: u64,
    places: BTreeMap<u64, CancellationToken>,
}

impl Places {
    pub(super) fn new(max: usize) -> Self {
        Self { held: Arc::default(), max }
    }

    /// As many as are wanted; somebody gives way only when [`Self::free_one`] says so.
    pub(super) fn unlimited() -> Self {
        Self::new(usize::MAX)
    }

    /// Takes a place until it is dropped, or `gives_way` is cancelled.
    pub(super) fn take(&self, gives_way: CancellationToken) -> Place {
        let mut held = self.held();
        let number = held.next;
        held.next += 1;
        held.places.insert(number, gives_way);
        let is_one_too_many = held.places.len() > self.max;
        drop(held);
        if is_one_too_many {
            self.free_one();
        }
        Place { of: self.clone(), number }
    }

    /// Tells the oldest to give way. `false`: no place is held.
    pub(super) fn free_one(&self) -> bool {
        let oldest = self.held().places.pop_first();
        oldest.inspect(|(_, gives_way)| gives_way.cancel()).is_some()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is held.
#[derive(Debug)]
pub(super) struct Place {
    of: Places,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.held().places.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way_to_one_too_many() {
        let places = Places::new(2);
        let holders = [(); 4].map(|()| CancellationToken::new());
        let told = || holders.each_ref().map(CancellationToken::is_cancelled);
        let first = places.take(holders[0].clone());
        let second = places.take(holders[1].clone());
        assert_eq!(told(), [false; 4]);
        // who left is not in the way, and is told nothing
        drop(second);
        let _third = places.take(holders[2].clone());
        assert_eq!(told(), [false; 4]);
        let _fourth = places.take(holders[3].clone());
        assert_eq!(told(), [true, false, false, false]);
        drop(first);
        assert!(places.free_one() && places.free_one() && !places.free_one());
        assert_eq!(told(), [true, false, true, true]);
    }
}
