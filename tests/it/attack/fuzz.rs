//! Requests that no client would send, in numbers.

use futures_util::StreamExt;
use futures_util::stream::iter;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tonic::Code;

use super::process::{Circumstances, Process};
use super::requests::{Contract, Dice};
use super::wire;
use crate::support::{Channel, Service, channel_to};

/// Before memory is looked at.
const WARM_UP: usize = 4_000;
const ALL: usize = 200_000;
/// Of each run of the tests.
const SOME: usize = 20_000;
/// How much the process may grow after the warm-up, in MiB.
const GROWTH: f64 = 20.0;
/// Calls under way on each of the connections.
const AT_ONCE: usize = 4;
const CONNECTIONS: usize = 2;

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
    let world = World::new(&service).await;
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(channel_to(process.address).await);
    }
    // another seed for each day would find more, and fail on somebody who changed nothing
    let mut rng = StdRng::seed_from_u64(4);
    let mut tally = Tally::default();
    tally.add(&world, &channels, &mut rng, WARM_UP).await;
    let before = process.memory();
    let began = std::time::Instant::now();
    tally.add(&world, &channels, &mut rng, requests).await;
    let after = process.memory();

    eprintln!("{tally:?} in {:?}, memory {before:.1} then {after:.1} MiB", began.elapsed());
    assert!(process.lives());
    let log = String::from_utf8_lossy(&process.log()).into_owned();
    assert!(!log.contains("panicked") && !log.contains("\"ERROR\""), "{log}");
    assert!(after - before < GROWTH, "it has grown from {before:.1} to {after:.1} MiB");
    // control: the requests reach every part of the service, not only what refuses them
    for code in [Code::Ok, Code::InvalidArgument, Code::NotFound, Code::FailedPrecondition, Code::Unauthenticated] {
        assert!(tally.of(code) > 50, "{code:?}: {tally:?}");
    }
    service.recount().await;
}

/// Who can call, and what there is to be named.
struct World {
    contract: Contract,
    tokens: Vec<Option<String>>,
}

impl World {
    async fn new(service: &Service) -> Self {
        let owner = service.owner("olga", "acme").await;
        let (anna, requested) = service.requested(&owner, "acme", "anna").await;
        let (_, offered) = service.offered(&owner, "acme", "ben", "READER").await;
        let member = service.member(&owner, "acme", "carl", "MANAGER").await;
        let invited = owner.invite("acme", "dora@example.com").await.unwrap();
        let gateway =
            service.service("gateway", &invitations::domain::Scope::ALL.map(invitations::domain::Scope::as_str));
        let words = [
            "organizations/acme",
            "organizations/umbrella",
            "organizations/acme/members/anna",
            "organizations/acme/members/me",
            "organizations/acme/members/carl",
            "accounts/me",
            "accounts/anna",
            "accounts/olga",
            "acme",
            "umbrella",
            "anna",
            "ben",
            "carl",
            "emil",
            "anna@example.com",
            "ben@example.com",
            "dora@example.com",
            "new@example.com",
            "The acme people",
            "en",
            "de-AT",
            "display_name",
            "policy",
            "role",
            "*",
            "policy.approval_role",
            "example.com",
            "github",
            "W/\"1\"",
            "7d9bd3a2-3c0e-4fd0-9d2b-0a3a1f0a8b11",
            "0191e0a0-0000-7000-8000-000000000001",
        ];
        let mut words = words.map(str::to_owned).to_vec();
        words.extend([requested.name, requested.etag, offered.name, offered.etag, invited.name.clone(), invited.etag]);
        words.push(service.code_to("dora@example.com", 1).await);
        let tokens = [&owner, &owner, &gateway, &anna, &member].map(|person| Some(person.token.clone()));
        let stranger = service.stranger("nobody", "nobody@example.com").token;
        Self { contract: Contract::new(words), tokens: [&tokens[..], &[Some(stranger), None]].concat() }
    }

    /// A path, a token and the bytes of a message: two of three made by the contract, of these one in four damaged.
    fn request(&self, rng: &mut StdRng) -> (String, Option<String>, Vec<u8>) {
        let mut bytes = vec![0; 64 << rng.random_range(0..4)];
        rng.fill(&mut bytes[..]);
        let (method, mut message) = self.contract.request(&mut Dice::new(&bytes));
        match rng.random_range(0..6) {
            0 | 1 => message = bytes[..rng.random_range(0..64)].to_vec(),
            2 if !message.is_empty() => {
                for _ in 0..rng.random_range(1..4) {
                    let at = rng.random_range(0..message.len());
                    message[at] ^= 1 << rng.random_range(0..8);
                }
            }
            _ => {}
        }
        (method.path.clone(), self.tokens[rng.random_range(0..self.tokens.len())].clone(), message)
    }
}

/// How many calls ended how.
#[derive(Default, Debug)]
struct Tally(std::collections::BTreeMap<String, usize>);

impl Tally {
    fn of(&self, code: Code) -> usize {
        self.0.get(&format!("{code:?}")).copied().unwrap_or_default()
    }

    async fn add(&mut self, world: &World, channels: &[Channel], rng: &mut StdRng, count: usize) {
        let requests = (0..count).map(|n| (&channels[n % channels.len()], world.request(rng)));
        let call = async |(channel, (path, token, message)): (_, (String, Option<String>, Vec<u8>))| {
            let answer = wire::call(channel, &path, token.as_deref(), message.clone()).await;
            let status = answer.err().unwrap_or_else(|| tonic::Status::ok(""));
            let fine = !matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss);
            assert!(fine, "{path} {message:?}: {status:?}");
            status.code()
        };
        let mut answers = iter(requests.map(call)).buffer_unordered(AT_ONCE * channels.len());
        while let Some(code) = answers.next().await {
            *self.0.entry(format!("{code:?}")).or_default() += 1;
        }
    }
}
