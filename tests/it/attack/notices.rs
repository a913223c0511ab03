//! What somebody can have the service send to others by naming an address as the notification address of an organization.

use invitations::dev::mailbox::Script;
use invitations::pb;
use tonic::Status;

use crate::support::{Person, Service, reason, words};

const VICTIM: &str = "victim@elsewhere.example";
const DEFAULT: [(&str, &str); 1] = [("unverified_notifications_limit", "1")];
const DECLINED: &str = "declined";

async fn found(owner: &Person, id: &str, address: &str) -> pb::Organization {
    let organization = pb::Organization {
        display_name: "Evil".to_owned(),
        notification_email: address.to_owned(),
        ..Default::default()
    };
    let message = pb::CreateOrganizationRequest {
        organization_id: id.to_owned(),
        organization: Some(organization),
        ..Default::default()
    };
    owner.organizations.clone().create_organization(message).await.unwrap().into_inner()
}

async fn notify(owner: &Person, id: &str, address: &str) -> pb::Organization {
    let organization = pb::Organization {
        name: format!("organizations/{id}"),
        notification_email: address.to_owned(),
        ..Default::default()
    };
    let message = pb::UpdateOrganizationRequest { organization: Some(organization), ..Default::default() };
    owner.organizations.clone().update_organization(message).await.unwrap().into_inner()
}

async fn verify(person: &Person, id: &str, code: &str) -> Result<pb::Organization, Status> {
    let message = pb::VerifyNotificationEmailRequest {
        name: format!("organizations/{id}"),
        code: code.to_owned(),
        ..Default::default()
    };
    Ok(person.organizations.clone().verify_notification_email(message).await?.into_inner())
}

/// So many people decline offers, and each time the organization is told.
async fn decline(service: &Service, owner: &Person, id: &str, people: std::ops::Range<usize>) {
    for n in people {
        let (person, offer) = service.offered(owner, id, &format!("guest-{id}-{n}"), "READER").await;
        person.decline(&offer.name).await.unwrap();
    }
    // no email is due or held
    drop(service.tables().await);
}

/// The emails to an address whose subject holds these words.
fn to(service: &Service, address: &str, subject: &str) -> usize {
    let is = |email: &&std::sync::Arc<invitations::dev::mailbox::Received>| {
        let parsed = mail_parser::MessageParser::default().parse(&email.message).unwrap();
        email.recipients == [address] && parsed.subject().unwrap().contains(subject)
    };
    service.mailbox.received().iter().filter(is).count()
}

