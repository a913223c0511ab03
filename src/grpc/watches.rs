//! How many streams of events are open: in all, for one caller and on one connection. And which of them are not read.
//!
//! They are no calls: they take no place of these, have no deadline but their client's, and end when the service ends.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::app::Error;
use crate::domain::{OrganizationId, Refusal};

/// How often to look for streams that are not read.
const LOOK: Duration = Duration::from_millis(500);
/// How long a stream may take to end when the service ends, before it is cut off.
const END_WITHIN: Duration = Duration::from_secs(1);
/// Callers that are looked up at a time for streams.
const ASKING: usize = 64;

/// What may be set about streams.
#[derive(Clone, Copy, Debug)]
pub struct WatchSettings {
    /// Streams at one time; one more is RESOURCE_EXHAUSTED.
    pub max: usize,
    /// Of these, those of one caller.
    pub max_per_caller: usize,
    /// Of these, those on one connection: the others of its streams are for calls.
    pub max_per_connection: usize,
    /// When a stream ends, ±10 %.
    pub max_age: Duration,
    /// The longest silence, and how often it is asked whether the caller still may.
    pub checkpoint: Duration,
}

/// All streams of the process. Clones share them.
#[derive(Clone, Debug)]
pub struct Watches(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: WatchSettings,
    open: Mutex<Open>,
    /// Cancelled when the service ends.
    ending: CancellationToken,
    asking: Semaphore,
    began: Instant,
}

#[derive(Default, Debug)]
struct Open {
    next: u64,
    streams: HashMap<u64, (Arc<Pulse>, CancellationToken)>,
    callers: HashMap<Who, usize>,
    connections: HashMap<usize, usize>,
}

/// Whose stream it is: as an actor, and for a service the organization.
pub(super) type Who = (String, Option<OrganizationId>);

/// The connection that a request came on.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    /// Another one for each connection that is open.
    pub connection: usize,
    /// Cuts the call off.
    pub cut: CancellationToken,
}

/// When a stream was last asked for a message.
#[derive(Debug)]
pub(super) struct Pulse {
    began: Instant,
    /// In milliseconds since then.
    last: AtomicU64,
    is_too_slow: AtomicBool,
}

impl Pulse {
    /// Whoever takes messages asks for the next one, and once more whenever one may be there.
    pub fn beat(&self) {
        self.last.store(millis(self.began.elapsed()), Ordering::Relaxed);
    }

    pub fn is_too_slow(&self) -> bool {
        self.is_too_slow.load(Ordering::Relaxed)
    }

    fn age(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}

impl Watches {
    pub fn new(settings: WatchSettings) -> Self {
        Self(Arc::new(Inner {
            settings,
            open: Mutex::default(),
            ending: CancellationToken::new(),
            asking: Semaphore::new(ASKING),
            began: Instant::now(),
        }))
    }

    pub(super) fn settings(&self) -> &WatchSettings {
        &self.0.settings
    }

    /// Cancelled when the service ends.
    pub(super) fn ending(&self) -> &CancellationToken {
        &self.0.ending
    }

    /// For whoever asks who a stream is for: all streams together take few places in the line of calls.
    pub(super) fn asking(&self) -> &Semaphore {
        &self.0.asking
    }

    /// The next of the moments at which streams ask, all at the same, so that they share a statement: within two thirds of
    /// the longest silence.
    pub(super) fn next_look(&self, now: Instant) -> Instant {
        let step = (self.0.settings.checkpoint * 2 / 3).max(Duration::from_millis(1));
        let passed = now.saturating_duration_since(self.0.began).as_nanos() / step.as_nanos();
        self.0.began + step * u32::try_from(passed + 1).unwrap_or(u32::MAX)
    }

    /// Takes a place.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooManyWatches`]: the caller has as many, or the connection. [`Error::Overloaded`]: there are as many.
    pub(super) fn enter(&self, who: Who, wire: &Wire) -> Result<Place, Error> {
        let settings = self.settings();
        let mut open = self.open();
        let of_caller = open.callers.get(&who).copied().unwrap_or_default();
        let of_connection = open.connections.get(&wire.connection).copied().unwrap_or_default();
        for (count, limit) in [(of_caller, settings.max_per_caller), (of_connection, settings.max_per_connection)] {
            if count >= limit {
                return Err(Refusal::TooManyWatches { limit }.into());
            }
        }
        if open.streams.len() >= settings.max {
            return Err(Error::Overloaded);
        }
        let number = open.next;
        open.next += 1;
        let began = Instant::now();
        let pulse = Arc::new(Pulse { began, last: AtomicU64::new(0), is_too_slow: AtomicBool::new(false) });
        open.streams.insert(number, (Arc::clone(&pulse), wire.cut.clone()));
        *open.callers.entry(who.clone()).or_default() += 1;
        *open.connections.entry(wire.connection).or_default() += 1;
        metrics::gauge!("invitations_watch_streams").increment(1);
        drop(open);
        Ok(Place { of: self.clone(), number, who, connection: wire.connection, pulse })
    }

