//! How many statements a call takes, with the limits of a deployment on: what it costs a caller who waits alone.

use futures_util::future::join_all;
use invitations::pb;
use uuid::Uuid;

use crate::support::{Person, Service, Watched, reason};

/// The limits that a deployment has by default and a test has not.
const LIMITS: [(&str, &str); 8] = [
    ("resend_interval_seconds", "300"),
    ("resends_per_invitation_limit", "10"),
    ("open_invitations_limit", "10000"),
    ("wrong_codes_limit", "10"),
    ("wrong_accounts_limit", "10"),
    ("invitations_per_organization_limit", "1000"),
    ("invitations_per_caller_limit", "1000"),
    ("emails_per_address_limit", "10"),
];

/// Of several calls the one with the fewest counts: a new connection looks into the catalog once.
const TRIES: usize = 3;

/// The fewest statements of calls that one after another are made for people 0, 1, …
async fn fewest(watched: &Watched, call: impl AsyncFn(usize)) -> Vec<String> {
    let mut fewest: Option<Vec<String>> = None;
    for n in 0..TRIES {
        let ((), statements) = watched.statements(call(n)).await;
        if fewest.as_ref().is_none_or(|fewest| statements.len() < fewest.len()) {
            fewest = Some(statements);
        }
    }
    fewest.unwrap()
}

#[track_caller]
fn assert_at_most(what: &str, limit: usize, statements: &[String]) {
    assert!(!statements.is_empty(), "the server logs what {what} asks");
    let listed = statements.iter().map(|statement| statement.chars().take(100).collect::<String>());
    let listed = listed.collect::<Vec<_>>().join("\n  ");
    assert!(statements.len() <= limit, "{what}: {} statements, at most {limit}:\n  {listed}", statements.len());
}