#[tokio::test]
async fn an_address_of_which_nobody_has_shown_whose_it_is_gets_one_email_a_day_and_the_owners_get_the_rest() {
    let service = Service::start_with(&DEFAULT, Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let address = "notify@acme.example";
    let code = service.code_to(address, 1).await;
    let manager = service.member(&owner, "acme", "max", "MANAGER").await;
    assert!(!owner.organization("acme").await.notification_email_verified);
    assert!(words(&*service.email_to(address, 1).await).contains("an owner of"));
    decline(&service, &owner, "acme", 0..5).await;
    assert_eq!((to(&service, address, ""), to(&service, "olga@example.com", DECLINED)), (1, 5));
    // the next day one more
    service.let_limits_pass(48 * 60).await;
    decline(&service, &owner, "acme", 5..8).await;
    assert_eq!((to(&service, address, DECLINED), to(&service, "olga@example.com", DECLINED)), (1, 8));

    // only an owner enters the code
    assert_eq!(reason(verify(&manager, "acme", &code).await), "ROLE_REQUIRED");
    let stranger = service.account("stranger").await;
    assert_eq!(reason(verify(&stranger, "acme", &code).await), "ORGANIZATION_NOT_FOUND");
    let events = owner.events("acme").await.len();
    assert!(verify(&owner, "acme", &code).await.unwrap().notification_email_verified);
    assert!(owner.organization("acme").await.notification_email_verified);
    assert_eq!(owner.events("acme").await[events..], ["ORGANIZATION_UPDATED"]);
    // again, it changes nothing
    assert!(verify(&owner, "acme", &code).await.unwrap().notification_email_verified);
    assert_eq!(owner.events("acme").await.len(), events + 1);

    // control: from now on it gets all of it, and the owner none
    decline(&service, &owner, "acme", 8..12).await;
    assert_eq!((to(&service, address, DECLINED), to(&service, "olga@example.com", DECLINED)), (5, 8));
    service.stop().await;
}

#[tokio::test]
async fn who_wants_no_such_email_gets_none_as_a_notification_address() {
    let service = Service::start_with(&DEFAULT, Script::accept_all()).await;
    let operator = service.service("operator", &["mail.operate"]);
    let suppress = pb::SuppressEmailRequest { email: VICTIM.to_owned(), request_id: String::new() };
    operator.mail.clone().suppress_email(suppress).await.unwrap();
    let owner = service.account("mallory").await;
    // by name, by a change, and once more for another one
    found(&owner, "evil", VICTIM).await;
    found(&owner, "evil-two", "mallory@example.com").await;
    notify(&owner, "evil-two", VICTIM).await;
    for id in ["evil", "evil-two"] {
        decline(&service, &owner, id, 0..3).await;
        service.let_limits_pass(48 * 60).await;
        decline(&service, &owner, id, 3..5).await;
    }
    notify(&owner, "evil", "mallory@example.com").await;
    drop(service.tables().await);
    assert_eq!(to(&service, VICTIM, ""), 0);
    assert_eq!(to(&service, "mallory@example.com", DECLINED), 10);
    service.stop().await;

    // control: where no code is asked for
    let service = Service::start().await;
    let owner = service.account("mallory").await;
    found(&owner, "evil", VICTIM).await;
    decline(&service, &owner, "evil", 0..3).await;
    assert_eq!(to(&service, VICTIM, DECLINED), 3);
    service.stop().await;
}

#[tokio::test]
async fn many_organizations_share_what_an_address_gets() {
    let settings = [DEFAULT[0], ("emails_per_address_limit", "2")];
    let service = Service::start_with(&settings, Script::accept_all()).await;
    for n in 0..4 {
        let owner = service.account(&format!("mallory-{n}")).await;
        found(&owner, &format!("evil-{n}"), VICTIM).await;
    }
    let bystander = service.account("olga").await;
    found(&bystander, "acme", "olga@example.com").await;
    decline(&service, &bystander, "acme", 0..2).await;
    assert_eq!(to(&service, VICTIM, ""), 2);
    // what one verified is nobody else's to use up
    assert_eq!(to(&service, "olga@example.com", DECLINED), 2);
    service.stop().await;
}

#[tokio::test]
async fn an_owners_own_address_needs_no_code_and_another_one_does_each_time() {
    let service = Service::start_with(&DEFAULT, Script::accept_all()).await;
    let owner = service.account("olga").await;
    let (own, first, second) = ("olga@example.com", "first@acme.example", "second@acme.example");
    assert!(found(&owner, "acme", own).await.notification_email_verified);
    drop(service.tables().await);
    assert_eq!(to(&service, own, "Confirm"), 0);

    // the code of one address is none for the next one
    assert!(!notify(&owner, "acme", first).await.notification_email_verified);
    let old = service.code_to(first, 1).await;
    assert!(!notify(&owner, "acme", second).await.notification_email_verified);
    let code = service.code_to(second, 1).await;
    assert_eq!(reason(verify(&owner, "acme", &old).await), "NOTIFICATION_CODE_NOT_FOUND");
    // nobody has shown whose the first one is: it is not told of the change
    drop(service.tables().await);
    assert_eq!((to(&service, first, ""), to(&service, own, "were changed")), (1, 2));

    // set again, the same code is sent again, on the next day
    notify(&owner, "acme", second).await;
    drop(service.tables().await);
    assert_eq!(to(&service, second, ""), 1);
    service.let_limits_pass(48 * 60).await;
    sqlx::query("UPDATE emails SET due_time = now() WHERE state = 'QUEUED'").execute(service.pool()).await.unwrap();
    assert_eq!(service.code_to(second, 2).await, code);

    // it ends with its time, and a new one is as good as the first
    let aged = "UPDATE organizations SET notification_expire_time = now()";
    sqlx::query(aged).execute(service.pool()).await.unwrap();
    assert_eq!(reason(verify(&owner, "acme", &code).await), "NOTIFICATION_CODE_NOT_FOUND");
    notify(&owner, "acme", second).await;
    assert!(verify(&owner, "acme", &code).await.unwrap().notification_email_verified);
    // and back to the own one
    assert!(notify(&owner, "acme", own).await.notification_email_verified);
    service.stop().await;
}

#[tokio::test]
async fn codes_of_addresses_are_guessed_only_so_often() {
    let settings = [DEFAULT[0], ("wrong_codes_limit", "3")];
    let service = Service::start_with(&settings, Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let other = service.owner("rosa", "beta").await;
    let (code, wrong) =
        (service.code_to("notify@acme.example", 1).await, service.code_to("notify@beta.example", 1).await);
    for _ in 0..3 {
        assert_eq!(reason(verify(&owner, "acme", &wrong).await), "NOTIFICATION_CODE_NOT_FOUND");
    }
    assert_eq!(reason(verify(&owner, "acme", &code).await), "TOO_MANY_WRONG_CODES");
    // control: whoever is right is not counted, and others are not held up
    for _ in 0..5 {
        verify(&other, "beta", &wrong).await.unwrap();
    }
    service.stop().await;
}

#[tokio::test]
async fn what_an_address_is_told_too_often_is_gathered_into_one_email_an_hour() {
    let settings = [("notices_per_address_limit", "3")];
    let service = Service::start_with(&settings, Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let other = service.owner("rosa", "beta").await;
    let (address, bystander) = ("notify@acme.example", "notify@beta.example");
    decline(&service, &owner, "acme", 0..3).await;
    assert_eq!((to(&service, address, DECLINED), to(&service, address, "notices about")), (3, 0));
    // the next one is told alone, as nothing else waits; then the hour begins
    decline(&service, &owner, "acme", 3..4).await;
    decline(&service, &owner, "acme", 4..30).await;
    assert_eq!((to(&service, address, DECLINED), to(&service, address, "notices about")), (4, 0));
    // another organization's do not wait with them
    decline(&service, &other, "beta", 0..3).await;
    assert_eq!(to(&service, bystander, DECLINED), 3);

    let waiting =
        "SELECT count(*) FROM emails WHERE answer = 'GATHERED' AND state = 'QUEUED' AND due_time > now() + '50 min'";
    let count = async || sqlx::query_scalar::<_, i64>(waiting).fetch_one(service.pool()).await.unwrap();
    assert_eq!(count().await, 26);
    service.let_limits_pass(65).await;
    let due = "UPDATE emails SET due_time = now() WHERE email_id = \
                 (SELECT email_id FROM emails WHERE answer = 'GATHERED' ORDER BY due_time LIMIT 1)";
    sqlx::query(due).execute(service.pool()).await.unwrap();
    let gathered = service.email_to(address, 5).await;
    drop(service.tables().await);
    assert_eq!((to(&service, address, DECLINED), to(&service, address, "26 notices about")), (4, 1));
    assert_eq!(count().await, 0);
    let text = words(&gathered);
    for n in 4..30 {
        assert!(text.contains(&format!("guest-acme-{n} (guest-acme-{n}@example.com) has declined")), "{n} {text}");
    }
    // told is told
    let sent =
        "SELECT count(*) FROM emails WHERE kind = 'INVITATION_DECLINED' AND organization = 'acme' AND state = 'SENT'";
    assert_eq!(sqlx::query_scalar::<_, i64>(sent).fetch_one(service.pool()).await.unwrap(), 30);
    service.stop().await;

    // control: without a limit there is an email for each
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    decline(&service, &owner, "acme", 0..10).await;
    assert_eq!(to(&service, address, DECLINED), 10);
    service.stop().await;
}
