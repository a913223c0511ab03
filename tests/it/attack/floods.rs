//! HTTP/2 against the real service in a process of its own, while somebody else goes on working with it.
//!
//! What each limit does by itself is tried in `transport`; here all of them have to hold at once, within one memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use h2::client::SendRequest;
use prost::bytes::Bytes;
use std::io::Write;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::process::{Circumstances, Process};
use crate::support::{PATIENCE, Person, channel_to, evidence};

const GET: &str = "/ipmhub.invitations.v1.OrganizationService/GetOrganization";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How much the process may grow, in MiB.
const GROWTH: f64 = 64.0;
/// How long each attack goes on, at least.
const SPELL: Duration = Duration::from_secs(2);
/// How many calls somebody else makes meanwhile, at least.
const CALLS: usize = 10;

/// Somebody who calls one time after the other, on a connection that was there before the attacks.
struct Bystander {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    errors: JoinHandle<Vec<String>>,
}

impl Bystander {
    fn start(person: Person) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&calls));
        let errors = tokio::spawn(async move {
            let mut errors = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                match timeout(PATIENCE, person.member("acme", "olga")).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(status)) => errors.push(status.to_string()),
                    Err(_) => errors.push("no answer".to_owned()),
                }
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            errors
        });
        Self { stop, calls, errors }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

struct Attacker {
    server: SocketAddr,
    token: String,
    /// Of the bystander.
    calls: Arc<AtomicUsize>,
}

/// The time of one attack.
struct Spell {
    began: Instant,
    calls: Arc<AtomicUsize>,
    until: usize,
}

impl Spell {
    fn goes_on(&self) -> bool {
        let waits = self.calls.load(Ordering::Relaxed) < self.until && self.began.elapsed() < PATIENCE;
        waits || self.began.elapsed() < SPELL
    }

