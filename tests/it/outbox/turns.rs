//! Who comes first.

use std::time::Duration;

use invitations::dev::mailbox::Action;
use invitations::domain::OrganizationId;
use invitations::store::outbox;
use sqlx::PgPool;

use super::service::with_idle_mail;
use super::{Outbox, round};

const LEASE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_flood_of_one_organization_delays_no_other() {
    let outbox = Outbox::start(|_| Action::Proceed).await;
    for organization in ["flood", "small"] {
        outbox.organization(organization).await;
    }
    outbox.invite("flood", 20_000).await;
    outbox.invite("small", 1).await;
    // written now, when the flood has been waiting for an hour
    outbox.execute("UPDATE emails SET due_time = now() WHERE organization = 'small'").await;
    outbox.execute("ANALYZE emails").await;

    let oldest: Vec<String> =
        sqlx::query_scalar("SELECT organization FROM emails WHERE due_time <= now() ORDER BY due_time LIMIT 10000")
            .fetch_all(&outbox.rows)
            .await
            .unwrap();
    assert!(!oldest.contains(&"small".to_owned()), "control: in the order of the queue it waits for half of the flood");

    let first = round(&mut outbox.worker()).await;
    assert_eq!((first.claimed, first.sent), (16, 16));
    assert!(outbox.arrived_for().contains(&"1@small.example".to_owned()));
}

#[tokio::test]
async fn organizations_take_turns() {
    let outbox = Outbox::start(|_| Action::Proceed).await;
    for (organization, count) in [("acme", 40), ("beta", 3), ("gamma", 1)] {
        outbox.organization(organization).await;
        outbox.invite(organization, count).await;
    }
    let mut connection = outbox.workers.acquire().await.unwrap();
    let mut turn = async |limit| {
        let held = outbox::claim(&mut connection, None, limit, LEASE).await.unwrap();
        let mut organizations = held.iter().map(|held| held.organization.as_str().to_owned()).collect::<Vec<_>>();
        organizations.sort();
        organizations
    };
    assert_eq!(turn(3).await, ["acme", "beta", "gamma"]);
    assert_eq!(turn(5).await, ["acme", "acme", "acme", "beta", "beta"]);
    assert_eq!(turn(100).await.len(), 36);
    assert_eq!(turn(100).await.len(), 0);
}

#[tokio::test]
async fn one_organization_can_be_served_alone() {
    let outbox = Outbox::start(|_| Action::Proceed).await;
    for organization in ["acme", "beta"] {
        outbox.organization(organization).await;
        outbox.invite(organization, 3).await;
    }
    let beta = OrganizationId::parse("beta").unwrap();
    let mut connection = outbox.workers.acquire().await.unwrap();
    let held = outbox::claim(&mut connection, Some(&beta), 100, LEASE).await.unwrap();
    assert_eq!(held.len(), 3);
    assert!(held.iter().all(|held| held.organization == beta));
}

#[tokio::test]
async fn what_is_not_due_waits() {
    let outbox = Outbox::start(|_| Action::Proceed).await;
    outbox.organization("acme").await;
    outbox.invite("acme", 2).await;
    outbox.execute("UPDATE emails SET due_time = now() + interval '1 minute' WHERE recipient LIKE '2@%'").await;
    let mut worker = outbox.worker();
    assert_eq!(round(&mut worker).await.sent, 1);
    assert_eq!(round(&mut worker).await.claimed, 0);
    assert_eq!(outbox.rows().await, ["1@acme.example SENT 1 250", "2@acme.example QUEUED 0 -"]);
    outbox.make_due().await;
    assert_eq!(round(&mut worker).await.sent, 1);
}

/// Five emails of a bystander, in the middle of a flood: more come due before them and after them than a look from either
/// end of the queue sees.
async fn in_the_middle_of_a_flood(outbox: &Outbox) {
    outbox.organization("flood").await;
    outbox.invite("flood", 6_000).await;
    for statement in [
        "UPDATE emails SET due_time = now() - interval '30 minutes' + random() * interval '1 minute' WHERE organization = 'flood'",
        "UPDATE emails SET due_time = now() - interval '29.5 minutes' WHERE organization = 'small' AND kind NOT LIKE '%_REMINDER'",
        "INSERT INTO mail_turns (organization, turn_time) VALUES ('flood', now() - interval '30 minutes')",
        "ANALYZE emails",
    ] {
        outbox.execute(statement).await;
    }
}

