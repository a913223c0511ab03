//! What mail servers out there answer, as an administrator sees it in an invitation.

mod addresses;
mod odd;

use invitations::dev::mailbox::{Action, Script, Step};
use invitations::pb::{Delivery, delivery::State};
use odd::{Manners, Odd, Taken};

use crate::support::{PATIENCE, Person, Service};

/// The email of an invitation to that address, once it was tried.
async fn tried(owner: &Person, address: &str) -> Delivery {
    let invitation = owner.invite("acme", address).await.unwrap().name;
    let waiting = async {
        loop {
            let delivery = owner.get(&invitation).await.unwrap().deliveries.remove(0);
            if delivery.state() != State::Queued {
                return delivery;
            }
            tokio::task::yield_now().await;
        }
    };
    let late = format!("the email to {address} is not tried");
    tokio::time::timeout(PATIENCE, waiting).await.expect(&late)
}

/// With that mail server, and an owner of `acme`.
async fn service_with(odd: &Odd, settings: &[(&str, &str)]) -> (Service, Person) {
    let port = odd.address.port().to_string();
    let settings = settings.iter().copied().chain([("smtp_port", port.as_str())]).collect::<Vec<_>>();
    let service = Service::start_with(&settings, Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    (service, owner)
}

#[tokio::test]
async fn only_the_code_of_a_reply_counts_and_one_copy_is_sent() {
    let taken = |recipient: &str| match recipient.split('@').next().unwrap() {
        "latin1" => Taken(b"250 2.0.0 Nachricht \xfcbernommen\r\n", false),
        "gbk" => Taken(b"250 \xd3\xca\xbc\xfe\xd2\xd1\xbd\xd3\xca\xd5\r\n", false),
        "shift-jis" => Taken(b"250-\x83\x81\x81[\x83\x8b\r\n250 \x97\xb9\x89\xf0\r\n", false),
        "bare" => Taken(b"250\r\n", false),
        "bare-lines" => Taken(b"250-\r\n250\r\n", false),
        "line-feed" => Taken(b"250 ok\n", false),
        "no-line-end" => Taken(b"250 ok", true),
        "forwarded" => Taken(b"251\xa0\xff\r\n", false),
        "refused" => Taken(b"550 unerw\xfcnscht\r\n", false),
        "bare-refused" => Taken(b"554\r\n", false),
        "later" => Taken(b"451 sp\xe4ter\r\n", false),
        "no-code" => Taken(b"\xfcbernommen\r\n", false),
        _ => Taken(b"2500 ok\r\n", false),
    };
    let odd = Odd::start(Manners { taken, ..Manners::default() }).await;
    let (service, owner) = service_with(&odd, &[]).await;
    for (name, state, code) in [
        ("latin1", State::Sent, 250),
        ("gbk", State::Sent, 250),
        ("shift-jis", State::Sent, 250),
        ("bare", State::Sent, 250),
        ("bare-lines", State::Sent, 250),
        ("line-feed", State::Sent, 250),
        ("no-line-end", State::Sent, 250),
        ("forwarded", State::Sent, 251),
        ("refused", State::Failed, 550),
        ("bare-refused", State::Failed, 554),
        ("later", State::Retrying, 451),
        // control: what is no reply says nothing
        ("no-code", State::Retrying, 0),
        ("four-digits", State::Retrying, 0),
    ] {
        let address = format!("{name}@example.com");
        let delivery = tried(&owner, &address).await;
        assert_eq!((delivery.state(), delivery.smtp_code, delivery.attempts), (state, code, 1), "{name}");
        assert_eq!(odd.heard(&format!("message for {address}")).len(), 1, "{name}");
    }
    // whatever can still be sent is due now: no second copy of what was taken or refused
    let due =
        "UPDATE emails SET due_time = now() WHERE recipient !~ '^(later|no-code|four-digits)@' AND state <> 'QUEUED'";
    sqlx::query(due).execute(service.pool()).await.unwrap();
    assert_eq!(tried(&owner, "latin1@example.org").await.state(), State::Sent);
    for name in ["latin1", "gbk", "bare", "no-line-end", "refused"] {
        assert_eq!(odd.heard(&format!("message for {name}@example.com")).len(), 1, "{name}");
    }
    service.stop().await;
}

#[tokio::test]
async fn the_words_name_who_has_to_act() {
    let script = Script::new(|step| match step {
        Step::Rcpt(recipient) => match recipient.split('@').next().unwrap() {
            "relay" => Action::Reply("454 4.7.1 relay@example.com: Relay access denied canary"),
            "over-quota" => Action::Reply("452 4.2.2 The recipient's inbox is out of storage space"),
            "many" => Action::Reply("452 4.5.3 Too many recipients"),
            "unknown" => Action::Reply("550 5.1.1 unknown@example.com canary"),
            "exchange" => Action::Reply("550 5.4.1 Recipient address rejected: Access denied"),
            "bare-full" => Action::Reply("552 Exceeded storage allocation"),
            "nobody" => Action::Reply("530 5.7.0 Authentication required"),
            _ => Action::Proceed,
        },
        Step::Stored(email) => match email.recipients[0].split('@').next().unwrap() {
            "disk" => Action::Reply("452 4.3.1 Insufficient system storage"),
            "bare-disk" => Action::Reply("452 Requested action not taken"),
            "large" => Action::Reply("552 5.3.4 Message size exceeds fixed limit"),
            "full" => Action::Reply("552 5.2.2 canary"),
            "send-as" => Action::Reply("550 5.7.60 Client does not have permissions to send as this sender"),
            "spam" => Action::Reply("550 5.7.1 canary"),
            "queue" => Action::Reply("454 4.3.0 queue file write error"),
            _ => Action::Proceed,
        },
        _ => Action::Proceed,
    });
    let service = Service::start_with(&[], script).await;
    let owner = service.owner("olga", "acme").await;
    let operator = "whoever operates this service";
    for (name, state, code, words, who) in [
        ("relay", State::Retrying, 454, "put the email off by its rules", None),
        ("queue", State::Retrying, 454, "put the email off to a later time", None),
        ("nobody", State::Failed, 530, "refused our sign-in", Some(operator)),
        ("disk", State::Retrying, 452, "had no room for the email", None),
        ("bare-disk", State::Retrying, 452, "had no room for the email", None),
        ("many", State::Retrying, 452, "to a later time", None),
        ("over-quota", State::Retrying, 452, "The mailbox is full.", None),
        ("bare-full", State::Failed, 552, "The mailbox is full.", None),
        ("full", State::Failed, 552, "The mailbox is full.", None),
        ("large", State::Failed, 552, "as too large", Some(operator)),
        ("unknown", State::Failed, 550, "does not know the address", Some("check it")),
        ("exchange", State::Failed, 550, "does not know the address", Some("check it")),
        ("send-as", State::Failed, 550, "the address that our emails come from", Some(operator)),
        ("spam", State::Failed, 550, "by its rules", Some("ask the recipient")),
    ] {
        let delivery = tried(&owner, &format!("{name}@example.com")).await;
        let detail = &delivery.detail;
        assert_eq!((delivery.state(), delivery.smtp_code), (state, code), "{name}: {detail}");
        assert!(detail.contains(words) && who.is_none_or(|who| detail.contains(who)), "{name}: {detail}");
        // still in our words only
        assert!(!detail.contains("canary") && !detail.contains('@') && detail.len() <= 200, "{name}: {detail}");
    }
    let rows = "SELECT string_agg(e::text, ' ') FROM emails e";
    let rows: String = sqlx::query_scalar(rows).fetch_one(service.pool()).await.unwrap();
    assert!(!rows.contains("canary"), "{rows}");
    service.stop().await;
}

const SIGN_IN: [(&str, &str); 2] = [("smtp_username", "hub"), ("smtp_password", "hunter2")];
/// `\0hub\0hunter2`, `hub` and `hunter2`.
const WORDS: [&str; 3] = ["AGh1YgBodW50ZXIy", "aHVi", "aHVudGVyMg=="];

/// To the steps of a sign-in.
type Replies = &'static [&'static [u8]];

