//! Against a mailbox that misbehaves.

mod addresses;
mod certificates;
mod encrypted;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;
use crate::dev::mailbox::{Action, Mailbox, Script, Step};
use crate::mail::{BaseUrl, MailSettings, SmtpTls, parse_from};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn settings(addr: SocketAddr, tls: SmtpTls) -> MailSettings {
    MailSettings {
        host: "localhost".to_owned(),
        port: addr.port(),
        tls,
        username: None,
        password: None,
        from: parse_from("no-reply@hub.example").unwrap(),
        public_base_url: "https://hub.example".parse::<BaseUrl>().unwrap(),
        hello_name: "hub.example".to_owned(),
        ca_file: None,
        poll_interval: Duration::from_secs(1),
        workers: 1,
    }
}

fn plain(addr: SocketAddr) -> Server {
    Server::new(&settings(addr, SmtpTls::None)).unwrap()
}

fn plain_with(addr: SocketAddr, timeouts: Timeouts) -> Server {
    let mut server = plain(addr);
    server.timeouts = timeouts;
    server
}

fn letter(n: usize) -> Letter {
    Letter {
        sender: "no-reply@hub.example".parse().unwrap(),
        recipient: format!("anna{n}@example.com").parse().unwrap(),
        message: format!("Subject: {n}\r\n\r\n.hello\r\n").into_bytes(),
    }
}

