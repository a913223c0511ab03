//! A mail server that takes everything and keeps nothing, for the service and for postfix's `smtp-source` alike.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

const GREETING: &str = "220 sink.invalid ESMTP\r\n";
const EHLO: &str = "250-sink.invalid\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1048576\r\n";
const OK: &str = "250 2.0.0 ok\r\n";
const GO_ON: &str = "354 go on, and end with a dot\r\n";

/// What came in.
pub struct Email {
    pub recipient: String,
    /// As it was sent: the dots that SMTP adds are still there.
    pub text: String,
}

/// Closes its port and the connections when it is dropped.
pub struct Sink {
    pub address: SocketAddr,
    accepting: AbortHandle,
}

type Take = dyn Fn(Email) + Send + Sync;

impl Sink {
    /// `take` is called for each email before its sender hears that it was taken.
    pub async fn start(take: impl Fn(Email) + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, accepting: tokio::spawn(accept(listener, Arc::new(take))).abort_handle() })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, take: Arc<Take>) {
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let take = Arc::clone(&take);
        // how a connection ends is the client's matter
        sessions.spawn(async move { drop(serve(stream, &*take).await) });
        while sessions.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, take: &Take) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(1 << 14, stream);
    let mut replies = GREETING.to_owned();
    let mut recipient = String::new();
    loop {
        // of commands that came together, the answers go together
        if stream.buffer().is_empty() {
            stream.write_all(replies.as_bytes()).await?;
            replies.clear();
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => replies.push_str(EHLO),
            "RCPT" => {
                let address = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                address.map_or("", |(address, _)| address).clone_into(&mut recipient);
                replies.push_str(OK);
            }
            "DATA" => {
                replies.push_str(GO_ON);
                stream.write_all(replies.as_bytes()).await?;
                replies.clear();
                let text = message(&mut stream).await?;
                take(Email { recipient: std::mem::take(&mut recipient), text });
                replies.push_str(OK);
            }
            "QUIT" => return stream.write_all(b"221 2.0.0 bye\r\n").await,
            _ => replies.push_str(OK),
        }
    }
}

async fn message(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let begin = text.len();
        if stream.read_line(&mut text).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if &text[begin..] == ".\r\n" {
            text.truncate(begin);
            return Ok(text);
        }
    }
}
