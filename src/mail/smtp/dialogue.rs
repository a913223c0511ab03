//! SMTP on the wire (RFC 5321, RFC 2920): lines out, replies in, each with its time.
//!
//! Not lettre's, which sends one command at a time, takes a reply that is not UTF-8 or has no blank behind its code for a
//! broken connection (so that the email goes out again), and keeps what a server says unasked for the next answer.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::domain::{Answer, SmtpReply, SmtpStep};

/// Of a reply, in bytes: 128 times what RFC 5321 (4.5.3.1.5) allows for a line of it.
const LONGEST_REPLY: u64 = 64 * 1024;

pub type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// A connection on which both sides keep to the order of commands and replies; after any error it is of no more use.
pub struct Dialogue {
    stream: BufReader<Stream>,
}

/// The first digit of a reply's code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// 2: done.
    Done = 2,
    /// 3: go on.
    More = 3,
}

/// What the server said. The text may quote the email: it goes into no log and no error.
pub struct Reply {
    pub code: u16,
    /// Its lines without the code.
    text: String,
}

impl Dialogue {
    pub fn new(stream: Stream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// The stream below, for a TLS handshake. `None`: something was sent ahead of it, which an honest server does not do.
    pub fn into_plain(self) -> Option<TcpStream> {
        match (self.stream.buffer().is_empty(), self.stream.into_inner()) {
            (true, Either::Left(stream)) => Some(stream),
            _ => None,
        }
    }

    /// Says one thing and waits for the reply, each for at most `limit`.
    pub async fn ask(&mut self, limit: Duration, step: SmtpStep, line: &str, wanted: Class) -> Result<Reply, Answer> {
        self.say(limit, line.as_bytes()).await?;
        self.expect(limit, step, wanted).await
    }

    /// Sends lines, with CRLF.
    pub async fn say(&mut self, limit: Duration, lines: &[u8]) -> Result<(), Answer> {
        // what came unasked would be taken for the reply to this
        if !self.stream.buffer().is_empty() {
            return Err(Answer::Connection);
        }
        let sending = async {
            self.stream.write_all(lines).await?;
            self.stream.flush().await
        };
        timeout(limit, sending).await.map_err(|_| Answer::Timeout)?.map_err(|_| Answer::Connection)
    }

    /// Waits for the next reply, and for one of that class.
    pub async fn expect(&mut self, limit: Duration, step: SmtpStep, wanted: Class) -> Result<Reply, Answer> {
        // else it is the answer to something else
        self.hear(limit, step)
            .await
            .and_then(|reply| if reply.is(wanted) { Ok(reply) } else { Err(Answer::Connection) })
    }

    /// Waits for the next reply that refuses nothing.
    pub async fn hear(&mut self, limit: Duration, step: SmtpStep) -> Result<Reply, Answer> {
        let reply = timeout(limit, self.reply()).await.map_err(|_| Answer::Timeout)?;
        let reply = reply.map_err(|_| Answer::Connection)?;
        if reply.code < 400 { Ok(reply) } else { Err(reply.answer(step)) }
    }

    /// Reads one reply (4.2.1). Its text is bytes. Whatever stands behind the code, only a hyphen says that there is more;
    /// nor does a code count less because the connection ends behind it: the server has decided.
    async fn reply(&mut self) -> io::Result<Reply> {
        let mut stream = (&mut self.stream).take(LONGEST_REPLY);
        let (mut known, mut text) = (None, String::new());
        loop {
            let mut line = Vec::new();
            stream.read_until(b'\n', &mut line).await?;
            let is_cut_off = line.last() != Some(&b'\n');
            let code = code(&line).or(known.filter(|_| is_cut_off)).ok_or(ErrorKind::InvalidData)?;
            known = Some(code);
            text.push_str(&String::from_utf8_lossy(line.get(3..).unwrap_or_default()));
            if stream.limit() == 0 {
                return Err(ErrorKind::InvalidData.into());
            }
            if is_cut_off || line.get(3) != Some(&b'-') {
                return Ok(Reply { code, text });
            }
        }
    }
}

/// The code at the beginning of a line.
fn code(line: &[u8]) -> Option<u16> {
    let (digits, rest) = line.split_at_checked(3)?;
    let is_number = digits.iter().all(u8::is_ascii_digit) && !rest.first().is_some_and(u8::is_ascii_digit);
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit.wrapping_sub(b'0')));
    (is_number && (200..600).contains(&code)).then_some(code)
}

impl Reply {
    pub fn is(&self, class: Class) -> bool {
        self.code / 100 == class as u16
    }

    /// What stays of it.
    pub fn answer(&self, step: SmtpStep) -> Answer {
        let text = self.text.get(1..).unwrap_or_default();
        SmtpReply::new(self.code, text, step).map_or(Answer::Connection, Answer::Smtp)
    }

    /// Whether the reply to EHLO (4.1.1.1) offers an extension, and with that parameter. Its first line is a greeting.
    /// Neither case (2.4) nor the number of blanks counts.
    pub fn offers(&self, keyword: &str, parameter: Option<&str>) -> bool {
        self.text.lines().skip(1).any(|line| {
            // some servers write AUTH=PLAIN
            let words = line.get(1..).unwrap_or_default().split([' ', '\t', '=']);
            let mut words = words.filter(|word| !word.is_empty());
            words.next().is_some_and(|word| word.eq_ignore_ascii_case(keyword))
                && parameter.is_none_or(|wanted| words.any(|word| word.eq_ignore_ascii_case(wanted)))
        })
    }
}

/// A message as it is sent: with a dot before each line that begins with one, and the final dot (4.5.2).
pub fn with_dots(message: &[u8]) -> Vec<u8> {
    let mut sent = Vec::with_capacity(message.len() + 64);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            sent.push(b'.');
        }
        sent.extend_from_slice(line);
    }
    if !sent.ends_with(b"\r\n") {
        sent.extend_from_slice(b"\r\n");
    }
    sent.extend_from_slice(b".\r\n");
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_three_digits_whatever_follows() {
        for (line, expected) in [
            (&b"250"[..], Some(250)),
            (b"250\r\n", Some(250)),
            (b"250-", Some(250)),
            (b"354\xfe\xff", Some(354)),
            (b"599ok", Some(599)),
            (b"25", None),
            (b"2500", None),
            (b" 250", None),
            (b"+25", None),
            (b"199 ok", None),
            (b"600 ok", None),
            (b"\xb2\xb5\xb0 ok", None),
        ] {
            assert_eq!(code(line), expected, "{line:?}");
        }
    }

    #[test]
    fn an_extension_is_known_however_it_is_written() {
        let text =
            " relay greets you\r\n-pipelining \r\n-Size 10\r\n-AUTH=LOGIN\r\n auth\tGSSAPI  plain\r\n".to_owned();
        let reply = Reply { code: 250, text };
        assert!(reply.offers("PIPELINING", None) && reply.offers("SIZE", None));
        assert!(reply.offers("AUTH", Some("PLAIN")) && reply.offers("AUTH", Some("LOGIN")));
        for (no, parameter) in [("RELAY", None), ("STARTTLS", None), ("SIZE", Some("PLAIN")), ("AUTH", Some("LOG"))] {
            assert!(!reply.offers(no, parameter), "{no}");
        }
    }

    #[test]
    fn no_line_of_a_message_ends_it() {
        assert_eq!(with_dots(b".\r\na\r\n.b\r\n"), b"..\r\na\r\n..b\r\n.\r\n");
        assert_eq!(with_dots(b"a\n.\nb"), b"a\n..\nb\r\n.\r\n");
    }
}
