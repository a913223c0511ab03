//! The keys of one issuer, kept fresh without ever making a token wait that a known key can check.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, watch};

use super::{
    TokenError,
    jwks::{Key, Keys},
    source::Source,
};

/// How often strangers can make us ask the issuer, by sending tokens with made-up key ids.
const PAUSE: Duration = Duration::from_mins(1);
/// The same while we have no key at all and nobody can sign in.
const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(5);
/// A key that the issuer withdrew is forgotten after this time, even if no token with a new key arrives.
const MAX_AGE: Duration = Duration::from_hours(1);

#[derive(Debug)]
pub(super) struct KeySet {
    /// The id of the issuer's entry, for the log.
    issuer: String,
    source: Source,
    known: watch::Sender<Keys>,
    /// Held while a request is under way: one at a time, and the others wait for its result.
    last: Mutex<Option<Attempt>>,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    at: Instant,
    succeeded: bool,
}

impl KeySet {
    /// `known` may be empty: then the first token fetches.
    pub fn new(issuer: &str, source: Source, known: Keys) -> Arc<Self> {
        let last = (!known.is_empty()).then(|| Attempt { at: Instant::now(), succeeded: true });
        Arc::new(Self { issuer: issuer.to_owned(), source, known: watch::Sender::new(known), last: Mutex::new(last) })
    }

    /// The key with this id; an unknown one asks the issuer, at most once per minute.
    pub async fn find(self: &Arc<Self>, id: &str) -> Result<Arc<Key>, TokenError> {
        if let Some(key) = self.get(id) {
            self.refresh_if_old();
            return Ok(key);
        }
        // spawned, so that a caller that hangs up cannot cancel what all others wait for
        let refreshed = tokio::spawn(Arc::clone(self).refresh()).await;
        match self.get(id) {
            Some(key) => Ok(key),
            None if refreshed.unwrap_or(false) => Err(TokenError::Invalid("signed by an unknown key")),
            None => Err(TokenError::IssuerUnavailable),
        }
    }

    /// Whether this key, once found here, still is one of the issuer's.
    pub fn trusts(self: &Arc<Self>, key: &Arc<Key>) -> bool {
        self.refresh_if_old();
        self.known.borrow().values().any(|known| Arc::ptr_eq(known, key))
    }

    /// Whether there are keys; where there are none, asks the issuer unless that was done just now.
    pub async fn is_ready(self: &Arc<Self>) -> bool {
        if self.known.borrow().is_empty() {
            let _ = tokio::spawn(Arc::clone(self).refresh()).await;
        }
        !self.known.borrow().is_empty()
    }

    pub fn get(&self, id: &str) -> Option<Arc<Key>> {
        self.known.borrow().get(id).cloned()
    }

    /// Nobody waits for it: the known keys count until others are there.
    fn refresh_if_old(self: &Arc<Self>) {
        // where it is locked, somebody asks already
        let is_old = self.last.try_lock().is_ok_and(|last| {
            last.is_none_or(|last| last.at.elapsed() >= if last.succeeded { MAX_AGE } else { PAUSE })
        });
        if is_old {
            tokio::spawn(Arc::clone(self).refresh());
        }
    }

    /// Asks the issuer unless that was done just now, and says whether the last time worked. Where it did not, the
    /// known keys stay.
    async fn refresh(self: Arc<Self>) -> bool {
        let mut last = self.last.lock().await;
        let pause = if self.known.borrow().is_empty() { PAUSE_WITHOUT_KEYS } else { PAUSE };
        if let Some(last) = *last
            && last.at.elapsed() < pause
        {
            return last.succeeded;
        }
        let loaded = self.source.load().await;
        let succeeded = loaded.is_ok();
        match loaded {
            Ok(keys) => {
                self.known.send_replace(keys);
            }
            Err(error) => tracing::warn!(
                issuer.id = self.issuer,
                error,
                "cannot fetch the issuer's keys, the known ones stay in use; check the issuer's entry and the network"
            ),
        }
        *last = Some(Attempt { at: Instant::now(), succeeded });
        succeeded
    }

    /// Tells when keys were fetched.
    #[cfg(test)]
    pub fn watch(&self) -> watch::Receiver<Keys> {
        self.known.subscribe()
    }

    /// Lets time pass without sleeping.
    #[cfg(test)]
    pub async fn age(&self, by: Duration) {
        if let Some(last) = &mut *self.last.lock().await {
            last.at -= by;
        }
    }
}
