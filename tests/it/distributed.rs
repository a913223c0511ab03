//! The service with `database_distributed`, on one Postgres, where the same statements run: what it does apart has the
//! same outcome. How it went on Citus is in docs/distributed.md.

mod commands;
mod nodes;

use futures_util::future::join_all;
use invitations::dev::mailbox::Script;
use invitations::pb;
use invitations::pb::invitation::State;
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Channel, Person, Service, reason};

const DISTRIBUTED: [(&str, &str); 2] = [("database_distributed", "true"), ("writers", "4")];

async fn distributed() -> Service {
    Service::start_with(&DISTRIBUTED, Script::accept_all()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_goes_its_whole_way_and_an_owner_of_several_leaves() {
    let service = distributed().await;
    let owner = service.owner("olga", "acme").await;
    let invited = owner.invite("acme", "anna@example.com").await.unwrap();
    let anna = service.account("anna").await;
    anna.request_access(&service.code_to("anna@example.com", 1).await).await.unwrap();
    let offer = owner.offer("acme", "anna", "anna@example.com", "OWNER").await.unwrap();
    assert_eq!(offer.name, invited.name);
    service.email_to("anna@example.com", 2).await;
    assert_eq!(anna.accept(&offer.name).await.unwrap().state(), State::Accepted);
    let wrong_code = anna.request_access("0000-0000-0000-0000-0000-0000-0000").await;
    assert_eq!(reason(wrong_code), "CODE_NOT_FOUND");

    // an owner of three, none of which is left without one
    for (organization, successor) in [("beta", "ben"), ("coda", "carl")] {
        owner.create_organization(organization).await.unwrap();
        service.member(&owner, organization, successor, "OWNER").await;
    }
    let delete = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), request_id: Uuid::new_v4().to_string() };
    owner.accounts.clone().delete_account(delete.clone()).await.unwrap();
    let left = "SELECT count(*) FROM members WHERE username = 'olga'";
    assert_eq!(count(service.pool(), left).await, 0);
    owner.accounts.clone().delete_account(delete).await.unwrap();
    // the last owner of the last of them stays with all: one transaction
    let ben = service.stranger("ben", "ben@example.com");
    ben.create_organization("delta").await.unwrap();
    service.member(&ben, "delta", "dora", "OWNER").await;
    let delete = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
    assert_eq!(reason(ben.accounts.clone().delete_account(delete).await), "LAST_OWNER");
    let of_ben = "SELECT count(*) FROM members WHERE username = 'ben' AND role = 'OWNER'";
    assert_eq!(count(service.pool(), of_ben).await, 2);
    service.recount().await;
}