/// How many of the emails that went out in two batches are the bystander's.
async fn sent_in_two_batches(outbox: &Outbox) -> usize {
    let mut worker = outbox.worker();
    round(&mut worker).await;
    round(&mut worker).await;
    outbox.arrived_for().iter().filter(|address| address.ends_with("@small.example")).count()
}

#[tokio::test]
async fn in_the_middle_of_a_flood_others_are_at_most_one_batch_late() {
    for is_in_turn in [true, false] {
        let service = with_idle_mail().await;
        let owner = service.owner("olga", "small").await;
        for n in 1..=5 {
            owner.invite("small", &format!("{n}@small.example")).await.unwrap();
        }
        let outbox = Outbox::on(&service.database, |_| Action::Proceed).await;
        in_the_middle_of_a_flood(&outbox).await;
        if !is_in_turn {
            outbox.execute("DELETE FROM mail_turns WHERE organization = 'small'").await;
        }
        let expected = if is_in_turn { 5 } else { 0 };
        assert_eq!(sent_in_two_batches(&outbox).await, expected, "control: it has no turn: {}", !is_in_turn);
    }
}

#[tokio::test]
async fn what_comes_again_has_its_turn_too() {
    for is_refused in [true, false] {
        let outbox = Outbox::start(move |step| match step {
            invitations::dev::mailbox::Step::Rcpt(_) if is_refused => Action::Reply("450 4.2.0 not now"),
            _ => Action::Proceed,
        })
        .await;
        outbox.organization("small").await;
        outbox.invite("small", 5).await;
        round(&mut outbox.worker()).await;
        // until they are tried again; or nothing is left
        assert_eq!(
            turn(&outbox.rows, "small").await.map(|seconds| (1..=20).contains(&seconds)),
            is_refused.then_some(true)
        );
    }
}

/// In how many seconds an organization has its turn; `None`: it has none.
async fn turn(rows: &PgPool, organization: &str) -> Option<i64> {
    let query = "SELECT extract(epoch FROM turn_time - now())::int8 FROM mail_turns WHERE organization = $1";
    sqlx::query_scalar(query).bind(organization).fetch_one(rows).await.unwrap()
}

#[tokio::test]
async fn an_email_that_is_written_while_the_turn_is_passed_on_keeps_it() {
    for raises in [true, false] {
        let outbox = Outbox::start(|_| Action::Proceed).await;
        outbox.organization("acme").await;
        outbox.execute("INSERT INTO mail_turns (organization, turn_time) VALUES ('acme', now())").await;
        let acme = OrganizationId::parse("acme").unwrap();
        // what `pass_on` does, cut in two: it looks at the emails, and then writes
        let mut looking = outbox.rows.begin().await.unwrap();
        let look = "SELECT revision FROM mail_turns WHERE organization = 'acme' AND NOT EXISTS (SELECT 1 FROM emails)";
        let seen: i64 = sqlx::query_scalar(look).fetch_one(&mut *looking).await.unwrap();
        outbox.invite("acme", 1).await;
        if raises {
            outbox.execute("UPDATE mail_turns SET revision = revision + 1").await;
        }
        let write = "UPDATE mail_turns SET turn_time = NULL WHERE organization = 'acme' AND revision = $1";
        sqlx::query(write).bind(seen).execute(&mut *looking).await.unwrap();
        looking.commit().await.unwrap();
        assert_eq!(turn(&outbox.rows, "acme").await.is_some(), raises, "control: an email that has no turn");

        // whoever is writing is not waited for
        let mut writing = outbox.rows.begin().await.unwrap();
        sqlx::query("UPDATE mail_turns SET revision = revision + 1").execute(&mut *writing).await.unwrap();
        let mut owed = vec![acme.clone()];
        let mut connection = outbox.workers.acquire().await.unwrap();
        outbox::pass_on(&mut connection, &mut owed).await.unwrap();
        assert_eq!(owed, [acme]);
        writing.commit().await.unwrap();
        outbox::pass_on(&mut connection, &mut owed).await.unwrap();
        assert_eq!(owed, []);
        assert_eq!(turn(&outbox.rows, "acme").await, Some(0));
    }
}
