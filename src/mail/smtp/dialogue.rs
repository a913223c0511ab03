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

use crate::domain::Answer;

/// Four times what RFC 5321 (4.5.3.1.5) allows for a line of a reply, in bytes.
const LONGEST_LINE: u64 = 2048;
const MOST_LINES: usize = 100;

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
    pub async fn ask(&mut self, limit: Duration, line: &str, wanted: Class) -> Result<Reply, Answer> {
        self.say(limit, line.as_bytes()).await?;
        self.expect(limit, wanted).await
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
    pub async fn expect(&mut self, limit: Duration, wanted: Class) -> Result<Reply, Answer> {
        let reply = timeout(limit, self.reply()).await.map_err(|_| Answer::Timeout)?;
        match reply.map_err(|_| Answer::Connection)? {
            reply if reply.code / 100 == wanted as u16 => Ok(reply),
            reply if reply.code >= 400 => Err(Answer::Code(reply.code)),
            // an answer to something else
            _ => Err(Answer::Connection),
        }
    }

    /// Reads one reply (4.2.1). Whatever stands behind the code: only a hyphen says that there is more.
    async fn reply(&mut self) -> io::Result<Reply> {
        let mut text = String::new();
        for _ in 0..MOST_LINES {
            let mut line = Vec::new();
            (&mut self.stream).take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
            let (b'\n', Some(code)) = (line.last().copied().unwrap_or_default(), code(&line)) else {
                return Err(ErrorKind::InvalidData.into());
            };
            text.push_str(&String::from_utf8_lossy(&line[3..]));
            if line[3] != b'-' {
                return Ok(Reply { code, text });
            }
        }
        Err(ErrorKind::InvalidData.into())
    }
}

/// The code at the beginning of a line.
fn code(line: &[u8]) -> Option<u16> {
    let digits = line.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    (200..600).contains(&code).then_some(code)
}

impl Reply {
    /// Whether the reply to EHLO (4.1.1.1) offers an extension, and with that parameter. Its first line is a greeting.
    pub fn offers(&self, keyword: &str, parameter: Option<&str>) -> bool {
        self.text.lines().skip(1).any(|line| {
            // some servers write AUTH=PLAIN
            let mut words = line.get(1..).unwrap_or_default().split([' ', '=']);
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
    fn an_extension_is_known_however_it_is_written() {
        let text = " relay greets you\r\n-pipelining\r\n-SIZE 10\r\n-AUTH=LOGIN\r\n auth GSSAPI plain\r\n".to_owned();
        let reply = Reply { code: 250, text };
        assert!(reply.offers("PIPELINING", None) && reply.offers("SIZE", None));
        assert!(reply.offers("AUTH", Some("PLAIN")) && reply.offers("AUTH", Some("LOGIN")));
        assert!(
            !reply.offers("RELAY", None) && !reply.offers("STARTTLS", None) && !reply.offers("SIZE", Some("PLAIN"))
        );
    }

    #[test]
    fn no_line_of_a_message_ends_it() {
        assert_eq!(with_dots(b".\r\na\r\n.b\r\n"), b"..\r\na\r\n..b\r\n.\r\n");
        assert_eq!(with_dots(b"a\n.\nb"), b"a\n..\nb\r\n.\r\n");
    }
}