/// How many organizations the fullest transaction of invitations was for.
async fn fullest(pool: &PgPool) -> i64 {
    let fullest =
        "SELECT max(n) FROM (SELECT count(DISTINCT organization) AS n FROM invitations GROUP BY xmin::text) t";
    count(pool, fullest).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_for_one_organization_and_each_caller_gets_their_own_outcome() {
    for (settings, is_apart) in [(&DISTRIBUTED[..], true), (&[], false)] {
        let service = Service::start_with(settings, Script::accept_all()).await;
        let organizations = (0..6).map(|n| format!("acme-{n}")).collect::<Vec<_>>();
        let owner = service.account("olga").await;
        for organization in &organizations {
            owner.create_organization(organization).await.unwrap();
        }
        let invite = async |n: usize| {
            let organization = &organizations[n % organizations.len()];
            let email = format!("guest-{n}@example.com");
            let invitation = owner.invite(organization, &email).await.unwrap();
            assert!(invitation.name.starts_with(&format!("organizations/{organization}/")), "{}", invitation.name);
            assert_eq!(invitation.email, email);
        };
        join_all((0..48).map(invite)).await;
        let fullest = fullest(service.pool()).await;
        // the control: one Postgres shares a transaction among them
        assert_eq!(fullest == 1, is_apart, "{fullest} organizations in one transaction");
        service.recount().await;
    }
}

/// What each of them is answered on that replica.
async fn answers(people: &[Person], invitations: &[String], replica: &Channel) -> Vec<String> {
    let people = people.iter().map(|person| person.on(replica)).collect::<Vec<_>>();
    let ask = async |person: &Person, name: &String| {
        let organization = name.split("/invitations").next().unwrap().to_owned();
        let get = person.get(name).await.map_err(|status| reason(Err::<(), _>(status)));
        let organization = pb::GetOrganizationRequest { name: organization };
        let organization = person.organizations.clone().get_organization(organization).await;
        let organization = organization.map(tonic::Response::into_inner).map_err(|status| reason(Err::<(), _>(status)));
        format!("{get:?} {organization:?}")
    };
    let calls = people.iter().flat_map(|person| invitations.iter().map(move |name| (person, name)));
    join_all(calls.map(|(person, name)| ask(person, name))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_apart_is_answered_as_what_is_asked_together() {
    let service = Service::start().await;
    let apart = service.replica(&DISTRIBUTED).await;
    let mut people =
        vec![service.stranger("stranger", "stranger@example.com"), service.service("reader", &["invitations.read"])];
    let mut invitations = Vec::new();
    for n in 0..3 {
        let organization = format!("acme-{n}");
        let owner = service.owner(&format!("olga-{n}"), &organization).await;
        people.push(service.member(&owner, &organization, &format!("rita-{n}"), "READER").await);
        let name = format!("anna-{n}");
        invitations.push(owner.invite(&organization, &format!("other-{n}@example.com")).await.unwrap().name);
        people.push(service.account(&name).await);
        invitations
            .push(owner.offer(&organization, &name, &format!("{name}@example.com"), "READER").await.unwrap().name);
        // emails are shown with their states
        service.email_to(&format!("{name}@example.com"), 1).await;
        people.push(owner);
    }
    let waiting = "SELECT count(*) FROM emails WHERE state IN ('QUEUED', 'RETRYING') AND due_time <= now()";
    while count(service.pool(), waiting).await > 0 {}
    let together = answers(&people, &invitations, &service.channel).await;
    assert_eq!(answers(&people, &invitations, &apart).await, together);
    assert!(together.iter().any(|answer| answer.contains("SENT") || answer.contains("deliver")), "{}", together[2]);

    // a token with other addresses: the account's are brought up to date, and the invitee is told of their own
    let newer = |channel| service.signed_in_later("anna-0", 5, "new-0@example.com").on(channel);
    let names = [invitations[1].clone()];
    let by_apart = answers(&[newer(&apart)], &names, &apart).await;
    assert_eq!(by_apart, answers(&[newer(&service.channel)], &names, &service.channel).await);
    let emails = "SELECT count(*) FROM account_emails WHERE email = 'new-0@example.com'";
    assert_eq!(count(service.pool(), emails).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emails_of_many_organizations_go_out_once_each() {
    let service = distributed().await;
    service.replica(&DISTRIBUTED).await;
    let owner = service.account("olga").await;
    for n in 0..8 {
        owner.create_organization(&format!("acme-{n}")).await.unwrap();
    }
    let invite = async |n: usize| {
        drop(owner.invite(&format!("acme-{}", n % 8), &format!("guest-{n}@example.com")).await.unwrap());
    };
    join_all((0..64).map(invite)).await;
    for n in 0..64 {
        service.email_to(&format!("guest-{n}@example.com"), 1).await;
    }
    let received = service.mailbox.received();
    let of_guests = received.iter().filter(|email| email.recipients[0].starts_with("guest-"));
    assert_eq!(of_guests.count(), 64);
    let attempts = "SELECT count(*) FROM emails WHERE recipient LIKE 'guest-%' AND attempt > 1";
    assert_eq!(count(service.pool(), attempts).await, 0);
}

async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}
