//! A gRPC client of several addresses, as its specification has it: round robin over those that it is connected to, and
//! retries by the published service config.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use crate::support::Channel;

/// How long it waits before it connects again to an address that does not answer (gRPC's connection backoff).
const RECONNECT: Duration = Duration::from_secs(1);

/// What `retryPolicy` and `retryThrottling` say.
#[derive(Clone, Copy)]
pub struct Policy {
    max_attempts: u32,
    initial_backoff: Duration,
    max_backoff: Duration,
    max_tokens: f64,
    token_ratio: f64,
}

impl Policy {
    /// As clients/service-config.json has it; a test compares them.
    pub const PUBLISHED: Self = Self {
        max_attempts: 5,
        initial_backoff: Duration::from_millis(500),
        max_backoff: Duration::from_secs(5),
        max_tokens: 100.0,
        token_ratio: 0.1,
    };
    pub const NONE: Self = Self { max_attempts: 1, ..Self::PUBLISHED };

    /// Before the next attempt after that one, from 1; jittered by a fifth (gRPC's A6).
    fn backoff(self, attempt: u32) -> Duration {
        let backoff = self.initial_backoff * 2_u32.pow(attempt - 1);
        backoff.min(self.max_backoff).mul_f64(rand::random_range(0.8..1.2))
    }
}

/// One address.
struct Address {
    endpoint: Endpoint,
    /// `None`: not connected at present. With the number of the connection, of which there are several in a row.
    connection: Mutex<(usize, Option<Channel>)>,
}

pub struct Client {
    addresses: Vec<Arc<Address>>,
    next: AtomicUsize,
    policy: Policy,
    /// Above half of it there are retries.
    tokens: Mutex<f64>,
    pub retries: AtomicUsize,
}

impl Client {
    /// Connects to all of them, and stays at it.
    pub async fn new(addresses: &[SocketAddr], policy: Policy) -> Arc<Self> {
        let mut all = Vec::new();
        for address in addresses {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap().tcp_nodelay(true);
            let channel = Channel::open(endpoint.clone()).await.unwrap();
            let address = Arc::new(Address { endpoint, connection: Mutex::new((0, Some(channel))) });
            tokio::spawn(Arc::clone(&address).stay_connected());
            all.push(address);
        }
        Arc::new(Self::to(all, policy))
    }

