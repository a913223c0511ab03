//! Connections on which nothing goes on: the first to be closed when somebody else wants their place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::places::{Place, Places};

/// One connection, as far as it is idle. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Idle(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    /// Of all connections without a call, by the time since when.
    all: Places,
    /// Cancelled when this one has to go.
    gives_way: CancellationToken,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    calls: usize,
    /// Held while there is no call.
    place: Option<Place>,
}

impl Idle {
    /// A connection that has just come.
    pub(super) fn new(all: &Places) -> Self {
        let gives_way = CancellationToken::new();
        let place = Some(all.take(gives_way.clone()));
        Self(Arc::new(Connection { all: all.clone(), gives_way, now: Mutex::new(Now { calls: 0, place }) }))
    }

    pub(super) fn gives_way(&self) -> &CancellationToken {
        &self.0.gives_way
    }

    /// A call has come on it, which goes on until what is returned is dropped.
    pub(super) fn begin_call(&self) -> Busy {
        let mut now = self.now();
        now.calls += 1;
        now.place = None;
        drop(now);
        Busy(self.clone())
    }

    pub(super) fn has_call(&self) -> bool {
        self.now().calls > 0
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call on a connection.
#[derive(Debug)]
pub(super) struct Busy(Idle);

impl Busy {
    /// Another number for each connection that is open.
    pub(super) fn connection(&self) -> usize {
        Arc::as_ptr(&self.0.0).addr()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut now = self.0.now();
        now.calls -= 1;
        // one that was told to go is on its way out and has no place to give
        if now.calls == 0 && !self.0.0.gives_way.is_cancelled() {
            now.place = Some(self.0.0.all.take(self.0.0.gives_way.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_idle_and_not_told_yet_gives_way() {
        let all = Places::unlimited();
        let connection = Idle::new(&all);
        let call = connection.begin_call();
        assert!(connection.has_call() && !all.free_one(), "a connection with a call has no place to give");
        drop(call);
        assert!(!connection.has_call());
        assert!(all.free_one() && connection.gives_way().is_cancelled());
        drop(connection.begin_call());
        assert!(!all.free_one(), "nor has one that goes already");
    }
}
