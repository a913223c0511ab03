//! The key under which something is stored about an address without the address: whoever reads the database can neither
//! see whose it is nor try out addresses.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{EmailAddress, OrganizationId};

/// A secret of at least 32 random bytes, of its own: suppressions have to outlive every key of codes. `Debug` shows
/// nothing.
#[derive(Clone)]
pub struct AddressKey(Vec<u8>);

impl AddressKey {
    pub fn new(secret: Vec<u8>) -> Option<Self> {
        (secret.len() >= 32).then_some(Self(secret))
    }

    /// What a suppression is found by: that of the mailbox, which is the one to write, and that of the address as it
    /// stands, which an earlier release wrote.
    pub fn suppressions(&self, address: &EmailAddress) -> [[u8; 32]; 2] {
        let hash = |text: &str| self.mac(b"\x01suppression", text.as_bytes());
        [hash(&address.mailbox()), hash(address.key())]
    }

    /// What the emails to a mailbox are counted under.
    pub fn counter(&self, address: &EmailAddress) -> [u8; 32] {
        self.mac(b"\x01emails", address.mailbox().as_bytes())
    }

    /// What the emails of one organization to a mailbox are counted under.
    pub fn counter_of(&self, organization: &OrganizationId, address: &EmailAddress) -> [u8; 32] {
        let value = format!("{}\0{}", organization.as_str(), address.mailbox());
        self.mac(b"\x01organization", value.as_bytes())
    }

    /// What tells the days of a mailbox apart; the day is counted from 1970 on.
    pub fn day(&self, address: &EmailAddress, day: i64) -> [u8; 32] {
        self.mac(b"\x01day", format!("{day}\0{}", address.mailbox()).as_bytes())
    }

    /// The digest of a request that names an address, for the row that remembers its id. As it is, it would tell the
    /// address to whoever tries out many.
    pub fn request(&self, digest: [u8; 32]) -> [u8; 32] {
        self.mac(b"\x01request", &digest)
    }

    /// Tells this key from another one, and nothing about it.
    pub fn check_value(&self) -> [u8; 8] {
        let mut value = [0; 8];
        value.copy_from_slice(&self.mac(b"\x01check", b"")[..8]);
        value
    }

    /// HMAC-SHA-256 over a purpose and what it is about; no purpose begins with another one.
    fn mac(&self, purpose: &[u8], value: &[u8]) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        mac.update(purpose);
        mac.update(&[0]);
        mac.update(value);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_purpose_and_address_each_change_the_hash_and_spelling_does_not() {
        let [key, other] = [1, 2].map(|byte| AddressKey::new(vec![byte; 32]).unwrap());
        let address = |typed| EmailAddress::parse(typed).unwrap();
        let anna = address("anna@example.com");
        let [suppression, of_earlier_releases] = key.suppressions(&anna);
        assert_eq!(key.suppressions(&address("Anna@EXAMPLE.com")), [suppression; 2]);
        assert_eq!(suppression, of_earlier_releases);
        let [of_anne, _] = key.suppressions(&address("anne@example.com"));
        for different in [other.suppressions(&anna)[0], key.counter(&anna), of_anne] {
            assert_ne!(suppression, different);
        }
    }

    #[test]
    fn a_mailbox_is_suppressed_and_counted_under_all_of_its_names() {
        let key = AddressKey::new(vec![1; 32]).unwrap();
        let [plain, tagged] =
            ["anna@example.com", "Anna+x@example.com"].map(|typed| EmailAddress::parse(typed).unwrap());
        assert_eq!(key.counter(&plain), key.counter(&tagged));
        let [suppression, of_earlier_releases] = key.suppressions(&tagged);
        assert_eq!(suppression, key.suppressions(&plain)[0]);
        assert_ne!(suppression, of_earlier_releases);
    }

    #[test]
    fn a_short_secret_is_no_key_and_debug_shows_none() {
        assert!(AddressKey::new(vec![7; 31]).is_none());
        assert_eq!(format!("{:?}", AddressKey::new(vec![7; 32])), "Some(AddressKey(…))");
    }
}
