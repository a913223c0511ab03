//! One connection to the mail server, and what its answers mean for an email.
//!
//! lettre speaks the protocol; the order of the commands and the time for each are ours. lettre's own transport has one
//! timeout for everything, puts half-used connections back into its pool, and never sets TCP_NODELAY.

use std::fmt;
use std::io;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::{Response, Severity};
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::settings::{InvalidSetting, MailSettings, SmtpTls};
use super::tls::Tls;
use crate::domain::Answer;

/// How long each step may take. The worst attempt takes all of them, 13 minutes; the lease is renewed meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// TCP, over all addresses of the host.
    pub connect: Duration,
    /// Greeting with EHLO, TLS handshake, AUTH, MAIL, RCPT, DATA: each. RFC 5321 (4.5.3.2) would wait 5 minutes, 2 for
    /// DATA; a relay that takes longer than this is not well, and another attempt costs nothing.
    pub command: Duration,
    /// The answer to the final dot, as long as RFC 5321 (4.5.3.2.6) says: whoever gives up earlier sends it twice.
    pub end_of_data: Duration,
    pub quit: Duration,
    /// How long an email stays with a worker that gives no sign of life.
    pub lease: Duration,
    /// From one sign of life to the next: three in the time of a lease.
    pub sign_of_life: Duration,
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
        }
    }
}

const SIGN_IN: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// The mail server, as configured.
pub struct Server {
    host: String,
    port: u16,
    encryption: Encryption,
    credentials: Option<Credentials>,
    hello: ClientId,
    pub timeouts: Timeouts,
}

enum Encryption {
    Implicit(Tls),
    Starttls(Tls),
    None,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// One email as it goes out: exactly one recipient.
pub struct Letter {
    pub sender: Address,
    pub recipient: Address,
    /// Headers and body, with CRLF.
    pub message: Vec<u8>,
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

impl Server {
    pub fn new(settings: &MailSettings) -> Result<Self, InvalidSetting> {
        let tls = || Tls::new(&settings.host, settings.ca_file.as_deref());
        let encryption = match settings.tls {
            SmtpTls::Implicit => Encryption::Implicit(tls()?),
            SmtpTls::Starttls => Encryption::Starttls(tls()?),
            SmtpTls::None => Encryption::None,
        };
        let credentials = settings.username.clone().zip(settings.password.as_ref());
        let credentials =
            credentials.map(|(username, password)| Credentials::new(username, password.expose_secret().to_owned()));
        Ok(Self {
            host: settings.host.clone(),
            port: settings.port,
            encryption,
            credentials,
            hello: ClientId::Domain(settings.hello_name.clone()),
            timeouts: Timeouts::default(),
        })
    }

    /// Connects, encrypts and signs in.
    async fn connect(&self) -> Result<Connection, Failure> {
        let stream = limited(self.timeouts.connect, TcpStream::connect((self.host.as_str(), self.port)))
            .await
            .map_err(|error| network_failure("no connection", Answer::Connection, error))?;
        stream.set_nodelay(true).map_err(|error| Failure::unreachable(Answer::Connection, error))?;
        let stream = self.encrypt(stream).await?;

        let greeting = AsyncSmtpConnection::connect_with_transport(stream, &self.hello);
        let mut smtp = spoken(self.timeouts.command, greeting).await.map_err(|a| Failure::before_mail("EHLO", a))?;
        if let Some(credentials) = &self.credentials {
            if smtp.server_info().get_auth_mechanism(&SIGN_IN).is_none() {
                return Err(Failure::unreachable(
                    Answer::Connection,
                    "the mail server offers neither AUTH PLAIN nor LOGIN",
                ));
            }
            let sign_in = smtp.auth(&SIGN_IN, credentials);
            spoken(self.timeouts.command, sign_in).await.map_err(|a| Failure::before_mail("AUTH", a))?;
        }
        Ok(Connection { smtp, timeouts: self.timeouts })
    }

