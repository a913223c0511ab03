//! A name with several addresses, of which only one serves.

use super::*;
use crate::dial::Addresses;

/// Connects to whichever of them serves, and sends a letter over that connection.
async fn sent_over(server: &Server, addresses: &[SocketAddr]) -> Result<Answer, Failure> {
    let connection = server.connect_to_one_of(addresses.iter().copied().collect::<Addresses>()).await?;
    match connection.deliver(&letter(1)).await {
        Ok((connection, answer)) => {
            connection.quit().await;
            Ok(answer)
        }
        Err(Stop::Sender(answer)) => Err(Failure::before_mail(crate::domain::SmtpStep::Mail, answer)),
        Err(Stop::Email(answer)) => Err(Failure::of_mail(answer)),
    }
}

/// Listens, and its queue of one place is taken: what else arrives is swallowed.
async fn swallowing() -> (SocketAddr, TcpListener, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(ANY_PORT).unwrap();
    let listener = socket.listen(0).unwrap();
    let addr = listener.local_addr().unwrap();
    let guest = TcpStream::connect(addr).await.unwrap();
    (addr, listener, guest)
}

#[tokio::test]
async fn the_address_that_serves_is_found_behind_others() {
    let (good, _folder, _) = mailbox(|_| Action::Proceed).await;
    let (swallowing, _listener, _guest) = swallowing().await;
    let refusing = TcpSocket::new_v4().unwrap();
    refusing.bind(ANY_PORT).unwrap();
    let refusing_at = refusing.local_addr().unwrap();
    let at_connect =
        |action| move |step: Step<'_>| if matches!(step, Step::Connect) { action } else { Action::Proceed };
    let (busy, _folder, _) = mailbox(at_connect(Action::Reply("421 4.3.2 too many connections"))).await;
    let (closed, _folder, _) = mailbox(at_connect(Action::Reply("554 no SMTP service here"))).await;
    let (broken, _folder, _) = mailbox(at_connect(Action::Drop)).await;
    let (silent, _folder, _) = mailbox(at_connect(Action::Stall)).await;
    let timeouts = Timeouts { command: Duration::from_millis(500), ..Timeouts::default() };
    let server = plain_with(good.addr(), timeouts);
    for first in [swallowing, refusing_at, busy.addr(), closed.addr(), broken.addr(), silent.addr()] {
        let answer = sent_over(&server, &[first, good.addr()]).await;
        assert_eq!(answer.unwrap().smtp_code(), 250, "behind {first}");
    }
    assert_eq!(good.received().len(), 6);

    // where none serves, what the first one said is what counts
    let failure = sent_over(&server, &[busy.addr(), refusing_at, closed.addr()]).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable { answer, .. } if answer.smtp_code() == 421), "{failure:?}");
    let failure = sent_over(&server, &[refusing_at]).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable { answer: Answer::Connection, .. }), "{failure:?}");
    let impatient = Timeouts { connect: Duration::from_millis(300), ..Timeouts::default() };
    let failure = sent_over(&plain_with(swallowing, impatient), &[swallowing]).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable { answer: Answer::Timeout, .. }), "{failure:?}");
}

/// An email is never offered twice: what the server says about it is said.
#[tokio::test]
async fn a_refused_email_goes_to_no_other_address() {
    let (other, _folder, asked) = mailbox(|_| Action::Proceed).await;
    for (reply, code) in [("550 5.1.1 unknown", 550), ("451 4.3.0 later", 451)] {
        let (first, _folder, _) = mailbox(at_recipient(Action::Reply(reply))).await;
        let server = plain(first.addr());
        match sent_over(&server, &[first.addr(), other.addr()]).await.unwrap_err() {
            Failure::Refused(answer) | Failure::Delayed(answer) => assert_eq!(answer.smtp_code(), code),
            failure @ Failure::Unreachable { .. } => panic!("{failure:?}"),
        }
    }
    // nor is a password tried everywhere
    let (first, _folder, _) = mailbox(|_| Action::Proceed).await;
    let sign_in = MailSettings {
        username: Some("hub".to_owned()),
        password: Some("hunter2".into()),
        ..settings(first.addr(), SmtpTls::None)
    };
    let failure = sent_over(&Server::new(&sign_in).unwrap(), &[first.addr(), other.addr()]).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable { .. }), "{failure:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}
