//! What is done to a server over HTTP/2 by somebody who has a token.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use h2::client::SendRequest;
use invitations::pb;
use prost::Message;
use prost::bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::CALLS;
use crate::support::{Answer, PATIENCE};

const GET: &str = "/ipmhub.invitations.v1.OrganizationService/GetOrganization";
const LIST: &str = "/ipmhub.invitations.v1.InvitationService/ListInvitations";
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
/// How long each attack goes on, at least.
const SPELL: Duration = Duration::from_secs(2);

pub struct Attacker {
    pub server: SocketAddr,
    pub token: String,
    /// Of the bystander.
    pub calls: Arc<AtomicUsize>,
}

/// The time of one attack.
pub struct Spell {
    began: Instant,
    calls: Arc<AtomicUsize>,
    until: usize,
}

impl Spell {
    fn goes_on(&self) -> bool {
        let waits = self.calls.load(Ordering::Relaxed) < self.until && self.began.elapsed() < PATIENCE;
        waits || self.began.elapsed() < SPELL
    }

    pub async fn end(self) {
        while self.goes_on() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Attacker {
    pub fn spell(&self) -> Spell {
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
        drop(Answer::begin(response.headers()));
        let status = response.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
        status.or_else(|| Some(format!("http {}", response.status().as_u16())))
    }

    /// Answers that nobody reads: pages of a list, on connections with so many calls each. They are there as long as what
    /// is returned.
    pub async fn unread_pages(&self, count: usize) -> Vec<h2::RecvStream> {
        let message = pb::ListInvitationsRequest {
            parent: "organizations/acme".to_owned(),
            page_size: 200,
            ..Default::default()
        };
        let message = message.encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let body = Bytes::from([&[0][..], &length, &message].concat());
        let mut kept = Vec::new();
        while kept.len() < count {
            let Some(requests) = self.connection().await else { continue };
            for _ in 0..STREAMS.min(count - kept.len()) {
                let mut requests = requests.clone().ready().await.unwrap();
                let request = self.request(LIST, &[("grpc-timeout", "1M")]);
                let (response, mut sender) = requests.send_request(request, false).unwrap();
                sender.send_data(body.clone(), true).unwrap();
                let response = response.await.unwrap();
                drop(Answer::begin(response.headers()));
                assert_eq!(response.headers().get("grpc-status"), None, "a page, and no refusal");
                kept.push(response.into_body());
            }
        }
        kept
    }

    /// Requests that never end, each with all that a request may hold but its last byte, as many as the server takes on
    /// each of so many connections; or Watch streams. They stay as long as `lasting` does.
    pub async fn streams_without_end(&self, connections: usize, lasting: impl Future<Output = ()>) -> usize {
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

    pub async fn rapid_resets(&self) -> usize {
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
    pub async fn silence(&self, count: usize) -> usize {
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

    pub async fn large_headers(&self) -> usize {
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
    pub async fn bombs(&self) -> usize {
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
    pub async fn long_prefixes(&self) -> usize {
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
