//! Names of organizations and people: what is no link, no number and no trick is taken.

use invitations::pb::{self, Organization};
use mail_parser::MessageParser;
use tonic::Status;

use crate::support::{Person, Service, bad_fields, reason, rules};

async fn rename(caller: &Person, id: &str, name: &str) -> Result<Organization, Status> {
    let organization =
        Organization { name: format!("organizations/{id}"), display_name: name.to_owned(), ..Default::default() };
    let message = pb::UpdateOrganizationRequest { organization: Some(organization), ..Default::default() };
    Ok(caller.organizations.clone().update_organization(message).await?.into_inner())
}

async fn found(caller: &Person, id: &str, name: &str, owner: &str) -> Result<Organization, Status> {
    let organization = Organization {
        display_name: name.to_owned(),
        notification_email: "notify@acme.example".to_owned(),
        ..Default::default()
    };
    let message = pb::CreateOrganizationRequest {
        organization_id: id.to_owned(),
        organization: Some(organization),
        owner: owner.to_owned(),
        ..Default::default()
    };
    Ok(caller.organizations.clone().create_organization(message).await?.into_inner())
}

async fn open_account(person: &Person, username: &str, name: &str) -> Result<pb::Account, Status> {
    let account = pb::Account { display_name: name.to_owned(), ..Default::default() };
    let message =
        pb::CreateAccountRequest { account_id: username.to_owned(), account: Some(account), ..Default::default() };
    Ok(person.accounts.clone().create_account(message).await?.into_inner())
}

/// The fault is the name's, and the rule says which part of it is meant.
fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, Status>, name: &str, part: &str) {
    let refused = outcome.expect_err(name);
    assert_eq!(bad_fields(&refused), ["organization.display_name"], "{name:?}");
    assert!(rules(&refused).contains(part), "{name:?}: {}", rules(&refused));
    assert_eq!(reason(Err::<(), _>(refused)), "FIELD_INVALID");
}

#[tokio::test]
async fn only_what_is_linked_or_dialled_is_refused() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    for good in [
        "Node.js Foundation",
        "Vue.js Amsterdam",
        "9123-4567 Québec inc.",
        "1234567 B.C. Ltd.",
        "12345678 Ontario Limited",
        "Cohort 2024-2025",
        "2024–2025",
        "E.ON SE",
        "J.P.Morgan",
        "Dr. Dev Patel",
        "Acme Inc. Online",
        "Ruby • Dev Berlin",
        "Design // Berlin",
        "St.Gallen",
        "HRB 123456789",
        "C++ 2024-2025",
    ] {
        assert_eq!(rename(&owner, "acme", good).await.expect(good).display_name, good);
    }
    for (bad, part) in [
        ("Friends of Socket.io", "\"Socket.io\""),
        ("Booking.com B.V.", "\"Booking.com\""),
        ("evil.сом today", "\"evil.сом\""),
        ("pay at evil.com/login", "\"evil.com/login\""),
        ("see www.evil", "\"www.evil\""),
        ("go to evil dot com", "\"evil dot com\""),
        ("call 030 1234 5678 now", "\"030 1234 5678\""),
        ("Acme +49 30 12345", "\"+49 30 12345\""),
        ("Acme 0049 30 12345", "\"0049 30 12345\""),
        ("Acme 192.0.2.1", "\"192.0.2.1\""),
        ("Acme\u{202e}x", "U+202E"),
    ] {
        assert_refused(rename(&owner, "acme", bad).await, bad, part);
    }
    service.stop().await;
}

#[tokio::test]
async fn a_domain_is_good_for_its_owner() {
    let service = Service::start().await;
    let anna = service.stranger("anna", "anna@booking.com");
    let refused = open_account(&anna, "anna", "Anna of agoda.com").await.expect_err("it is not hers");
    assert_eq!(bad_fields(&refused), ["account.display_name"]);
    open_account(&anna, "anna", "Anna of booking.com").await.unwrap();
    let eve = service.account("eve").await;

    let name = "Booking.com B.V.";
    assert_refused(found(&eve, "booking", name, "").await, name, "\"Booking.com\"");
    found(&anna, "booking", name, "").await.unwrap();
    // to found one for somebody else, and of those who are no owners, it counts for nothing
    let admin = service.service("admin", &["organizations.admin"]);
    assert_refused(found(&admin, "eves", name, "accounts/eve").await, name, "\"Booking.com\"");
    found(&admin, "annas", name, "accounts/anna").await.unwrap();
    found(&eve, "eves", "Eves", "").await.unwrap();
    let offer = eve.offer("eves", "anna", "anna@booking.com", "MANAGER").await.unwrap();
    anna.accept(&offer.name).await.unwrap();
    for caller in [&anna, &eve, &admin] {
        assert_refused(rename(caller, "eves", name).await, name, "\"Booking.com\"");
    }
    eve.set_role("eves", "anna", "OWNER").await.unwrap();
    for caller in [&anna, &eve, &admin] {
        assert_eq!(rename(caller, "eves", name).await.unwrap().display_name, name);
        rename(caller, "eves", "Eves").await.unwrap();
    }
    // of exactly that domain, by itself
    for bad in ["Agoda.com", "login.booking.com", "booking.com.evil.example", "booking.com/pay", "http://booking.com"] {
        assert_refused(rename(&anna, "eves", bad).await, bad, bad);
    }
    // it stays when that owner leaves, also where it is sent again, and does not come back
    rename(&anna, "eves", name).await.unwrap();
    eve.remove("eves", "anna").await.unwrap();
    let all = Organization { locale: "de".to_owned(), ..eve.organization("eves").await };
    let message = pb::UpdateOrganizationRequest { organization: Some(all), ..Default::default() };
    eve.organizations.clone().update_organization(message).await.unwrap();
    rename(&eve, "eves", "Eves").await.unwrap();
    assert_refused(rename(&eve, "eves", name).await, name, "\"Booking.com\"");
    // strangers are told nothing of it
    assert_eq!(reason(rename(&eve, "booking", name).await), "ORGANIZATION_NOT_FOUND");
    service.stop().await;
}

