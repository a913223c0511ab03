//! A person's account, as decisions see it.

use super::{DisplayName, EmailAddress, Timestamp, Username};

/// An account that exists: a deleted one is nowhere but in its tombstone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    pub username: Username,
    pub display_name: Option<DisplayName>,
    pub provider: String,
    pub tenant: Option<String>,
    /// The verified addresses, in the order in which the issuer attested them.
    pub emails: Vec<EmailAddress>,
    pub create_time: Timestamp,
}

impl Account {
    /// Whether the account's identity attests that address.
    pub fn holds(&self, email: &EmailAddress) -> bool {
        self.emails.iter().any(|held| held.key() == email.key())
    }
}
