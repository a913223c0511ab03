//! Commands that share a transaction: what is wrong with one of them is not the others' concern.

use std::collections::BTreeSet;

use invitations::pb::invitation::State;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::{Replicas, at_once, count, until};
use crate::support::{Person, Service, evidence, reason};

/// How many commands meet in a batch.
const NEIGHBOURS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_breaks_a_constraint_fails_alone() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;

    // the control: nothing is wrong, and they do share a transaction
    let invited = together(&service, &owner, invite_all(&owner, "fine.example")).await;
    let created =
        invited.into_iter().map(|invitation| invitation.unwrap().create_time.unwrap()).map(|t| (t.seconds, t.nanos));
    let transactions = created.collect::<BTreeSet<_>>().len();
    assert!(transactions <= NEIGHBOURS / 2, "{NEIGHBOURS} commands took {transactions} transactions");

    execute(
        service.pool(),
        "ALTER TABLE emails ADD CONSTRAINT emails_poison CHECK (recipient <> 'guest-5@poison.example')",
    )
    .await;
    let invited = together(&service, &owner, invite_all(&owner, "poison.example")).await;
    for (n, invitation) in invited.into_iter().enumerate() {
        if n == 5 {
            assert_eq!(reason(invitation), "INTERNAL_ERROR");
        } else {
            // everybody gets the outcome of their own command
            assert_eq!(invitation.unwrap().email, format!("guest-{n}@poison.example"));
        }
    }
    let written = "SELECT count(*) FROM invitations WHERE email_key LIKE '%@poison.example'";
    assert_eq!(count(service.pool(), written).await, 11);
    service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_tried_in_halves_says_so() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let halved = ["constraint emails_halved refused the write", "tried again in halves"];
    // the control: a batch that goes through says nothing
    together(&service, &owner, invite_all(&owner, "whole.example")).await;
    assert!(!evidence::has_logged(&halved));
    let poison = "ALTER TABLE emails ADD CONSTRAINT emails_halved CHECK (recipient NOT LIKE '%@halved.example')";
    execute(service.pool(), poison).await;
    let invited = together(&service, &owner, invite_all(&owner, "halved.example")).await;
    assert!(invited.into_iter().all(|invitation| reason(invitation) == "INTERNAL_ERROR"));
    assert!(evidence::has_logged(&halved));
    assert!(evidence::counted("invitations_batches_halved_total") > 0);
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
    let invite = async |slug: &String| owner.invite(slug, "anna@example.com").await;
    let invited = together(&service, &owner, slugs.iter().map(invite)).await;
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

/// The same for whoever is decided without the lock first.
#[tokio::test]
async fn a_dry_run_that_panics_fails_alone() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    owner.create_organization("umbrella").await.unwrap();
    let guest = service.account("anna").await;
    owner.invite("acme", "anna@example.com").await.unwrap();
    let broken = service.code_to("anna@example.com", 1).await;
    owner.invite("umbrella", "anna@example.com").await.unwrap();
    let good = service.code_to("anna@example.com", 2).await;
    let overflow = format!("UPDATE organization_heads SET event_position = {} WHERE organization = 'acme'", i64::MAX);
    execute(service.pool(), &overflow).await;
    if cfg!(debug_assertions) {
        assert_eq!(reason(guest.request_access(&broken).await), "INTERNAL_ERROR");
    }
    assert_eq!(guest.request_access(&good).await.unwrap().state(), State::AccessRequested);
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

fn invite_all(owner: &Person, domain: &'static str) -> impl Iterator<Item = impl Future<Output = Invited>> {
    let emails = (0..NEIGHBOURS).map(move |n| format!("guest-{n}@{domain}"));
    emails.map(async move |email| owner.invite("acme", &email).await)
}

type Invited = Result<invitations::pb::Invitation, tonic::Status>;

/// Makes the calls while both lanes are busy with something else, so that the commands wait and are taken together.
async fn together(
    service: &Service,
    owner: &Person,
    calls: impl IntoIterator<Item: Future<Output = Invited>>,
) -> Vec<Invited> {
    const LANES: [&str; 2] = ["plug-1", "plug-2"];
    let plug = "CREATE OR REPLACE FUNCTION plug() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN IF NEW.organization LIKE 'plug-%' THEN PERFORM pg_sleep(2.5); END IF; RETURN NEW; END $$; \
                CREATE OR REPLACE TRIGGER plug BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION plug()";
    for organization in LANES {
        // the second time they are there already
        owner.create_organization(organization).await.ok();
    }
    sqlx::raw_sql(plug).execute(service.pool()).await.unwrap();
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    let mut busy = Vec::new();
    for organization in LANES {
        let (owner, email) = (owner.clone(), format!("{}@example.com", Uuid::new_v4()));
        busy.push(tokio::spawn(async move { owner.invite(organization, &email).await }));
        // one in each lane
        let count = i64::try_from(busy.len()).unwrap();
        until(service.pool(), asleep, |asleep| asleep == count).await;
    }
    let invited = at_once(calls).await;
    for plug in busy {
        plug.await.unwrap().unwrap();
    }
    invited
}

async fn execute(pool: &PgPool, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(pool).await.unwrap();
}
