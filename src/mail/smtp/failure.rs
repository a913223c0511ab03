//! What the answers of a mail server mean for an email.

use std::fmt;

use crate::domain::{Answer, SmtpStep};

/// Why an email is not sent. Whatever it is, the connection is gone.
#[derive(Debug)]
pub enum Failure {
    /// The server takes nothing from us at present: no connection, no TLS, no sign-in, or our sender is refused. That
    /// says nothing about the email, so it is tried again even after a 5xx.
    Unreachable {
        answer: Answer,
        /// For the log; holds nothing of the email.
        detail: String,
    },
    /// Not now: 4xx, no answer, or the connection broke.
    Delayed(Answer),
    /// Refused for good: 5xx to the recipient or the message.
    Refused(Answer),
}

impl Failure {
    pub(super) fn unreachable(answer: Answer, detail: impl fmt::Display) -> Self {
        Self::Unreachable { answer, detail: detail.to_string() }
    }

    pub(super) fn before_mail(step: SmtpStep, answer: Answer) -> Self {
        let step = step.as_str();
        match answer {
            Answer::Smtp(reply) => Self::unreachable(answer, format_args!("the mail server answered {reply}")),
            Answer::Timeout => Self::unreachable(answer, format_args!("no answer in time at {step}")),
            _ => Self::unreachable(answer, format_args!("the connection broke at {step}")),
        }
    }

    pub(super) fn of_mail(answer: Answer) -> Self {
        if matches!(answer, Answer::Smtp(reply) if reply.is_final()) {
            Self::Refused(answer)
        } else {
            Self::Delayed(answer)
        }
    }
}
