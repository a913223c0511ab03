//! What an organization demands of the people it lets in.

use time::Duration;

use super::{Account, EmailAddress, EmailKind, Refusal, Role, Timestamp};

/// How long codes and offers live unless the organization says otherwise.
pub const DEFAULT_LIFETIME: Duration = Duration::days(7);
/// The shortest and the longest life of a code or an offer.
pub const LIFETIMES: (Duration, Duration) = (Duration::hours(1), Duration::days(30));

/// The policy of one organization. Stored as JSON; a field that is missing there has its default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// A-labels; empty allows every domain.
    pub allowed_email_domains: Vec<String>,
    /// A-labels; stronger than the allowed ones.
    pub blocked_email_domains: Vec<String>,
    /// Empty allows every provider.
    pub allowed_providers: Vec<String>,
    /// Whether only an account with the invited address may use a code.
    pub address_match: AddressMatch,
    pub invitation_lifetime: Duration,
    pub offer_lifetime: Duration,
    /// How long ago an account's addresses may have been attested; `None`: as long as the deployment allows.
    pub max_attestation_age: Option<Duration>,
    /// Offers of this role or a higher one need a second person.
    pub approval_role: Option<Role>,
    /// Reminders before a code or an offer expires, and of a waiting access request.
    pub reminders: bool,
    /// Whether the notification address hears of invitations that expired.
    pub expiry_notifications: bool,
}

/// What happens when a code is used by an account without the invited address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressMatch {
    /// The administrator is told and decides.
    Warn,
    /// The code does not work for that account.
    Require,
    /// What a newer version has written.
    Newer,
}

impl AddressMatch {
    /// The name in the contract; empty for what a newer version has written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "WARN",
            Self::Require => "REQUIRE",
            Self::Newer => "",
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            allowed_email_domains: Vec::new(),
            blocked_email_domains: Vec::new(),
            allowed_providers: Vec::new(),
            address_match: AddressMatch::Warn,
            invitation_lifetime: DEFAULT_LIFETIME,
            offer_lifetime: DEFAULT_LIFETIME,
            max_attestation_age: None,
            approval_role: None,
            reminders: true,
            expiry_notifications: true,
        }
    }
}

impl Policy {
    /// Whether this version knows every value. If not, nobody is let in here, as nobody knows what is demanded.
    pub fn is_known(&self) -> bool {
        self.address_match != AddressMatch::Newer && self.approval_role != Some(Role::Newer)
    }

    /// The same, or the refusal.
    pub fn check_known(&self) -> Result<(), Refusal> {
        if self.is_known() { Ok(()) } else { Err(Refusal::NewerVersionNeeded) }
    }

    /// Whether mail may go to that domain and its owner may join. A listed domain covers its subdomains when blocked,
    /// never when allowed.
    pub fn admits_address(&self, email: &EmailAddress) -> Result<(), Refusal> {
        self.check_known()?;
        let domain = email.domain();
        let below = |listed: &String| is_within(domain, listed);
        let allowed =
            self.allowed_email_domains.is_empty() || self.allowed_email_domains.iter().any(|listed| listed == domain);
        if !allowed || self.blocked_email_domains.iter().any(below) {
            return Err(Refusal::EmailDomainNotAllowed(domain.to_owned()));
        }
        Ok(())
    }

    /// Whether that account, under that address, may become or stay a member. Where domains are restricted, the
    /// account must still hold the address: people keep their account when they leave a company.
    pub fn admits_account(&self, account: &Account, email: &EmailAddress, now: Timestamp) -> Result<(), Refusal> {
        self.admits_provider(account)?;
        self.admits_address(email)?;
        self.admits_attestation(account, now)?;
        if !self.allowed_email_domains.is_empty() && !account.holds(email) {
            return Err(Refusal::AddressMismatch);
        }
        Ok(())
    }

    /// Whether somebody without any address may rise: not where something is asked of addresses.
    pub fn admits_no_address(&self) -> Result<(), Refusal> {
        self.check_known()?;
        let asks_domains = !self.allowed_email_domains.is_empty() || !self.blocked_email_domains.is_empty();
        let asks_more = self.address_match == AddressMatch::Require || self.max_attestation_age.is_some();
        if asks_domains || asks_more { Err(Refusal::EmailNotVerified) } else { Ok(()) }
    }

    /// Whether the account's addresses were attested recently enough.
    pub fn admits_attestation(&self, account: &Account, now: Timestamp) -> Result<(), Refusal> {
        match self.max_attestation_age {
            Some(age) if account.attest_time.is_none_or(|time| now - time > age) => Err(Refusal::AttestationTooOld),
            _ => Ok(()),
        }
    }

    /// Whether an account that has the invited address, or has not, may ask for access, and later accept.
    pub fn admits_invited(&self, account: &Account, invited: &EmailAddress) -> Result<(), Refusal> {
        self.check_known()?;
        match self.address_match {
            AddressMatch::Require if !account.holds(invited) => Err(Refusal::AddressMismatch),
            AddressMatch::Require | AddressMatch::Warn | AddressMatch::Newer => Ok(()),
        }
    }

    /// Whether people may come from where that account signs in.
    pub fn admits_provider(&self, account: &Account) -> Result<(), Refusal> {
        self.check_known()?;
        if !self.allowed_providers.is_empty() && !self.allowed_providers.contains(&account.provider) {
            return Err(Refusal::ProviderNotAllowed(account.provider.clone()));
        }
        Ok(())
    }

    /// Whether the organization has emails of that kind sent at all.
    pub fn wants(&self, kind: EmailKind) -> bool {
        match kind {
            EmailKind::InvitationExpired => self.expiry_notifications,
            _ => self.reminders || !kind.is_reminder(),
        }
    }

    /// Whether an offer of that role waits for a second person.
    pub fn needs_approval(&self, role: Role) -> bool {
        self.approval_role.is_some_and(|from| role >= from)
    }
}

/// Whether it is that domain or a subdomain of it.
pub(super) fn is_within(domain: &str, listed: &str) -> bool {
    domain == listed || domain.strip_suffix(listed).is_some_and(|sub| sub.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_domains_cover_their_subdomains_and_beat_allowed_ones() {
        let policy = Policy {
            allowed_email_domains: vec!["good.example".to_owned(), "b.bad.example".to_owned()],
            blocked_email_domains: vec!["bad.example".to_owned()],
            ..Policy::default()
        };
        let admits = |email: &str| policy.admits_address(&EmailAddress::parse(email).unwrap()).is_ok();
        assert!(admits("a@good.example"));
        assert!(!admits("a@sub.good.example"));
        assert!(!admits("a@b.bad.example"));
        assert!(!admits("a@other.example"));
    }
}
