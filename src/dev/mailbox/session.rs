//! One SMTP conversation: RFC 5321 as far as a client of ours needs it, and strict where a client could be wrong.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::script::{Action, Script, Step};
use super::store::{Received, Store};

/// The longest line with its CRLF, in octets: RFC 5321, 4.5.3.1.6 (for text; commands have less).
const MAX_LINE: u64 = 1_000;

/// The largest message, in octets.
const MAX_MESSAGE: usize = 1_048_576;

/// The most recipients of one message: RFC 5321, 4.5.3.1.8 asks for at least 100.
const MAX_RECIPIENTS: usize = 100;

const GREETING: &str = "220 mailbox.invalid ESMTP";
const EHLO: &str = "250-mailbox.invalid\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1048576";
const OK: &str = "250 2.0.0 ok";
const WRONG_ORDER: &str = "503 5.5.1 wrong order of commands";
const TOO_LARGE: &str = "552 5.3.4 the message is larger than 1048576 octets";
const LONG_LINE: &str = "500 5.5.2 the line is longer than 1000 octets";
const BARE_LINE: &str = "500 5.5.2 the line has a CR or an LF of its own";

/// The connection is over: the client left, it broke, or the script wants so.
pub(super) struct Ended;

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// What the client sent up to a line end.
enum Line {
    /// Without its CRLF.
    Text(Vec<u8>),
    /// Longer than allowed; skipped.
    TooLong,
    /// With a CR or LF outside of a CRLF: servers disagree on what that is, which is how emails get smuggled.
    Bare,
}

struct Session<'a> {
    stream: BufReader<TcpStream>,
    script: &'a Script,
    greeted: bool,
    sender: Option<String>,
    recipients: Vec<String>,
}

/// Talks to one client until one of the two ends it.
pub(super) async fn serve(stream: TcpStream, store: &Arc<Store>, script: &Script) -> Result<(), Ended> {
    stream.set_nodelay(true)?;
    let stream = BufReader::new(stream);
    let mut session = Session { stream, script, greeted: false, sender: None, recipients: Vec::new() };
    let greeting = session.judge(Step::Connect).await?.unwrap_or(GREETING);
    session.reply(greeting).await?;
    loop {
        let line = match session.line().await? {
            Line::Text(line) => String::from_utf8(line).unwrap_or_default(),
            Line::TooLong => {
                session.reply(LONG_LINE).await?;
                continue;
            }
            Line::Bare => {
                session.reply(BARE_LINE).await?;
                continue;
            }
        };
        let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => session.hello(EHLO),
            "HELO" => session.hello("250 mailbox.invalid"),
            "MAIL" => session.mail(argument).await?,
            "RCPT" => session.rcpt(argument).await?,
            "DATA" => session.data(store).await?,
            "RSET" => {
                session.reset();
                OK
            }
            "NOOP" => OK,
            "QUIT" => return session.reply("221 2.0.0 bye").await,
            _ => "500 5.5.1 this command is not known here",
        };
        session.reply(reply).await?;
    }
}

