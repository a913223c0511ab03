//! DeleteAccount of owners: refused without a lock, and carried out one organization at a time.

use std::time::Duration;

use invitations::pb;
use sqlx::{Postgres, Transaction};
use tokio::task::JoinHandle;
use tonic::{Request, Status};
use uuid::Uuid;

use crate::support::{Person, Service, patiently, reason};

const OWNED: usize = 5;

async fn delete(person: &Person, request_id: &str) -> Result<(), Status> {
    let message = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), request_id: request_id.to_owned() };
    let mut request = Request::new(message);
    // the locks are held by tests that look around meanwhile
    request.set_timeout(Duration::from_secs(30));
    person.accounts.clone().delete_account(request).await.map(tonic::Response::into_inner)
}

/// The same meanwhile.
fn deletion(person: &Person, request_id: &str) -> JoinHandle<Result<(), Status>> {
    let (person, request_id) = (person.clone(), request_id.to_owned());
    tokio::spawn(async move { delete(&person, &request_id).await })
}

/// Locks the heads of organizations until it is dropped.
async fn lock(service: &Service, organizations: &[&str]) -> Transaction<'static, Postgres> {
    let mut locked = service.pool().begin().await.unwrap();
    let locking = sqlx::query("SELECT FROM organization_heads WHERE organization = ANY($1) FOR UPDATE");
    let rows = locking.bind(organizations).execute(&mut *locked).await.unwrap();
    assert_eq!(rows.rows_affected(), organizations.len() as u64);
    locked
}

/// Returns when somebody waits for a lock.
async fn until_waiting(service: &Service) {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(service.pool()).await.unwrap() == 0 {}
}

/// Makes mia a plain member of beta, or an owner as she was, behind the back of the service.
async fn set_owners(connection: &mut sqlx::PgConnection, role: &str, owners: i32) {
    let members = "UPDATE members SET role = $1::role WHERE organization = 'beta' AND username = 'mia'";
    sqlx::query(members).bind(role).execute(&mut *connection).await.unwrap();
    let head = "UPDATE organization_heads SET owners = $1 WHERE organization = 'beta'";
    sqlx::query(head).bind(owners).execute(connection).await.unwrap();
}

#[tokio::test]
async fn the_last_owner_of_many_is_refused_without_a_lock() {
    let service = Service::start().await;
    let olga = service.account("olga").await;
    let names = (0..OWNED).map(|n| format!("owned-{n}")).collect::<Vec<_>>();
    for name in &names {
        patiently(async || olga.create_organization(name).await).await.unwrap();
    }
    let before = service.tables().await;
    let locked = lock(&service, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(reason(delete(&olga, "").await), "LAST_OWNER");
    // what needs one of the locks waits for it: the control
    let (person, name) = (olga.clone(), names[0].clone());
    let left = tokio::spawn(async move { person.remove(&name, "olga").await });
    until_waiting(&service).await;
    assert!(!left.is_finished());
    locked.rollback().await.unwrap();
    assert_eq!(reason(left.await.unwrap()), "LAST_OWNER");
    before.assert_same(&service.tables().await, "a refused deletion");
}

#[tokio::test]
async fn an_owner_leaves_one_organization_at_a_time_and_goes_on_when_asked_again() {
    let service = Service::start().await;
    let olga = service.owner("olga", "acme").await;
    let mia = service.member(&olga, "acme", "mia", "OWNER").await;
    for other in ["beta", "gamma"] {
        patiently(async || olga.create_organization(other).await).await.unwrap();
        let offer = patiently(async || olga.offer(other, "mia", "mia@example.com", "OWNER").await).await.unwrap();
        patiently(async || mia.accept(&offer.name).await).await.unwrap();
    }

    let id = Uuid::new_v4().to_string();
    let mut locked = lock(&service, &["beta"]).await;
    let refused = deletion(&olga, &id);
    until_waiting(&service).await;
    // neither what she has left nor what comes next is held up by what she waits for
    assert_eq!(reason(mia.member("acme", "olga").await), "MEMBER_NOT_FOUND");
    for other in ["acme", "gamma"] {
        patiently(async || mia.invite(other, "ina@example.com").await).await.unwrap();
    }
    assert!(!refused.is_finished());
    // meanwhile mia has left her alone there
    set_owners(&mut locked, "READER", 1).await;
    locked.commit().await.unwrap();
    assert_eq!(reason(refused.await.unwrap()), "LAST_OWNER");
    assert_eq!(olga.member("beta", "olga").await.unwrap().role(), pb::Role::Owner);
    assert_eq!(reason(olga.member("acme", "olga").await), "MEMBER_NOT_FOUND");

    set_owners(&mut service.pool().acquire().await.unwrap(), "OWNER", 2).await;
    for _ in 0..2 {
        patiently(async || delete(&olga, &id).await).await.unwrap();
    }
    for organization in ["acme", "beta", "gamma"] {
        assert_eq!(reason(olga.member(organization, "mia").await), "ACCOUNT_REQUIRED");
        assert_eq!(reason(mia.member(organization, "olga").await), "MEMBER_NOT_FOUND");
    }
    // and mia is the last one now
    assert_eq!(reason(delete(&mia, "").await), "LAST_OWNER");
    service.recount().await;
}

#[tokio::test]
async fn of_two_owners_who_leave_at_once_one_stays() {
    let service = Service::start().await;
    let olga = service.owner("olga", "acme").await;
    let mia = service.member(&olga, "acme", "mia", "OWNER").await;
    // both have seen the other one when they come to the lock
    let locked = lock(&service, &["acme"]).await;
    let both = [deletion(&olga, ""), deletion(&mia, "")];
    until_waiting(&service).await;
    locked.rollback().await.unwrap();
    let [one, other] = both;
    let outcomes = [one.await.unwrap(), other.await.unwrap()];
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert_eq!(reason(outcomes.into_iter().find(Result::is_err).unwrap()), "LAST_OWNER");
    service.recount().await;
}
