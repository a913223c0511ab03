//! One request, sent several times at once: by a client that is impatient, or a proxy that is.

use invitations::pb::{self, Invitation};
use tonic::Status;
use uuid::Uuid;

use super::{Replicas, at_once, count};
use crate::support::{Person, reason};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_id_makes_one_invitation_and_everybody_gets_it() {
    let replicas = Replicas::start().await;
    let owner = replicas.service.owner("olga", "acme").await;
    let admin = replicas.service.service("importer", &["invitations.write", "invitations.read"]);
    for round in 0..20 {
        // members take another way to the writer than services
        let callers = replicas.spread(if round % 2 == 0 { &owner } else { &admin }, 8);
        let (id, email) = (Uuid::new_v4().to_string(), format!("guest-{round}@example.com"));
        let answers = at_once(callers.iter().map(|caller| invite(caller, &email, &id))).await;
        let names = answers.into_iter().map(|answer| answer.unwrap().name).collect::<Vec<_>>();
        assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    }
    let pool = replicas.service.pool();
    assert_eq!(count(pool, "SELECT count(*) FROM invitations").await, 20);
    assert_eq!(count(pool, "SELECT count(*) FROM events WHERE kind = 'INVITED'").await, 20);
    assert_eq!(count(pool, "SELECT count(*) FROM emails WHERE kind = 'ACCOUNT_INVITATION'").await, 20);
    assert_eq!(count(pool, "SELECT count(*) FROM request_ids").await, 20);
    replicas.service.recount().await;
}

/// The control: the same calls without request ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_request_ids_the_same_calls_conflict() {
    let replicas = Replicas::start().await;
    let owner = replicas.service.owner("olga", "acme").await;
    let invited =
        at_once(replicas.spread(&owner, 8).iter().map(|owner| owner.invite("acme", "anna@example.com"))).await;
    assert_eq!(only_winner(invited), "OPEN_INVITATION_EXISTS");

    let founded = at_once(replicas.spread(&owner, 8).iter().map(|owner| owner.create_organization("umbrella"))).await;
    assert_eq!(only_winner(founded), "ORGANIZATION_EXISTS");

    let anna = replicas.service.stranger("anna", "anna@example.com");
    let opened = at_once(replicas.spread(&anna, 8).iter().map(|anna| anna.create_account("anna"))).await;
    assert_eq!(only_winner(opened), "ACCOUNT_EXISTS");

    let bob = replicas.service.stranger("bob", "bob@example.com");
    let other_bob = replicas.service.entra_stranger("other-bob", "bob@example.com");
    let opened = at_once([bob.create_account("bob"), other_bob.on(&replicas.second).create_account("bob")]).await;
    assert_eq!(only_winner(opened), "USERNAME_TAKEN");
    replicas.service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_id_with_two_bodies_does_the_one_and_refuses_the_other() {
    let replicas = Replicas::start().await;
    let owner = replicas.service.owner("olga", "acme").await;
    for round in 0..10 {
        let callers = replicas.spread(&owner, 8);
        let id = Uuid::new_v4().to_string();
        let emails = [format!("anna-{round}@example.com"), format!("bob-{round}@example.com")];
        // the first four of both replicas against the others
        let calls = callers.iter().enumerate().map(|(n, caller)| invite(caller, &emails[n / 2 % 2], &id));
        let mut made = None;
        for answer in at_once(calls).await {
            match answer {
                Ok(invitation) => assert_eq!(*made.get_or_insert(invitation.name.clone()), invitation.name),
                refused => assert_eq!(reason(refused), "REQUEST_ID_REUSED"),
            }
        }
        assert!(made.is_some());
    }
    assert_eq!(count(replicas.service.pool(), "SELECT count(*) FROM invitations").await, 10);
    replicas.service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_id_founds_one_organization() {
    let replicas = Replicas::start().await;
    let owner = replicas.service.account("olga").await;
    for round in 0..15 {
        // two slugs at once, so that a batch holds both
        let ids = [format!("acme-{round}"), format!("umbrella-{round}")].map(|slug| (slug, Uuid::new_v4().to_string()));
        let callers = replicas.spread(&owner, 8);
        let calls = callers.iter().enumerate().map(|(n, owner)| found(owner, &ids[n / 2 % 2]));
        for (n, answer) in at_once(calls).await.into_iter().enumerate() {
            assert_eq!(answer.unwrap().name, format!("organizations/{}", ids[n / 2 % 2].0));
        }
    }
    let pool = replicas.service.pool();
    assert_eq!(count(pool, "SELECT count(*) FROM organizations").await, 30);
    assert_eq!(count(pool, "SELECT count(*) FROM events").await, 30);
    replicas.service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_id_opens_one_account() {
    let replicas = Replicas::start().await;
    let rounds = (0..30).map(async |round| {
        let name = format!("guest-{round}");
        let guest = replicas.service.stranger(&name, &format!("{name}@example.com"));
        let id = Uuid::new_v4().to_string();
        let callers = replicas.spread(&guest, 4);
        for answer in at_once(callers.iter().map(|guest| open(guest, &name, &id))).await {
            assert_eq!(answer.unwrap().name, format!("accounts/{name}"));
        }
    });
    for round in rounds {
        round.await;
    }
    assert_eq!(count(replicas.service.pool(), "SELECT count(*) FROM accounts").await, 30);
}

/// One of them worked, and all others were refused for the same reason.
fn only_winner<T: std::fmt::Debug>(outcomes: Vec<Result<T, Status>>) -> String {
    let mut refused = outcomes.into_iter().filter(Result::is_err).map(reason).collect::<Vec<_>>();
    let count = refused.len();
    refused.dedup();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(count == 7 || count == 1, "{count} were refused");
    refused.remove(0)
}

async fn invite(caller: &Person, email: &str, id: &str) -> Result<Invitation, Status> {
    let message = pb::CreateInvitationRequest {
        parent: "organizations/acme".to_owned(),
        invitation: Some(Invitation { email: email.to_owned(), ..Default::default() }),
        request_id: id.to_owned(),
        ..Default::default()
    };
    Ok(caller.invitations.clone().create_invitation(message).await?.into_inner())
}

async fn found(owner: &Person, (slug, id): &(String, String)) -> Result<pb::Organization, Status> {
    let organization = pb::Organization {
        display_name: "Two of them".to_owned(),
        notification_email: "notify@example.com".to_owned(),
        ..Default::default()
    };
    let message = pb::CreateOrganizationRequest {
        organization_id: slug.clone(),
        organization: Some(organization),
        request_id: id.clone(),
        ..Default::default()
    };
    Ok(owner.organizations.clone().create_organization(message).await?.into_inner())
}

async fn open(guest: &Person, name: &str, id: &str) -> Result<pb::Account, Status> {
    let message =
        pb::CreateAccountRequest { account_id: name.to_owned(), request_id: id.to_owned(), ..Default::default() };
    Ok(guest.accounts.clone().create_account(message).await?.into_inner())
}
