//! Accounts that are deleted while somebody makes them a member, and deletions that were cut off.

use std::sync::Arc;
use std::time::Duration;

use invitations::app::{App, Connections, Limits, Retention, Step, Sweeper};
use invitations::domain::{EmailAddress, Identity, Username};
use invitations::pb::{self, invitation::State};
use invitations::store::accounts;
use invitations::tasks::Tasks;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use super::{Replicas, at_once, count, deployment, held_up, until_blocked, until_nobody_gives_up};
use crate::support::{PATIENCE, Person, Service, reason};

/// What a deleted account must not have any more.
const LEFT_BEHIND: &str = "SELECT (SELECT count(*) FROM members m JOIN accounts a USING (username) WHERE a.delete_time IS NOT NULL) \
     + (SELECT count(*) FROM invitations i JOIN accounts a USING (username) \
         WHERE a.delete_time IS NOT NULL AND i.state IN ('ACCESS_REQUESTED', 'PENDING_APPROVAL', 'OFFERED')) \
     + (SELECT count(*) FROM account_emails e JOIN accounts a USING (username) WHERE a.delete_time IS NOT NULL) \
     + (SELECT count(*) FROM identities i JOIN accounts a USING (username) WHERE a.delete_time IS NOT NULL)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_deleted_while_it_accepts_leaves_nothing_behind() {
    let replicas = Replicas::start().await;
    let service = &replicas.service;
    let owner = service.owner("olga", "acme").await;
    let rounds = (0..24).map(async |round| {
        let name = format!("guest-{round}");
        let guest = service.account(&name).await;
        // every other one is an owner already and leaves in the first part of the deletion
        if round % 2 == 0 {
            guest.create_organization(&format!("own-{round}")).await.unwrap();
            service_owner(service, &owner, &guest, &format!("own-{round}")).await;
        }
        let offer = owner.offer("acme", &name, &format!("{name}@example.com"), "OWNER").await.unwrap();
        let elsewhere = guest.on(&replicas.second);
        let (accepted, deleted) = if round % 3 == 0 {
            tokio::join!(guest.accept(&offer.name), delete(&elsewhere, ""))
        } else {
            let (deleted, accepted) = tokio::join!(delete(&elsewhere, ""), guest.accept(&offer.name));
            (accepted, deleted)
        };
        deleted.unwrap();
        match accepted {
            Ok(_) => 1,
            refused => {
                let reason = reason(refused);
                assert!(["ACCOUNT_REQUIRED", "INVITATION_REVOKED"].contains(&&*reason), "{reason}");
                0
            }
        }
    });
    for round in rounds {
        round.await;
    }
    assert_eq!(count(service.pool(), LEFT_BEHIND).await, 0);
    assert_eq!(count(service.pool(), "SELECT count(*) FROM members WHERE organization = 'acme'").await, 1);
    service.recount().await;
}

#[tokio::test]
async fn an_account_that_is_being_deleted_is_made_no_owner() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let promoted = until_nobody_gives_up(async |attempt| {
        let name = format!("anna{attempt}");
        service.member(&owner, "acme", &name, "READER").await;
        let mut deletion = service.pool().begin().await.unwrap();
        assert!(accounts::tombstone(&mut deletion, &Username::parse(&name).unwrap()).await.unwrap());
        // the promotion waits to see how the deletion ends
        let promotion = at_once([owner.set_role("acme", &name, "OWNER")]);
        held_up(promotion, sleep(Duration::from_millis(500)), deletion).await
    });
    for promoted in promoted.await {
        assert_eq!(reason(promoted), "MEMBER_NOT_FOUND");
    }
    service.recount().await;
}

