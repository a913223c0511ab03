//! With TLS or a sign-in in front of the mailbox.

use std::time::Instant;

use base64::prelude::{BASE64_STANDARD, Engine};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream, copy_bidirectional};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;

/// A certificate of its own, and the file that makes a client trust it.
pub(super) struct Certificate {
    acceptor: TlsAcceptor,
    folder: Folder,
}

impl Certificate {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self::of(&CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap(), &key)
    }

    pub(super) fn of(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let folder = Folder::new();
        std::fs::create_dir(&folder.0).unwrap();
        std::fs::write(folder.0.join("ca.pem"), certificate.pem()).unwrap();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), folder }
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.folder.0.join("ca.pem")
    }
}

/// Accepts connections and hands each to `serve` with an own connection to the mailbox.
async fn front<F>(
    mailbox: &Mailbox,
    serve: impl Fn(TcpStream, BufStream<TcpStream>) -> F + Send + 'static,
) -> SocketAddr
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let (addr, upstream) = (listener.local_addr().unwrap(), mailbox.addr());
    tokio::spawn(async move {
        loop {
            let client = listener.accept().await.unwrap().0;
            let mailbox = BufStream::new(TcpStream::connect(upstream).await.unwrap());
            tokio::spawn(serve(client, mailbox));
        }
    });
    addr
}

/// Reads a line of the client and answers it; returns the line.
async fn converse(stream: &mut (impl AsyncBufRead + AsyncWrite + Unpin), answer: &str) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    stream.write_all(answer.as_bytes()).await?;
    stream.flush().await?;
    Ok(line)
}

/// Reads a reply of the mailbox and keeps it from the client.
async fn swallow(mailbox: &mut BufStream<TcpStream>) -> io::Result<()> {
    let mut line = String::new();
    while mailbox.read_line(&mut line).await? > 0 && line.as_bytes().get(3) == Some(&b'-') {
        line.clear();
    }
    Ok(())
}

async fn join(mut client: impl AsyncRead + AsyncWrite + Unpin, mut mailbox: BufStream<TcpStream>) -> io::Result<()> {
    copy_bidirectional(&mut client, &mut mailbox).await.map(drop)
}

pub(super) async fn implicit(mailbox: &Mailbox, certificate: &Certificate) -> SocketAddr {
    let acceptor = certificate.acceptor.clone();
    front(mailbox, move |client, mailbox| {
        let acceptor = acceptor.clone();
        async move { join(acceptor.accept(client).await?, mailbox).await }
    })
    .await
}

/// `offer` is the answer to EHLO, `go` the one to STARTTLS; what the client said in plain text goes to `said`.
async fn starttls(
    mailbox: &Mailbox,
    certificate: &Certificate,
    offer: &'static str,
    go: &'static str,
) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let acceptor = certificate.acceptor.clone();
    let (say, said) = mpsc::unbounded_channel();
    let addr = front(mailbox, move |client, mut mailbox| {
        let (acceptor, say) = (acceptor.clone(), say.clone());
        async move {
            let mut client = BufStream::new(client);
            client.write_all(b"220 front\r\n").await?;
            client.flush().await?;
            for answer in [offer, go] {
                say.send(converse(&mut client, answer).await?).unwrap();
            }
            let client = acceptor.accept(client.into_inner()).await?;
            swallow(&mut mailbox).await?;
            join(client, mailbox).await
        }
    })
    .await;
    (addr, said)
}

pub(super) async fn send_over(addr: SocketAddr, tls: SmtpTls, ca_file: Option<PathBuf>) -> Result<Answer, Failure> {
    let server = Server::new(&MailSettings { ca_file, ..settings(addr, tls) }).unwrap();
    let mut session = Session::default();
    let answer = session.send(&server, &letter(1)).await;
    session.quit().await;
    answer
}

#[tokio::test]
async fn implicit_tls_delivers() {
    let (mailbox, _folder, _) = mailbox(|_| Action::Proceed).await;
    let certificate = Certificate::new("localhost");
    let addr = implicit(&mailbox, &certificate).await;
    let answer = send_over(addr, SmtpTls::Implicit, Some(certificate.ca_file())).await;
    assert_eq!(answer.unwrap().smtp_code(), 250);
    assert_eq!(mailbox.received().len(), 1);
}

