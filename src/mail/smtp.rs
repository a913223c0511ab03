//! Hands emails to the mail server, over a connection that is kept for as long as it works.

mod connection;
mod dialogue;
mod failure;
mod letter;
mod server;
mod timeouts;

use std::fmt;

use self::connection::{Connection, Stop};
pub use self::failure::Failure;
pub use self::letter::Letter;
pub use self::server::Server;
pub use self::timeouts::Timeouts;
use crate::domain::{Answer, SmtpStep};

/// Sends one email after another, over one connection for as long as it works.
#[derive(Default)]
pub struct Session(Option<Connection>);

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session(connected: {})", self.0.is_some())
    }
}

impl Session {
    /// Sends one email and returns the server's reply to the message, 2xx.
    pub async fn send(&mut self, server: &Server, letter: &Letter) -> Result<Answer, Failure> {
        let mut delivered = Err(Stop::Sender(Answer::Connection));
        if let Some(kept) = self.0.take() {
            delivered = kept.deliver(letter).await;
        }
        // one that was kept may be closed by now, or have had as many emails as the server allows: a fresh one decides
        if matches!(delivered, Err(Stop::Sender(_))) {
            delivered = server.connect().await?.deliver(letter).await;
        }
        match delivered {
            Ok((connection, answer)) => {
                self.0 = Some(connection);
                Ok(answer)
            }
            Err(Stop::Sender(answer)) => Err(Failure::before_mail(SmtpStep::Mail, answer)),
            Err(Stop::Email(answer)) => Err(Failure::of_mail(answer)),
        }
    }

    /// Says goodbye, if there is a connection.
    pub async fn quit(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.quit().await;
        }
    }
}

#[cfg(test)]
#[cfg(feature = "dev")]
mod tests;