    /// Ends streams that are not read: first they are told, which helps who reads again, then they are cut off. From
    /// `draining` on all end. Until `stop`.
    pub async fn look_after(self, draining: CancellationToken) {
        while draining.run_until_cancelled(sleep(LOOK)).await.is_some() {
            self.look();
        }
        self.0.ending.cancel();
        let began = Instant::now();
        while began.elapsed() < END_WITHIN && !self.open().streams.is_empty() {
            sleep(END_WITHIN / 50).await;
        }
        for (pulse, cut) in self.open().streams.values() {
            // the others are on their way
            if pulse.age() >= END_WITHIN {
                cut.cancel();
            }
        }
    }

    fn look(&self) {
        let patience = self.settings().checkpoint * 2;
        for (pulse, cut) in self.open().streams.values() {
            if pulse.age() > patience * 2 {
                cut.cancel();
            } else if pulse.age() > patience {
                pulse.is_too_slow.store(true, Ordering::Relaxed);
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one stream, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    of: Watches,
    number: u64,
    who: Who,
    connection: usize,
    pub pulse: Arc<Pulse>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.of.open();
        open.streams.remove(&self.number);
        take_one(&mut open.callers, &self.who);
        take_one(&mut open.connections, &self.connection);
        metrics::gauge!("invitations_watch_streams").decrement(1);
    }
}

fn take_one<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: WatchSettings = WatchSettings {
        max: 5,
        max_per_caller: 3,
        max_per_connection: 2,
        max_age: Duration::from_mins(30),
        checkpoint: Duration::from_secs(15),
    };

    fn who(name: &str) -> Who {
        (name.to_owned(), None)
    }

    fn wire(connection: usize) -> Wire {
        Wire { connection, cut: CancellationToken::new() }
    }

    fn limit(entered: Result<Place, Error>) -> Option<usize> {
        match entered.unwrap_err() {
            Error::Refused(Refusal::TooManyWatches { limit }) => Some(limit),
            Error::Overloaded => None,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn callers_connections_and_all_together_have_a_limit() {
        let watches = Watches::new(SETTINGS);
        let mut places = vec![watches.enter(who("a"), &wire(1)).unwrap(), watches.enter(who("a"), &wire(1)).unwrap()];
        assert_eq!(limit(watches.enter(who("b"), &wire(1))), Some(2), "the connection");
        places.push(watches.enter(who("a"), &wire(2)).unwrap());
        assert_eq!(limit(watches.enter(who("a"), &wire(3))), Some(3), "the caller");
        places.extend([watches.enter(who("b"), &wire(2)).unwrap(), watches.enter(who("b"), &wire(3)).unwrap()]);
        assert_eq!(limit(watches.enter(who("c"), &wire(4))), None, "all");
        places.clear();
        let open = watches.open();
        assert!(open.streams.is_empty() && open.callers.is_empty() && open.connections.is_empty());
    }

    #[tokio::test]
    async fn who_does_not_read_is_told_and_then_cut_off() {
        let watches = Watches::new(SETTINGS);
        // as if the stream had been opened so many seconds ago and not been read since
        let unread = |number: u64, seconds: u64| {
            let began = Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
            let pulse = Arc::new(Pulse { began, last: AtomicU64::new(0), is_too_slow: AtomicBool::new(false) });
            let cut = CancellationToken::new();
            watches.open().streams.insert(number, (Arc::clone(&pulse), cut.clone()));
            (pulse, cut)
        };
        let (quick, slow, gone) = (unread(1, 29), unread(2, 31), unread(3, 61));
        let reads = unread(4, 61);
        reads.0.beat();
        watches.look();
        let seen = |(pulse, cut): &(Arc<Pulse>, CancellationToken)| (pulse.is_too_slow(), cut.is_cancelled());
        assert_eq!([&quick, &slow, &reads].map(seen), [(false, false), (true, false), (false, false)]);
        assert!(gone.1.is_cancelled());
    }

    #[test]
    fn streams_ask_at_the_same_moments() {
        let watches = Watches::new(SETTINGS);
        let after = |seconds| watches.next_look(watches.0.began + Duration::from_secs(seconds)) - watches.0.began;
        assert_eq!([after(0), after(9), after(10), after(25)], [10, 10, 20, 30].map(Duration::from_secs));
    }
}