    async fn end(&self) {
        while self.goes_on() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Attacker {
    fn spell(&self) -> Spell {
        let calls = Arc::clone(&self.calls);
        Spell { began: Instant::now(), until: calls.load(Ordering::Relaxed) + CALLS, calls }
    }

    async fn socket(&self) -> Option<TcpStream> {
        TcpStream::connect(self.server).await.ok()
    }

    async fn connection(&self) -> Option<SendRequest<Bytes>> {
        let (requests, connection) = h2::client::handshake(self.socket().await?).await.ok()?;
        tokio::spawn(connection);
        Some(requests)
    }

    fn request(&self, path: &str, headers: &[(&str, &str)]) -> http::Request<()> {
        let mut request = http::Request::post(format!("http://service{path}")).header("te", "trailers");
        request = request
            .header("content-type", "application/grpc")
            .header("authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    /// Sends what is given and says how the call ended: its gRPC status, or none.
    async fn call(
        &self,
        requests: &SendRequest<Bytes>,
        headers: &[(&str, &str)],
        body: Bytes,
        end: bool,
    ) -> Option<String> {
        let mut requests = requests.clone().ready().await.ok()?;
        let (response, mut sender) = requests.send_request(self.request(GET, headers), false).ok()?;
        sender.send_data(body, end).ok()?;
        let response = timeout(PATIENCE, response).await.ok()?.ok()?;
        evidence::answer(format!("{:?}", response.headers()).as_bytes());
        let status = response.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
        status.or_else(|| Some(format!("http {}", response.status().as_u16())))
    }

    /// Requests whose body never ends, as many as the server takes.
    async fn streams_without_end(&self) -> usize {
        let mut opened = 0;
        let mut kept = Vec::new();
        let spell = self.spell();
        for _ in 0..30 {
            let Some(requests) = self.connection().await else { continue };
            for path in [GET, WATCH] {
                for _ in 0..150 {
                    let ready = timeout(Duration::from_millis(20), requests.clone().ready()).await;
                    let Ok(Ok(mut requests)) = ready else { break };
                    let Ok((response, mut body)) = requests.send_request(self.request(path, &[]), false) else { break };
                    let piece = if path == WATCH { vec![0; 5] } else { vec![0, 0, 0, 255, 255] };
                    body.send_data(piece.into(), path == WATCH).ok();
                    if path == GET {
                        body.reserve_capacity(64 * 1024);
                        body.send_data(vec![b'a'; 16_000].into(), false).ok();
                    }
                    opened += 1;
                    kept.push((response, body));
                }
            }
        }
        spell.end().await;
        opened
    }

    async fn rapid_resets(&self) -> usize {
        let mut reset = 0;
        let spell = self.spell();
        while spell.goes_on() {
            let Some(requests) = self.connection().await else { continue };
            while spell.goes_on()
                && let Ok(mut requests) = requests.clone().ready().await
                && let Ok((_, mut body)) = requests.send_request(self.request(GET, &[]), false)
            {
                body.send_reset(h2::Reason::CANCEL);
                reset += 1;
                tokio::task::yield_now().await;
            }
        }
        reset
    }

    /// Connections that say nothing, and such that begin to.
    async fn silence(&self, count: usize) -> usize {
        let spell = self.spell();
        let mut kept = Vec::new();
        for number in 0..count {
            let Some(mut socket) = self.socket().await else { continue };
            socket.write_all(&PREFACE[..number % PREFACE.len()]).await.ok();
            kept.push(socket);
        }
        // connections with a whole preface and nothing after it
        let mut idle = Vec::new();
        for _ in 0..count {
            idle.extend(self.connection().await);
        }
        spell.end().await;
        kept.len() + idle.len()
    }

    async fn large_headers(&self) -> usize {
        let mut refused = 0;
        let spell = self.spell();
        let large = "a".repeat(17 * 1024);
        while spell.goes_on() {
            let Some(requests) = self.connection().await else { continue };
            let answer = self.call(&requests, &[("x-large", &large)], Bytes::new(), true).await;
            assert!(answer.as_deref().is_none_or(|answer| answer == "http 431"), "{answer:?}");
            refused += 1;
        }
        refused
    }

    /// 64 MiB of nothing in 64 KiB.
    async fn bombs(&self) -> usize {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let mebibyte = vec![b'a'; 1 << 20];
        for _ in 0..64 {
            encoder.write_all(&mebibyte).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        let message = [&[1][..], &u32::try_from(bomb.len()).unwrap().to_be_bytes(), &bomb].concat();
        let mut refused = 0;
        let spell = self.spell();
        while spell.goes_on() {
            let Some(requests) = self.connection().await else { continue };
            let answer = self.call(&requests, &[("grpc-encoding", "gzip")], message.clone().into(), true).await;
            // INVALID_ARGUMENT
            assert_eq!(answer.as_deref(), Some("3"));
            refused += 1;
        }
        refused
    }

    /// A message that says it has 2 GiB, and 4 GiB less one byte.
    async fn long_prefixes(&self) -> usize {
        let mut refused = 0;
        let spell = self.spell();
        while spell.goes_on() {
            let Some(requests) = self.connection().await else { continue };
            for length in [1_u32 << 31, u32::MAX] {
                let message = [&[0][..], &length.to_be_bytes(), b"some"].concat();
                assert_eq!(self.call(&requests, &[], message.into(), false).await.as_deref(), Some("3"));
                refused += 1;
            }
        }
        refused
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_cost_the_server_no_memory_and_nobody_else_an_answer() {
    let settings = [("max_connections", "400"), ("wrong_codes_limit", "0")];
    let circumstances = Circumstances { settings: &settings, log_level: "warn", ..Circumstances::default() };
    let (service, mut process) = Process::serve(circumstances).await;
    let owner = service.owner("olga", "acme").await;
    super::warm_up(&service).await;
    let start = process.memory();
    let bystander = Bystander::start(owner.on(&channel_to(process.address).await));
    let (token, calls) = (owner.token.clone(), Arc::clone(&bystander.calls));
    let attacker = Attacker { server: process.address, token, calls };
    let mut story = Vec::new();
    for attack in ["streams", "resets", "silence", "headers", "bombs", "prefixes"] {
        let before = bystander.calls();
        let count = match attack {
            "streams" => attacker.streams_without_end().await,
            "resets" => attacker.rapid_resets().await,
            "silence" => attacker.silence(150).await,
            "headers" => attacker.large_headers().await,
            "bombs" => attacker.bombs().await,
            _ => attacker.long_prefixes().await,
        };
        let memory = process.memory();
        story.push(format!("{attack}: {count}, {} calls meanwhile, {memory:.1} MiB", bystander.calls() - before));
        assert!(count > 10 && bystander.calls() - before >= CALLS, "{story:#?}");
        assert!(memory - start < GROWTH, "from {start:.1} MiB: {story:#?}");
    }
    eprintln!("from {start:.1} MiB: {story:#?}");
    bystander.stop.store(true, Ordering::Relaxed);
    assert_eq!(bystander.errors.await.unwrap(), Vec::<String>::new(), "{story:#?}");
    assert!(process.lives());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_file_descriptors_those_who_are_there_go_on() {
    // what the service itself needs and some dozens of clients
    let circumstances = Circumstances { log_level: "warn", limit: "-n 96", ..Circumstances::default() };
    let (service, process) = Process::serve(circumstances).await;
    let owner = service.owner("olga", "acme").await;
    super::warm_up(&service).await;
    let start = process.memory();
    let bystander = Bystander::start(owner.on(&channel_to(process.address).await));
    let (token, calls) = (owner.token.clone(), Arc::clone(&bystander.calls));
    let attacker = Attacker { server: process.address, token, calls };
    let before = bystander.calls();
    let opened = attacker.silence(150).await;
    assert!(opened > 100 && bystander.calls() - before >= CALLS);
    assert!(process.memory() - start < GROWTH);
    // control: it was out of them
    assert!(String::from_utf8_lossy(&process.log()).contains("no connection can be accepted"));
    bystander.stop.store(true, Ordering::Relaxed);
    assert_eq!(bystander.errors.await.unwrap(), Vec::<String>::new());
    let late = owner.on(&channel_to(process.address).await);
    assert!(late.member("acme", "olga").await.is_ok());
}
