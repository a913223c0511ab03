//! Accept, hammered from outside: who is not, or no longer, of an organization does not slow down those who are.

use std::time::{Duration, Instant};

use invitations::dev::mailbox::Script;
use invitations::pb;
use tokio::time::sleep;

use crate::support::{Person, Service, reason};

/// People who know the name of an invitation and are not, or no longer, of the organization; what Accept tells them.
async fn outsiders(service: &Service, owner: &Person) -> Vec<(Person, String, &'static str)> {
    let (removed, accepted) = service.offered(owner, "acme", "removed", "READER").await;
    removed.accept(&accepted.name).await.unwrap();
    owner.remove("acme", "removed").await.unwrap();
    let (refused, revoked) = service.offered(owner, "acme", "refused", "READER").await;
    owner.revoke(&revoked.name).await.unwrap();
    let (_, open) = service.offered(owner, "acme", "invitee", "READER").await;
    let stranger = service.account("stranger").await;
    vec![
        (stranger, open.name, "INVITATION_NOT_FOUND"),
        (refused, revoked.name, "INVITATION_REVOKED"),
        (removed, accepted.name, "OK"),
    ]
}

async fn accept_anew(person: &Person, name: &str) -> String {
    let message = pb::AcceptInvitationRequest {
        name: name.to_owned(),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    };
    match person.invitations.clone().accept_invitation(message).await {
        Ok(_) => "OK".to_owned(),
        Err(status) => reason(Err::<(), _>(status)),
    }
}

#[tokio::test]
async fn whoever_hammers_accept_from_outside_never_waits_for_the_lock_of_the_organization() {
    // longer than any wait for a lock
    let service = Service::start_with(&[("default_deadline_seconds", "30")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let outsiders = outsiders(&service, &owner).await;
    let mut transaction = service.pool().begin().await.unwrap();
    let lock = "SELECT 1 FROM organization_heads WHERE organization = 'acme' FOR UPDATE";
    sqlx::query(lock).execute(&mut *transaction).await.unwrap();
    for (person, name, expected) in &outsiders {
        assert_eq!(accept_anew(person, name).await, *expected);
    }
    // the control: a call that changes the organization waits until it gives up
    assert_eq!(reason(owner.invite("acme", "ina@example.com").await), "OVERLOADED");
    transaction.rollback().await.unwrap();
    owner.invite("acme", "ina@example.com").await.unwrap();
}

/// The median time of the organization's own calls, and what it is while `beside` goes on; the two take turns.
async fn medians<F: Future<Output = ()>>(
    owner: &Person,
    rounds: usize,
    beside: impl Fn() -> F,
) -> (Duration, Duration) {
    let own = async |round: usize| {
        let began = Instant::now();
        let role = if round.is_multiple_of(2) { "NONE" } else { "READER" };
        owner.set_role("acme", "rita", role).await.unwrap();
        began.elapsed()
    };
    let (mut alone, mut hammered) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        alone.push(own(2 * round).await);
        let under_way = async {
            loop {
                beside().await;
            }
        };
        hammered.push(tokio::select! {
            never = under_way => never,
            // what goes on beside it is well under way by then
            took = async { sleep(Duration::from_millis(20)).await; own(2 * round + 1).await } => took,
        });
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    (median(alone), median(hammered))
}

/// That these calls take no lock is tried above, at any speed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, for a quiet machine"]
async fn the_organizations_own_calls_stay_as_fast_while_somebody_hammers_accept() {
    const ROUNDS: usize = 200;
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    service.member(&owner, "acme", "rita", "READER").await;
    let mut slowest = Duration::ZERO;
    for (person, name, expected) in outsiders(&service, &owner).await {
        // a machine that is busy with something else may spoil a run, not three
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let (alone, hammered) =
                medians(&owner, ROUNDS, async || assert_eq!(accept_anew(&person, &name).await, expected)).await;
            best = best.min(hammered.as_secs_f64() / alone.as_secs_f64());
            slowest = slowest.max(alone);
            if best <= 1.5 {
                break;
            }
        }
        eprintln!("{expected}: {best:.2} times as long");
        assert!(best <= 1.5, "{expected}: {best:.2} times as long");
    }
    // the control: somebody who could take the lock
    let mut transaction = service.pool().begin().await.unwrap();
    let lock = "SELECT 1 FROM organization_heads WHERE organization = 'acme' FOR UPDATE";
    sqlx::query(lock).execute(&mut *transaction).await.unwrap();
    let held = async {
        sleep(Duration::from_millis(500)).await;
        transaction.commit().await.unwrap();
    };
    let began = Instant::now();
    let own = async {
        owner.set_role("acme", "rita", "CONTRIBUTOR").await.unwrap();
        began.elapsed()
    };
    let ((), hammered) = tokio::join!(held, own);
    assert!(hammered > slowest.mul_f64(1.5), "{slowest:?} and {hammered:?}");
}
