//! The keys of invitation codes: which one makes the next code.

use std::collections::HashMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Timestamp;

/// A secret that codes are made with, and the id that rows name it by.
#[derive(Clone)]
pub struct CodeKey {
    pub id: String,
    secret: Vec<u8>,
}

impl CodeKey {
    /// Takes a secret of at least 32 random bytes.
    pub fn new(id: String, secret: Vec<u8>) -> Option<Self> {
        (secret.len() >= 32 && !id.is_empty()).then_some(Self { id, secret })
    }

    pub(super) fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// Tells this secret from another one, and nothing about it: it is kept where codes are not.
    pub fn check_value(&self) -> [u8; 8] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret)
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        mac.update(b"\x01key-check");
        let mut value = [0; 8];
        value.copy_from_slice(&mac.finalize().into_bytes()[..8]);
        value
    }
}

impl fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The configured keys. The first one makes new codes; a code counts only while its key is here.
#[derive(Clone, Debug)]
pub struct CodeKeys {
    keys: Vec<CodeKey>,
    /// Since when the deployment has them, by their ids.
    ages: HashMap<String, Timestamp>,
}

impl CodeKeys {
    /// Takes at least one key, each with an id of its own.
    pub fn new(keys: Vec<CodeKey>) -> Option<Self> {
        let unique = keys.iter().enumerate().all(|(n, key)| keys[..n].iter().all(|other| other.id != key.id));
        (!keys.is_empty() && unique).then_some(Self { keys, ages: HashMap::new() })
    }

    #[must_use]
    pub fn with_ages(mut self, ages: HashMap<String, Timestamp>) -> Self {
        self.ages = ages;
        self
    }

    /// Makes the first code of an invitation.
    pub fn first(&self) -> &CodeKey {
        &self.keys[0]
    }

    /// Makes the code that takes the place of one of the key `present`: the first key, but never an older one than that.
    /// While replicas are restarted with another first key, some still have the one of before.
    pub fn after(&self, present: &str) -> &CodeKey {
        let (first, present) = (self.first(), self.get(present));
        let age = |key: &CodeKey| self.ages.get(&key.id);
        present.filter(|present| age(present).is_some() && age(present) >= age(first)).unwrap_or(first)
    }

    pub fn all(&self) -> &[CodeKey] {
        &self.keys
    }

    /// By the id that a row names it by. An earlier release stored the byte order mark of its file with it.
    pub fn get(&self, id: &str) -> Option<&CodeKey> {
        let id = id.strip_prefix('\u{feff}').unwrap_or(id);
        self.keys.iter().find(|key| key.id == id)
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    fn key(id: &str, byte: u8) -> CodeKey {
        CodeKey::new(id.to_owned(), vec![byte; 32]).unwrap()
    }

    #[test]
    fn a_check_value_tells_secrets_apart_whatever_their_ids() {
        assert_eq!(key("k1", 7).check_value(), key("k2", 7).check_value());
        assert_ne!(key("k1", 7).check_value(), key("k1", 8).check_value());
    }

    #[test]
    fn a_short_secret_is_no_key() {
        assert!(CodeKey::new("k".to_owned(), vec![0; 31]).is_none());
    }

    #[test]
    fn an_id_that_was_stored_with_a_byte_order_mark_is_the_one_without() {
        let keys = CodeKeys::new(vec![key("k1", 7)]).unwrap();
        assert_eq!(keys.get("\u{feff}k1").map(|key| key.id.as_str()), Some("k1"));
        for other in ["\u{feff}", "\u{200b}k1", "k1\u{feff}", "\u{feff}k2"] {
            assert!(keys.get(other).is_none(), "{other:?}");
        }
    }

    /// Which key takes the place of that one, where the deployment has the keys since these hours.
    fn after(ids: &[&str], present: &str, ages: &[(&str, i64)]) -> String {
        let keys = CodeKeys::new(ids.iter().map(|id| key(id, 7)).collect()).unwrap();
        let ages = ages.iter().map(|(id, hour)| ((*id).to_owned(), Timestamp::UNIX_EPOCH + Duration::hours(*hour)));
        keys.with_ages(ages.collect()).after(present).id.clone()
    }

    #[test]
    fn a_new_code_never_goes_back_to_an_older_key() {
        let ages = [("k1", 1), ("k2", 2)];
        // both orders of the file are in use while replicas are restarted
        assert_eq!(after(&["k1", "k2"], "k2", &ages), "k2");
        assert_eq!(after(&["k2", "k1"], "k2", &ages), "k2");
        assert_eq!(after(&["k2", "k1"], "k1", &ages), "k2");
        assert_eq!(after(&["k1", "k2"], "k1", &ages), "k1");
        // nobody knows which of two is older that came together: the present one stays
        assert_eq!(after(&["k1", "k2"], "k2", &[("k1", 1), ("k2", 1)]), "k2");
        // a key that is not here makes no code
        assert_eq!(after(&["k1"], "k2", &ages), "k1");
        // the control: without the ages it would go back
        assert_eq!(after(&["k1", "k2"], "k2", &[]), "k1");
    }
}
