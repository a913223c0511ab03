//! The mail server as configured, and the way to a connection that is ready for MAIL.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::either::Either;

use super::connection::Connection;
use super::dialogue::{Class, Dialogue, Reply};
use super::failure::Failure;
use super::timeouts::Timeouts;
use crate::dial::Addresses;
use crate::domain::{Answer, SmtpStep};
use crate::mail::settings::{InvalidSetting, MailSettings, SmtpTls};
use crate::mail::tls::Tls;

/// The mail server, as configured.
pub struct Server {
    host: String,
    port: u16,
    encryption: Encryption,
    credentials: Option<(String, SecretString)>,
    hello_name: String,
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

impl Server {
    pub fn new(settings: &MailSettings) -> Result<Self, InvalidSetting> {
        let tls = || Tls::new(&settings.host, settings.ca_file.as_deref());
        let encryption = match settings.tls {
            SmtpTls::Implicit => Encryption::Implicit(tls()?),
            SmtpTls::Starttls => Encryption::Starttls(tls()?),
            SmtpTls::None => Encryption::None,
        };
        Ok(Self {
            host: settings.host.clone(),
            port: settings.port,
            encryption,
            credentials: settings.username.clone().zip(settings.password.clone()),
            hello_name: settings.hello()?,
            timeouts: Timeouts::default(),
        })
    }

    /// Connects, encrypts and signs in.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let finding = Addresses::of(&self.host, self.port);
        let addresses = limited(self.timeouts.connect, finding).await.map_err(no_connection)?;
        self.connect_to_one_of(addresses).await
    }

    /// To the first address that is ready to talk (RFC 5321, 5.1). What that one says of the sign-in is final: a wrong
    /// password that is tried everywhere locks the account.
    pub(super) async fn connect_to_one_of(&self, mut addresses: Addresses) -> Result<Connection, Failure> {
        let mut failure = None;
        let (mut dialogue, offers) = loop {
            let stream = match addresses.connect(self.timeouts.connect).await {
                Ok(stream) => stream,
                Err(error) => return Err(failure.unwrap_or_else(|| no_connection(Some(error)))),
            };
            match self.open(stream).await {
                Ok(open) => break open,
                Err(error) => failure = failure.or(Some(error)),
            }
        };
        self.sign_in(&mut dialogue, &offers).await?;
        Ok(Connection { dialogue, pipelining: offers.offers("PIPELINING", None), timeouts: self.timeouts })
    }

    /// Everything up to the sign-in.
    async fn open(&self, stream: TcpStream) -> Result<(Dialogue, Reply), Failure> {
        // else the end of each email waits for a delayed ACK, 44 ms
        stream.set_nodelay(true).map_err(|error| Failure::unreachable(Answer::Connection, error))?;
        let mut dialogue = match &self.encryption {
            Encryption::Implicit(tls) => self.encrypt(stream, tls).await?,
            Encryption::Starttls(_) | Encryption::None => Dialogue::new(Either::Left(stream)),
        };
        let greeting = dialogue.expect(self.timeouts.command, SmtpStep::Connect, Class::Done).await;
        greeting.map_err(|answer| Failure::before_mail(SmtpStep::Connect, answer))?;
        let mut offers = self.hello(&mut dialogue).await?;
        if let Encryption::Starttls(tls) = &self.encryption {
            dialogue = self.start_tls(dialogue, &offers, tls).await?;
            offers = self.hello(&mut dialogue).await?;
        }
        Ok((dialogue, offers))
    }

    async fn hello(&self, dialogue: &mut Dialogue) -> Result<Reply, Failure> {
        let hello = format!("EHLO {}\r\n", self.hello_name);
        let offers = dialogue.ask(self.timeouts.command, SmtpStep::Connect, &hello, Class::Done).await;
        offers.map_err(|answer| Failure::before_mail(SmtpStep::Connect, answer))
    }

    /// STARTTLS (RFC 3207), required: fails where the server does not offer it.
    async fn start_tls(&self, mut dialogue: Dialogue, offers: &Reply, tls: &Tls) -> Result<Dialogue, Failure> {
        if !offers.offers("STARTTLS", None) {
            return Err(Failure::unreachable(Answer::Tls, "the mail server does not offer STARTTLS"));
        }
        let go = dialogue.ask(self.timeouts.command, SmtpStep::Starttls, "STARTTLS\r\n", Class::Done).await;
        go.map_err(|answer| Failure::before_mail(SmtpStep::Starttls, answer))?;
        // somebody on the way could put answers in front of those that come encrypted
        let early = || Failure::unreachable(Answer::Tls, "the mail server spoke before it was asked");
        self.encrypt(dialogue.into_plain().ok_or_else(early)?, tls).await
    }

    async fn encrypt(&self, stream: TcpStream, tls: &Tls) -> Result<Dialogue, Failure> {
        let stream = limited(self.timeouts.command, tls.connect(stream)).await;
        let stream = stream.map_err(|error| network_failure("no encrypted connection", Answer::Tls, error))?;
        Ok(Dialogue::new(Either::Right(stream)))
    }

    /// By AUTH PLAIN (RFC 4616), else AUTH LOGIN, which asks for the name first and for the password then. What a server
    /// writes into its prompts is not read.
    async fn sign_in(&self, dialogue: &mut Dialogue, offers: &Reply) -> Result<(), Failure> {
        let Some((username, password)) = &self.credentials else { return Ok(()) };
        let password = password.expose_secret();
        let lines = if offers.offers("AUTH", Some("PLAIN")) {
            let both = BASE64_STANDARD.encode(format!("\0{username}\0{password}"));
            // some servers do not look at what stands behind the command, and ask for it
            vec![format!("AUTH PLAIN {both}\r\n"), format!("{both}\r\n")]
        } else if offers.offers("AUTH", Some("LOGIN")) {
            let encoded = [username.as_str(), password].map(|word| format!("{}\r\n", BASE64_STANDARD.encode(word)));
            ["AUTH LOGIN\r\n".to_owned()].into_iter().chain(encoded).collect()
        } else {
            let problem = "the mail server offers neither AUTH PLAIN nor LOGIN";
            return Err(Failure::unreachable(Answer::Connection, problem));
        };
        let limit = self.timeouts.command;
        let failed = |answer| Failure::before_mail(SmtpStep::Auth, answer);
        for line in lines {
            dialogue.say(limit, line.as_bytes()).await.map_err(failed)?;
            if dialogue.hear(limit, SmtpStep::Auth).await.map_err(failed)?.is(Class::Done) {
                return Ok(());
            }
        }
        Err(Failure::unreachable(Answer::Connection, "the mail server wants more than a name and a password"))
    }
}

/// Runs a step below SMTP; `None` is a timeout.
async fn limited<T>(limit: Duration, step: impl Future<Output = io::Result<T>>) -> Result<T, Option<io::Error>> {
    timeout(limit, step).await.map_err(|_| None)?.map_err(Some)
}

fn no_connection(error: Option<io::Error>) -> Failure {
    network_failure("no connection", Answer::Connection, error.filter(|error| error.kind() != ErrorKind::TimedOut))
}

fn network_failure(what: &str, answer: Answer, error: Option<io::Error>) -> Failure {
    match error {
        Some(error) => Failure::unreachable(answer, format_args!("{what}: {error}")),
        None => Failure::unreachable(Answer::Timeout, format_args!("{what} in time")),
    }
}