#[tokio::test]
async fn a_server_may_write_its_offers_and_prompts_as_it_likes() {
    let [both, name, password] = WORDS;
    let [plain, login] = [format!("AUTH PLAIN {both}"), format!("AUTH LOGIN {name} {password}")];
    let cases: [(&'static [u8], Replies, &str); 5] = [
        (b"250-odd\r\n250-pipelining\r\n250 auth plain\r\n", &[b"235 ok\r\n"], &plain),
        (b"250-odd\r\n250 AUTH=LOGIN\r\n", &[b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n", b"235\r\n"], &login),
        // "user:", and no base64 at all
        (b"250-odd\r\n250 Auth Login\r\n", &[b"334 dXNlcjo=\r\n", b"334 Kennwort\r\n", b"235 ok\r\n"], &login),
        (b"250-odd\r\n250 auth=ntlm login\r\n", &[b"334\r\n", b"334 \xe4\r\n", b"235 \xfc\r\n"], &login),
        // control: not offered, not said
        (b"250-odd\r\n250 X-AUTH PLAIN\r\n", &[b"235 ok\r\n"], ""),
    ];
    for (hello, sign_in, said) in cases {
        let odd = Odd::start(Manners { hello, sign_in, ..Manners::default() }).await;
        let (service, owner) = service_with(&odd, &SIGN_IN).await;
        let delivery = tried(&owner, "anna@example.com").await;
        if said.is_empty() {
            assert_eq!((delivery.state(), delivery.smtp_code), (State::Retrying, 0));
            assert!(odd.heard("AUTH").is_empty() && odd.heard("message").is_empty());
        } else {
            assert_eq!(delivery.state(), State::Sent, "{}", hello.escape_ascii());
            assert_eq!(odd.heard("AUTH")[0], said, "{}", hello.escape_ascii());
        }
        service.stop().await;
    }
}

#[tokio::test]
async fn a_refused_sign_in_is_told_from_one_that_cannot_be_checked() {
    let cases: [(&'static [&'static [u8]], i32, &str); 3] = [
        (&[b"535 5.7.8 canary\r\n"], 535, "refused our sign-in; whoever operates this service"),
        (&[b"454 4.7.0 Temporary authentication failure\r\n"], 454, "could not check our sign-in at that time"),
        (&[b"454\r\n"], 454, "could not check our sign-in at that time"),
    ];
    for (sign_in, code, words) in cases {
        let manners = Manners { hello: b"250-odd\r\n250 AUTH PLAIN\r\n", sign_in, ..Manners::default() };
        let odd = Odd::start(manners).await;
        let (service, owner) = service_with(&odd, &SIGN_IN).await;
        let delivery = tried(&owner, "anna@example.com").await;
        assert_eq!((delivery.state(), delivery.smtp_code), (State::Retrying, code));
        assert!(delivery.detail.contains(words), "{}", delivery.detail);
        service.stop().await;
    }
}

/// As a Secret holds it that was made with `echo`.
#[tokio::test]
async fn the_line_end_of_a_password_is_not_said() {
    for given in ["hunter2\n", "hunter2\r\n", "hunter2"] {
        let sign_in: &[&[u8]] = &[b"235 ok\r\n"];
        let odd = Odd::start(Manners { hello: b"250-odd\r\n250 AUTH PLAIN\r\n", sign_in, ..Manners::default() }).await;
        let (service, owner) = service_with(&odd, &[("smtp_username", "hub"), ("smtp_password", given)]).await;
        assert_eq!(tried(&owner, "anna@example.com").await.state(), State::Sent, "{given:?}");
        assert_eq!(odd.heard("AUTH")[0], format!("AUTH PLAIN {}", WORDS[0]), "{given:?}");
        service.stop().await;
    }
}

#[tokio::test]
async fn an_address_stands_in_brackets_in_ehlo() {
    for (setting, value, said) in [
        ("public_base_url", "http://127.0.0.1:8080", "EHLO [127.0.0.1]"),
        ("public_base_url", "http://[::1]:8080/hub", "EHLO [IPv6:::1]"),
        ("smtp_hello_name", "192.0.2.1", "EHLO [192.0.2.1]"),
        ("smtp_hello_name", "2001:db8::1", "EHLO [IPv6:2001:db8::1]"),
        ("smtp_hello_name", "[IPv6:2001:db8::1]", "EHLO [IPv6:2001:db8::1]"),
        ("smtp_hello_name", "mail-1.hub.example", "EHLO mail-1.hub.example"),
        ("public_base_url", "https://hub.example/x", "EHLO hub.example"),
    ] {
        let odd = Odd::start(Manners::default()).await;
        let (service, owner) = service_with(&odd, &[(setting, value)]).await;
        assert_eq!(tried(&owner, "anna@example.com").await.state(), State::Sent, "{value}");
        assert_eq!(odd.heard("EHLO")[0], said, "{value}");
        service.stop().await;
    }
}
