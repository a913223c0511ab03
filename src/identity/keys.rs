//! The keys of one issuer: fetched at the start and anew in time, so that a known key rarely waits; asked for again where
//! one is unknown; and never believed for longer than an hour.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use tokio::{
    sync::{Mutex, watch},
    time::sleep,
};

use super::{
    TokenError,
    jwks::{self, Key, Keys},
    reach::Reach,
    source::Source,
};

/// How often strangers can make us ask the issuer, by sending tokens with made-up key ids.
const PAUSE: Duration = Duration::from_mins(1);
/// The same while no key is believed and nobody can sign in.
const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(5);
/// From this age on, the issuer is asked again, and nobody waits for it. So an issuer may be down for half an hour.
const AGING: Duration = Duration::from_mins(30);
/// From this age on, the issuer may have withdrawn any of the keys: tokens wait until it was asked.
const MAX_AGE: Duration = Duration::from_hours(1);
/// By how much an issuer may publish a key later than it signs by it, or its clock differ from ours. What was signed
/// longer than that before the issuer was asked is by a key that was withdrawn or never was.
const LAG: Duration = Duration::from_mins(5);

#[derive(Debug)]
pub(super) struct KeySet {
    reach: Reach,
    source: Source,
    /// `None`: nothing was ever fetched.
    known: watch::Sender<Option<Known>>,
    /// Held while a request is under way: one at a time, and the others wait for its result.
    last: Mutex<Option<Attempt>>,
}

#[derive(Debug)]
pub(super) struct Known {
    keys: Keys,
    /// Of the set as it was written.
    digest: [u8; 32],
    /// When it was asked for: what the issuer has withdrawn or added since is not known.
    as_of: Instant,
}

impl Known {
    fn is_believed(&self) -> bool {
        self.as_of.elapsed() < MAX_AGE
    }
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    at: Instant,
    succeeded: bool,
}

impl KeySet {
    /// Fetches with [`KeySet::follow`] or the first token.
    pub fn new(issuer: &str, source: Source) -> Arc<Self> {
        let (known, last) = (watch::Sender::new(None), Mutex::new(None));
        Arc::new(Self { reach: Reach::new(issuer), source, known, last })
    }

    /// With the set that the source holds at this moment.
    pub fn holding(issuer: &str, source: Source, json: &[u8]) -> Result<Arc<Self>, String> {
        let (set, at) = (Self::new(issuer, source), Instant::now());
        set.learn(json, at)?;
        if let Ok(mut last) = set.last.try_lock() {
            *last = Some(Attempt { at, succeeded: true });
        }
        Ok(set)
    }

    /// The key with this id, of a token that was issued so long ago. Where the set is too old, or has no such key, the
    /// issuer is asked unless that was done just now; a key that it may have added since then is not called unknown.
    pub async fn find(self: &Arc<Self>, id: &str, issued: Duration) -> Result<Arc<Key>, TokenError> {
        let came = Instant::now();
        if let Some(key) = self.get(id) {
            self.refresh_if_aging();
            return Ok(key);
        }
        // spawned, so that a caller that hangs up cannot cancel what all others wait for
        let pause = tokio::spawn(Arc::clone(self).refresh()).await.unwrap_or(PAUSE_WITHOUT_KEYS);
        if let Some(key) = self.get(id) {
            return Ok(key);
        }
        let would_have_it = |known: &Known| known.as_of >= came || issued > known.as_of.elapsed() + LAG;
        let is_unknown = self.known.borrow().as_ref().is_some_and(|known| known.is_believed() && would_have_it(known));
        if is_unknown { Err("signed by an unknown key".into()) } else { Err(TokenError::IssuerUnavailable(pause)) }
    }

    /// Whether this key, once found here, is still believed to be one of the issuer's.
    pub fn trusts(self: &Arc<Self>, key: &Arc<Key>) -> bool {
        self.refresh_if_aging();
        self.believed(|keys| keys.values().find(|known| Arc::ptr_eq(known, key)).cloned()).is_some()
    }

