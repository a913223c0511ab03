//! Names with several addresses, the first of which swallows packets: of Postgres, the mail server and an issuer. The
//! service is a process with an `/etc/hosts` of its own, which takes Linux and the right to make namespaces; elsewhere
//! these tests do nothing.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use invitations::dev::issuer;
use invitations::dev::mailbox::{Mailbox, Script};
use invitations::pb::delivery::State;
use invitations::server::Server;
use invitations::telemetry::{self, LogFormat};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::util::SubscriberInitExt;

use super::tried;
use crate::support::{Channel, Database, Person, channel_to, patiently, reason, scratch, settings_for};

/// What the process is told: the URL of its database, its folder, and other settings as JSON.
const TOLD: &str = "SERVICE_AT_NAMES";
/// All names have the first address, where nobody answers, and the second one.
const HOSTS: &str = "127.0.0.1 localhost\n\
    127.0.0.1 db.test mail.test id.test other.test\n\
    127.0.0.2 db.test mail.test id.test other.test\n";

/// Whether this machine lets a process have an `/etc/hosts` of its own, and names have several addresses there.
fn is_possible(dir: &Path) -> bool {
    let probe = r#"mount --bind "$0" /etc/hosts && test "$(getent ahostsv4 db.test | grep -c STREAM)" = 2"#;
    let mut command = Command::new("unshare");
    let command = command.args(["-r", "-m", "sh", "-c", probe]).arg(hosts(dir)).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn hosts(dir: &Path) -> PathBuf {
    let path = dir.join("hosts");
    std::fs::write(&path, HOSTS).unwrap();
    path
}

/// A port whose first address swallows what arrives: its queue of one place is taken.
struct Door {
    /// At the second address.
    listener: TcpListener,
    _swallowing: TcpListener,
    _guest: TcpStream,
}

impl Door {
    async fn new() -> Self {
        loop {
            let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
            let socket = TcpSocket::new_v4().unwrap();
            let first = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
            // somebody may have the port there
            if socket.bind(first).is_ok() {
                let swallowing = socket.listen(0).unwrap();
                let guest = TcpStream::connect(first).await.unwrap();
                let second = timeout(std::time::Duration::from_millis(300), TcpStream::connect(first)).await;
                assert!(second.is_err(), "control: nobody gets in there");
                return Self { listener, _swallowing: swallowing, _guest: guest };
            }
        }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Serves each connection with TLS, by that certificate.
    fn serve<F>(self, tls: TlsAcceptor, serve: impl Fn(TcpStream, TlsAcceptor) -> F + Send + 'static)
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        tokio::spawn(async move {
            loop {
                let (stream, _) = self.listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream, tls.clone()));
            }
        });
    }
}

/// For these names; the file is what a client trusts.
fn certificate(names: &[&str], ca_file: &Path) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    std::fs::write(ca_file, certificate.pem()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap());
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

async fn pass_on(mut near: impl AsyncRead + AsyncWrite + Unpin, to: SocketAddr) -> io::Result<()> {
    let mut far = TcpStream::connect(to).await?;
    far.set_nodelay(true)?;
    copy_bidirectional(&mut near, &mut far).await.map(drop)
}

/// Everything that the service has names for, at second addresses.
struct World {
    dir: PathBuf,
    database: Database,
    mailbox: Mailbox,
    ports: [u16; 3],
}

impl World {
    /// `None`: this machine does not let it be.
    async fn new(name: &str) -> Option<Self> {
        let dir = scratch(name);
        if !is_possible(&dir) {
            eprintln!("no namespaces here: not tried");
            return None;
        }
        let database = Database::create().await;
        let mailbox = Mailbox::start(([127, 0, 0, 1], 0).into(), &dir.join("mailbox"), Script::accept_all()).await;
        let mailbox = mailbox.unwrap();
        let tls = certificate(&["db.test", "mail.test", "id.test"], &dir.join("ca.pem"));
        let [postgres, mail, keys] = [Door::new().await, Door::new().await, Door::new().await];
        let ports = [postgres.port(), mail.port(), keys.port()];
        let server = database.service_url.rsplit_once('@').unwrap().1.split('/').next().unwrap().parse().unwrap();
        postgres.serve(tls.clone(), move |mut stream, tls| async move {
            // SSLRequest
            stream.read_exact(&mut [0; 8]).await?;
            stream.write_all(b"S").await?;
            pass_on(tls.accept(stream).await?, server).await
        });
        let smtp = mailbox.addr();
        mail.serve(tls.clone(), move |stream, tls| async move { pass_on(tls.accept(stream).await?, smtp).await });
        issuer::entries(&dir).unwrap();
        let jwks = std::fs::read_to_string(dir.join("issuer.jwks")).unwrap();
        keys.serve(tls, move |stream, tls| {
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{jwks}", jwks.len());
            async move {
                let mut stream = tls.accept(stream).await?;
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await?);
                }
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await
            }
        });
        Some(Self { dir, database, mailbox, ports })
    }

    /// A service that knows them by these names.
    fn start(&self, [postgres, mail, keys]: [&str; 3]) -> Process {
        let ca_file = self.dir.join("ca.pem");
        let [postgres_port, mail_port, keys_port] = self.ports;
        let (user, place) = self.database.service_url.rsplit_once('@').unwrap();
        let (_, name) = place.split_once('/').unwrap();
        let trust = format!("sslmode=verify-full&sslrootcert={}", ca_file.display());
        let url = format!("{user}@{postgres}:{postgres_port}/{name}?{trust}");
        let mut entries = serde_json::to_value(issuer::entries(&self.dir).unwrap()).unwrap();
        for entry in entries.as_array_mut().unwrap() {
            entry["jwks_file"] = Value::Null;
            entry["jwks_url"] = json!(format!("https://{keys}:{keys_port}/keys"));
            entry["ca_file"] = json!(ca_file);
        }
        let settings = json!({
            "issuers": entries.to_string(),
            "smtp_host": mail,
            "smtp_port": mail_port.to_string(),
            "smtp_tls": "implicit",
            "smtp_ca_file": ca_file,
        });
        Process::start(&self.dir, &url, &settings)
    }
}