impl Session<'_> {
    fn hello(&mut self, reply: &'static str) -> &'static str {
        self.reset();
        self.greeted = true;
        reply
    }

    fn reset(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    async fn mail(&mut self, argument: &str) -> Result<&'static str, Ended> {
        if !self.greeted || self.sender.is_some() {
            return Ok(WRONG_ORDER);
        }
        let Some((sender, parameters)) = path(argument, "FROM:") else {
            return Ok("501 5.5.4 write MAIL FROM:<address>");
        };
        let size = parameters.split(' ').find_map(|parameter| parameter.strip_prefix("SIZE=")?.parse().ok());
        if size.is_some_and(|size: usize| size > MAX_MESSAGE) {
            return Ok(TOO_LARGE);
        }
        if let Some(reply) = self.judge(Step::Mail(sender)).await? {
            return Ok(reply);
        }
        self.sender = Some(sender.to_owned());
        Ok(OK)
    }

    async fn rcpt(&mut self, argument: &str) -> Result<&'static str, Ended> {
        if self.sender.is_none() {
            return Ok(WRONG_ORDER);
        }
        let Some((recipient, _)) = path(argument, "TO:").filter(|(recipient, _)| !recipient.is_empty()) else {
            return Ok("501 5.5.4 write RCPT TO:<address>");
        };
        if self.recipients.len() == MAX_RECIPIENTS {
            return Ok("452 4.5.3 100 recipients are the most");
        }
        if let Some(reply) = self.judge(Step::Rcpt(recipient)).await? {
            return Ok(reply);
        }
        self.recipients.push(recipient.to_owned());
        Ok(OK)
    }

    async fn data(&mut self, store: &Arc<Store>) -> Result<&'static str, Ended> {
        if self.recipients.is_empty() {
            return Ok(WRONG_ORDER);
        }
        if let Some(reply) = self.judge(Step::Data).await? {
            return Ok(reply);
        }
        self.reply("354 go on, and end with a dot").await?;
        let message = self.message().await?;
        let (sender, recipients) = (self.sender.take().unwrap_or_default(), std::mem::take(&mut self.recipients));
        let email = match message {
            Ok(message) => Arc::new(Received { sender, recipients, message }),
            Err(refusal) => return Ok(refusal),
        };
        if let Some(reply) = self.judge(Step::Message(&email)).await? {
            return Ok(reply);
        }
        let (store, kept) = (Arc::clone(store), Arc::clone(&email));
        if !matches!(tokio::task::spawn_blocking(move || store.put(kept)).await, Ok(Ok(()))) {
            return Ok("452 4.3.1 the mailbox folder cannot be written");
        }
        Ok(self.judge(Step::Stored(&email)).await?.unwrap_or(OK))
    }

    /// Reads up to the final dot, also where the message is refused.
    async fn message(&mut self) -> Result<Result<Vec<u8>, &'static str>, Ended> {
        let mut message = Vec::new();
        let mut refusal = None;
        loop {
            match self.line().await? {
                Line::Text(line) if line == b"." => return Ok(refusal.map_or(Ok(message), Err)),
                Line::Text(line) => {
                    // RFC 5321, 4.5.2: the client puts a dot before each line that begins with one
                    message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
                    message.extend_from_slice(b"\r\n");
                }
                Line::TooLong => refusal = Some(LONG_LINE),
                Line::Bare => refusal = Some(BARE_LINE),
            }
            if message.len() > MAX_MESSAGE {
                refusal = Some(TOO_LARGE);
                message.clear();
            }
        }
    }

    /// Asks the script. `None`: go on as a good server does. `Some`: this is the answer.
    async fn judge(&mut self, step: Step<'_>) -> Result<Option<&'static str>, Ended> {
        match self.script.after(step) {
            Action::Proceed => Ok(None),
            Action::Reply(line) => Ok(Some(line)),
            Action::Stall => {
                tokio::io::copy(&mut self.stream, &mut tokio::io::sink()).await?;
                Err(Ended)
            }
            Action::Drop => Err(Ended),
        }
    }

    async fn reply(&mut self, reply: &str) -> Result<(), Ended> {
        Ok(self.stream.write_all(format!("{reply}\r\n").as_bytes()).await?)
    }

    async fn line(&mut self) -> Result<Line, Ended> {
        let mut line = self.up_to_lf().await?;
        let too_long = !line.ends_with(b"\n");
        while !line.ends_with(b"\n") {
            line = self.up_to_lf().await?;
        }
        Ok(match line.strip_suffix(b"\r\n") {
            _ if too_long => Line::TooLong,
            Some(text) if !text.contains(&b'\r') => Line::Text(text.to_vec()),
            _ => Line::Bare,
        })
    }

    /// Reads to the next LF, at most as much as a line may have.
    async fn up_to_lf(&mut self) -> Result<Vec<u8>, Ended> {
        let mut read = Vec::new();
        let count = (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut read).await?;
        if count == 0 { Err(Ended) } else { Ok(read) }
    }
}

/// Splits `FROM:<address> PARAMETERS`. `None` where it is not of that form or the address has control characters.
fn path<'a>(argument: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (found, rest) = argument.split_at_checked(keyword.len())?;
    let (address, parameters) = rest.trim_start().strip_prefix('<')?.rsplit_once('>')?;
    let fits = found.eq_ignore_ascii_case(keyword) && !address.chars().any(char::is_control);
    fits.then_some((address, parameters))
}
