//! What somebody else has locked holds up only the calls that need it.

use std::time::{Duration, Instant};

use invitations::dev::mailbox::Script;
use invitations::store::{Error, load};
use sqlx::{Postgres, Transaction};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{at_once, until_blocked};
use crate::support::{Person, Service};

/// As many as fit into one round beside the one that is held up.
const NEIGHBOURS: usize = 255;
/// Far less than a lock is waited for.
const USUAL: Duration = Duration::from_millis(1500);

/// `acme` and its neighbours, all of one owner.
async fn scene() -> (Service, Person, Vec<String>) {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let neighbours = (0..NEIGHBOURS).map(|n| format!("neighbour-{n}")).collect::<Vec<_>>();
    for some in neighbours.chunks(50) {
        let founded = at_once(some.iter().map(async |id| owner.create_organization(id).await)).await;
        assert!(founded.iter().all(Result::is_ok), "{founded:?}");
    }
    (service, owner, neighbours)
}

async fn lock_head(service: &Service, organization: &str) -> Transaction<'static, Postgres> {
    let mut transaction = service.pool().begin().await.unwrap();
    let lock = "SELECT FROM organization_heads WHERE organization = $1 FOR UPDATE";
    sqlx::query(lock).bind(organization).execute(&mut *transaction).await.unwrap();
    transaction
}

async fn invite(owner: &Person, organization: &str) -> Result<(), Status> {
    owner.invite(organization, &format!("{}@example.com", Uuid::new_v4())).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_organization_holds_up_nobody_else() {
    let (service, owner, neighbours) = scene().await;
    let gate = lock_head(&service, "acme").await;
    let held = (0..10).map(|_| owner.clone()).map(|owner| tokio::spawn(async move { invite(&owner, "acme").await }));
    let held = held.collect::<Vec<_>>();
    until_blocked(service.pool()).await;
    let invited = at_once(neighbours.iter().map(async |id| invite(&owner, id).await)).await;
    let wrong = invited.iter().filter(|invited| invited.is_err()).collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{wrong:?}");
    // one at a time, so that nothing but a lock takes long
    for id in &neighbours[..10] {
        let began = Instant::now();
        invite(&owner, id).await.unwrap();
        assert!(began.elapsed() < USUAL, "{id}: {:?}", began.elapsed());
    }
    gate.commit().await.unwrap();
    for held in held {
        // on a slow machine its own deadline is over
        let outcome = held.await.unwrap().err().map_or(Code::Ok, |status| status.code());
        assert!(matches!(outcome, Code::Ok | Code::DeadlineExceeded), "{outcome:?}");
    }
    invite(&owner, "acme").await.unwrap();
    service.recount().await;
}

/// The control: who waits for all locks of a batch gets none where one is held; who skips has the others.
#[tokio::test]
async fn without_skipping_one_locked_head_fails_all_of_its_batch() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    owner.create_organization("beta").await.unwrap();
    let both = ["acme", "beta", "none-of-that-name"].map(str::to_owned);
    let gate = lock_head(&service, "acme").await;
    let mut waiting = service.pool().begin().await.unwrap();
    sqlx::query("SET LOCAL lock_timeout = '300ms'").execute(&mut *waiting).await.unwrap();
    assert!(matches!(load::lock(&mut waiting, &both, true).await, Err(Error::Locked)));
    drop(waiting);
    let mut skipping = service.pool().begin().await.unwrap();
    let locked = load::lock(&mut skipping, &both, false).await.unwrap();
    assert_eq!(locked.into_iter().collect::<Vec<_>>(), ["beta"]);
    // the next one gets none
    let mut third = service.pool().begin().await.unwrap();
    assert!(load::lock(&mut third, &both, false).await.unwrap().is_empty());
    drop(gate);
}

/// Behind another one who waits, a session waits first for its turn and then for the row, each for as long as a lock may
/// be waited for: the time of the statement is over before.
#[tokio::test]
async fn who_waits_behind_another_one_learns_that_it_is_locked() {
    let service = Service::start().await;
    service.owner("olga", "acme").await;
    let gate = lock_head(&service, "acme").await;
    let begin = async || {
        let mut waiting = service.pool().begin().await.unwrap();
        let limits = "SET LOCAL lock_timeout = '600ms'; SET LOCAL statement_timeout = '700ms'";
        sqlx::raw_sql(limits).execute(&mut *waiting).await.unwrap();
        waiting
    };
    let (acme, lock) = (["acme".to_owned()], "SELECT FROM organization_heads WHERE organization = 'acme' FOR UPDATE");
    for is_control in [false, true] {
        let (mut first, mut second) = (begin().await, begin().await);
        let (first, ()) = tokio::join!(load::lock(&mut first, &acme, true), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            if is_control {
                let error = sqlx::query(lock).execute(&mut *second).await.unwrap_err();
                assert_eq!(
                    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(),
                    Some("57014")
                );
            } else {
                assert!(matches!(load::lock(&mut second, &acme, true).await, Err(Error::Locked)));
            }
        });
        assert!(matches!(first, Err(Error::Locked)), "{first:?}");
    }
    drop(gate);
}

