//! Words that somebody chooses and that we send to strangers.

use invitations::pb;
use tonic::Status;

use super::letters::{Letter, is_ours, links_in};
use crate::support::{Person, Service, bad_fields, reason};

/// One lure on each line, with `\u{…}` for what is not seen; those below `# plain` are taken, for the reason given there.
const LURES: &str = include_str!("lures.txt");

/// The lures that have to be refused, and those that are harmless as they are.
fn lures() -> (Vec<String>, Vec<String>) {
    let (refused, plain) = LURES.split_once("\n# plain").expect("the file has both parts");
    let lines =
        |part: &str| part.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(unescape).collect();
    (lines(refused), lines(plain.split_once('\n').unwrap().1))
}

fn unescape(line: &str) -> String {
    let mut parts = line.split("\\u{");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_once('}').unwrap();
        text.push(u32::from_str_radix(number, 16).ok().and_then(char::from_u32).unwrap());
        text.push_str(rest);
    }
    text
}

async fn rename(owner: &Person, name: &str) -> Result<pb::Organization, Status> {
    let organization =
        pb::Organization { name: "organizations/acme".to_owned(), display_name: name.to_owned(), ..Default::default() };
    let message = pb::UpdateOrganizationRequest { organization: Some(organization), ..Default::default() };
    Ok(owner.organizations.clone().update_organization(message).await?.into_inner())
}

#[tokio::test]
async fn no_lure_in_a_name_reaches_anybody_as_a_link() {
    let service = Service::start().await;
    super::warm_up(&service).await;
    let owner = service.owner("olga", "acme").await;
    let (refused, plain) = lures();
    assert!(refused.len() + plain.len() >= 300, "{} and {}", refused.len(), plain.len());

    for (number, lure) in refused.iter().enumerate() {
        let status = rename(&owner, lure).await.expect_err(&format!("{lure:?} is refused"));
        assert_eq!(bad_fields(&status), ["organization.display_name"], "{lure:?}");
        // the same rule for the other two ways in; a few are enough to see that it is asked
        if number % 20 == 0 {
            let account = pb::Account { display_name: lure.clone(), ..Default::default() };
            let message = pb::CreateAccountRequest {
                account_id: "mallory".to_owned(),
                account: Some(account),
                ..Default::default()
            };
            let mallory = service.stranger("mallory", "mallory@example.com");
            let status = mallory.accounts.clone().create_account(message).await.unwrap_err();
            assert_eq!(bad_fields(&status), ["account.display_name"], "{lure:?}");
            let organization = pb::Organization {
                display_name: lure.clone(),
                notification_email: "notify@evil.example".to_owned(),
                ..Default::default()
            };
            let message = pb::CreateOrganizationRequest {
                organization_id: "evil".to_owned(),
                organization: Some(organization),
                ..Default::default()
            };
            let status = owner.organizations.clone().create_organization(message).await.unwrap_err();
            assert_eq!(bad_fields(&status), ["organization.display_name"], "{lure:?}");
        }
    }

    // what is taken is sent as it is, and nothing comes of it
    let harmless = letter(&service, &owner, "Harmless", "first@example.com").await;
    for (number, lure) in plain.iter().enumerate() {
        let address = format!("guest-{number}@example.com");
        let letter = letter(&service, &owner, lure, &address).await;
        // what runs from right to left is isolated
        let subject = letter.subject.replace(['\u{2068}', '\u{2069}'], "");
        assert_eq!(subject, harmless.subject.replace("Harmless", lure), "{lure:?}");
        assert_eq!(letter.headers, harmless.headers, "{lure:?}");
        assert_eq!(letter.tags.len(), harmless.tags.len(), "{lure:?}");
        assert!(letter.shown.contains(lure.as_str()) && letter.text.contains(lure.as_str()), "{lure:?}: {letter:?}");
        let links = letter.links(&[&address]);
        assert!(links.len() > 3 && links.iter().all(|link| is_ours(link)), "{lure:?}: {links:?}");
    }

    // control: what makes links of text sees the plainest of them
    for seen in ["visit evil.com", "http://evil", "https://evil.example/x", "anna@example.com"] {
        assert!(!links_in(seen).is_empty(), "{seen}");
        assert!(!links_in(seen).iter().all(|link| is_ours(link)), "{seen}");
    }
    assert!(!is_ours("https://hub.example.evil.com/") && !is_ours("https://hub.example@evil.com/"));
    service.stop().await;
}