#[tokio::test]
async fn starttls_delivers() {
    let (mailbox, _folder, _) = mailbox(|_| Action::Proceed).await;
    let certificate = Certificate::new("localhost");
    let (addr, mut said) =
        starttls(&mailbox, &certificate, "250-front\r\n250-starttls\r\n250 SIZE\r\n", "220 go\r\n").await;
    let answer = send_over(addr, SmtpTls::Starttls, Some(certificate.ca_file())).await;
    assert_eq!(answer.unwrap().smtp_code(), 250);
    assert_eq!(mailbox.received().len(), 1);
    assert_eq!(said.recv().await.unwrap(), "EHLO hub.example\r\n");
    assert_eq!(said.recv().await.unwrap(), "STARTTLS\r\n");
}

#[tokio::test]
async fn an_untrusted_certificate_or_one_for_another_host_is_refused() {
    let (mailbox, _folder, _) = mailbox(|_| Action::Proceed).await;
    let (right, other) = (Certificate::new("localhost"), Certificate::new("mail.example.com"));
    for (certificate, ca_file) in [(&right, other.ca_file()), (&other, other.ca_file())] {
        let addr = implicit(&mailbox, certificate).await;
        let failure = send_over(addr, SmtpTls::Implicit, Some(ca_file)).await.unwrap_err();
        assert!(matches!(failure, Failure::Unreachable { answer: Answer::Tls, .. }), "{failure:?}");
    }
    assert_eq!(mailbox.received().len(), 0);
}

#[tokio::test]
async fn without_starttls_nothing_is_sent() {
    let (mailbox, _folder, _) = mailbox(|_| Action::Proceed).await;
    let certificate = Certificate::new("localhost");
    let (addr, mut said) = starttls(&mailbox, &certificate, "250-front\r\n250 SIZE\r\n", "502 what\r\n").await;
    let failure = send_over(addr, SmtpTls::Starttls, Some(certificate.ca_file())).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable { answer: Answer::Tls, .. }), "{failure:?}");
    assert_eq!(said.recv().await.unwrap(), "EHLO hub.example\r\n");
    assert_eq!(said.recv().await.unwrap(), "");
}

#[tokio::test]
async fn an_answer_smuggled_in_before_the_handshake_is_noticed() {
    let (mailbox, _folder, _) = mailbox(|_| Action::Proceed).await;
    let certificate = Certificate::new("localhost");
    let go = "220 go\r\n250 AUTH PLAIN\r\n";
    let (addr, _said) = starttls(&mailbox, &certificate, "250-front\r\n250 STARTTLS\r\n", go).await;
    let failure = send_over(addr, SmtpTls::Starttls, Some(certificate.ca_file())).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable { answer: Answer::Tls, .. }), "{failure:?}");
    assert_eq!(mailbox.received().len(), 0);
}

#[test]
fn a_ca_file_without_a_certificate_is_refused() {
    let folder = Folder::new();
    std::fs::create_dir(&folder.0).unwrap();
    for (name, content) in [("empty.pem", ""), ("words.pem", "no certificate")] {
        let path = folder.0.join(name);
        std::fs::write(&path, content).unwrap();
        let settings = MailSettings { ca_file: Some(path), ..settings(ANY_PORT, SmtpTls::Implicit) };
        assert_eq!(Server::new(&settings).unwrap_err().field, "ca_file");
    }
    let missing = MailSettings { ca_file: Some(folder.0.join("missing.pem")), ..settings(ANY_PORT, SmtpTls::Starttls) };
    assert_eq!(Server::new(&missing).unwrap_err().field, "ca_file");
}

/// Signs in to a server that offers that; returns the outcome and what the client said to sign in.
async fn sign_in(
    offer: &'static str,
    challenges: &'static [&'static str],
    verdict: &'static str,
) -> (Result<Answer, Failure>, Vec<String>) {
    let (mailbox, _folder, _) = mailbox(|_| Action::Proceed).await;
    let (say, mut said) = mpsc::unbounded_channel();
    let addr = front(&mailbox, move |client, mut mailbox| {
        let say = say.clone();
        async move {
            let mut client = BufStream::new(client);
            client.write_all(b"220 front\r\n").await?;
            client.flush().await?;
            converse(&mut client, &format!("250-front\r\n250 {offer}\r\n")).await?;
            for answer in challenges.iter().chain(&[verdict]) {
                say.send(converse(&mut client, answer).await?).unwrap();
            }
            swallow(&mut mailbox).await?;
            mailbox.write_all(b"EHLO front\r\n").await?;
            mailbox.flush().await?;
            swallow(&mut mailbox).await?;
            join(client, mailbox).await
        }
    })
    .await;
    let settings = MailSettings {
        username: Some("hub".to_owned()),
        password: Some("hunter2".into()),
        ..settings(addr, SmtpTls::None)
    };
    let answer = Session::default().send(&Server::new(&settings).unwrap(), &letter(1)).await;
    let mut lines = Vec::new();
    while let Ok(line) = said.try_recv() {
        lines.push(line.trim_end().to_owned());
    }
    (answer, lines)
}

