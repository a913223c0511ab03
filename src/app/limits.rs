//! Rate limits of identities: what is counted, and how much is allowed. An identity is a person or a service, with whatever
//! account.

use std::time::Duration;

use crate::domain::Refusal;
use crate::store::limits::hex;

/// How often; `None`: no limit.
#[derive(Clone, Copy, Default, Debug)]
pub struct Limits {
    /// Wrong codes of one identity in 15 minutes.
    pub wrong_codes: Option<i32>,
    /// Pairs of username and address that do not belong together, of one identity in 15 minutes.
    pub wrong_accounts: Option<i32>,
    /// Invitations of one identity in 24 hours, over all organizations.
    pub invitations: Option<i32>,
    /// Tries of one identity to found an organization in 24 hours: those that fail by a taken name, too.
    pub organizations: Option<i32>,
    /// Tries of one identity to create its account in 24 hours, failed ones too.
    pub account_attempts: Option<i32>,
    /// Changes of policies and notification addresses by one identity in 24 hours, over all organizations.
    pub protection_changes: Option<i32>,
    /// Changes of one organization's settings, or of one member's role, by one caller in 24 hours.
    pub changes: Option<i32>,
}

/// Rate-limited guesses.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guess {
    Code,
    /// The code of a notification address; counted as the others are.
    NotificationCode,
    Account,
}

/// Something that is counted against somebody.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    Guess(Guess),
    Invitation,
    Organization,
    AccountAttempt,
    ProtectionChange,
    Change,
}

/// The window in which wrong tries are counted.
const GUESSES: Duration = Duration::from_mins(15);
/// The window of everything else.
const A_DAY: Duration = Duration::from_hours(24);
impl Counted {
    /// The counter of an identity: not of its account, which it can delete and create anew.
    pub fn subject(self, identity: &[u8; 32]) -> String {
        let who = hex(identity);
        match self {
            Self::Guess(Guess::Code | Guess::NotificationCode) => format!("wrong-code/{who}"),
            Self::Guess(Guess::Account) => format!("wrong-account/{who}"),
            Self::Invitation => format!("invitation/{who}"),
            Self::Organization => format!("organization/{who}"),
            Self::AccountAttempt => format!("account-attempt/{who}"),
            Self::ProtectionChange => format!("protection-change/{who}"),
            Self::Change => format!("change/{who}"),
        }
    }

    pub fn window(self) -> Duration {
        match self {
            Self::Guess(_) => GUESSES,
            Self::Invitation | Self::Organization | Self::AccountAttempt | Self::ProtectionChange | Self::Change => {
                A_DAY
            }
        }
    }

    /// Whether a refusal tells as much as success: who gets it is charged, and gets it no more at the limit.
    pub fn is_found_out_by(self, refusal: &Refusal) -> bool {
        let is_telling = matches!(refusal, Refusal::OrganizationExists(_) | Refusal::AccountNotFound(_));
        matches!(self, Self::Organization) && is_telling
    }

    pub fn limit(self, limits: &Limits) -> Option<i32> {
        match self {
            Self::Guess(Guess::Code | Guess::NotificationCode) => limits.wrong_codes,
            Self::Guess(Guess::Account) => limits.wrong_accounts,
            Self::Invitation => limits.invitations,
            Self::Organization => limits.organizations,
            Self::AccountAttempt => limits.account_attempts,
            Self::ProtectionChange => limits.protection_changes,
            Self::Change => limits.changes,
        }
    }

    pub fn refusal(self, wait: time::Duration) -> Refusal {
        match self {
            Self::Guess(Guess::Code | Guess::NotificationCode) => Refusal::TooManyWrongCodes { wait },
            Self::Guess(Guess::Account) => Refusal::TooManyWrongAccounts { wait },
            Self::Invitation => Refusal::TooManyInvitations { wait },
            Self::Organization => Refusal::TooManyOrganizations { wait },
            Self::AccountAttempt => Refusal::TooManyAccountAttempts { wait },
            Self::ProtectionChange => Refusal::TooManyProtectionChanges { wait },
            Self::Change => Refusal::TooManyChanges { wait },
        }
    }
}