    async fn encrypt(&self, stream: TcpStream) -> Result<Box<dyn AsyncTokioStream>, Failure> {
        let limit = self.timeouts.command;
        let encrypted = match &self.encryption {
            Encryption::Implicit(tls) => limited(limit, tls.wrap(stream)).await,
            Encryption::Starttls(tls) => limited(limit, tls.upgrade(stream, &self.hello)).await,
            Encryption::None => return Ok(Box::new(stream)),
        };
        let encrypted = encrypted.map_err(|error| network_failure("no encrypted connection", Answer::Tls, error))?;
        Ok(Box::new(encrypted))
    }
}

/// Runs a step below SMTP; `None` is a timeout.
async fn limited<T>(limit: Duration, step: impl Future<Output = io::Result<T>>) -> Result<T, Option<io::Error>> {
    timeout(limit, step).await.map_err(|_| None)?.map_err(Some)
}

fn network_failure(what: &str, answer: Answer, error: Option<io::Error>) -> Failure {
    match error {
        Some(error) => Failure::unreachable(answer, format_args!("{what}: {error}")),
        None => Failure::unreachable(Answer::Timeout, format_args!("{what} in time")),
    }
}

/// Runs a step of SMTP. Only the code of an error goes further: its text quotes the server, which may quote the email.
async fn spoken<T>(limit: Duration, step: impl Future<Output = Result<T, SmtpError>>) -> Result<T, Answer> {
    match timeout(limit, step).await {
        Ok(result) => {
            result.map_err(|error| error.status().map_or(Answer::Connection, |code| Answer::Code(code.into())))
        }
        Err(_) => Err(Answer::Timeout),
    }
}

/// A connection that is ready for MAIL.
struct Connection {
    smtp: AsyncSmtpConnection,
    timeouts: Timeouts,
}

impl Connection {
    async fn mail(&mut self, letter: &Letter) -> Result<(), Answer> {
        let command = self.smtp.command(Mail::new(Some(letter.sender.clone()), Vec::new()));
        spoken(self.timeouts.command, command).await.map(drop)
    }

    async fn recipient_and_message(&mut self, letter: &Letter) -> Result<Answer, Failure> {
        let Timeouts { command, end_of_data, .. } = self.timeouts;
        let recipient = self.smtp.command(Rcpt::new(letter.recipient.clone(), Vec::new()));
        spoken(command, recipient).await.map_err(Failure::of_mail)?;
        let data = spoken(command, self.smtp.command(Data)).await.map_err(Failure::of_mail)?;
        if !data.has_code(354) {
            return Err(Failure::Delayed(Answer::Connection));
        }
        let taken = spoken(end_of_data, self.smtp.message(&letter.message)).await.map_err(Failure::of_mail)?;
        accepted(&taken)
    }

    async fn quit(mut self) {
        // the emails are settled: whether the server says goodbye changes nothing
        drop(spoken(self.timeouts.quit, self.smtp.quit()).await);
    }
}

fn accepted(response: &Response) -> Result<Answer, Failure> {
    let code = response.code();
    match code.severity {
        Severity::PositiveCompletion => Ok(Answer::Code(code.into())),
        _ => Err(Failure::Delayed(Answer::Connection)),
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
    ///
    /// The connection is kept only after that: after an error or a timeout nobody knows which answer belongs to what.
    pub async fn send(&mut self, server: &Server, letter: &Letter) -> Result<Answer, Failure> {
        let mut connection = self.ready(server, letter).await?;
        match connection.recipient_and_message(letter).await {
            Ok(answer) => {
                self.0 = Some(connection);
                Ok(answer)
            }
            Err(failure) => {
                // after an answer the server still listens; a goodbye keeps our name good
                if let Failure::Delayed(Answer::Code(_)) | Failure::Refused(_) = failure {
                    connection.quit().await;
                }
                Err(failure)
            }
        }
    }

    /// A connection on which the server has taken our sender. One that was kept may be closed by now, or have had as
    /// many emails as the server allows: a fresh one decides.
    async fn ready(&mut self, server: &Server, letter: &Letter) -> Result<Connection, Failure> {
        if let Some(mut kept) = self.0.take()
            && kept.mail(letter).await.is_ok()
        {
            return Ok(kept);
        }
        let mut fresh = server.connect().await?;
        match fresh.mail(letter).await {
            Ok(()) => Ok(fresh),
            Err(answer) => Err(Failure::before_mail("MAIL", answer)),
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
