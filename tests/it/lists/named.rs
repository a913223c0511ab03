//! BatchGetInvitations: all of the named invitations in the order of their names, or none.

use invitations::dev::mailbox::Script;
use invitations::pb::{self, Invitation};
use sqlx::AssertSqlSafe;
use tonic::Status;

use super::size::fill_to_the_brim;
use crate::support::{Person, Service, bad_fields, named, reason, violations};

async fn get(person: &Person, organization: &str, names: &[String]) -> Result<Vec<Invitation>, Status> {
    let message =
        pb::BatchGetInvitationsRequest { parent: format!("organizations/{organization}"), names: names.to_vec() };
    Ok(person.invitations.clone().batch_get_invitations(message).await?.into_inner().invitations)
}

fn name(n: usize) -> String {
    format!("organizations/acme/invitations/01900000-0000-7000-8000-{n:012}")
}

#[tokio::test]
async fn the_named_invitations_come_in_the_order_of_their_names() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let first = owner.invite("acme", "anna@example.com").await.unwrap().name;
    let late = owner.invite("acme", "late@example.com").await.unwrap().name;
    let (_, offered) = service.offered(&owner, "acme", "otto", "READER").await;
    service.let_expire(&late).await;
    service.mail_rests().await;

    let names = [&offered.name, &first, &late, &first].map(String::clone);
    let got = get(&owner, "acme", &names).await.unwrap();
    assert_eq!(got.iter().map(|invitation| &invitation.name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    for invitation in &got {
        assert_eq!(*invitation, owner.get(&invitation.name).await.unwrap(), "the same as one by one");
    }
    assert_eq!(got[1], got[3], "named twice, answered twice");
    assert_eq!(got[2].state(), pb::invitation::State::Expired);
    let reader = service.service("reader", &["invitations.read"]);
    assert_eq!(get(&reader, "acme", &names).await.unwrap(), got);
}

#[tokio::test]
async fn one_that_is_not_there_fails_the_whole_by_its_name() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let rosa = service.owner("rosa", "beta").await;
    let there = owner.invite("acme", "anna@example.com").await.unwrap().name;
    let foreign = rosa.invite("beta", "bert@example.com").await.unwrap().name;

    let outcome = get(&owner, "acme", &[there.clone(), name(2), name(1)]).await;
    assert_eq!(named(&outcome, "invitation"), name(2), "the first in the order of the names");
    assert_eq!(reason(outcome), "INVITATION_NOT_FOUND");
    // the id of another organization's
    let moved = foreign.replace("beta", "acme");
    let outcome = get(&owner, "acme", &[there.clone(), moved.clone()]).await;
    assert_eq!((named(&outcome, "invitation"), reason(outcome)), (moved, "INVITATION_NOT_FOUND".to_owned()));

    assert_eq!(reason(get(&rosa, "acme", std::slice::from_ref(&there)).await), "ORGANIZATION_NOT_FOUND", "a stranger");
    let reader = service.member(&owner, "acme", "rita", "READER").await;
    for names in [&[there][..], &[name(1)]] {
        assert_eq!(reason(get(&reader, "acme", names).await), "ROLE_REQUIRED");
    }
}

#[tokio::test]
async fn bad_names_are_told_by_their_places() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let bad = [name(1), "acme".to_owned(), name(2).replace("acme", "beta"), String::new(), name(3).to_uppercase()];
    let refused = get(&owner, "acme", &bad).await.unwrap_err();
    let told = violations(&refused);
    let told = told.iter().map(|bad| (&*bad.field, &*bad.reason)).collect::<Vec<_>>();
    assert_eq!(
        told,
        [
            ("names[1]", "FIELD_MALFORMED"),
            ("names[2]", "FIELD_CONFLICT"),
            ("names[3]", "FIELD_MISSING"),
            ("names[4]", "FIELD_MALFORMED")
        ]
    );
    // not across organizations
    let refused = get(&owner, "-", &[name(1)]).await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["parent"]);
    assert_eq!(bad_fields(&get(&owner, "acme", &[]).await.unwrap_err()), ["names"]);
    // an answer has room for some of them
    let refused = get(&owner, "acme", &vec!["x".to_owned(); 300]).await.unwrap_err();
    assert_eq!(bad_fields(&refused).len(), 20);
}

#[tokio::test]
async fn a_thousand_are_read_by_one_statement_for_them_and_one_for_their_emails() {
    let service = Service::start_with(&[("mail_paused", "true")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    fill_to_the_brim(&service).await;
    let more = "INSERT INTO invitations SELECT organization, ('01900000-0000-7000-8000-' || lpad((n * 1000 + m)::text, 12, '0'))::uuid, \
                state, email, email_key, username, account_email, account_email_key, role, inviter, offerer, approver, locale, \
                code_hash, code_key_id, generation, create_time, update_time, expire_time, send_time, revision, request_time \
                FROM invitations, generate_series(1, 10) m, LATERAL (SELECT right(invitation::text, 12)::int) s(n) WHERE n <= 101";
    sqlx::raw_sql(AssertSqlSafe(more)).execute(service.pool()).await.unwrap();
    let names = (0..1000).map(|n| name((n / 10 + 1) * 1000 + n % 10 + 1)).collect::<Vec<_>>();
    let got = get(&owner, "acme", &names).await.unwrap();
    assert_eq!(got.iter().map(|invitation| &invitation.name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    let refused = get(&owner, "acme", &[&names[..], &[name(101_001)]].concat()).await.unwrap_err();
    assert_eq!(
        (bad_fields(&refused), violations(&refused)[0].reason.as_str()),
        (vec!["names".to_owned()], "FIELD_TOO_MANY")
    );
}
