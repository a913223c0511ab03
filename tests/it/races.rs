//! What happens at once: many callers, two replicas; and each protection left out once, to see that it is needed.

mod answers;
mod batches;
mod deletion;
mod locks;
mod organizations;
mod requests;
mod revocations;
mod workers;

use std::fmt::Debug;
use std::pin::pin;

use futures_util::future::join_all;
use invitations::domain::{AddressKey, CodeKey, CodeKeys, Deployment};
use invitations::pb;
use sqlx::{PgPool, Postgres, Transaction};
use tonic::{Code, Status};

use crate::support::{Channel, PATIENCE, Person, Service};

/// The service as two replicas on one database.
struct Replicas {
    service: Service,
    second: Channel,
}

impl Replicas {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(settings: &[(&str, &str)]) -> Self {
        let service = Service::start_with(settings, invitations::dev::mailbox::Script::accept_all()).await;
        let second = service.replica(settings).await;
        let replicas = Self { service, second };
        replicas.warm_up().await;
        replicas
    }

    /// Makes the pools connect: on a busy machine that takes longer than a call waits for a connection.
    async fn warm_up(&self) {
        let nobody = self.service.stranger("nobody", "nobody@example.com");
        let message = || pb::GetAccountRequest { name: "accounts/nobody".to_owned() };
        let call = async |nobody: Person| nobody.accounts.clone().get_account(message()).await.unwrap_err().code();
        while at_once(self.spread(&nobody, 32).into_iter().map(call)).await.contains(&Code::Unavailable) {}
    }

    /// The same caller, `count` times, on one replica and the other in turn.
    fn spread(&self, person: &Person, count: usize) -> Vec<Person> {
        let channels = [&self.service.channel, &self.second];
        channels.into_iter().cycle().take(count).map(|channel| person.on(channel)).collect()
    }
}

/// Waits for all of them, which have all begun before the first one ends.
async fn at_once<F: Future>(calls: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    join_all(calls).await
}

/// Waits until a statement in that database waits for a lock.
async fn until_blocked(pool: &PgPool) {
    let blocked =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until(pool, blocked, |blocked| blocked > 0).await;
}

/// The outcomes of calls that wait for what `gate` has locked; it is committed when `waits` has ended. `None`: the
/// machine stood still for so long that one of them gave up.
async fn held_up<T: Debug>(
    calls: impl Future<Output = Vec<Result<T, Status>>>,
    waits: impl Future<Output = ()>,
    gate: Transaction<'_, Postgres>,
) -> Option<Vec<Result<T, Status>>> {
    let mut calls = pin!(calls);
    let early = tokio::select! {
        outcomes = &mut calls => Some(outcomes),
        () = waits => None,
    };
    let has_waited = early.is_none();
    let outcomes = match early {
        Some(outcomes) => outcomes,
        None => tokio::join!(calls, async { gate.commit().await.unwrap() }).0,
    };
    let gave_up =
        |outcome: &Result<T, Status>| outcome.as_ref().is_err_and(|status| status.code() == Code::Unavailable);
    let gave_up = outcomes.iter().any(gave_up);
    assert!(has_waited || gave_up, "nothing held the calls up: {outcomes:?}");
    (!gave_up).then_some(outcomes)
}

/// Does it anew until no call has given up; it is told how often it was done before.
async fn until_nobody_gives_up<T>(race: impl AsyncFn(usize) -> Option<T>) -> T {
    for attempt in 0..10 {
        if let Some(outcomes) = race(attempt).await {
            return outcomes;
        }
    }
    panic!("each time a call gives up");
}

/// Waits until a number in the database is as it should be.
pub async fn until(pool: &PgPool, query: &'static str, is_reached: impl Fn(i64) -> bool) {
    let reached = async { while !is_reached(count(pool, query).await) {} };
    tokio::time::timeout(PATIENCE, reached).await.expect("what is waited for comes");
}

/// One number from the database.
async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

/// The settings of the service as decisions see them.
pub fn deployment() -> Deployment {
    let key = CodeKey::new("test".to_owned(), vec![7; 32]).unwrap();
    Deployment {
        code_keys: CodeKeys::new(vec![key]).unwrap(),
        address_key: AddressKey::new(vec![5; 32]).unwrap(),
        reserved_names: Vec::new(),
        accounts_create_organizations: true,
        max_attestation_age: time::Duration::days(30),
        asks_for_proof: false,
        resend_interval: time::Duration::ZERO,
        resends_limit: None,
        open_invitations_limit: None,
        daily_invitations_limit: None,
        services: Vec::new(),
    }
}