    fn to(addresses: Vec<Arc<Address>>, policy: Policy) -> Self {
        let (next, retries, tokens) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(policy.max_tokens));
        Self { addresses, next, policy, tokens, retries }
    }

    /// Makes a call, and repeats it as the policy says.
    pub async fn call<T>(&self, call: impl AsyncFn(&Channel) -> Result<T, Status>) -> Result<T, Status> {
        let mut attempt = 1;
        loop {
            let outcome = self.attempt(&call).await;
            let may_retry = self.note(outcome.as_ref().err());
            match outcome {
                Err(status) if is_unavailable(&status) && may_retry && attempt < self.policy.max_attempts => {
                    self.retries.fetch_add(1, Ordering::Relaxed);
                    sleep(pushback(&status).unwrap_or_else(|| self.policy.backoff(attempt))).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn attempt<T>(&self, call: &impl AsyncFn(&Channel) -> Result<T, Status>) -> Result<T, Status> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..self.addresses.len()).map(|n| &self.addresses[(first + n) % self.addresses.len()]);
        let connected = in_turn.filter_map(|address| {
            let connection = address.connection.lock().unwrap();
            connection.1.clone().map(|channel| (address, connection.0, channel))
        });
        let Some((address, number, channel)) = { connected }.next() else {
            return Err(Status::unavailable("no address is connected"));
        };
        let outcome = call(&channel).await;
        if outcome.as_ref().is_err_and(is_of_connection) {
            let mut connection = address.connection.lock().unwrap();
            if connection.0 == number {
                *connection = (number + 1, None);
            }
        }
        outcome
    }

    /// Counts for the throttle; whether there may be retries.
    fn note(&self, error: Option<&Status>) -> bool {
        let mut tokens = self.tokens.lock().unwrap();
        let change = if error.is_some_and(is_unavailable) { -1.0 } else { self.policy.token_ratio };
        *tokens = (*tokens + change).clamp(0.0, self.policy.max_tokens);
        *tokens > self.policy.max_tokens / 2.0
    }
}

impl Address {
    async fn stay_connected(self: Arc<Self>) {
        loop {
            let is_connected = self.connection.lock().unwrap().1.is_some();
            if is_connected {
                sleep(Duration::from_millis(20)).await;
            } else if let Ok(channel) = Channel::open(self.endpoint.clone()).await {
                self.connection.lock().unwrap().1 = Some(channel);
            } else {
                sleep(RECONNECT).await;
            }
        }
    }
}

/// What the server says instead of the backoff.
fn pushback(status: &Status) -> Option<Duration> {
    status.metadata().get("grpc-retry-pushback-ms")?.to_str().ok()?.parse().ok().map(Duration::from_millis)
}

/// tonic's client has other words for it: what broke off or never came about is UNAVAILABLE by gRPC's own rules.
fn is_unavailable(status: &Status) -> bool {
    status.code() == Code::Unavailable || is_of_connection(status)
}

fn is_of_connection(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

fn published() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../clients/service-config.json")).unwrap()
}

#[test]
fn the_policy_is_the_published_one() {
    let Policy { max_attempts, initial_backoff, max_backoff, max_tokens, token_ratio } = Policy::PUBLISHED;
    let seconds = |duration: Duration| format!("{}s", duration.as_secs_f64());
    let config = published();
    assert_eq!(
        config["methodConfig"][0]["retryPolicy"],
        serde_json::json!({
            "maxAttempts": max_attempts, "initialBackoff": seconds(initial_backoff),
            "maxBackoff": seconds(max_backoff), "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"],
        })
    );
    let throttling = &config["retryThrottling"];
    let published = (throttling["maxTokens"].as_f64(), throttling["tokenRatio"].as_f64());
    assert_eq!(published, (Some(max_tokens), Some(token_ratio)));
}

/// What fails at once where a replica is killed.
#[test]
fn the_throttle_lets_all_calls_be_repeated_that_a_killed_replica_had() {
    let repeated = |max_tokens: f64, in_flight: u32| {
        let client = Client::to(Vec::new(), Policy { max_tokens, ..Policy::PUBLISHED });
        (0..in_flight).filter(|_| client.note(Some(&Status::unavailable("it was killed")))).count()
    };
    assert_eq!(repeated(Policy::PUBLISHED.max_tokens, 49), 49);
    // whoever is away for long is not asked twice for everything
    assert_eq!(repeated(Policy::PUBLISHED.max_tokens, 1000), 49);
    // the control: what was published before
    assert_eq!(repeated(10.0, 49), 4);
}

#[test]
fn the_published_policy_is_for_every_service_as_grpc_takes_it_and_the_page_shows_it() {
    let config = published();
    let [method_config] = &config["methodConfig"].as_array().unwrap()[..] else { panic!("one policy for all") };
    let named = method_config["name"].as_array().unwrap().iter().map(|name| name["service"].as_str().unwrap());
    let rpcs = invitations::domain::Method::ALL.iter();
    let services = rpcs.map(|rpc| rpc.path()[1..].split_once('/').unwrap().0);
    assert_eq!(named.collect::<BTreeSet<_>>(), services.collect::<BTreeSet<_>>());
    assert_eq!(method_config["waitForReady"], true);
    // gRPC's A6: what is above is taken as 5
    assert!((2..=5).contains(&Policy::PUBLISHED.max_attempts));
    assert!((0.0..=1000.0).contains(&Policy::PUBLISHED.max_tokens));

    let page = include_str!("../../../docs/clients.md");
    assert!(page.contains(include_str!("../../../clients/service-config.json")), "docs/clients.md shows another one");
}