#[tokio::test]
async fn it_signs_in_by_plain_or_login() {
    let both = BASE64_STANDARD.encode("\0hub\0hunter2");
    for offer in ["AUTH PLAIN", "auth plain login", "AUTH=PLAIN", "Auth LOGIN  Plain"] {
        let (answer, said) = sign_in(offer, &[], "235 welcome\r\n").await;
        assert_eq!(answer.unwrap().smtp_code(), 250, "{offer}");
        assert_eq!(said, [format!("AUTH PLAIN {both}")], "{offer}");
    }
    // a server that does not look at what stands behind the command
    let (answer, said) = sign_in("AUTH PLAIN", &["334 \r\n"], "235 welcome\r\n").await;
    assert_eq!(answer.unwrap().smtp_code(), 250);
    assert_eq!(said, [format!("AUTH PLAIN {both}"), both]);

    // "Username:" and "Password:", or whatever the server calls them
    for (offer, challenges) in [
        ("AUTH LOGIN", &["334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n"]),
        ("AUTH=LOGIN", &["334 VXNlcg==\r\n", "334\r\n"]),
        ("auth login", &["334 dXNlcm5hbWU6\r\n", "334 Benutzername\r\n"]),
        ("AUTH\tNTLM LOGIN", &["334-Password\r\n334 first\r\n", "334 User Name\0\r\n"]),
    ] {
        let (answer, said) = sign_in(offer, challenges, "235 welcome\r\n").await;
        assert_eq!(answer.unwrap().smtp_code(), 250, "{offer}");
        assert_eq!(said, ["AUTH LOGIN".to_owned(), BASE64_STANDARD.encode("hub"), BASE64_STANDARD.encode("hunter2")]);
    }
}

/// The password is not said to a server that has not offered to take it.
#[tokio::test]
async fn where_no_sign_in_is_offered_the_password_is_kept() {
    for offer in ["SIZE 1000", "AUTH CRAM-MD5 XOAUTH2", "XAUTH PLAIN", "AUTHPLAIN", "SIZE AUTH PLAIN"] {
        let (answer, said) = sign_in(offer, &[], "235 welcome\r\n").await;
        let failure = answer.unwrap_err();
        assert!(matches!(failure, Failure::Unreachable { answer: Answer::Connection, .. }), "{offer}: {failure:?}");
        assert!(said.concat().is_empty(), "{offer}: {said:?}");
    }
}

#[tokio::test]
async fn a_refused_sign_in_fails_no_email() {
    let (answer, _) = sign_in("AUTH PLAIN", &[], "535 5.7.8 hub is not welcome\r\n").await;
    let failure = answer.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable { answer, .. } if answer.smtp_code() == 535), "{failure:?}");
    assert!(!format!("{failure:?}").contains("welcome"), "{failure:?}");
}

/// Without TCP_NODELAY the last packet of each email waits for a delayed ACK: 44 ms, every time.
#[tokio::test]
async fn an_email_does_not_wait_for_a_delayed_ack() {
    let (mailbox, _folder, _) = mailbox(|_| Action::Proceed).await;
    let certificate = Certificate::new("localhost");
    for (addr, tls) in [(mailbox.addr(), SmtpTls::None), (implicit(&mailbox, &certificate).await, SmtpTls::Implicit)] {
        let settings = MailSettings { ca_file: Some(certificate.ca_file()), ..settings(addr, tls) };
        let (server, mut session) = (Server::new(&settings).unwrap(), Session::default());
        // on a busy machine most of them wait for something else
        let begin = Instant::now();
        loop {
            let start = Instant::now();
            session.send(&server, &letter(1)).await.unwrap();
            let took = start.elapsed();
            if took < Duration::from_millis(30) {
                break;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "{tls:?}: {took:?}");
        }
    }
}
