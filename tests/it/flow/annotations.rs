//! The inviting platform's own references: who sees them, where they stay out, and what is refused.

use std::collections::BTreeMap;

use invitations::pb::invitation::State;
use invitations::pb::{self, Invitation};
use tonic::Status;

use crate::support::{Person, Service, bad_fields, evidence, reason, violations, words};

/// What nobody but the platform knows, in a form that is found wherever it shows.
pub const SECRET: &str = "reference-94c1d8f07be35a62-of-the-platform";

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn invite(
    person: &Person,
    email: &str,
    annotations: BTreeMap<String, String>,
    request_id: &str,
) -> Result<Invitation, Status> {
    let message = pb::CreateInvitationRequest {
        parent: "organizations/acme".to_owned(),
        invitation: Some(Invitation { email: email.to_owned(), annotations, ..Default::default() }),
        request_id: request_id.to_owned(),
        ..Default::default()
    };
    Ok(person.invitations.clone().create_invitation(message).await?.into_inner())
}

/// The rows that the invitation is found by, as `key=value`.
async fn rows(service: &Service, name: &str) -> Vec<String> {
    let id = name.rsplit('/').next().unwrap();
    sqlx::query_scalar("SELECT key || '=' || value FROM annotations WHERE invitation = $1::uuid ORDER BY 1")
        .bind(id)
        .fetch_all(service.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn inviters_and_services_see_annotations_and_nobody_else_does() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    evidence::annotation(SECRET);
    let given = pairs(&[("ticket", SECRET), ("example.com/cost-center", "4711 \"Müller\\ & Söhne\"")]);

    // who makes it sees it where they may read it
    let invitation = invite(&owner, "anna@example.com", given.clone(), "").await.unwrap();
    assert_eq!(invitation.annotations, given);
    let writer = service.service("writer", &["invitations.write"]);
    let unseen = invite(&writer, "bert@example.com", given.clone(), "").await.unwrap();
    assert_eq!((unseen.state(), unseen.annotations.len()), (State::Invited, 0), "a mere changer");
    owner.revoke(&unseen.name).await.unwrap();
    let name = invitation.name;
    let reader = service.service("reader", &["invitations.read"]);
    let security = service.member(&owner, "acme", "sam", "SECURITY_MANAGER").await;
    for inviter in [&owner, &security, &reader] {
        assert_eq!(inviter.get(&name).await.unwrap().annotations, given);
        let list = pb::ListInvitationsRequest {
            parent: "organizations/acme".to_owned(),
            email: "anna@example.com".to_owned(),
            ..Default::default()
        };
        let page = inviter.invitations.clone().list_invitations(list).await.unwrap().into_inner().invitations;
        assert_eq!(page[0].annotations, given);
    }

    // the person invited does not, however far it goes, and it stays for the others
    let code = service.code_to("anna@example.com", 1).await;
    let anna = service.account("anna").await;
    let mut seen = vec![anna.request_access(&code).await.unwrap()];
    assert_eq!(owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap().annotations, given);
    seen.push(anna.get(&name).await.unwrap());
    let own = pb::ListAccountInvitationsRequest { parent: "accounts/me".to_owned(), ..Default::default() };
    seen.extend(anna.invitations.clone().list_account_invitations(own).await.unwrap().into_inner().invitations);
    seen.push(anna.accept(&name).await.unwrap());
    assert!(seen.iter().all(|invitation| invitation.annotations.is_empty() && invitation.name == name), "{seen:?}");
    assert_eq!(owner.get(&name).await.unwrap().annotations, given);
    assert_eq!(rows(&service, &name).await.len(), 2);

    // the trail has the keys, once
    let message = pb::ListEventsRequest {
        parent: "organizations/acme".to_owned(),
        invitation: name.clone(),
        page_size: 200,
        ..Default::default()
    };
    let events = owner.organizations.clone().list_events(message).await.unwrap().into_inner().events;
    let changes = events.iter().flat_map(|event| &event.changes).filter(|change| change.field.starts_with("ann"));
    let changes = changes.map(|change| (&*change.field, &*change.before, &*change.after)).collect::<Vec<_>>();
    assert_eq!(changes, [("annotations.example.com/cost-center", "", ""), ("annotations.ticket", "", "")]);
    assert!(!format!("{events:?}").contains(SECRET));

    // no email has them
    service.tables().await;
    let emails = service.mailbox.received();
    assert!(emails.len() > 3, "the control");
    for email in &emails {
        let text = format!("{}{}", String::from_utf8_lossy(&email.message), words(email));
        assert!(!text.contains(SECRET) && !text.contains("4711"), "{text}");
    }
}

#[tokio::test]
async fn an_offer_that_begins_an_invitation_has_no_annotations() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    service.account("otto").await;
    let offered = owner.offer("acme", "otto", "otto@example.com", "READER").await.unwrap();
    assert!(offered.annotations.is_empty() && rows(&service, &offered.name).await.is_empty());
    // one that goes on with an invitation keeps those of the invitation
    service.account("anna").await;
    let given = pairs(&[("ticket", "OPS-7")]);
    let invited = invite(&owner, "anna@example.com", given.clone(), "").await.unwrap();
    let offered = owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    assert_eq!((&offered.name, &offered.annotations), (&invited.name, &given));
}

