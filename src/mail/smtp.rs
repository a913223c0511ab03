//! One connection to the mail server, and what its answers mean for an email.

mod dialogue;
mod server;

use std::fmt;
use std::time::Duration;

use lettre::Address;

use self::dialogue::{Class, Dialogue, Reply, with_dots};
pub use self::server::Server;
use crate::domain::Answer;

/// How long each step may take. The worst attempt takes all of them, 13 minutes; the lease is renewed meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// TCP, over all addresses of the host.
    pub connect: Duration,
    /// The answer to each command, and the TLS handshake. RFC 5321 (4.5.3.2) would wait 5 minutes, 2 for DATA; a relay
    /// that takes longer than this is not well, and another attempt costs nothing.
    pub command: Duration,
    /// The answer to the final dot, as long as RFC 5321 (4.5.3.2.6) says: whoever gives up earlier sends it twice.
    pub end_of_data: Duration,
    pub quit: Duration,
    /// How long an email stays with a worker that gives no sign of life.
    pub lease: Duration,
    /// From one sign of life to the next: three in the time of a lease.
    pub sign_of_life: Duration,
    /// How old what is known of an email may be when it is sent, and how long an outcome may stay unwritten.
    pub fresh: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            command: Duration::from_secs(30),
            end_of_data: Duration::from_mins(10),
            quit: Duration::from_secs(5),
            lease: Duration::from_mins(1),
            sign_of_life: Duration::from_secs(20),
            fresh: Duration::from_millis(100),
        }
    }
}

/// One email as it goes out: exactly one recipient.
pub struct Letter {
    pub sender: Address,
    pub recipient: Address,
    /// Headers and body, with CRLF.
    pub message: Vec<u8>,
}

impl Letter {
    /// The commands before the message. Neither address holds a line end.
    fn envelope(&self) -> [String; 3] {
        let Self { sender, recipient, .. } = self;
        [format!("MAIL FROM:<{sender}>\r\n"), format!("RCPT TO:<{recipient}>\r\n"), "DATA\r\n".to_owned()]
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter({} bytes)", self.message.len())
    }
}

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
    fn unreachable(answer: Answer, detail: impl fmt::Display) -> Self {
        Self::Unreachable { answer, detail: detail.to_string() }
    }

    fn before_mail(step: &'static str, answer: Answer) -> Self {
        match answer {
            Answer::Code(code) => Self::unreachable(answer, format_args!("{step} was answered {code}")),
            Answer::Timeout => Self::unreachable(answer, format_args!("{step} was not answered in time")),
            _ => Self::unreachable(answer, format_args!("the connection broke at {step}")),
        }
    }

    fn of_mail(answer: Answer) -> Self {
        if matches!(answer, Answer::Code(500..=599)) { Self::Refused(answer) } else { Self::Delayed(answer) }
    }
}

/// A connection that is ready for MAIL.
struct Connection {
    dialogue: Dialogue,
    /// Whether the server takes several commands in one write.
    pipelining: bool,
    timeouts: Timeouts,
}

/// The answer that an email was not taken with.
enum Stop {
    /// At MAIL, before anything was said about the email.
    Sender(Answer),
    Email(Answer),
}

impl Connection {
    /// Hands one email over; the server's reply to the message.
    ///
    /// The connection comes back only with that: after an error or a timeout nobody knows which answer belongs to what.
    async fn deliver(mut self, letter: &Letter) -> Result<(Self, Answer), Stop> {
        let [mail, recipient, data] = letter.envelope();
        if self.pipelining {
            let all = [mail.as_str(), &recipient, &data].concat();
            self.dialogue.say(self.timeouts.command, all.as_bytes()).await.map_err(Stop::Sender)?;
        }
        self.step(&mail, Class::Done).await.map_err(Stop::Sender)?;
        let taken = match self.step(&recipient, Class::Done).await {
            Ok(_) => self.message(&data, letter).await,
            Err(answer) => {
                let is_answered = self.pipelining && matches!(answer, Answer::Code(_));
                if is_answered && self.step(&data, Class::More).await.is_ok() {
                    // the server waits for a message, and a goodbye would be one
                    return Err(Stop::Email(answer));
                }
                Err(answer)
            }
        };
        match taken {
            Ok(answer) => Ok((self, answer)),
            Err(answer) => {
                // after a refusal the server still listens; a goodbye keeps our name good
                if matches!(answer, Answer::Code(_)) {
                    self.quit().await;
                }
                Err(Stop::Email(answer))
            }
        }
    }

    async fn message(&mut self, data: &str, letter: &Letter) -> Result<Answer, Answer> {
        let end_of_data = self.timeouts.end_of_data;
        self.step(data, Class::More).await?;
        self.dialogue.say(end_of_data, &with_dots(&letter.message)).await?;
        Ok(Answer::Code(self.dialogue.expect(end_of_data, Class::Done).await?.code))
    }

    /// A command of the envelope and its answer; only the answer where all of them are under way.
    async fn step(&mut self, line: &str, wanted: Class) -> Result<Reply, Answer> {
        if self.pipelining {
            self.dialogue.expect(self.timeouts.command, wanted).await
        } else {
            self.dialogue.ask(self.timeouts.command, line, wanted).await
        }
    }

    async fn quit(mut self) {
        // the emails are settled: whether the server says goodbye changes nothing
        drop(self.dialogue.ask(self.timeouts.quit, "QUIT\r\n", Class::Done).await);
    }
}

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
            Err(Stop::Sender(answer)) => Err(Failure::before_mail("MAIL", answer)),
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
