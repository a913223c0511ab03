//! What of the outbox waits, for what, and since when: by what is known of an email without looking at its invitation.

use time::Duration;

use super::{Answer, EmailKind, EmailState, Timestamp};

/// Emails that are alike in why they were not sent yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending {
    /// QUEUED or RETRYING.
    pub state: EmailState,
    pub kind: EmailKind,
    /// A worker has them.
    pub is_held: bool,
    pub is_due: bool,
    /// To the last attempt, or why they were put off.
    pub answer: Option<Answer>,
    pub count: u64,
    /// Of the oldest.
    pub create_time: Timestamp,
    /// The first of them.
    pub due_time: Timestamp,
}

/// What an email waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Unsent {
    /// Somebody to take it: it may go out now.
    Due,
    /// A worker has it.
    Sending,
    /// The mail server, which took nothing the last time, or the key of its code.
    Stuck,
    /// The mail server did not take this one and may do so later.
    Retrying,
    /// Its recipient has had enough for now.
    Limited,
    /// Its time: a reminder.
    Scheduled,
}

impl Unsent {
    pub const ALL: [Self; 6] = [Self::Due, Self::Sending, Self::Stuck, Self::Retrying, Self::Limited, Self::Scheduled];

    /// As a label of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Sending => "sending",
            Self::Stuck => "stuck",
            Self::Retrying => "retrying",
            Self::Limited => "limited",
            Self::Scheduled => "scheduled",
        }
    }

    /// Whether it could have gone out already.
    pub fn is_late(self) -> bool {
        !matches!(self, Self::Limited | Self::Scheduled)
    }
}

impl Pending {
    pub fn waits_for(&self) -> Unsent {
        if self.is_held && !self.is_due {
            return Unsent::Sending;
        }
        match (self.state, self.answer) {
            (EmailState::Retrying, Some(Answer::Smtp(reply))) if reply.is_about_the_email() => Unsent::Retrying,
            (EmailState::Retrying, _) => Unsent::Stuck,
            _ if self.is_due => Unsent::Due,
            _ if self.is_put_off() => Unsent::Limited,
            _ => Unsent::Scheduled,
        }
    }

    /// How long the oldest of them could have gone out already. A retry makes it due later, so that is reckoned from when it
    /// was written, but for what is written for later or was put off: that is late from its time on.
    pub fn lateness(&self, now: Timestamp) -> Duration {
        let waits = self.kind.is_reminder() || self.is_put_off();
        let since = if waits { self.due_time } else { self.create_time };
        (now - since).max(Duration::ZERO)
    }

    fn is_put_off(&self) -> bool {
        self.answer == Some(Answer::put_off(self.kind))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: Timestamp = datetime!(2026-11-30 12:00 UTC);

    /// Written an hour ago, and due in that many minutes.
    fn pending(state: EmailState, kind: EmailKind, answer: Option<&str>, due_in: i64) -> Pending {
        Pending {
            state,
            kind,
            is_held: false,
            is_due: due_in <= 0,
            answer: answer.map(|answer| Answer::parse(answer).unwrap()),
            count: 1,
            create_time: NOW - Duration::HOUR,
            due_time: NOW + Duration::minutes(due_in),
        }
    }

    #[test]
    fn an_email_waits_for_one_thing_and_is_late_from_when_it_could_have_gone_out() {
        use EmailKind::{AccessRequested, AccountInvitation, InvitationReminder};
        use EmailState::{Queued, Retrying};
        for (state, kind, answer, due_in, expected, minutes) in [
            (Queued, AccountInvitation, None, -1, Unsent::Due, 60),
            // given back by a worker whose mail server was away
            (Queued, AccountInvitation, None, 0, Unsent::Due, 60),
            (Queued, InvitationReminder, None, 10, Unsent::Scheduled, 0),
            (Queued, InvitationReminder, None, -10, Unsent::Due, 10),
            (Queued, AccountInvitation, Some("RECIPIENT_LIMIT"), 10, Unsent::Limited, 0),
            (Queued, AccountInvitation, Some("RECIPIENT_LIMIT"), -10, Unsent::Due, 10),
            (Queued, AccessRequested, Some("GATHERED"), 10, Unsent::Limited, 0),
            (Retrying, AccountInvitation, Some("451 4.2.2 RCPT"), 10, Unsent::Retrying, 60),
            (Retrying, AccountInvitation, Some("451 4.3.0 DATA"), -10, Unsent::Retrying, 60),
            (Retrying, AccountInvitation, Some("421 CONNECT"), 10, Unsent::Stuck, 60),
            (Retrying, AccountInvitation, Some("550 5.7.1 MAIL"), 10, Unsent::Stuck, 60),
            (Retrying, AccountInvitation, Some("CONNECTION"), 10, Unsent::Stuck, 60),
            (Retrying, AccountInvitation, Some("TIMEOUT"), -10, Unsent::Stuck, 60),
            (Retrying, AccountInvitation, Some("KEY_MISSING"), 10, Unsent::Stuck, 60),
        ] {
            let pending = pending(state, kind, answer, due_in);
            assert_eq!(pending.waits_for(), expected, "{pending:?}");
            assert_eq!(pending.lateness(NOW), Duration::minutes(minutes), "{pending:?}");
            let held = Pending { is_held: true, ..pending };
            let expected = if held.is_due { expected } else { Unsent::Sending };
            assert_eq!(held.waits_for(), expected, "a lease that has ended is none: {held:?}");
        }
    }
}
