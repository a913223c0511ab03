//! Calls in flight: an attacker's calls that take long, and a bystander who calls meanwhile.

use futures_util::future::join_all;
use invitations::dev::mailbox::Script;
use sqlx::{Postgres, Transaction};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::{Person, Service, retry_after};

const MAX: usize = 32;
const SHARE: usize = MAX / 8;
/// The calls of the bystander, one after the other.
const CALLS: usize = 10;

/// Calls that change `organization` do not end before the lock does.
async fn hold(service: &Service, organization: &str) -> Transaction<'static, Postgres> {
    let mut transaction = service.pool().begin().await.unwrap();
    let lock = "SELECT FROM organization_heads WHERE organization = $1 FOR UPDATE";
    sqlx::query(lock).bind(organization).execute(&mut *transaction).await.unwrap();
    transaction
}

async fn invite(person: &Person, organization: &str) -> Result<(), Status> {
    person.invite(organization, &format!("{}@example.com", Uuid::new_v4())).await.map(drop)
}

/// What the attacker is told of twice as many calls as are carried out at a time, and the bystander of theirs meanwhile.
async fn beside(
    service: &Service,
    attacker: (&Person, &str),
    bystander: (&Person, &str),
) -> (Vec<Status>, Vec<Result<(), Status>>) {
    let gate = hold(service, attacker.1).await;
    let flood = join_all((0..2 * MAX).map(|_| invite(attacker.0, attacker.1)));
    let calls = async {
        // those that are too many have been refused
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let mut seen = Vec::new();
        for _ in 0..CALLS {
            seen.push(invite(bystander.0, bystander.1).await);
        }
        drop(gate);
        seen
    };
    let (flood, seen) = tokio::join!(flood, calls);
    (flood.into_iter().filter_map(Result::err).collect(), seen)
}

async fn service(share: usize) -> Service {
    let (max, share) = (MAX.to_string(), share.to_string());
    Service::start_with(&[("max_calls", &max), ("max_calls_per_caller", &share)], Script::accept_all()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_one_account_that_take_long_cost_nobody_else_an_answer() {
    for (share, is_control) in [(SHARE, false), (MAX, true)] {
        let service = service(share).await;
        let mallory = service.owner("mallory", "evil").await;
        let olga = service.owner("olga", "acme").await;
        let (flood, seen) = beside(&service, (&mallory, "evil"), (&olga, "acme")).await;
        let failed = seen.iter().filter(|outcome| outcome.is_err()).count();
        assert_eq!(failed > 0, is_control, "{seen:?}");
        let refused = flood.iter().filter(|status| status.code() == Code::ResourceExhausted).collect::<Vec<_>>();
        assert!(refused.len() >= MAX, "{flood:?}");
        let waits = refused.into_iter().map(|status| retry_after(&Err::<(), _>(status.clone())));
        assert!(waits.into_iter().all(|wait| wait.is_some()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_has_a_share_for_each_organization_that_it_acts_for() {
    let service = service(SHARE).await;
    let olga = service.owner("olga", "acme").await;
    service.owner("mallory", "evil").await;
    let gateway = service.service("gateway", &["invitations.write"]);
    let (_, seen) = beside(&service, (&gateway, "evil"), (&gateway, "acme")).await;
    assert!(seen.iter().all(Result::is_ok), "{seen:?}");
    // the control: within one organization it is one caller
    let (_, seen) = beside(&service, (&gateway, "evil"), (&gateway, "evil")).await;
    assert!(seen.iter().any(Result::is_err), "{seen:?}");
    invite(&olga, "acme").await.unwrap();
}