/// Two sessions hand the lock to each other, so that it is never free: as busy replicas do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_starves_on_an_organization_that_others_keep_busy() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let busy = [(), ()].map(|()| {
        let pool = service.pool().clone();
        tokio::spawn(async move {
            loop {
                let mut transaction = pool.begin().await.unwrap();
                let lock = "SELECT FROM organization_heads WHERE organization = 'acme' FOR UPDATE";
                sqlx::query(lock).execute(&mut *transaction).await.unwrap();
                tokio::time::sleep(Duration::from_millis(30)).await;
                transaction.commit().await.unwrap();
            }
        })
    });
    until_blocked(service.pool()).await;
    // the control: who only looks whether it is free seldom finds it so
    let mut free = 0;
    for _ in 0..20 {
        let mut transaction = service.pool().begin().await.unwrap();
        free += load::lock(&mut transaction, &["acme".to_owned()], false).await.unwrap().len();
    }
    assert!(free < 10, "the lock was free {free} times of 20: nobody keeps it busy");
    for _ in 0..5 {
        invite(&owner, "acme").await.unwrap();
    }
    for busy in busy {
        busy.abort();
    }
}

#[tokio::test]
async fn a_call_that_waits_for_a_lock_ends_at_its_own_deadline() {
    let service = Service::start_with(&[("default_deadline_seconds", "2")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let gate = lock_head(&service, "acme").await;
    let outcome = owner.invite("acme", "late@example.com").await;
    assert_eq!(outcome.unwrap_err().code(), Code::DeadlineExceeded);
    gate.commit().await.unwrap();
    // whoever comes later is not behind it
    invite(&owner, "acme").await.unwrap();
    service.recount().await;
}

/// Somebody else founds an organization of that name and does not commit: only a wait tells who is first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_somebody_is_about_to_take_holds_up_nobody_else() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let mut gate = service.pool().begin().await.unwrap();
    let founding = "INSERT INTO organizations (organization, display_name, notification_email, notification_email_key, locale, policy) \
                    SELECT 'taken', display_name, notification_email, notification_email_key, locale, policy \
                      FROM organizations WHERE organization = 'acme'";
    sqlx::query(founding).execute(&mut *gate).await.unwrap();
    let founder = owner.clone();
    let held = tokio::spawn(async move { founder.create_organization("taken").await });
    until_blocked(service.pool()).await;
    let names = (0..20).map(|n| format!("free-{n}")).collect::<Vec<_>>();
    let others = at_once(names.iter().map(async |id| owner.create_organization(id).await)).await;
    assert!(others.iter().all(Result::is_ok), "{others:?}");
    assert!(!held.is_finished());
    gate.rollback().await.unwrap();
    held.await.unwrap().unwrap();
}

/// An account that is being deleted holds up who would make it a member, and nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_account_holds_up_only_who_joins_by_it() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (anna, offered) = service.offered(&owner, "acme", "anna", "CONTRIBUTOR").await;
    let mut gate = service.pool().begin().await.unwrap();
    let lock = "SELECT FROM accounts WHERE username = 'anna' FOR UPDATE";
    sqlx::query(lock).execute(&mut *gate).await.unwrap();
    let name = offered.name.clone();
    let held = tokio::spawn(async move { anna.accept(&name).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..10 {
        // of the same organization, too
        tokio::time::timeout(USUAL, invite(&owner, "acme")).await.expect("in the usual time").unwrap();
    }
    assert!(!held.is_finished());
    gate.commit().await.unwrap();
    held.await.unwrap().unwrap();
}

/// One locked counter must not keep the others, either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_counter_holds_up_only_who_is_counted_by_it() {
    let settings = [("invitations_per_caller_limit", "1000")];
    let service = Service::start_with(&settings, Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let other = service.owner("otto", "beta").await;
    invite(&owner, "acme").await.unwrap();
    let mut gate = service.pool().begin().await.unwrap();
    let locked = sqlx::query(
        "SELECT FROM subject_limits WHERE subject = 'invitation/' \
            || (SELECT encode(identity, 'hex') FROM accounts WHERE username = 'olga') FOR UPDATE",
    );
    assert!(locked.execute(&mut *gate).await.unwrap().rows_affected() > 0);
    let held = (0..5).map(|_| owner.clone()).map(|owner| tokio::spawn(async move { invite(&owner, "acme").await }));
    let held = held.collect::<Vec<_>>();
    for _ in 0..10 {
        invite(&other, "beta").await.unwrap();
    }
    for held in held {
        // nothing was done, and it says so at once
        assert_eq!(held.await.unwrap().unwrap_err().code(), Code::ResourceExhausted);
    }
    gate.commit().await.unwrap();
    invite(&owner, "acme").await.unwrap();
}