/// A folder of this test that goes away with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("invitations-mail-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A mailbox that follows the script, and how often somebody connected to it.
async fn mailbox(script: impl Fn(Step<'_>) -> Action + Send + Sync + 'static) -> (Mailbox, Folder, Arc<AtomicUsize>) {
    let folder = Folder::new();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let script = Script::new(move |step| {
        if matches!(step, Step::Connect) {
            count.fetch_add(1, Ordering::SeqCst);
        }
        script(step)
    });
    let mailbox = Mailbox::start(ANY_PORT, &folder.0, script).await.unwrap();
    (mailbox, folder, connections)
}

fn is_first(recipient: &str) -> bool {
    recipient.starts_with("anna1@")
}

#[tokio::test]
async fn emails_go_one_after_another_over_one_connection() {
    let (mailbox, _folder, connections) = mailbox(|_| Action::Proceed).await;
    let (server, mut session) = (plain(mailbox.addr()), Session::default());
    for n in 1..=3 {
        assert_eq!(session.send(&server, &letter(n)).await.unwrap().smtp_code(), 250);
    }
    session.quit().await;
    session.send(&server, &letter(4)).await.unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    let received = mailbox.received();
    assert_eq!(received.len(), 4);
    assert_eq!(received[1].recipients, ["anna2@example.com"]);
    assert_eq!(received[1].sender, "no-reply@hub.example");
    assert!(received[1].message.starts_with(b"Subject: 2\r\n\r\n.hello\r\n"));
}

/// The first email meets `trouble`; the answers to the second one must be its own.
async fn first_then_second(trouble: impl Fn(Step<'_>) -> Action + Send + Sync + 'static) -> Failure {
    first_in_time_then_second(trouble, Timeouts::default()).await
}

/// The same, where the first email has only so much time.
async fn first_in_time_then_second(
    trouble: impl Fn(Step<'_>) -> Action + Send + Sync + 'static,
    timeouts: Timeouts,
) -> Failure {
    let (mailbox, _folder, connections) = mailbox(trouble).await;
    let (server, mut session) = (plain(mailbox.addr()), Session::default());
    let hasty = plain_with(mailbox.addr(), timeouts);
    let mut tries = 1;
    let failure = loop {
        match session.send(&hasty, &letter(1)).await.unwrap_err() {
            // a machine that stood still had no time to come to the trouble
            Failure::Unreachable { answer: Answer::Timeout, .. } if tries < 50 => tries += 1,
            failure => break failure,
        }
    };
    assert_eq!(session.send(&server, &letter(2)).await.unwrap().smtp_code(), 250);
    assert_eq!(connections.load(Ordering::SeqCst), tries + 1, "the connection of a failed email is used again");
    assert_eq!(mailbox.received().last().unwrap().recipients, ["anna2@example.com"]);
    failure
}

fn at_recipient(action: Action) -> impl Fn(Step<'_>) -> Action {
    move |step| if matches!(step, Step::Rcpt(recipient) if is_first(recipient)) { action } else { Action::Proceed }
}

fn at_message(action: Action) -> impl Fn(Step<'_>) -> Action {
    move |step| match step {
        Step::Message(received) if is_first(&received.recipients[0]) => action,
        _ => Action::Proceed,
    }
}

#[tokio::test]
async fn a_refused_recipient_or_message_is_final() {
    let failure = first_then_second(at_recipient(Action::Reply("550 5.1.1 unknown"))).await;
    assert!(matches!(failure, Failure::Refused(answer) if answer.smtp_code() == 550), "{failure:?}");
    let failure = first_then_second(at_message(Action::Reply("554 5.6.0 anna1@example.com looks like spam"))).await;
    assert!(matches!(failure, Failure::Refused(answer) if answer.smtp_code() == 554), "{failure:?}");
}

#[tokio::test]
async fn an_email_that_is_put_off_is_delayed() {
    let failure = first_then_second(at_recipient(Action::Reply("450 4.2.0 try again"))).await;
    assert!(matches!(failure, Failure::Delayed(answer) if answer.smtp_code() == 450), "{failure:?}");
    let failure = first_then_second(at_message(Action::Reply("452 4.3.1 full"))).await;
    assert!(matches!(failure, Failure::Delayed(answer) if answer.smtp_code() == 452), "{failure:?}");
}

#[tokio::test]
async fn silence_and_a_broken_connection_are_delays() {
    let soon = Duration::from_millis(300);
    let [command, end_of_data] =
        [Timeouts { command: soon, ..Timeouts::default() }, Timeouts { end_of_data: soon, ..Timeouts::default() }];
    for failure in [
        first_in_time_then_second(at_recipient(Action::Stall), command).await,
        first_in_time_then_second(at_message(Action::Stall), end_of_data).await,
    ] {
        assert!(matches!(failure, Failure::Delayed(Answer::Timeout)), "{failure:?}");
    }
    for failure in
        [first_then_second(at_recipient(Action::Drop)).await, first_then_second(at_message(Action::Drop)).await]
    {
        assert!(matches!(failure, Failure::Delayed(Answer::Connection)), "{failure:?}");
    }
}

#[tokio::test]
async fn a_server_that_wants_no_email_at_all_says_nothing_about_this_one() {
    for (step, code) in [("connect", 554), ("mail", 553)] {
        let (mailbox, _folder, _) = mailbox(move |now| match now {
            Step::Connect if step == "connect" => Action::Reply("554 no service"),
            Step::Mail(_) if step == "mail" => Action::Reply("553 5.7.1 not your address"),
            _ => Action::Proceed,
        })
        .await;
        let failure = Session::default().send(&plain(mailbox.addr()), &letter(1)).await.unwrap_err();
        assert!(matches!(failure, Failure::Unreachable { answer, .. } if answer.smtp_code() == code), "{failure:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    // nobody else gets the port, and nobody listens on it
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind(ANY_PORT).unwrap();
    let addr = taken.local_addr().unwrap();
    let failure = Session::default().send(&plain(addr), &letter(1)).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable { answer: Answer::Connection, .. }), "{failure:?}");
}

#[tokio::test]
async fn a_kept_connection_that_the_server_has_closed_is_replaced() {
    let mails = AtomicUsize::new(0);
    let (mailbox, _folder, connections) = mailbox(move |step| match step {
        Step::Mail(_) if mails.fetch_add(1, Ordering::SeqCst) == 1 => Action::Reply("421 4.7.0 one email each"),
        _ => Action::Proceed,
    })
    .await;
    let (server, mut session) = (plain(mailbox.addr()), Session::default());
    for n in 1..=2 {
        session.send(&server, &letter(n)).await.unwrap();
    }
    assert_eq!((mailbox.received().len(), connections.load(Ordering::SeqCst)), (2, 2));
}