/// An account with an offer of `acme`.
async fn offered(service: &Service, owner: &Person, n: usize) -> (Person, String) {
    let name = format!("guest-{n}");
    let guest = service.account(&name).await;
    let offer = owner.offer("acme", &name, &format!("{name}@example.com"), "READER").await.unwrap().name;
    (guest, offer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_asks_the_database_a_few_times_only() {
    let watched = Watched::start(&LIMITS).await;
    let service = &watched.service;
    let owner = service.owner("olga", "acme").await;
    let mut guests = Vec::new();
    for n in 0..TRIES {
        guests.push(offered(service, &owner, n).await);
    }
    let get = fewest(&watched, async |n| drop(owner.get(&guests[n].1).await.unwrap())).await;
    assert_at_most("GetInvitation", 1, &get);
    let own = fewest(&watched, async |n| drop(guests[n].0.get(&guests[n].1).await.unwrap())).await;
    assert_at_most("GetInvitation of one's own", 1, &own);

    let id = || Uuid::new_v4().to_string();
    let accept = async |n: usize| {
        let (guest, offer) = &guests[n];
        let message = pb::AcceptInvitationRequest { name: offer.clone(), request_id: id(), ..Default::default() };
        guest.invitations.clone().accept_invitation(message).await.unwrap();
    };
    assert_at_most("AcceptInvitation", 12, &fewest(&watched, accept).await);
    let invite = async |n: usize| {
        drop(owner.invite_by("acme", &format!("new-{n}@example.com"), &id()).await.unwrap());
    };
    assert_at_most("CreateInvitation", 10, &fewest(&watched, invite).await);
    let list = pb::ListInvitationsRequest { parent: "organizations/acme".to_owned(), ..Default::default() };
    let list = async |_| drop(owner.invitations.clone().list_invitations(list.clone()).await.unwrap());
    assert_at_most("ListInvitations", 3, &fewest(&watched, list).await);

    let names = guests.iter().map(|(_, offer)| offer.clone()).collect();
    let all = pb::BatchGetInvitationsRequest { parent: "organizations/acme".to_owned(), names };
    let get = async |_| drop(owner.invitations.clone().batch_get_invitations(all.clone()).await.unwrap());
    assert_at_most("BatchGetInvitations", 3, &fewest(&watched, get).await);

    // the control: a repetition reads what it answers with
    let repeated = id();
    let invite = async |_| drop(owner.invite_by("acme", "again@example.com", &repeated).await.unwrap());
    invite(0).await;
    let repetition = fewest(&watched, invite).await;
    assert!(
        repetition.len() > 2 && !repetition.iter().any(|s| s.contains("INSERT INTO invitations")),
        "{repetition:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_a_thousand_asks_as_often_as_a_few_calls() {
    let watched = Watched::start(&LIMITS).await;
    let owner = watched.service.owner("olga", "acme").await;
    let rows = |count: usize| {
        let row = |n| pb::CreateInvitationRequest {
            invitation: Some(pb::Invitation { email: format!("{n}@{count}.example"), ..Default::default() }),
            ..Default::default()
        };
        let (parent, request_id) = ("organizations/acme".to_owned(), Uuid::new_v4().to_string());
        let requests = (0..count).map(row).collect();
        pb::BatchCreateInvitationsRequest { parent, requests, request_id, validate_only: false }
    };
    let create = async |count| {
        let answer = owner.invitations.clone().batch_create_invitations(rows(count)).await.unwrap().into_inner();
        assert_eq!(answer.results.len(), count);
    };
    create(1).await;
    let ((), few) = watched.statements(create(10)).await;
    let ((), many) = watched.statements(create(900)).await;
    assert_at_most("a batch of 10", 10, &few);
    // nine parts, each with six
    assert_at_most("a batch of 900", 64, &many);
    // the control: they are there
    assert!(many.len() > few.len());
}

/// How many calls are made at once.
const AT_ONCE: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_are_answered_by_one_statement_and_each_by_its_own() {
    let watched = Watched::start(&LIMITS).await;
    let service = &watched.service;
    let mut owners = Vec::new();
    for n in 0..4 {
        let organization = format!("acme-{n}");
        let owner = service.owner(&format!("olga-{n}"), &organization).await;
        let invitation = owner.invite(&organization, &format!("anna-{n}@example.com")).await.unwrap().name;
        owners.push((owner, invitation));
    }
    // each owner's own invitation is there for them, and that of another one is not
    let get = async |n: usize| {
        let (owner, own) = &owners[n % owners.len()];
        let (_, other) = &owners[(n + 1) % owners.len()];
        assert_eq!(owner.get(own).await.unwrap().name, *own);
        assert_eq!(reason(owner.get(other).await), "INVITATION_NOT_FOUND");
    };
    let (_, together) = watched.statements(join_all((0..AT_ONCE).map(get))).await;
    // the control: one after the other, each call asks for itself
    let one_by_one = async {
        for n in 0..AT_ONCE {
            get(n).await;
        }
    };
    let ((), apart) = watched.statements(one_by_one).await;
    assert_eq!(apart.len(), 2 * AT_ONCE);
    assert!(together.len() < AT_ONCE, "{} statements for {} calls", together.len(), 2 * AT_ONCE);

    // a charge for each, and yet few statements
    let invite = async |n: usize| {
        let (owner, _) = &owners[n % owners.len()];
        let organization = format!("acme-{}", n % owners.len());
        owner.invite(&organization, &format!("new-{n}@example.com")).await.unwrap();
    };
    let (_, statements) = watched.statements(join_all((0..AT_ONCE).map(invite))).await;
    let charging = statements.iter().filter(|statement| statement.contains("INTO subject_limits")).count();
    assert!((1..AT_ONCE / 2).contains(&charging), "{charging} statements that charge");
    let counted = "SELECT sum(totals[1])::bigint FROM subject_limits WHERE subject LIKE 'invitation/%'";
    let counted: i64 = sqlx::query_scalar(counted).fetch_one(service.pool()).await.unwrap();
    assert_eq!(usize::try_from(counted).unwrap(), owners.len() + AT_ONCE);
}
