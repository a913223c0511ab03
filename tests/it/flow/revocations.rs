//! RevokeInvitations: what a filter finds among the open invitations, each taken back as if alone.

use std::collections::BTreeSet;

use invitations::dev::mailbox::Script;
use invitations::pb::invitation::State;
use invitations::pb::revoke_invitations_response::result::Result as Outcome;
use invitations::pb::{self, Invitation};
use prost::Message;
use sqlx::AssertSqlSafe;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::{Person, Service, bad_fields, named, reason, violations};

/// How a call is made beside its filter.
#[derive(Clone, Default)]
pub struct How {
    pub request_id: String,
    pub validate_only: bool,
}

/// What became of each: its name with the invitation, or why not.
pub type Told = Vec<(String, Result<Invitation, Status>)>;

pub async fn revoke_all(person: &Person, filter: &str, how: &How) -> Result<(Told, bool), Status> {
    let message = pb::RevokeInvitationsRequest {
        parent: "organizations/acme".to_owned(),
        filter: filter.to_owned(),
        request_id: how.request_id.clone(),
        validate_only: how.validate_only,
    };
    let answer = person.invitations.clone().revoke_invitations(message).await?.into_inner();
    let told = answer.results.into_iter().map(|result| {
        let outcome = match result.result.expect("one of the two is set") {
            Outcome::Invitation(invitation) => Ok(invitation),
            Outcome::Status(status) => {
                let code = Code::from_i32(status.code);
                Err(Status::with_details(code, status.message.clone(), status.encode_to_vec().into()))
            }
        };
        (result.name, outcome)
    });
    Ok((told.collect(), answer.has_more))
}

fn names(told: &Told) -> Vec<&str> {
    told.iter().map(|(name, _)| name.as_str()).collect()
}

fn dry() -> How {
    How { validate_only: true, ..How::default() }
}

fn once() -> How {
    How { request_id: Uuid::new_v4().to_string(), ..How::default() }
}

#[tokio::test]
async fn what_a_leaver_has_left_open_is_taken_back_after_a_dry_run() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let max = service.member(&owner, "acme", "max", "MANAGER").await;
    let first = max.invite("acme", "anna@example.com").await.unwrap().name;
    let revoked = max.invite("acme", "bert@example.com").await.unwrap().name;
    max.revoke(&revoked).await.unwrap();
    let late = max.invite("acme", "late@example.com").await.unwrap().name;
    service.let_expire(&late).await;
    let others = owner.invite("acme", "carl@example.com").await.unwrap().name;
    let last = max.invite("acme", "dora@example.com").await.unwrap().name;
    let (_, offered) = service.offered(&max, "acme", "otto", "READER").await;
    let seats = owner.organization("acme").await.seats_taken;
    owner.remove("acme", "max").await.unwrap();

    let filter = "inviter = \"accounts/max\"";
    let before = service.tables().await;
    let (would, has_more) = revoke_all(&owner, filter, &dry()).await.unwrap();
    assert_eq!((names(&would), has_more), (vec![last.as_str(), first.as_str()], false), "open ones, newest first");
    before.assert_same(&service.tables().await, "a dry run");

    let how = once();
    let (did, has_more) = revoke_all(&owner, filter, &how).await.unwrap();
    assert_eq!((names(&did), has_more), (names(&would), false));
    for ((name, did), (_, would)) in did.iter().zip(&would) {
        let (did, would) = (did.as_ref().unwrap(), would.as_ref().unwrap());
        assert_eq!((did.state(), would.state(), &did.email), (State::Revoked, State::Revoked, &would.email));
        // what is answered is what is there, but for the emails
        let read = owner.get(name).await.unwrap();
        assert_eq!(*did, Invitation { deliveries: Vec::new(), ..read });
        // what was not sent yet is not sent any more, and the trail says by whom
        let reminders = service.outbox(name).await.split_off(1);
        assert!(reminders.len() == 1 && reminders[0].ends_with(" dropped"), "{reminders:?}");
        assert_eq!(owner.story(name).await, ["INVITED accounts/max", "REVOKED accounts/olga"]);
    }
    let signed = "SELECT count(*) FROM events WHERE kind = 'REVOKED' AND request_id = $1";
    let id = Uuid::parse_str(&how.request_id).unwrap();
    let signed: i64 = sqlx::query_scalar(signed).bind(id).fetch_one(service.pool()).await.unwrap();
    assert_eq!(signed, 2);

    // what he has offered holds a seat until it is taken back as well
    let (told, _) = revoke_all(&owner, "offerer = \"accounts/max\"", &once()).await.unwrap();
    assert_eq!(names(&told), [offered.name.as_str()]);
    assert_eq!(owner.organization("acme").await.seats_taken, seats - 2, "his own, and the offer's");
    // all others are as they were
    for (name, state) in [(&others, State::Invited), (&late, State::Expired), (&revoked, State::Revoked)] {
        assert_eq!(owner.get(name).await.unwrap().state(), state);
    }
    assert_eq!(revoke_all(&owner, filter, &once()).await.unwrap().0.len(), 0, "nothing is left");
    service.recount().await;
}

