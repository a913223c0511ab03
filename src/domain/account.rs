//! A person's account, as decisions see it.

use time::Duration;

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
    /// When the issuer attested them last; `None`: there are none.
    pub attest_time: Option<Timestamp>,
    pub create_time: Timestamp,
}

impl Account {
    /// The same at a later time: what the issuer has not attested for that long counts no more.
    #[must_use]
    pub fn at(self, now: Timestamp, max_attestation_age: Duration) -> Self {
        match self.attest_time {
            Some(time) if now - time > max_attestation_age => Self { emails: Vec::new(), attest_time: None, ..self },
            _ => self,
        }
    }

    /// Whether the account's identity attests that address.
    pub fn holds(&self, email: &EmailAddress) -> bool {
        self.emails.iter().any(|held| held.key() == email.key())
    }
}