/// What an invitation looks like under that name.
async fn letter(service: &Service, owner: &Person, name: &str, address: &str) -> Letter {
    assert_eq!(rename(owner, name).await.expect(name).display_name, name);
    owner.invite("acme", address).await.unwrap();
    Letter::read(&*service.email_to(address, 1).await)
}

/// What would add a header, end one, or be decoded to one.
const INJECTIONS: [&str; 12] = [
    "\r\nBcc: victim@example.com",
    "\nBcc: victim@example.com",
    "\rBcc: victim@example.com",
    "\r\n\r\n<a href=https://evil.example>",
    "\r\n.\r\nMAIL FROM:<x@evil.example>",
    "\u{85}Bcc: victim@example.com",
    "\u{2028}Bcc: victim@example.com",
    "\0",
    "=?utf-8?q?=0D=0ABcc:_victim=40example.com?=",
    "=?utf-8?b?aHR0cHM6Ly9ldmlsLmV4YW1wbGU=?=",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
];

#[tokio::test]
async fn no_field_takes_a_line_break_or_a_tag() {
    let service = Service::start().await;
    super::warm_up(&service).await;
    let owner = service.owner("olga", "acme").await;
    let before = service.tables().await;
    let stranger = service.stranger("mallory", "mallory@example.com");
    for injection in INJECTIONS {
        let with = |start: &str| format!("{start}{injection}");
        let organization = |id: &str, organization: pb::Organization| pb::CreateOrganizationRequest {
            organization_id: id.to_owned(),
            organization: Some(pb::Organization {
                display_name: if organization.display_name.is_empty() {
                    "Evil".to_owned()
                } else {
                    organization.display_name
                },
                notification_email: if organization.notification_email.is_empty() {
                    "notify@evil.example".to_owned()
                } else {
                    organization.notification_email
                },
                locale: organization.locale,
                ..Default::default()
            }),
            ..Default::default()
        };
        let found = async |message| owner.organizations.clone().create_organization(message).await.map(drop);
        let invite = async |invitation: pb::Invitation| {
            let parent = "organizations/acme".to_owned();
            let message = pb::CreateInvitationRequest { parent, invitation: Some(invitation), ..Default::default() };
            owner.invitations.clone().create_invitation(message).await.map(drop)
        };
        let account = async |message| stranger.accounts.clone().create_account(message).await.map(drop);
        let email = with("guest@example.com");
        let outcomes = [
            found(organization("evil", pb::Organization { display_name: with("Evil"), ..Default::default() })).await,
            found(organization("evil", pb::Organization { notification_email: email.clone(), ..Default::default() }))
                .await,
            found(organization("evil", pb::Organization { locale: with("en"), ..Default::default() })).await,
            found(organization(&with("evil"), pb::Organization::default())).await,
            invite(pb::Invitation { email: email.clone(), ..Default::default() }).await,
            invite(pb::Invitation { email: format!("{injection}@example.com"), ..Default::default() }).await,
            invite(pb::Invitation { email: format!("a@{injection}"), locale: with("en"), ..Default::default() }).await,
            account(pb::CreateAccountRequest { account_id: with("mallory"), ..Default::default() }).await,
            account(pb::CreateAccountRequest {
                account_id: "mallory".to_owned(),
                account: Some(pb::Account { display_name: with("Mallory"), ..Default::default() }),
                ..Default::default()
            })
            .await,
            owner.offer("acme", &with("anna"), "anna@example.com", "READER").await.map(drop),
            owner.offer("acme", "anna", &email, "READER").await.map(drop),
        ];
        for (n, outcome) in outcomes.into_iter().enumerate() {
            assert_eq!(reason(outcome), "FIELD_INVALID", "{injection:?} in field {n}");
        }
    }
    before.assert_same(&service.tables().await, "a refused field");
    service.stop().await;
}