#[tokio::test]
async fn addresses_of_a_token_that_is_used_during_the_deletion_are_deleted_too() {
    let service = Service::start().await;
    let deleted = until_nobody_gives_up(async |attempt| {
        let name = format!("anna{attempt}");
        let anna = service.account(&name).await;
        let known = "SELECT issuer, subject FROM identities WHERE username = $1";
        let known = sqlx::query_as(known).bind(&name).fetch_one(service.pool()).await;
        let (issuer, subject): (String, Vec<String>) = known.unwrap();
        let identity = Identity {
            issuer,
            subject,
            provider: "github".to_owned(),
            tenant: None,
            emails: Some(vec![EmailAddress::parse(&format!("{name}@new.example")).unwrap()]),
            attest_time: time::OffsetDateTime::now_utc() + time::Duration::MINUTE,
        };
        let mut attesting = service.pool().begin().await.unwrap();
        accounts::attest(&mut attesting, &identity).await.unwrap();
        held_up(at_once([delete(&anna, "")]), until_blocked(service.pool()), attesting).await
    });
    for deleted in deleted.await {
        deleted.unwrap();
    }
    assert_eq!(count(service.pool(), LEFT_BEHIND).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_id_deletes_an_account_once_and_everybody_hears_that_it_is_gone() {
    let replicas = Replicas::start().await;
    for round in 0..15 {
        let guest = replicas.service.account(&format!("guest-{round}")).await;
        let id = Uuid::new_v4().to_string();
        let callers = replicas.spread(&guest, 4);
        for deleted in at_once(callers.iter().map(|guest| delete(guest, &id))).await {
            deleted.unwrap();
        }
    }
    assert_eq!(count(replicas.service.pool(), LEFT_BEHIND).await, 0);
}

#[tokio::test]
async fn a_deletion_that_was_cut_off_is_finished_by_the_sweep() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    service.owner("bob", "umbrella").await;
    let anna = service.member(&owner, "acme", "anna", "MANAGER").await;
    let offer = owner_of(&service, "bob").offer("umbrella", "anna", "anna@example.com", "READER").await.unwrap();

    // the first part, and then the process ends
    let mut deletion = service.pool().begin().await.unwrap();
    accounts::tombstone(&mut deletion, &Username::parse("anna").unwrap()).await.unwrap();
    deletion.commit().await.unwrap();
    assert_eq!(reason(anna.accept(&offer.name).await), "ACCOUNT_REQUIRED");
    assert_eq!(count(service.pool(), LEFT_BEHIND).await, 2, "the control: the membership and the offer are there");

    let connections = Connections::open(&service.database.service_url, 2, 2).unwrap();
    connections.reads.acquire().await.unwrap();
    let app = App::start(connections, deployment(), Limits::default(), Tasks::default(), &Arc::default());
    let sweeper = Sweeper { app, interval: PATIENCE, retention: Retention::default() };
    let sweep = async || sweeper.turn(Step::Deletions, &CancellationToken::new()).await.failures;
    assert_eq!(sweep().await, 0);
    assert_eq!(count(service.pool(), LEFT_BEHIND).await, 0);
    assert_eq!(owner.events("acme").await.last().unwrap(), "MEMBER_REMOVED");
    assert_eq!(owner_of(&service, "bob").get(&offer.name).await.unwrap().state(), State::Revoked);
    service.recount().await;

    // what was decided before the deletion may be committed after a sweep, for a while; then nobody looks any more
    let is_looked_for = "SELECT count(*) FROM accounts WHERE username = 'anna' AND left_time IS NULL";
    for (late, looked_for) in
        [("SELECT", 1), ("UPDATE accounts SET delete_time = now() - interval '11 minutes' WHERE username = 'anna'", 0)]
    {
        let member = "INSERT INTO members (organization, username, role) VALUES ('acme', 'anna', 'NONE')";
        sqlx::query(member).execute(service.pool()).await.unwrap();
        sqlx::query(late).execute(service.pool()).await.unwrap();
        assert_eq!(sweep().await, 0);
        assert_eq!(count(service.pool(), LEFT_BEHIND).await, 0);
        assert_eq!(count(service.pool(), is_looked_for).await, looked_for);
    }
}

/// The same token again.
fn owner_of(service: &Service, username: &str) -> Person {
    service.stranger(username, &format!("{username}@example.com"))
}

/// A second owner, so that the first one may leave.
async fn service_owner(service: &Service, owner: &Person, founder: &Person, organization: &str) {
    let offer = founder.offer(organization, "olga", "olga@example.com", "OWNER").await.unwrap();
    owner.accept(&offer.name).await.unwrap();
    service.recount().await;
}

async fn delete(person: &Person, request_id: &str) -> Result<(), Status> {
    let message = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), request_id: request_id.to_owned() };
    person.accounts.clone().delete_account(message).await.map(tonic::Response::into_inner)
}
