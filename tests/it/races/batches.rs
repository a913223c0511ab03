//! Commands that share a transaction: what is wrong with one of them is not the others' concern.

use std::collections::BTreeSet;

use invitations::pb::invitation::State;
use sqlx::{AssertSqlSafe, PgPool};

use super::{Replicas, at_once, count, until, until_blocked};
use crate::support::{Person, Service, reason};

/// How many commands meet in a batch.
const NEIGHBOURS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_breaks_a_constraint_fails_alone() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let emails = (0..NEIGHBOURS).map(|n| format!("guest-{n}@example.com")).collect::<Vec<_>>();

    // the control: nothing is wrong, and they do share a transaction
    let invited = together(&service, invite_all(&owner, &emails)).await;
    let created =
        invited.into_iter().map(|invitation| invitation.unwrap().create_time.unwrap()).map(|t| (t.seconds, t.nanos));
    let transactions = created.collect::<BTreeSet<_>>().len();
    assert!(transactions <= NEIGHBOURS / 2, "{NEIGHBOURS} commands took {transactions} transactions");

    execute(
        service.pool(),
        "ALTER TABLE emails ADD CONSTRAINT emails_poison CHECK (recipient <> 'guest-5@poison.example')",
    )
    .await;
    let emails = (0..NEIGHBOURS).map(|n| format!("guest-{n}@poison.example")).collect::<Vec<_>>();
    let invited = together(&service, invite_all(&owner, &emails)).await;
    for (invitation, email) in invited.into_iter().zip(&emails) {
        if email == "guest-5@poison.example" {
            assert_eq!(reason(invitation), "INTERNAL_ERROR");
        } else {
            // everybody gets the outcome of their own command
            assert_eq!(invitation.unwrap().email, *email);
        }
    }
    let outside = "SELECT count(*) FROM invitations WHERE email_key LIKE '%@poison.example'";
    assert_eq!(count(service.pool(), outside).await, 11);
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
    let invited = together(&service, slugs.iter().map(async |slug| owner.invite(slug, "anna@example.com").await)).await;
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

fn invite_all<'a>(owner: &'a Person, emails: &'a [String]) -> impl Iterator<Item = impl Future<Output = Invited> + 'a> {
    emails.iter().map(async |email| owner.invite("acme", email).await)
}

type Invited = Result<invitations::pb::Invitation, tonic::Status>;

/// Makes the calls while the writers are held up, so that the commands wait and are taken together.
async fn together<F: Future<Output = Invited>>(service: &Service, calls: impl IntoIterator<Item = F>) -> Vec<Invited> {
    let mut gate = service.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM organization_heads FOR UPDATE").execute(&mut *gate).await.unwrap();
    let open = async {
        until_blocked(service.pool()).await;
        // and until every call has read what it reads before the writers' turn comes
        let mut quiet = 0;
        while quiet < 50 {
            let reading = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
                             AND wait_event_type IS DISTINCT FROM 'Lock' AND pid <> pg_backend_pid()";
            quiet = if count(service.pool(), reading).await == 0 { quiet + 1 } else { 0 };
        }
        gate.commit().await.unwrap();
    };
    tokio::join!(at_once(calls), open).0
}

async fn execute(pool: &PgPool, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(pool).await.unwrap();
}