#[tokio::test]
async fn a_repetition_tells_the_same_and_writes_nothing() {
    let service = Service::start_with(&[("mail_paused", "true")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    for n in 0..5 {
        owner.invite("acme", &format!("anna{n}@example.com")).await.unwrap();
    }
    let (filter, how) = ("state = INVITED", once());
    let (first, has_more) = revoke_all(&owner, filter, &how).await.unwrap();
    assert_eq!((first.len(), has_more), (5, false));
    let before = service.tables().await;
    let (again, has_more) = revoke_all(&owner, filter, &how).await.unwrap();
    assert_eq!((names(&again), has_more), (names(&first), false));
    assert!(again.iter().all(|(_, outcome)| outcome.as_ref().unwrap().state() == State::Revoked));
    before.assert_same(&service.tables().await, "a repetition");

    // the id belongs to that request
    let refused = [
        reason(revoke_all(&owner, "state = OFFERED", &how).await.map(drop)),
        reason(owner.invite_by("acme", "new@example.com", &how.request_id).await),
    ];
    assert_eq!(refused, ["REQUEST_ID_REUSED", "REQUEST_ID_REUSED"]);
    let id = Uuid::new_v4().to_string();
    let later = owner.invite_by("acme", "later@example.com", &id).await.unwrap().name;
    let how_used = How { request_id: id, ..How::default() };
    assert_eq!(reason(revoke_all(&owner, filter, &how_used).await.map(drop)), "REQUEST_ID_REUSED");

    // what has come since stays, and is told of
    let (again, has_more) = revoke_all(&owner, filter, &how).await.unwrap();
    assert_eq!((names(&again), has_more), (names(&first), true));
    assert_eq!(owner.get(&later).await.unwrap().state(), State::Invited);
    // the control: another id takes it back; and a dry run asks for none
    let ignored = How { validate_only: true, ..how };
    assert_eq!(names(&revoke_all(&owner, filter, &ignored).await.unwrap().0), [later.as_str()]);
    assert_eq!(names(&revoke_all(&owner, filter, &once()).await.unwrap().0), [later.as_str()]);
    service.recount().await;
}

#[tokio::test]
async fn each_row_stands_or_falls_for_itself() {
    let service = Service::start_with(&[("mail_paused", "true")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let sam = service.member(&owner, "acme", "sam", "SECURITY_MANAGER").await;
    let (_, reader) = service.offered(&owner, "acme", "rita", "READER").await;
    let (_, manager) = service.offered(&owner, "acme", "mara", "MANAGER").await;
    let (_, none) = service.offered(&owner, "acme", "nora", "NONE").await;
    for how in [dry(), once()] {
        let (told, has_more) = revoke_all(&sam, "offerer = \"accounts/olga\"", &how).await.unwrap();
        assert_eq!((names(&told), has_more), (vec![none.name.as_str(), &manager.name, &reader.name], false));
        let [(_, none), (_, manager), (_, reader)] = <[_; 3]>::try_from(told).unwrap();
        assert_eq!((none.unwrap().state(), reader.unwrap().state()), (State::Revoked, State::Revoked));
        assert_eq!(manager.as_ref().unwrap_err().code(), Code::PermissionDenied);
        assert_eq!(named(&manager, "role"), "MANAGER");
        assert_eq!(reason(manager), "ROLE_NOT_GRANTABLE");
    }
    assert_eq!(owner.get(&manager.name).await.unwrap().state(), State::Offered);
    service.recount().await;
}

#[tokio::test]
async fn who_may_not_read_is_told_that_it_worked_and_nothing_about_anybody() {
    let service = Service::start_with(&[("mail_paused", "true")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let name = owner.invite("acme", "anna@example.com").await.unwrap().name;
    let writer = service.service("writer", &["invitations.write"]);
    for how in [dry(), once()] {
        let (told, _) = revoke_all(&writer, "email = \"anna@example.com\"", &how).await.unwrap();
        let shown = told[0].1.as_ref().unwrap();
        assert_eq!((told[0].0.as_str(), shown.name.as_str(), shown.state()), (&*name, &*name, State::Revoked));
        assert_eq!((shown.email.as_str(), shown.inviter.as_str()), ("", ""));
    }
}

#[tokio::test]
async fn without_a_filter_nothing_is_taken_back() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    owner.invite("acme", "anna@example.com").await.unwrap();
    let before = service.tables().await;
    for filter in ["", " ", "\t \n"] {
        for how in [once(), dry()] {
            let refused = revoke_all(&owner, filter, &how).await.unwrap_err();
            assert_eq!(
                (bad_fields(&refused), &*violations(&refused)[0].reason),
                (vec!["filter".to_owned()], "FIELD_MISSING")
            );
        }
    }
    let refused = revoke_all(&owner, "state = OPEN", &once()).await.unwrap_err();
    assert_eq!(
        (bad_fields(&refused), &*violations(&refused)[0].reason),
        (vec!["filter".to_owned()], "FIELD_UNKNOWN_VALUE")
    );
    before.assert_same(&service.tables().await, "what was refused");
}

/// Open invitations as CreateInvitation writes them, by the thousands.
async fn fill(service: &Service, count: usize) {
    let statements = [
        format!(
            "INSERT INTO invitations (organization, invitation, state, email, email_key, inviter, code_hash, code_key_id, \
                                      generation, expire_time, send_time) \
             SELECT 'acme', ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'INVITED', e, e, 'accounts/max', \
                    sha256(e::bytea), 'test', 1, now() + interval '7 days', now() \
               FROM generate_series(1, {count}) n, concat('p', n, '@x.example') e"
        ),
        format!(
            "UPDATE organization_heads SET open_invitations = open_invitations + {count} WHERE organization = 'acme'"
        ),
    ];
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(service.pool()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_a_thousand_are_taken_back_a_hundred_in_a_transaction() {
    let service = Service::start_with(&[("mail_paused", "true")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    fill(&service, 1050).await;
    let (filter, how) = ("inviter = \"accounts/max\"", once());
    let (would, has_more) = revoke_all(&owner, filter, &dry()).await.unwrap();
    assert_eq!((would.len(), has_more), (1000, true));
    let (told, has_more) = revoke_all(&owner, filter, &how).await.unwrap();
    assert!(has_more && told.is_sorted_by(|(newer, _), (older, _)| newer > older));
    assert_eq!(names(&told), names(&would));
    assert!(
        told.iter().all(|(_, outcome)| outcome.as_ref().is_ok_and(|invitation| invitation.state() == State::Revoked))
    );
    let transactions = "SELECT count(*) FROM events WHERE kind = 'REVOKED' GROUP BY xmin::text";
    let sizes: Vec<i64> = sqlx::query_scalar(transactions).fetch_all(service.pool()).await.unwrap();
    assert_eq!(sizes, [100; 10], "nobody waits for more of them");

    let (again, has_more) = revoke_all(&owner, filter, &how).await.unwrap();
    assert_eq!((names(&again), has_more), (names(&told), true), "all of them are remembered");
    let (rest, has_more) = revoke_all(&owner, filter, &once()).await.unwrap();
    assert_eq!((rest.len(), has_more), (50, false));
    service.recount().await;
}

#[tokio::test]
async fn what_an_answer_has_no_room_for_is_left_to_the_next_call() {
    let service = Service::start_with(&[("mail_paused", "true")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    fill(&service, 300).await;
    // 16 of the longest values: 16 KiB each
    let longest = "UPDATE invitations SET annotations = \
                   (SELECT jsonb_object_agg('key-' || n, repeat('\u{1f600}', 256)) FROM generate_series(1, 16) n)";
    sqlx::raw_sql(longest).execute(service.pool()).await.unwrap();
    let filter = "inviter = \"accounts/max\"";
    let (mut seen, mut calls) = (BTreeSet::new(), 0);
    loop {
        let (told, has_more) = revoke_all(&owner, filter, &once()).await.unwrap();
        seen.extend(told.into_iter().map(|(name, _)| name));
        calls += 1;
        if !has_more {
            break;
        }
    }
    assert_eq!((seen.len(), calls), (300, 3), "of 5 MB");
}
