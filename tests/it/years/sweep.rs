//! The sweep's speed: of a backlog, of steps that fail, of an organization that is stuck, of replicas.

use std::time::Duration;

use invitations::dev::mailbox::Script;
use invitations::store::pool::{self, Purpose};
use invitations::store::retention::{self, Part, Round};
use invitations::store::{self, load};

use super::{Old, Retention, Step, count, execute, sweeper, turn};
use crate::support::{PATIENCE, Service, words};

const DAY: Duration = Duration::from_hours(24);
const REQUEST_IDS: &str = "SELECT count(*) FROM request_ids WHERE create_time < now() - interval '24 hours'";
const LIMITS: &str = "SELECT count(*) FROM subject_limits WHERE bucket_time < now() - interval '48 hours'";

/// What requests and limits leave behind in years: so much that is old, some of it of one moment, and a little that is not.
const BACKLOG: &str = "
    INSERT INTO request_ids (organization, caller, request_id, method, digest, resource, create_time)
    SELECT 'acme', 'accounts/olga', gen_random_uuid(), 'CreateInvitation', '', '',
           now() - CASE WHEN n <= 10 THEN interval '23 hours' WHEN n < 6000 THEN interval '2 days'
                        ELSE interval '25 hours' + n * interval '1 second' END
      FROM generate_series(1, 12010) n;
    INSERT INTO account_request_ids (identity, request_id, method, digest, resource, create_time)
    SELECT sha256(n::text::bytea), gen_random_uuid(), 'CreateAccount', '', '', now() - interval '25 hours'
      FROM generate_series(1, 3000) n;
    INSERT INTO subject_limits (subject, bucket_time, used)
    SELECT 'test/' || n, now() - interval '3 days' - n * interval '1 second', 1 FROM generate_series(1, 2500) n";

fn front(skip: i64) -> Part {
    Part { from: None, skip, limit: 1000 }
}

/// A round of request ids as a replica has it, on a connection of its own.
async fn round(service: &Service, part: Part) -> store::Result<Round> {
    let pool = pool::open(&service.database.service_url, Purpose::Write, 1).unwrap();
    retention::round(&mut pool.acquire().await.unwrap(), Old::RequestIds, DAY, part).await
}

#[tokio::test]
async fn a_backlog_of_many_rounds_is_gone_after_one_turn() {
    let service = Service::start().await;
    execute(service.pool(), BACKLOG).await;
    // the control: one round is not enough by far
    assert_eq!(round(&service, front(0)).await.unwrap().done, 1000);
    assert_eq!(count(service.pool(), REQUEST_IDS).await, 11_000);

    let sweeper = sweeper(&service, Retention::default()).await;
    for (old, rows) in [(Old::RequestIds, 11_000), (Old::AccountRequestIds, 3_000), (Old::Limits, 2_500)] {
        let swept = turn(&sweeper, Step::Old(old)).await;
        assert_eq!((swept.rows, swept.failures), (rows, 0), "{old:?}");
        assert!(u64::from(swept.rounds) > rows / 1000, "{old:?} in {} rounds", swept.rounds);
    }
    assert_eq!(count(service.pool(), "SELECT count(*) FROM request_ids").await, 10, "what is younger stays");
}

