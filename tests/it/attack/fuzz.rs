//! Requests that no client would send, in numbers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::iter;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::process::{Circumstances, Process};
use super::requests::{Connection, LIFETIME, World, is_own_fault};
use crate::support::Service;

/// Before memory is looked at.
const WARM_UP: usize = 4_000;
const ALL: usize = 200_000;
/// Of each run of the tests.
const SOME: usize = 20_000;
/// How much the process may grow after the warm-up, in MiB.
const GROWTH: f64 = 20.0;
/// Calls under way on each of two connections.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_brings_down_the_server_or_makes_it_blame_itself() {
    send(SOME).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the same with 200,000 requests, which takes minutes"]
async fn no_request_of_very_many_brings_down_the_server() {
    send(ALL).await;
}

async fn send(requests: usize) {
    let settings = [("wrong_codes_limit", "0"), ("mail_poll_interval_seconds", "3600")];
    let circumstances = Circumstances { settings: &settings, log_level: "trace", ..Circumstances::default() };
    let (service, mut process) = Process::serve(circumstances).await;
    let mut sender = Sender::to(&service, process.address);
    sender.send(WARM_UP).await;
    let before = process.memory();
    let began = Instant::now();
    sender.send(requests).await;
    let after = process.memory();

    let tally = sender.tally;
    eprintln!("{tally:?} in {:?}, memory {before:.1} then {after:.1} MiB", began.elapsed());
    assert!(process.lives());
    let log = String::from_utf8_lossy(&process.log()).into_owned();
    assert!(!log.contains("panicked") && !log.contains("\"ERROR\""), "{log}");
    assert!(after - before < GROWTH, "it has grown from {before:.1} to {after:.1} MiB");
    // control: the requests reach every part of the service, not only what refuses them
    for code in ["Ok", "InvalidArgument", "NotFound", "FailedPrecondition", "Unauthenticated"] {
        assert!(tally.get(code).is_some_and(|count| *count > 50), "{code:?}: {tally:?}");
    }
    service.recount().await;
}

struct Sender<'a> {
    service: &'a Service,
    server: SocketAddr,
    rng: StdRng,
    worlds: usize,
    /// How many calls ended how.
    tally: BTreeMap<String, usize>,
}

impl<'a> Sender<'a> {
    fn to(service: &'a Service, server: SocketAddr) -> Self {
        // another seed for each day would find more, and fail on somebody who changed nothing
        Self { service, server, rng: StdRng::seed_from_u64(4), worlds: 0, tally: BTreeMap::new() }
    }

    async fn send(&mut self, count: usize) {
        for _ in 0..count / LIFETIME {
            let world = World::new(self.service, self.worlds).await;
            self.worlds += 1;
            let connections = [Connection::open(self.server).await, Connection::open(self.server).await];
            let calls = (0..LIFETIME).map(|number| {
                let mut bytes = vec![0; 64 << self.rng.random_range(0..4)];
                self.rng.fill(&mut bytes[..]);
                (&connections[number % connections.len()], world.request(&bytes))
            });
            let call = async |(connection, request): (&Connection, _)| {
                let status = connection.call(&request).await;
                assert!(!is_own_fault(&status), "{request:?}: {status:?}");
                status.code()
            };
            let mut answers = iter(calls.map(call)).buffer_unordered(AT_ONCE * connections.len());
            while let Some(code) = answers.next().await {
                *self.tally.entry(format!("{code:?}")).or_default() += 1;
            }
        }
    }
}
