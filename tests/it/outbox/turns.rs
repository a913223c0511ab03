//! Who comes first.

use std::time::Duration;

use invitations::dev::mailbox::Action;
use invitations::domain::OrganizationId;
use invitations::store::outbox;

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