/// Addresses of which a mail program makes a link to somewhere else.
const LINKED: [&str; 12] = [
    "www.evil.com/verify-now@attacker.example",
    "evil.com/login@attacker.example",
    "EVIL.COM/login@attacker.example",
    "evil.com?login@attacker.example",
    "evil.com#login@attacker.example",
    "www.evil.com=login@attacker.example",
    "evil.com=login@attacker.example",
    "evil.com|login@attacker.example",
    "evil.com!login@attacker.example",
    "evil.com%40x@attacker.example",
    "x&evil.com{login@attacker.example",
    "evil.com*login@attacker.example",
];

#[tokio::test]
async fn no_address_reaches_anybody_as_a_link_to_somewhere_else() {
    let service = Service::start().await;
    super::warm_up(&service).await;
    let owner = service.owner("olga", "acme").await;
    for linked in LINKED {
        // control: it is one where it is taken
        assert!(
            links_in(linked).iter().any(|link| !link.contains('@') || link.contains('/') || link.contains('?')),
            "{linked}"
        );
        let refused = owner.invite("acme", linked).await.expect_err(linked);
        assert_eq!(bad_fields(&refused), ["invitation.email"], "{linked}");
        let refused = owner.offer("acme", "anna", linked, "READER").await.expect_err(linked);
        assert_eq!(bad_fields(&refused), ["email"], "{linked}");
        let organization = pb::Organization {
            name: "organizations/acme".to_owned(),
            notification_email: linked.to_owned(),
            ..Default::default()
        };
        let message = pb::UpdateOrganizationRequest { organization: Some(organization), ..Default::default() };
        let refused = owner.organizations.clone().update_organization(message).await.expect_err(linked);
        assert_eq!(bad_fields(&refused), ["organization.notification_email"], "{linked}");
    }

    // what people have is shown to others, and is a link to itself at most
    for (n, address) in ["o'neil@example.com", "anna+news@example.com", "anna.berg@example.com", "r&d@example.com"]
        .into_iter()
        .enumerate()
    {
        let invitation = owner.invite("acme", address).await.unwrap();
        service.email_to(address, 1).await;
        service.let_expire(&invitation.name).await;
        owner.invite("acme", address).await.unwrap();
        let letter = Letter::read(&*service.email_to("notify@acme.example", n + 1).await);
        assert!(letter.text.contains(address) && letter.shown.contains(address), "{letter:?}");
        // linkify takes the part of an address that comes after an odd character for the whole of it
        let own = address.rsplit(['\'', '&', '+']).next().unwrap();
        let links = letter.links(&[address, own, "notify@acme.example"]);
        assert!(!links.is_empty() && links.iter().all(|link| is_ours(link)), "{address}: {links:?}");
    }
    service.stop().await;
}

/// An address may hold characters that mean something to HTML and to templates; they are shown and not obeyed. So is
/// what an issuer says.
#[tokio::test]
async fn addresses_are_shown_as_they_are() {
    let service = Service::start().await;
    super::warm_up(&service).await;
    let owner = service.owner("olga", "acme").await;
    let mut tags = Vec::new();
    for address in [
        "plain@example.com",
        "o'neil&lt@example.com",
        "{{code}}@example.com",
        "a&amp=`x`|y@example.com",
        "$41@example.com",
    ] {
        owner.invite("acme", address).await.unwrap();
        let letter = Letter::read(&*service.email_to(address, 1).await);
        assert!(letter.shown.contains(address) && letter.text.contains(address), "{letter:?}");
        assert_eq!(letter.to, address);
        tags.push(letter.tags.len());
    }
    assert!(tags.iter().all(|count| *count == tags[0]), "{tags:?}");

    // control: the parser sees a tag that is one
    let email = service.email_to("plain@example.com", 1).await;
    let seeded =
        String::from_utf8(email.message.clone()).unwrap().replacen("<h1", "<img src=3Dhttps://evil.example><h1", 1);
    let letter = Letter::parse(seeded.as_bytes());
    assert_eq!(letter.tags.len(), tags[0] + 1);
    assert!(!letter.links(&["plain@example.com"]).iter().all(|link| is_ours(link)));
    service.stop().await;
}