#[tokio::test]
async fn what_is_not_seen_is_taken_where_it_is_seen() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    for good in [
        "می\u{200c}خواهم",
        "کتاب\u{200c}ها",
        "ශ්\u{200d}රී ලංකා",
        "क्\u{200d}ष",
        "Acme ❤\u{fe0f}",
        "👩\u{200d}💻 Club",
        "1\u{fe0f}\u{20e3} Team",
    ] {
        assert_eq!(rename(&owner, "acme", good).await.expect(good).display_name, good);
    }
    let letter = {
        owner.invite("acme", "anna@example.com").await.unwrap();
        service.email_to("anna@example.com", 1).await
    };
    let letter = MessageParser::default().parse(&letter.message).unwrap();
    assert!(letter.subject().unwrap().contains("1\u{fe0f}\u{20e3} Team"));
    for (bad, part) in [
        ("Ac\u{200c}me", "U+200C"),
        ("Ac\u{200d}me", "U+200D"),
        ("می\u{200d}خواهم", "U+200D"),
        ("دا\u{200c}ر", "U+200C"),
        ("ශ්\u{200d}\u{200d}රී", "U+200D"),
        ("Acme\u{fe0f}", "U+FE0F"),
        ("❤\u{fe0f}\u{fe0f}", "U+FE0F"),
        ("می\u{200b}خواهم", "U+200B"),
        ("👩\u{200d}", "U+200D"),
    ] {
        assert_refused(rename(&owner, "acme", bad).await, bad, part);
    }
    service.stop().await;
}

#[tokio::test]
async fn a_name_that_runs_from_right_to_left_turns_nothing_round() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    for (n, name) in ["חברת דוגמה", "شركة المثال", "Acme (אקמה)", "شرکت می\u{200c}خواهم"].into_iter().enumerate()
    {
        rename(&owner, "acme", name).await.unwrap();
        let address = format!("guest-{n}@example.com");
        owner.invite("acme", &address).await.unwrap();
        let email = service.email_to(&address, 1).await;
        let letter = MessageParser::default().parse(&email.message).unwrap();
        let isolated = format!("\u{2068}{name}\u{2069} (acme)");
        assert!(letter.subject().unwrap().contains(&isolated), "{:?}", letter.subject());
        let (text, html) = (letter.body_text(0).unwrap(), letter.body_html(0).unwrap());
        assert_eq!(text.matches(name).count(), text.matches(&format!("\u{2068}{name}\u{2069}")).count(), "{text}");
        let body = html.split_once("<body").unwrap().1;
        assert_eq!(
            body.matches(name).count(),
            body.matches(&format!("<bdi>\u{2068}{name}\u{2069}</bdi>")).count(),
            "{body}"
        );
        assert!(text.matches(name).count() > 1 && body.matches(name).count() > 1);
    }
    // control: what runs as the sentence does is as it was
    rename(&owner, "acme", "Łódź & Co").await.unwrap();
    owner.invite("acme", "anna@example.com").await.unwrap();
    let email = service.email_to("anna@example.com", 1).await;
    let letter = MessageParser::default().parse(&email.message).unwrap();
    assert!(!letter.subject().unwrap().contains('\u{2068}') && !letter.body_text(0).unwrap().contains('\u{2068}'));
    assert!(letter.body_html(0).unwrap().contains("<bdi>Łódź &amp; Co</bdi>"));
    service.stop().await;
}

#[tokio::test]
async fn our_html_keeps_detectors_off() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    rename(&owner, "acme", "9123-4567 Québec inc.").await.unwrap();
    owner.invite("acme", "anna@example.com").await.unwrap();
    let email = service.email_to("anna@example.com", 1).await;
    let letter = MessageParser::default().parse(&email.message).unwrap();
    let html = letter.body_html(0).unwrap();
    let (head, body) = html.split_once("</head>").unwrap();
    let detection = head.lines().find(|line| line.contains("name=\"format-detection\"")).unwrap();
    for kind in ["telephone", "date", "address", "email", "url"] {
        assert!(detection.contains(&format!("{kind}=no")), "{detection}");
    }
    assert!(head.contains("a[x-apple-data-detectors]") && body.contains("9123-4567 Québec inc."));
    service.stop().await;
}