#[tokio::test]
async fn a_step_that_fails_or_waits_keeps_no_other_from_its_turn() {
    let service = Service::start_with(&[("admin_listen", "127.0.0.1:0")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let overdue = owner.invite("acme", "ina@example.com").await.unwrap();
    service.email_to("ina@example.com", 1).await;
    service.let_expire(&overdue.name).await;
    execute(service.pool(), BACKLOG).await;
    execute(service.pool(), "REVOKE DELETE ON request_ids FROM service").await;
    let mut stuck = service.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE account_request_ids").execute(&mut *stuck).await.unwrap();

    // the control: one after the other until one fails, as a chain of `?` does
    let sweeper = sweeper(&service, Retention::default()).await;
    for step in [Step::Old(Old::RequestIds), Step::Old(Old::Limits)] {
        if turn(&sweeper, step).await.failures > 0 {
            break;
        }
    }
    assert_eq!(count(service.pool(), LIMITS).await, 2_500);

    service.replica(&[("sweep_interval_seconds", "1")]).await;
    let told = words(&*service.email_to("notify@acme.example", 1).await);
    assert!(told.contains("ina@example.com") && told.contains("expired"), "{told}");
    let swept = async { while count(service.pool(), LIMITS).await > 0 {} };
    tokio::time::timeout(2 * PATIENCE, swept).await.expect("the step has its turn");
    assert_eq!(count(service.pool(), REQUEST_IDS).await, 12_000, "what was made to fail has failed");
    let page = crate::metrics::get(service.admin_address(), "/metrics").await;
    for counted in
        [r#"invitations_swept_rows_total{step="limits"}"#, r#"invitations_sweep_failures_total{step="request_ids"}"#]
    {
        assert!(page.contains(counted), "{counted} in {page}");
    }
    drop(stuck);
}

#[tokio::test]
async fn what_takes_too_long_for_one_statement_goes_in_smaller_rounds() {
    let service = Service::start().await;
    execute(
        service.pool(),
        "INSERT INTO request_ids (organization, caller, request_id, method, digest, resource, create_time)
         SELECT 'acme', 'accounts/olga', gen_random_uuid(), 'M', '', '', now() - interval '2 days'
           FROM generate_series(1, 1000) n;
         CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN PERFORM pg_sleep(0.005); RETURN OLD; END $$;
         CREATE TRIGGER slow BEFORE DELETE ON request_ids FOR EACH ROW EXECUTE FUNCTION slow()",
    )
    .await;
    // the control: all of it takes longer than a statement may
    assert!(matches!(round(&service, front(0)).await, Err(store::Error::Unavailable(_))));
    assert_eq!(count(service.pool(), REQUEST_IDS).await, 1000);
    let swept = turn(&sweeper(&service, Retention::default()).await, Step::Old(Old::RequestIds)).await;
    assert_eq!((swept.rows, count(service.pool(), REQUEST_IDS).await), (1000, 0));
    assert!(swept.failures > 0);
}

#[tokio::test]
async fn a_stuck_organization_costs_its_own_command_only() {
    let service = Service::start().await;
    let names = ["acme", "beta", "gamma"];
    for (owner, organization) in ["olga", "rosa", "paul"].into_iter().zip(names) {
        let invited = service.owner(owner, organization).await.invite(organization, "ina@example.com").await.unwrap();
        service.let_expire(&invited.name).await;
    }
    let mut stuck = service.pool().begin().await.unwrap();
    let lock = "SELECT 1 FROM organization_heads WHERE organization = 'acme' FOR UPDATE";
    sqlx::query(lock).execute(&mut *stuck).await.unwrap();
    // the control: whoever waits for all of them together gets none
    let pool = pool::open(&service.database.service_url, Purpose::Write, 1).unwrap();
    let together = names.map(str::to_owned);
    assert!(load::lock(&mut pool.acquire().await.unwrap(), &together, true).await.is_err());

    let sweeper = sweeper(&service, Retention::default()).await;
    let open = "SELECT count(*) FROM invitations WHERE state = 'INVITED'";
    let swept = turn(&sweeper, Step::Expiries).await;
    assert_eq!((swept.rows, swept.failures, count(service.pool(), open).await), (2, 1, 1));
    stuck.rollback().await.unwrap();
    let swept = turn(&sweeper, Step::Expiries).await;
    assert_eq!((swept.rows, swept.failures, count(service.pool(), open).await), (1, 0, 0));
    service.recount().await;
}

#[tokio::test]
async fn expiries_of_many_organizations_share_transactions() {
    let service = Service::start().await;
    execute(
        service.pool(),
        "INSERT INTO organizations (organization, display_name, notification_email, notification_email_key)
         SELECT 'o' || n, 'O', 'n@x.example', 'n@x.example' FROM generate_series(1, 200) n;
         INSERT INTO organization_heads (organization, owners, seats_taken, open_invitations)
         SELECT 'o' || n, 1, 1, 3 FROM generate_series(1, 200) n;
         INSERT INTO members (organization, username, role) SELECT 'o' || n, 'olga', 'OWNER' FROM generate_series(1, 200) n;
         INSERT INTO invitations (organization, invitation, state, email, email_key, inviter, code_hash, code_key_id,
                                  generation, expire_time, send_time)
         SELECT 'o' || n, gen_random_uuid(), 'INVITED', a, a, 'accounts/olga', sha256(a::bytea), 'test', 1,
                now() - interval '1 day', now()
           FROM generate_series(1, 200) n, generate_series(1, 3) m, concat(n, '-', m, '@x.example') a",
    )
    .await;
    let swept = turn(&sweeper(&service, Retention::default()).await, Step::Expiries).await;
    assert_eq!((swept.rows, swept.failures), (600, 0));
    let transactions = "SELECT count(DISTINCT xmin::text) FROM events WHERE kind = 'EXPIRED'";
    let transactions = count(service.pool(), transactions).await;
    // one for each organization would be at least 200
    assert!(transactions <= 12, "{transactions} transactions in {} rounds", swept.rounds);
    service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_the_work() {
    let service = Service::start().await;
    execute(
        service.pool(),
        "INSERT INTO request_ids (organization, caller, request_id, method, digest, resource, create_time)
         SELECT 'acme', 'accounts/olga', gen_random_uuid(), 'M', '', '', now() - interval '2 days' - n * interval '1 ms'
           FROM generate_series(1, 40000) n",
    )
    .await;
    // the control: at one place of the queue the second one waits, and finds nothing left to do
    let pool = pool::open(&service.database.url, Purpose::Write, 1).unwrap();
    let mut first = pool.acquire().await.unwrap();
    let mut first = sqlx::Connection::begin(&mut *first).await.unwrap();
    assert_eq!(retention::round(&mut first, Old::RequestIds, DAY, front(0)).await.unwrap().done, 1000);
    assert_eq!(round(&service, front(1000)).await.unwrap().done, 1000, "at another place it is not held up");
    let blocked =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let commit = async {
        while count(service.pool(), blocked).await == 0 {}
        first.commit().await.unwrap();
    };
    let (second, ()) = tokio::join!(round(&service, front(0)), commit);
    assert_eq!(second.unwrap().done, 0);

    let replicas = [sweeper(&service, Retention::default()).await, sweeper(&service, Retention::default()).await];
    let step = Step::Old(Old::RequestIds);
    let (first, second) = tokio::join!(turn(&replicas[0], step), turn(&replicas[1], step));
    assert_eq!((first.rows + second.rows, first.failures + second.failures), (38_000, 0));
    assert!(first.rows.min(second.rows) > 8_000, "{} and {}", first.rows, second.rows);
    assert_eq!(count(service.pool(), REQUEST_IDS).await, 0);
}