/// This program again, with the service and nothing else in it. It ends when this is dropped.
struct Process {
    child: Child,
    /// Where it listens, or its line that it waits for the database.
    started: Result<SocketAddr, String>,
}

impl Process {
    fn start(dir: &Path, url: &str, settings: &Value) -> Self {
        let (_, module) = module_path!().split_once("::").unwrap();
        let script =
            format!(r#"mount --bind "$1" /etc/hosts && exec "$0" --exact {module}::the_service --ignored --nocapture"#);
        let mut command = Command::new("unshare");
        command.args(["-r", "-m", "sh", "-c", &script]).arg(std::env::current_exe().unwrap()).arg(hosts(dir));
        command.env(TOLD, json!([url, dir, settings]).to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let started = lines.find_map(|line| match line.strip_prefix("listens: ") {
            Some(address) => Some(Ok(address.parse().unwrap())),
            None => line.contains("waiting for the database").then_some(Err(line)),
        });
        // its output is read to the end
        std::thread::spawn(move || lines.count());
        Self { child, started: started.expect("the service starts or waits") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the tests below read where it listens")]
#[ignore = "no test, but the service of those below"]
async fn the_service() {
    let told = std::env::var(TOLD).expect("the tests below start this");
    let (url, dir, settings): (String, PathBuf, std::collections::BTreeMap<String, String>) =
        serde_json::from_str(&told).unwrap();
    let settings = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>();
    let settings = settings_for(&url, &dir, ([127, 0, 0, 1], 25).into(), &settings);
    telemetry::log(LogFormat::Json, "warn", io::stdout).try_init().expect("nobody else takes the log of this process");
    let stop = CancellationToken::new();
    let gone = stop.clone();
    // with its parent
    std::thread::spawn(move || {
        io::stdin().read_line(&mut String::new()).unwrap();
        gone.cancel();
    });
    let Some(server) = stop.run_until_cancelled(Server::start(&settings, &stop)).await else { return };
    let server = server.unwrap();
    println!("\nlistens: {}", server.address());
    server.finished().await.unwrap();
}

async fn owner(channel: &Channel, dir: &Path) -> Person {
    let token = issuer::user_token(dir, "olga", Some("olga@example.com"), true, issuer::Provider::Github).unwrap();
    let owner = Person::new(channel, token);
    owner.create_account("olga").await.unwrap();
    owner.create_organization("acme").await.unwrap();
    owner
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_whose_first_address_swallows_packets_is_reached() {
    let Some(world) = World::new("names_reached").await else { return };
    let process = world.start(["db.test", "mail.test", "id.test"]);
    let channel = channel_to(process.started.clone().unwrap()).await;
    let owner = owner(&channel, &world.dir).await;
    for number in 0..20 {
        let address = format!("anna{number}@example.com");
        let delivery = tried(&owner, &address).await;
        assert_eq!((delivery.state(), delivery.smtp_code), (State::Sent, 250), "{}", delivery.detail);
    }
    // the pool of reads, too
    let lists = (0..4).map(|_| {
        patiently(async || {
            let message = invitations::pb::ListInvitationsRequest {
                parent: "organizations/acme".to_owned(),
                page_size: 50,
                ..Default::default()
            };
            owner.invitations.clone().list_invitations(message).await
        })
    });
    for list in futures_util::future::join_all(lists).await {
        assert_eq!(list.unwrap().into_inner().invitations.len(), 20);
    }
    assert_eq!(world.mailbox.received().len(), 20);
}

/// The neighbour: whatever address answers, its certificate must be for the name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_must_still_be_for_the_name() {
    let Some(world) = World::new("names_checked").await else { return };
    let process = world.start(["other.test", "mail.test", "id.test"]);
    let refusal = process.started.clone().unwrap_err();
    assert!(refusal.contains("TLS handshake failed"), "{refusal}");
    drop(process);

    let process = world.start(["db.test", "other.test", "id.test"]);
    let channel = channel_to(process.started.clone().unwrap()).await;
    let owner = owner(&channel, &world.dir).await;
    let delivery = tried(&owner, "anna@example.com").await;
    assert_eq!(delivery.state(), State::Retrying);
    assert!(delivery.detail.contains("No encrypted connection"), "{}", delivery.detail);
    assert!(world.mailbox.received().is_empty());
    drop(process);

    let process = world.start(["db.test", "mail.test", "other.test"]);
    let channel = Channel::open(
        tonic::transport::Endpoint::from_shared(format!("http://{}", process.started.clone().unwrap())).unwrap(),
    );
    let token = issuer::user_token(&world.dir, "anna", Some("anna@example.com"), true, issuer::Provider::Github);
    let anna = Person::new(&channel.await.unwrap(), token.unwrap());
    assert_eq!(reason(anna.create_account("anna").await), "ISSUER_UNAVAILABLE");
}
