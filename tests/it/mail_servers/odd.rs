//! A mail server with manners of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How it answers, with line ends.
#[derive(Clone, Copy)]
pub struct Manners {
    /// To EHLO.
    pub hello: &'static [u8],
    /// To each line of a sign-in.
    pub sign_in: &'static [&'static [u8]],
    /// To the final dot, by the recipient.
    pub taken: fn(&str) -> Taken,
}

/// The answer to the final dot, and whether the connection ends behind it.
pub struct Taken(pub &'static [u8], pub bool);

impl Default for Manners {
    fn default() -> Self {
        Self { hello: b"250-\xf6dd\r\n250\r\n", sign_in: &[], taken: |_| Taken(b"250 taken\r\n", false) }
    }
}

/// It runs until the test ends.
pub struct Odd {
    pub address: SocketAddr,
    said: Arc<Mutex<Vec<String>>>,
}

impl Odd {
    pub async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let odd = Self { address: listener.local_addr().unwrap(), said: Arc::default() };
        let said = Arc::clone(&odd.said);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // the client may leave in mid-sentence
                tokio::spawn(converse(stream, manners, Arc::clone(&said)));
            }
        });
        odd
    }

    /// The commands that begin with that word, in the order in which they came; a sign-in with all its lines.
    pub fn heard(&self, word: &str) -> Vec<String> {
        self.said.lock().unwrap().iter().filter(|line| line.starts_with(word)).cloned().collect()
    }
}

async fn converse(stream: TcpStream, manners: Manners, said: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220-\xf6dd\r\n220\r\n").await?;
    let mut recipient = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let mut line = line.trim_end().to_owned();
        let command = line.split(' ').next().unwrap_or_default().to_owned();
        let answer = match command.as_str() {
            "EHLO" => manners.hello,
            "AUTH" => {
                for (number, answer) in manners.sign_in.iter().enumerate() {
                    stream.write_all(answer).await?;
                    if number + 1 < manners.sign_in.len() {
                        line.push(' ');
                        stream.read_line(&mut line).await?;
                        line.truncate(line.trim_end().len());
                    }
                }
                b""
            }
            "RCPT" => {
                recipient = line.trim_start_matches("RCPT TO:<").trim_end_matches('>').to_owned();
                b"250\xa0\xfc\r\n"
            }
            "DATA" => {
                stream.write_all(b"354\r\n").await?;
                let mut text = String::new();
                while text != ".\r\n" {
                    text.clear();
                    if stream.read_line(&mut text).await? == 0 {
                        return Ok(());
                    }
                }
                said.lock().unwrap().push(format!("message for {recipient}"));
                let Taken(answer, is_the_end) = (manners.taken)(&recipient);
                stream.write_all(answer).await?;
                if is_the_end {
                    return Ok(());
                }
                b""
            }
            _ => b"250\r\n",
        };
        said.lock().unwrap().push(line);
        stream.write_all(answer).await?;
    }
}