    /// Asks the issuer before anybody needs it: at once, again and again while it does not answer, and in good time
    /// before the keys are too old. Never ends.
    pub async fn follow(self: &Arc<Self>) -> Infallible {
        loop {
            let pause = Arc::clone(self).refresh().await;
            sleep(pause.max(PAUSE_WITHOUT_KEYS)).await;
            while !self.is_due().await {
                sleep(PAUSE).await;
            }
        }
    }

    /// Whether it has to be asked although nobody waits for it.
    pub async fn is_due(&self) -> bool {
        let has_failed = self.last.lock().await.is_none_or(|last| !last.succeeded);
        has_failed || self.known.borrow().as_ref().is_none_or(|known| known.as_of.elapsed() >= AGING)
    }

    pub fn get(&self, id: &str) -> Option<Arc<Key>> {
        self.believed(|keys| keys.get(id).cloned())
    }

    fn believed(&self, find: impl FnOnce(&Keys) -> Option<Arc<Key>>) -> Option<Arc<Key>> {
        let known = self.known.borrow();
        find(&known.as_ref().filter(|known| known.is_believed())?.keys)
    }

    fn refresh_if_aging(self: &Arc<Self>) {
        let age = self.known.borrow().as_ref().map(|known| known.as_of.elapsed());
        let is_aging = age.is_some_and(|age| (AGING..MAX_AGE).contains(&age));
        // where it is locked, somebody asks already
        if is_aging && self.last.try_lock().is_ok_and(|last| last.is_none_or(|last| last.at.elapsed() >= PAUSE)) {
            tokio::spawn(Arc::clone(self).refresh());
        }
    }

    /// Asks the issuer unless that was done just now, and says in what time it may be asked again.
    async fn refresh(self: Arc<Self>) -> Duration {
        let mut last = self.last.lock().await;
        if let Some(last) = *last {
            let left = self.pause(last).saturating_sub(last.at.elapsed());
            if !left.is_zero() {
                return left;
            }
        }
        let as_of = Instant::now();
        let learned = self.source.load().await.and_then(|json| self.learn(&json, as_of));
        match &learned {
            Ok(()) => self.reach.is_up(),
            Err(problem) => self.reach.is_down(problem),
        }
        self.pause(*last.insert(Attempt { at: Instant::now(), succeeded: learned.is_ok() }))
    }

    /// Takes a set over. One that has not changed keeps its keys, and so what was verified by them.
    fn learn(&self, json: &[u8], as_of: Instant) -> Result<(), String> {
        let digest = Sha256::digest(json).into();
        let is_same = self.known.borrow().as_ref().is_some_and(|known| known.digest == digest);
        let new = if is_same { None } else { Some(jwks::parse(json)?) };
        self.known.send_modify(|known| match (new, known) {
            (Some(keys), known) => *known = Some(Known { keys, digest, as_of }),
            (None, Some(known)) => known.as_of = as_of,
            (None, None) => {}
        });
        Ok(())
    }

    /// After this attempt.
    fn pause(&self, last: Attempt) -> Duration {
        let is_believed = self.known.borrow().as_ref().is_some_and(Known::is_believed);
        match self.source {
            _ if !is_believed => PAUSE_WITHOUT_KEYS,
            // it takes no more of our time than a wrong signature
            Source::File(_) if last.succeeded => Duration::ZERO,
            Source::File(_) => PAUSE_WITHOUT_KEYS,
            Source::Url { .. } | Source::Discovery { .. } => PAUSE,
        }
    }

    /// Tells when keys were fetched.
    #[cfg(test)]
    pub fn watch(&self) -> watch::Receiver<Option<Known>> {
        self.known.subscribe()
    }

    /// Lets time pass without sleeping.
    #[cfg(test)]
    pub async fn age(&self, by: Duration) {
        if let Some(last) = &mut *self.last.lock().await {
            last.at -= by;
        }
        self.known.send_if_modified(|known| {
            if let Some(known) = known {
                known.as_of -= by;
            }
            false
        });
    }
}
