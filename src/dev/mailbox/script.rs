//! How the mailbox misbehaves, where a test wants it to.

use std::fmt;
use std::sync::Arc;

use super::store::Received;

/// What the client did last, for a [`Script`] to judge.
#[derive(Clone, Copy)]
pub enum Step<'a> {
    /// It connected and waits for the greeting.
    Connect,
    /// `MAIL FROM`, with the address.
    Mail(&'a str),
    /// `RCPT TO`, with the address.
    Rcpt(&'a str),
    /// `DATA`, before the message.
    Data,
    /// The final dot; the email is not kept yet.
    Message(&'a Received),
    /// The email is kept; the client does not know yet.
    Stored(&'a Received),
}

/// What the mailbox does after a [`Step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// What a good server does.
    Proceed,
    /// Answers with this line, such as `450 4.2.0 try again`, and does not do what was asked.
    Reply(&'static str),
    /// Answers nothing and keeps the connection open until the client closes it.
    Stall,
    /// Closes the connection.
    Drop,
}

/// Decides after every [`Step`] how to go on.
#[derive(Clone)]
pub struct Script(Arc<dyn Fn(Step<'_>) -> Action + Send + Sync>);

impl Script {
    /// `decide` is asked after every step of every connection; what it remembers is its own matter.
    pub fn new(decide: impl Fn(Step<'_>) -> Action + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }

    /// Takes everything.
    pub fn accept_all() -> Self {
        Self::new(|_| Action::Proceed)
    }

    pub(super) fn after(&self, step: Step<'_>) -> Action {
        (self.0)(step)
    }
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "Connect",
            Self::Mail(_) => "Mail",
            Self::Rcpt(_) => "Rcpt",
            Self::Data => "Data",
            Self::Message(_) => "Message",
            Self::Stored(_) => "Stored",
        })
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}
