//! What became of an email: how far it is, and what the last attempt was answered.

use std::fmt;

use super::{EmailKind, SmtpReply, Timestamp, Withdrawal};

/// The emails of an invitation, as far as they are shown.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Deliveries {
    /// The newest ones, oldest first.
    pub newest: Vec<Delivery>,
    /// How many older ones there are, counted up to [`Self::COUNTED`].
    pub further: i64,
}

impl Deliveries {
    /// How many are shown of an invitation that somebody reads or changes.
    pub const SHOWN: usize = 50;
    /// Counting them all would take the longer the older an invitation is.
    pub const COUNTED: i64 = 1000;

    /// Adds some that are newer, and shows no more than before.
    pub fn extend(&mut self, newer: impl IntoIterator<Item = Delivery>) {
        self.newest.extend(newer);
        self.newest.sort_by_key(Delivery::order);
        let older = self.newest.len().saturating_sub(Self::SHOWN);
        self.newest.drain(..older);
        self.further = self.further.saturating_add(i64::try_from(older).unwrap_or(i64::MAX)).min(Self::COUNTED);
    }
}

/// One email of an invitation, as far as the administrator sees it. `None`: a newer version has written it, or nobody has
/// answered yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    pub kind: Option<EmailKind>,
    pub state: Option<EmailState>,
    pub attempts: i32,
    /// To the last attempt.
    pub answer: Option<Answer>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
}

impl Delivery {
    /// What the emails of an invitation are sorted by: of one moment, reminders come last.
    pub fn order(&self) -> (Timestamp, bool, &'static str) {
        (self.create_time, self.kind.is_some_and(EmailKind::is_reminder), self.kind.map_or("", EmailKind::as_str))
    }

    /// Of an email that is written to the outbox.
    pub fn queued(kind: EmailKind, now: Timestamp) -> Self {
        let (kind, state) = (Some(kind), Some(EmailState::Queued));
        Self { kind, state, attempts: 0, answer: None, create_time: now, update_time: now }
    }

    /// Whether it is held back until its recipient has room for it.
    pub fn waits_for_recipient(&self) -> bool {
        self.is_waiting() && self.answer == Some(Answer::RecipientLimit)
    }

    fn is_waiting(&self) -> bool {
        matches!(self.state, Some(EmailState::Queued | EmailState::Retrying))
    }

    /// Takes it back, unless it is over. What a newer version has written is left to it.
    pub fn withdraw(&mut self, withdrawal: Withdrawal, now: Timestamp) {
        if self.is_waiting() && self.kind.is_some_and(|kind| withdrawal.takes(kind)) {
            self.state = Some(EmailState::Dropped);
            self.answer = Some(withdrawal.answer());
            self.update_time = now;
        }
    }
}

impl Withdrawal {
    /// Why, for whoever looks at the emails.
    pub fn answer(self) -> Answer {
        match self {
            Self::Settled(_) => Answer::AlreadyMember,
            Self::All(_) | Self::Reminders(_) | Self::Codes(_) => Answer::MovedOn,
        }
    }
}

/// How far an email is. Nothing but SENT follows a final state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EmailState {
    /// Not tried yet; a reminder waits here for its time.
    Queued,
    /// The mail server took it. Final.
    Sent,
    /// Tried, and to be tried again.
    Retrying,
    /// Refused for good, or given up. Final.
    Failed,
    /// Not sent, because nobody wants it any more. Final.
    Dropped,
}

impl EmailState {
    pub const ALL: [Self; 5] = [Self::Queued, Self::Sent, Self::Retrying, Self::Failed, Self::Dropped];

    /// The name in the contract and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Sent => "SENT",
            Self::Retrying => "RETRYING",
            Self::Failed => "FAILED",
            Self::Dropped => "DROPPED",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// How an attempt ended: the mail server's reply or a reason of ours. Never the server's text, which may quote the message
/// and so the code in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    Smtp(SmtpReply),
    /// The key of the code that it carries is not known to the replica that took it: another one may have it.
    KeyMissing,
    /// The same, for so long that nobody has it any more.
    KeyRetired,
    /// It could not be written.
    Unbuildable,
    /// Its invitation wants it no more.
    MovedOn,
    /// Whoever is invited is a member.
    AlreadyMember,
    /// The organization's policy does not want it any more.
    PolicyChanged,
    /// Whoever offered or approved has lost the right, or a second person is needed now.
    NotCovered,
    /// The address wants no such email.
    Suppressed,
    /// Not yet: the recipient has had as much unsolicited email as they get in a day.
    RecipientLimit,
    /// Not yet: it goes out together with others to the same address.
    Gathered,
    /// Nobody has shown whose the notification address is, and it has had its email of the day.
    Unproven,
    /// The mail server did not answer in time.
    Timeout,
    /// The mail server could not be reached, or the connection broke.
    Connection,
    /// No encrypted connection to the mail server: its certificate, or TLS itself.
    Tls,
}

