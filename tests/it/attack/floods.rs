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
use tonic::transport::Endpoint;

use super::process::{Circumstances, Process};
use crate::support::{Channel, PATIENCE, Person, Service, channel_to, evidence};

const GET: &str = "/ipmhub.invitations.v1.OrganizationService/GetOrganization";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// As many as a connection may have.
const STREAMS: usize = 100;
/// All but the last byte of one of the longest requests.
static UNENDED: [u8; 65_539] = {
    let mut message = [b'a'; 65_539];
    [message[0], message[1], message[2]] = [0; 3];
    [message[3], message[4]] = [255; 2];
    message
};
/// How much the process may grow, in MiB.
const GROWTH: f64 = 64.0;
/// How long each attack goes on, at least.
const SPELL: Duration = Duration::from_secs(2);
/// How many calls somebody else makes meanwhile, at least.
const CALLS: usize = 10;

/// Somebody who calls one time after the other: on a connection that was there before the attacks, and on new ones.
struct Bystander {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    errors: JoinHandle<Vec<String>>,
}

impl Bystander {
    async fn start(person: &Person, server: SocketAddr) -> Self {
        let person = person.on(&channel_to(server).await);
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&calls));
        let errors = tokio::spawn(async move {
            let mut errors = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let newcomer = match Channel::open(Endpoint::from_shared(format!("http://{server}")).unwrap()).await {
                    Ok(channel) => person.on(&channel),
                    Err(error) => {
                        errors.push(format!("no connection: {error:?}"));
                        continue;
                    }
                };
                for caller in [&person, &newcomer] {
                    match timeout(PATIENCE, caller.member("acme", "olga")).await {
                        Ok(Ok(_)) => {}
                        Ok(Err(status)) => errors.push(status.to_string()),
                        Err(_) => errors.push("no answer".to_owned()),
                    }
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

    async fn end(self) {
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

    /// Requests that never end, each with all that a request may hold but its last byte, as many as the server takes on
    /// each of so many connections; or Watch streams. They stay as long as `lasting` does.
    async fn streams_without_end(&self, connections: usize, lasting: impl Future<Output = ()>) -> usize {
        let mut opened = 0;
        let mut kept = Vec::new();
        for number in 0..connections {
            let Some(requests) = self.connection().await else { continue };
            for _ in 0..STREAMS {
                let Ok(Ok(mut requests)) = timeout(PATIENCE, requests.clone().ready()).await else { break };
                let path = if number < 3 { WATCH } else { GET };
                let request = self.request(path, &[("grpc-timeout", "1M")]);
                let Ok((response, mut body)) = requests.send_request(request, false) else { break };
                if path == WATCH {
                    body.send_data(vec![0; 5].into(), true).ok();
                } else {
                    body.send_data(Bytes::from_static(&UNENDED), false).ok();
                }
                opened += 1;
                kept.push((response, body));
            }
        }
        lasting.await;
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

/// A service in a process of its own, somebody who works with it and somebody who attacks it.
async fn scene(settings: &[(&str, &str)]) -> (Service, Process, Bystander, Attacker) {
    let circumstances = Circumstances { settings, log_level: "warn", ..Circumstances::default() };
    let (service, process) = Process::serve(circumstances).await;
    let owner = service.owner("olga", "acme").await;
    super::warm_up(&service).await;
    let bystander = Bystander::start(&owner, process.address).await;
    let (token, calls) = (owner.token.clone(), Arc::clone(&bystander.calls));
    let attacker = Attacker { server: process.address, token, calls };
    (service, process, bystander, attacker)
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_cost_the_server_no_memory_and_nobody_else_an_answer() {
    // fewer than connect without calling
    let settings = [("max_connections", "200"), ("wrong_codes_limit", "0")];
    let (_service, mut process, bystander, attacker) = scene(&settings).await;
    let start = process.memory();
    let mut story = Vec::new();
    for attack in ["streams", "resets", "silence", "headers", "bombs", "prefixes"] {
        let before = bystander.calls();
        let count = match attack {
            "streams" => attacker.streams_without_end(40, attacker.spell().end()).await,
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

/// Control of the first of the floods.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_requests_may_be_on_their_way_they_fill_the_memory() {
    let (_service, process, _bystander, attacker) = scene(&[("max_arriving_requests", "100000")]).await;
    let start = process.memory();
    let full = async {
        while process.memory() - start < GROWTH {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let flood = attacker.streams_without_end(30, std::future::pending());
    tokio::select! {
        () = full => {}
        _ = timeout(PATIENCE, flood) => panic!("from {start:.1} to {:.1} MiB", process.memory()),
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_file_descriptors_everybody_else_goes_on() {
    // what the service itself needs and some dozens of clients
    let circumstances = Circumstances { log_level: "warn", limit: "-n 96", ..Circumstances::default() };
    let (service, process) = Process::serve(circumstances).await;
    let owner = service.owner("olga", "acme").await;
    super::warm_up(&service).await;
    let start = process.memory();
    let bystander = Bystander::start(&owner, process.address).await;
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
