//! Conversations with the mailbox, byte by byte.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Action, Mailbox, Script, Step};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("mailbox-{name}-{}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

async fn mailbox(folder: &Folder, script: Script) -> (Mailbox, TcpStream) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mailbox = Mailbox::start(any, &folder.0, script).await.unwrap();
    let stream = TcpStream::connect(mailbox.addr()).await.unwrap();
    (mailbox, stream)
}

/// Sends everything at once and returns the codes of what is answered until the connection ends.
async fn codes(stream: &mut TcpStream, conversation: &str) -> Vec<String> {
    stream.write_all(conversation.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // a reset connection has also ended
    let _ended = stream.read_to_string(&mut answer).await;
    answer.lines().filter(|line| line.as_bytes()[3] == b' ').map(|line| line[..3].to_owned()).collect()
}

#[tokio::test]
async fn an_email_is_kept_without_the_dots_that_smtp_adds() {
    let folder = Folder::new("dots");
    let (mailbox, mut client) = mailbox(&folder, Script::accept_all()).await;
    let codes = codes(
        &mut client,
        "EHLO me\r\nMAIL FROM:<> SIZE=99\r\nrcpt to:<anna@example.org>\r\nDATA\r\n\
         Subject: x\r\n\r\n..\r\n...two\r\nend.\r\n.\r\nQUIT\r\n",
    )
    .await;
    assert_eq!(codes, ["220", "250", "250", "250", "354", "250", "221"]);
    let received = mailbox.wait_for(1).await;
    assert_eq!(received[0].sender, "");
    assert_eq!(received[0].recipients, ["anna@example.org"]);
    assert_eq!(received[0].message, b"Subject: x\r\n\r\n.\r\n..two\r\nend.\r\n");
    let file = std::fs::read(folder.0.join("00000001.eml")).unwrap();
    assert!(file.ends_with(&received[0].message));
}

#[tokio::test]
async fn what_a_real_server_refuses_is_refused() {
    let folder = Folder::new("refused");
    let (mailbox, mut client) = mailbox(&folder, Script::accept_all()).await;
    let long = "x".repeat(3_000);
    let conversation = format!(
        "MAIL FROM:<a@b.example>\r\nHELO me\r\nDATA\r\nRCPT TO:<c@d.example>\r\nMAIL FROM:a@b.example\r\n\
         MAIL FROM:<a@b.example> SIZE=1048577\r\n{long}\r\nNOOP\nMAIL FROM:<a@b.example>\r\nRCPT TO:<>\r\n\
         RCPT TO:<c@d.example>\r\nDATA\r\nbare\n.\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n\
         DATA\r\n{long}\r\n.\r\nHELP\r\nQUIT\r\n"
    );
    let expected = [
        "220", "503", "250", "503", "503", "501", "552", "500", "500", "250", "501", "250", "354", "500", "250", "250",
        "354", "500", "500", "221",
    ];
    assert_eq!(codes(&mut client, &conversation).await, expected);
    assert!(mailbox.received().is_empty());
}

#[tokio::test]
async fn a_script_refuses_drops_and_keeps_without_saying_so() {
    let folder = Folder::new("script");
    let kept = AtomicUsize::new(0);
    let script = Script::new(move |step| match step {
        Step::Rcpt("bo@example.org") => Action::Reply("450 4.2.0 try again"),
        Step::Stored(_) if kept.fetch_add(1, Ordering::Relaxed) == 0 => Action::Drop,
        Step::Stored(_) => Action::Stall,
        _ => Action::Proceed,
    });
    let (mailbox, mut client) = mailbox(&folder, script).await;
    let conversation = "HELO me\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bo@example.org>\r\n\
                        RCPT TO:<anna@example.org>\r\nDATA\r\n\r\nhi\r\n.\r\n";
    let expected = ["220", "250", "250", "450", "250", "354"];
    assert_eq!(codes(&mut client, conversation).await, expected, "it drops the connection");
    let mut client = TcpStream::connect(mailbox.addr()).await.unwrap();
    client.write_all(conversation.as_bytes()).await.unwrap();
    assert_eq!(mailbox.wait_for(2).await[1].recipients, ["anna@example.org"]);
    client.shutdown().await.unwrap();
    assert_eq!(codes(&mut client, "").await, expected, "it stalls until the client leaves");
}