impl Answer {
    const REASONS: [(Self, &'static str); 14] = [
        (Self::KeyMissing, "KEY_MISSING"),
        (Self::KeyRetired, "KEY_RETIRED"),
        (Self::Unbuildable, "UNBUILDABLE"),
        (Self::MovedOn, "MOVED_ON"),
        (Self::AlreadyMember, "ALREADY_MEMBER"),
        (Self::PolicyChanged, "POLICY_CHANGED"),
        (Self::NotCovered, "NOT_COVERED"),
        (Self::Suppressed, "SUPPRESSED"),
        (Self::RecipientLimit, "RECIPIENT_LIMIT"),
        (Self::Gathered, "GATHERED"),
        (Self::Unproven, "UNPROVEN"),
        (Self::Timeout, "TIMEOUT"),
        (Self::Connection, "CONNECTION"),
        (Self::Tls, "TLS"),
    ];

    /// Reads the stored form, which [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let reason = Self::REASONS.into_iter().find(|(_, name)| *name == text).map(|(reason, _)| reason);
        reason.or_else(|| SmtpReply::parse(text).map(Self::Smtp))
    }

    /// What an email waits for where its recipient has had enough for now.
    pub fn put_off(kind: EmailKind) -> Self {
        if kind.is_to_organization() { Self::Gathered } else { Self::RecipientLimit }
    }

    /// The mail server's reply code; 0 where it gave none.
    pub fn smtp_code(self) -> u16 {
        if let Self::Smtp(reply) = self { reply.code() } else { 0 }
    }

    /// What an administrator reads, at most 200 characters.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Smtp(reply) => reply.sentence(),
            Self::KeyMissing => {
                "The key of the code has not reached every replica of this service yet; it is tried again for an hour."
            }
            Self::KeyRetired => "The key of the code was missing for an hour: resend the invitation.",
            Self::Unbuildable => "The email could not be written; this is a fault of the service.",
            Self::MovedOn => "Not sent: the invitation had moved on.",
            Self::AlreadyMember => "Not sent: whoever was invited is a member already.",
            Self::PolicyChanged => "Not sent: the organization's policy does not want such emails any more.",
            Self::NotCovered => {
                "Not sent: the offer lacks the rights or the approval that it needs now; whoever makes it again takes it over."
            }
            Self::Suppressed => "Not sent: the recipient does not want such emails.",
            Self::RecipientLimit => {
                "Waits for the recipient's limit of unsolicited emails in a day; it is sent as soon as there is room, and the \
                 invitation ends later by that."
            }
            Self::Gathered => {
                "Waits to go out with others: the address has had many emails of the organization, and gets one an hour now."
            }
            Self::Unproven => {
                "Not sent: nobody has entered the code of the notification address yet; the owners were told instead."
            }
            Self::Timeout => "The mail server did not answer in time.",
            Self::Connection => "The mail server could not be reached, or the connection broke.",
            Self::Tls => "No encrypted connection to the mail server; whoever operates this service has to correct it.",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smtp(reply) => reply.fmt(f),
            reason => f.write_str(Self::REASONS.iter().find(|(other, _)| other == reason).map_or("", |(_, name)| name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back_fits_its_column_and_has_a_sentence() {
        for (answer, stored) in Answer::REASONS {
            assert_eq!(answer.to_string(), stored);
            assert_eq!(Answer::parse(stored), Some(answer));
            // the CHECK emails_answer
            assert!((1..=40).contains(&stored.len()), "{stored}");
            assert!(stored.chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{stored}");
            assert!((1..=200).contains(&answer.sentence().len()), "{stored}");
        }
    }

    #[test]
    fn what_nobody_wrote_is_no_answer() {
        for text in ["", "timeout", "TIMEOUT ", "550 5.1.1 <anna@example.com> unknown"] {
            assert_eq!(Answer::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_server_gives_codes() {
        assert_eq!(Answer::parse("451 4.3.0 DATA").unwrap().smtp_code(), 451);
        assert_eq!(Answer::Timeout.smtp_code(), 0);
    }
}
