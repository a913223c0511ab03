//! Calls at a fixed rate, whatever becomes of those before, and what was acknowledged.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Code;
use uuid::Uuid;

use crate::program::person;
use crate::support::{PATIENCE, Person, Service, channel_to, patiently};

/// How many organizations share the load, each with an owner who has a connection of their own: one connection carries
/// only so many calls at a time.
const ORGANIZATIONS: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Create,
    Get,
    Revoke,
}

/// One call that has ended.
#[derive(Clone, Debug)]
pub struct Call {
    pub kind: Kind,
    pub begin: Instant,
    pub end: Instant,
    pub code: Code,
    pub message: String,
}

impl Call {
    pub fn is_ok(&self) -> bool {
        self.code == Code::Ok
    }

    pub fn is_change(&self) -> bool {
        self.kind != Kind::Get
    }
}

pub struct Load {
    owners: Vec<Person>,
    rate: u32,
    calls: Mutex<Vec<Call>>,
    ledger: Mutex<Ledger>,
    stop: CancellationToken,
    tracker: TaskTracker,
}

/// What callers know of their invitations.
#[derive(Default)]
struct Ledger {
    /// By name; true: that it is revoked was acknowledged.
    acknowledged: HashMap<String, bool>,
    /// Not yet asked to be revoked, of each owner.
    open: Vec<VecDeque<String>>,
}

impl Load {
    /// Opens the accounts of the owners and their organizations, and begins to call.
    pub async fn start(service: &Service, rate: u32) -> Arc<Self> {
        let mut owners = Vec::new();
        for n in 0..ORGANIZATIONS {
            let owner = person(service, &channel_to(service.address).await, &format!("owner-{n}"));
            patiently(async || owner.create_account(&format!("owner-{n}")).await).await.unwrap();
            patiently(async || owner.create_organization(&format!("org-{n}")).await).await.unwrap();
            owners.push(owner);
        }
        let ledger = Ledger { open: vec![VecDeque::new(); ORGANIZATIONS], ..Ledger::default() };
        let ledger = Mutex::new(ledger);
        let (calls, stop, tracker) = (Mutex::default(), CancellationToken::new(), TaskTracker::new());
        let load = Arc::new(Self { owners, rate, calls, ledger, stop, tracker });
        load.tracker.spawn(Arc::clone(&load).keep_calling());
        load
    }

    async fn keep_calling(self: Arc<Self>) {
        let mut ticks = interval(Duration::from_secs(1) / self.rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for nth in 0.. {
            if self.stop.run_until_cancelled(ticks.tick()).await.is_none() {
                return;
            }
            self.tracker.spawn(Arc::clone(&self).call(nth));
        }
    }

    /// No more calls; returns when those that were begun have ended.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    async fn call(self: Arc<Self>, nth: usize) {
        let (owner, person) = (nth % ORGANIZATIONS, &self.owners[nth % ORGANIZATIONS]);
        let begin = Instant::now();
        let (kind, outcome) = match (nth / ORGANIZATIONS) % 4 {
            2 => {
                let Some(name) = self.ledger.lock().unwrap().open[owner].back().cloned() else { return };
                (Kind::Get, person.get(&name).await)
            }
            3 => {
                let Some(name) = self.ledger.lock().unwrap().open[owner].pop_front() else { return };
                let outcome = person.revoke(&name).await;
                if outcome.is_ok() {
                    self.ledger.lock().unwrap().acknowledged.insert(name, true);
                }
                (Kind::Revoke, outcome)
            }
            _ => {
                let email = format!("guest-{nth}@example.com");
                let outcome = person.invite_by(&format!("org-{owner}"), &email, &Uuid::new_v4().to_string()).await;
                if let Ok(invitation) = &outcome {
                    let mut ledger = self.ledger.lock().unwrap();
                    ledger.acknowledged.insert(invitation.name.clone(), false);
                    ledger.open[owner].push_back(invitation.name.clone());
                }
                (Kind::Create, outcome)
            }
        };
        let (code, message) = match outcome {
            Ok(_) => (Code::Ok, String::new()),
            Err(status) => (status.code(), status.message().to_owned()),
        };
        self.calls.lock().unwrap().push(Call { kind, begin, end: Instant::now(), code, message });
    }

    /// Those that have ended, as they ended.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Waits until a call has ended that is so; its time.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Call) -> bool) -> Instant {
        let begin = Instant::now();
        loop {
            if let Some(call) = self.calls.lock().unwrap().iter().find(|call| is_so(call)) {
                return call.end;
            }
            assert!(begin.elapsed() < 3 * PATIENCE, "no call {what}: {:?}", counts(&self.calls()));
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a change and a read have succeeded that ended after that moment, and says how long after.
    pub async fn works_after(&self, moment: Instant) -> Duration {
        let change = self.until("changes", |call| call.end > moment && call.is_ok() && call.is_change()).await;
        let read = self.until("reads", |call| call.end > moment && call.is_ok() && !call.is_change()).await;
        change.max(read) - moment
    }

    /// Waits until everything that is begun in 2 s succeeds, and says how long after that moment this began.
    pub async fn at_full_rate_after(&self, moment: Instant) -> Duration {
        const LONG_ENOUGH: Duration = Duration::from_secs(2);
        let expected = (self.rate as usize * 2) * 9 / 10;
        loop {
            let calls = self.calls();
            let failed = calls.iter().filter(|call| !call.is_ok() && call.begin > moment).map(|call| call.begin);
            let since = failed.max().unwrap_or(moment);
            let fine = calls.iter().filter(|call| call.is_ok() && call.begin > since).count();
            if since.elapsed() >= LONG_ENOUGH && fine >= expected {
                return since - moment;
            }
            assert!(moment.elapsed() < 3 * PATIENCE, "it does not recover: {:?}", counts(&calls));
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What was acknowledged and is not in the database, and how much was acknowledged.
    pub async fn lost(&self, pool: &PgPool) -> (Vec<String>, usize) {
        let all =
            "SELECT 'organizations/' || organization || '/invitations/' || invitation, state::text FROM invitations";
        let there: HashMap<String, String> =
            sqlx::query_as::<_, (String, String)>(all).fetch_all(pool).await.unwrap().into_iter().collect();
        let acknowledged = self.ledger.lock().unwrap().acknowledged.clone();
        let is_lost = |(name, is_revoked): &(&String, &bool)| match there.get(*name) {
            None => true,
            Some(state) => **is_revoked && state != "REVOKED",
        };
        (acknowledged.iter().filter(is_lost).map(|(name, _)| name.clone()).collect(), acknowledged.len())
    }
}

/// How many ended how.
pub fn counts(calls: &[Call]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(format!("{:?}", call.code)).or_default() += 1;
    }
    counts
}
