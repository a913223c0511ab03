//! Tokens that were found good. A caller sends the same one for minutes, and to check its signature anew would cost more
//! than the rest of the call.
//!
//! What is remembered can never turn wrong: that this key has signed this token, and what the token proves by our
//! settings. What can change is judged in each call: the time, and whether the key is still believed to be the issuer's.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest, Sha256};

use super::{Credential, jwks::Key, keys::KeySet, times::Times};

/// Tokens that are remembered; one takes about 1 KiB. Only good ones take a place, so made-up ones cannot empty it. A
/// token that has no place is checked again.
pub(super) const MAX_TOKENS: usize = 10_000;

/// Of the token itself nothing else is kept.
pub(super) type Hash = [u8; 32];

pub(super) fn hash(token: &str) -> Hash {
    Sha256::digest(token).into()
}

/// What made a token good, and what it proves.
pub(super) struct Verified {
    pub times: Times,
    pub leeway_seconds: u8,
    pub keys: Arc<KeySet>,
    pub key: Arc<Key>,
    pub credential: Credential,
}

impl Verified {
    /// A set that has changed has new keys, so after that each token is checked once more; so it is where the set has to
    /// be fetched before it is believed.
    fn is_good(&self, now: i64) -> bool {
        self.times.check(now, self.leeway_seconds).is_ok() && self.keys.trusts(&self.key)
    }
}

/// Tokens by their hash. The lock is held for a look-up, never while somebody waits.
#[derive(Default)]
pub(super) struct VerifiedTokens(Mutex<Halves>);

impl VerifiedTokens {
    /// What a token proves that was found good before, and still is.
    pub fn get(&self, token: &Hash, now: i64) -> Option<Credential> {
        let verified = self.lock().get(token)?;
        verified.is_good(now).then(|| verified.credential.clone())
    }

    pub fn remember(&self, token: Hash, verified: Verified) {
        self.lock().insert(token, Arc::new(verified));
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        let halves = self.lock();
        halves.recent.len() + halves.older.len()
    }

    /// Nothing is half done where a holder of the lock panics.
    fn lock(&self) -> MutexGuard<'_, Halves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows nothing: who has called is not for a log.
impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedTokens").finish_non_exhaustive()
    }
}

/// Where the recent half is full, it becomes the older one, and what nobody has sent since the last time is forgotten:
/// tokens that have ended are never searched for.
#[derive(Default)]
struct Halves {
    recent: HashMap<Hash, Arc<Verified>>,
    older: HashMap<Hash, Arc<Verified>>,
}

impl Halves {
    fn get(&mut self, token: &Hash) -> Option<Arc<Verified>> {
        if let Some(verified) = self.recent.get(token) {
            return Some(Arc::clone(verified));
        }
        let verified = self.older.remove(token)?;
        self.insert(*token, Arc::clone(&verified));
        Some(verified)
    }

    fn insert(&mut self, token: Hash, verified: Arc<Verified>) {
        if self.recent.len() >= MAX_TOKENS / 2 {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(token, verified);
    }
}
