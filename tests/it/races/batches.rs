//! Commands that share a transaction: what is wrong with one of them is not the others' concern.

use std::collections::BTreeSet;

use invitations::pb::invitation::State;
use sqlx::{AssertSqlSafe, PgPool};

use super::{Replicas, at_once, count, held_up, until, until_blocked, until_nobody_gives_up};
use crate::support::{Person, Service, reason};

/// How many commands meet in a batch.
const NEIGHBOURS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_breaks_a_constraint_fails_alone() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;

    // the control: nothing is wrong, and they do share a transaction
    let (_, invited) = together(&service, |attempt| invite_all(&owner, format!("{attempt}.example"))).await;
    let created =
        invited.into_iter().map(|invitation| invitation.unwrap().create_time.unwrap()).map(|t| (t.seconds, t.nanos));
    let transactions = created.collect::<BTreeSet<_>>().len();
    assert!(transactions <= NEIGHBOURS / 2, "{NEIGHBOURS} commands took {transactions} transactions");

    execute(
        service.pool(),
        "ALTER TABLE emails ADD CONSTRAINT emails_poison CHECK (recipient NOT LIKE 'guest-5@poison-%')",
    )
    .await;
    let domain = |attempt: usize| format!("poison-{attempt}.example");
    let (attempt, invited) = together(&service, |attempt| invite_all(&owner, domain(attempt))).await;
    for (n, invitation) in invited.into_iter().enumerate() {
        if n == 5 {
            assert_eq!(reason(invitation), "INTERNAL_ERROR");
        } else {
            // everybody gets the outcome of their own command
            assert_eq!(invitation.unwrap().email, format!("guest-{n}@{}", domain(attempt)));
        }
    }
    let written = sqlx::query_scalar("SELECT count(*) FROM invitations WHERE email_key LIKE '%@' || $1");
    let written: i64 = written.bind(domain(attempt)).fetch_one(service.pool()).await.unwrap();
    assert_eq!(written, 11);
    service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_panics_fails_alone() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let slugs = (0..NEIGHBOURS).map(|n| format!("acme-{n}")).collect::<Vec<_>>();
    for slug in &slugs {
        owner.create_organization(slug).await.unwrap();
    }
    // the next position overflows
    execute(
        service.pool(),
        &format!("UPDATE organization_heads SET event_position = {} WHERE organization = 'acme-5'", i64::MAX),
    )
    .await;
    let invite = async |slug: &String, attempt| owner.invite(slug, &format!("anna{attempt}@example.com")).await;
    let (_, invited) = together(&service, |attempt| slugs.iter().map(move |slug| invite(slug, attempt))).await;
    for (invitation, slug) in invited.into_iter().zip(&slugs) {
        if slug != "acme-5" {
            assert!(invitation.unwrap().name.starts_with(&format!("organizations/{slug}/")));
        } else if cfg!(debug_assertions) {
            assert_eq!(reason(invitation), "INTERNAL_ERROR");
        }
    }
    let replicas = service.replica(&[]).await;
    assert_eq!(owner.on(&replicas).invite("acme", "anna@example.com").await.unwrap().state(), State::Invited);
}

#[tokio::test]
async fn what_cannot_be_closed_does_not_keep_the_sweep_from_the_rest() {
    let replicas = Replicas::start_with(&[("sweep_interval_seconds", "1")]).await;
    let service = &replicas.service;
    let owner = service.owner("olga", "acme").await;
    owner.create_organization("umbrella").await.unwrap();
    execute(
        service.pool(),
        "ALTER TABLE events ADD CONSTRAINT events_poison CHECK (organization <> 'acme' OR kind <> 'EXPIRED')",
    )
    .await;
    for organization in ["acme", "umbrella"] {
        let invitation = owner.invite(organization, "anna@example.com").await.unwrap();
        service.let_expire(&invitation.name).await;
    }
    let closed = "SELECT count(*) FROM events WHERE kind = 'EXPIRED' AND organization = 'umbrella'";
    until(service.pool(), closed, |closed| closed == 1).await;
    assert_eq!(count(service.pool(), "SELECT count(*) FROM events WHERE kind = 'EXPIRED'").await, 1);
}

fn invite_all(owner: &Person, domain: String) -> impl Iterator<Item = impl Future<Output = Invited>> {
    let emails = (0..NEIGHBOURS).map(move |n| format!("guest-{n}@{domain}"));
    emails.map(async move |email| owner.invite("acme", &email).await)
}

type Invited = Result<invitations::pb::Invitation, tonic::Status>;

/// Makes the calls while the writers are held up, so that the commands wait and are taken together. Returns which attempt
/// it was at which none of them gave up: each attempt needs other calls.
async fn together<I>(service: &Service, calls: impl Fn(usize) -> I) -> (usize, Vec<Invited>)
where
    I: IntoIterator<Item: Future<Output = Invited>>,
{
    until_nobody_gives_up(async |attempt| {
        let mut gate = service.pool().begin().await.unwrap();
        sqlx::query("SELECT FROM organization_heads FOR UPDATE").execute(&mut *gate).await.unwrap();
        let waits = async {
            until_blocked(service.pool()).await;
            // and until every call has read what it reads before the writers' turn comes
            let mut quiet = 0;
            while quiet < 50 {
                let reading = "SELECT count(*) FROM pg_stat_activity \
                                WHERE datname = current_database() AND state = 'active' \
                                  AND wait_event_type IS DISTINCT FROM 'Lock' AND pid <> pg_backend_pid()";
                quiet = if count(service.pool(), reading).await == 0 { quiet + 1 } else { 0 };
            }
        };
        let outcomes = held_up(at_once(calls(attempt)), waits, gate).await?;
        Some((attempt, outcomes))
    })
    .await
}

async fn execute(pool: &PgPool, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(pool).await.unwrap();
}