#[tokio::test]
async fn annotations_are_part_of_what_makes_a_request_the_same() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let id = uuid::Uuid::new_v4().to_string();
    let given = pairs(&[("a", "1"), ("b", "2")]);
    let first = invite(&owner, "anna@example.com", given.clone(), &id).await.unwrap();
    let before = service.tables().await;
    let again = invite(&owner, "anna@example.com", given, &id).await.unwrap();
    assert_eq!((again.name, again.annotations), (first.name, first.annotations));
    for other in [pairs(&[("a", "1"), ("b", "3")]), pairs(&[("a", "1")]), BTreeMap::new()] {
        assert_eq!(reason(invite(&owner, "anna@example.com", other, &id).await), "REQUEST_ID_REUSED");
    }
    before.assert_same(&service.tables().await, "a repetition");
}

#[tokio::test]
async fn everything_that_is_wrong_with_annotations_is_told_at_once() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let before = service.tables().await;
    let bad = pairs(&[
        ("empty", ""),
        ("example.com/good", SECRET),
        ("line", "a\nb"),
        ("long", &"x".repeat(257)),
        ("no key", SECRET),
        ("nul\0", SECRET),
    ]);
    let refused = invite(&owner, "nobody", bad, "").await.unwrap_err();
    let told = violations(&refused);
    let told = told.iter().map(|bad| (&*bad.field, &*bad.reason)).collect::<Vec<_>>();
    assert_eq!(
        told,
        [
            ("invitation.email", "FIELD_MALFORMED"),
            ("invitation.annotations[\"empty\"]", "FIELD_MISSING"),
            ("invitation.annotations[\"line\"]", "FIELD_MALFORMED"),
            ("invitation.annotations[\"long\"]", "FIELD_TOO_LONG"),
            ("invitation.annotations[\"no key\"]", "FIELD_MALFORMED"),
            ("invitation.annotations", "FIELD_MALFORMED"),
        ]
    );
    assert!(!format!("{refused:?}").contains(SECRET), "no value comes back");

    let many = |count: usize| (0..count).map(|n| (format!("key-{n}"), "x".repeat(256))).collect::<BTreeMap<_, _>>();
    let refused = invite(&owner, "anna@example.com", many(17), "").await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["invitation.annotations"]);
    assert_eq!(violations(&refused)[0].reason, "FIELD_TOO_MANY");
    before.assert_same(&service.tables().await, "what was refused");
    // the control
    assert_eq!(invite(&owner, "anna@example.com", many(16), "").await.unwrap().annotations.len(), 16);
}
