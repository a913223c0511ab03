//! The answer to one email never lands on another one.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{Outbox, mailer, round};
use invitations::dev::mailbox::Action;
use invitations::mail::Timeouts;

/// Longer than the client waits for an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// A mail server that knows no `1@…`, and says so only when the next command comes. Returns its address.
async fn late_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // the client may leave in mid-sentence
            tokio::spawn(async move { converse(stream).await.ok() });
        }
    });
    address
}

async fn converse(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 late.example\r\n").await?;
    let (mut late, mut in_message) = (None::<&str>, false);
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        if let Some(answer) = late.take() {
            stream.write_all(answer.as_bytes()).await?;
        }
        let answer = match line.trim_end() {
            "." => "250 taken\r\n",
            _ if in_message => "",
            "DATA" => "354 go on\r\n",
            "QUIT" => return stream.write_all(b"221 bye\r\n").await,
            command if command.starts_with("RCPT TO:<1@") => {
                late = Some("550 no such user\r\n");
                ""
            }
            _ => "250 ok\r\n",
        };
        in_message = answer.starts_with("354") || in_message && answer.is_empty();
        stream.write_all(answer.as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_that_comes_late_counts_for_no_other_email() {
    let outbox = Outbox::start(|_| Action::Proceed).await;
    outbox.organization("acme").await;
    let server = late_server().await;
    let timeouts = Timeouts { command: PATIENCE, ..Timeouts::default() };
    let mut worker = outbox.worker_of(mailer(server).with_timeouts(timeouts));
    let mut tries = 0;
    loop {
        outbox.invite("acme", 2).await;
        let round = round(&mut worker).await;
        tries += 1;
        // all that a machine that stands still can do is to keep the second one waiting, too
        if (round.sent, round.failed) != (0, 0) || tries == 20 {
            assert_eq!((round.retrying, round.sent), (1, 1));
            break;
        }
        outbox.execute("DELETE FROM emails").await;
        outbox.execute("DELETE FROM invitations").await;
    }
    assert_eq!(outbox.rows().await, ["1@acme.example RETRYING 1 TIMEOUT", "2@acme.example SENT 1 250"]);
}

#[tokio::test]
async fn control_a_connection_that_is_kept_after_a_timeout_mixes_answers_up() {
    let mut kept = BufReader::new(TcpStream::connect(late_server().await).await.unwrap());
    let mut answer = String::new();
    kept.read_line(&mut answer).await.unwrap();
    let mut ask = async |command: &str| {
        kept.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, kept.read_line(&mut answer)).await.ok().map(|_| answer)
    };
    for command in ["EHLO hub.example", "MAIL FROM:<invitations@hub.example>"] {
        assert_eq!(ask(command).await.unwrap(), "250 ok\r\n");
    }
    assert_eq!(ask("RCPT TO:<1@acme.example>").await, None);
    let refused = ask("MAIL FROM:<invitations@hub.example>").await.unwrap();
    assert_eq!(refused, "550 no such user\r\n", "the second email is told that the first one's recipient is unknown");
}
