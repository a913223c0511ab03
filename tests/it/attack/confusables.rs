//! Addresses and names that look, sound or are encoded alike: which are the same, which are others, which are none.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream::iter;
use invitations::dev::mailbox::Script;
use invitations::pb;
use mail_parser::MessageParser;

use super::{AT_ONCE, mail_is_sent, warm_up};
use crate::support::{Person, Service, bad_fields, reason};

/// What the service has to make of the second address of a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// The documented canonical form is the same: domain as its lower-case A-label, local part in lower case.
    Same,
    Other,
    /// No address at all.
    None,
}
use Verdict::{None as Nothing, Other, Same};

/// Where an address is changed. `l` is the local part, `d` the domain, `a` the domain's A-label.
type Change = fn(l: &str, d: &str, a: &str) -> String;

const CHANGES: [(Verdict, Change); 94] = [
    // case, and the two ways to write a domain
    (Same, |l, d, _| format!("{}@{d}", l.to_ascii_uppercase())),
    (Same, |l, d, _| format!("{}@{d}", capital(l))),
    (Same, |l, _, a| format!("{l}@{a}")),
    (Same, |l, _, a| format!("{l}@{}", a.to_ascii_uppercase())),
    (Same, |l, d, _| format!("{l}@{}", upper(d))),
    (Same, |l, d, _| format!("{l}@{}", capital(d))),
    // an accent as a character of its own
    (Same, |l, d, _| format!("{l}@{}", d.replace('\u{fc}', "u\u{308}"))),
    // other people's local parts, whatever some provider makes of them
    (Other, |l, d, _| format!("{l}.x@{d}")),
    (Other, |l, d, _| format!("{l}+x@{d}")),
    (Other, |l, d, _| format!("{}.{}@{d}", &l[..1], &l[1..])),
    (Other, |l, d, _| format!("{l}-@{d}")),
    (Other, |l, d, _| format!("_{l}@{d}")),
    (Other, |l, d, _| format!("{l}x@{d}")),
    (Other, |l, d, _| format!("x{l}@{d}")),
    (Other, |l, d, _| format!("evil={l}@{d}")),
    (Other, |l, d, _| format!("{}@{d}", l.replacen('n', "rn", 1))),
    (Other, |l, d, _| format!("{}@{d}", l.replacen('n', "m", 1))),
    (Other, |l, d, _| format!("'{l}'@{d}")),
    (Other, |l, d, _| format!("&lt{l}@{d}")),
    // other domains
    (Other, |l, _, a| format!("{l}@mail.{a}")),
    (Other, |l, _, a| format!("{l}@{a}.org")),
    (Other, |l, _, a| format!("{l}@evil-{}", a.trim_start_matches("xn--"))),
    (Other, |l, d, _| format!("{l}@{}", d.replacen('e', "\u{435}", 1))),
    (Other, |l, d, _| format!("{l}@{}", d.replacen('e', "\u{e9}", 1))),
    (Other, |l, d, _| format!("{l}@{}", d.replacen('e', "e\u{301}", 1))),
    (Other, |l, d, _| format!("{l}@{}", d.replacen('e', "\u{4bd}", 1))),
    (Other, |l, d, _| format!("{l}@{}", d.replacen('m', "rn", 1))),
    (Other, |l, d, _| format!("{l}@{}", d.replacen('l', "1", 1))),
    (Other, |l, d, _| format!("{l}@{}", d.replacen('l', "\u{131}", 1))),
    (Other, |l, d, _| format!("{l}@{}", d.replacen('p', "\u{440}", 1))),
    (Other, |l, d, _| format!("{l}@{}", d.replacen('x', "\u{445}", 1))),
    (Other, |l, d, _| format!("{l}@{}", d.replacen('a', "\u{430}", 1))),
    (Other, |l, d, _| format!("{l}@{}", d.replacen('m', "\u{f1}", 1))),
    // what shows nothing
    (Nothing, |l, d, _| format!("{l}\u{200b}@{d}")),
    (Nothing, |l, d, _| format!("{l}@\u{200b}{d}")),
    (Nothing, |l, d, _| format!("{l}@{d}\u{200b}")),
    (Nothing, |l, d, _| format!("{l}@{}", d.replacen('e', "e\u{200d}", 1))),
    (Nothing, |l, d, _| format!("{l}@{}", d.replacen('e', "e\u{200c}", 1))),
    (Nothing, |l, d, _| format!("{l}@{}", d.replacen('e', "e\u{ad}", 1))),
    (Nothing, |l, d, _| format!("{l}@{}", d.replacen('e', "e\u{2060}", 1))),
    (Nothing, |l, d, _| format!("\u{feff}{l}@{d}")),
    (Nothing, |l, d, _| format!("{l}@{}", d.replacen('e', "e\u{fe0f}", 1))),
    (Nothing, |l, d, _| format!("{l}\u{202e}@{d}")),
    // letters that are others after NFC, NFKC or a mapping to lower case
    (Nothing, |l, d, _| format!("{l}@{}", d.replacen('x', "x\u{301}", 1))),
    (Nothing, |l, d, _| format!("{}@{d}", l.replacen('n', "n\u{303}", 1))),
    (Nothing, |l, d, _| format!("{}@{d}", l.replacen('n', "\u{f1}", 1))),
    (Nothing, |l, d, _| format!("{}@{d}", l.replacen('n', "\u{ff4e}", 1))),
    (Nothing, |l, d, _| format!("{l}i@{d}").replacen('i', "\u{131}", 1)),
    (Nothing, |l, d, _| format!("{l}k@{d}").replacen('k', "\u{212a}", 1)),
    (Nothing, |l, d, _| format!("{l}s@{d}").replacen('s', "\u{17f}", 1)),
    (Nothing, |l, d, _| format!("{l}@k{d}").replacen("@k", "@\u{212a}", 1)),
    (Nothing, |l, d, _| format!("{l}@\u{212b}{d}")),
    (Nothing, |l, d, _| format!("{l}@\u{fb01}{d}")),
    (Nothing, |l, d, _| format!("{l}@{}", d.replacen('e', "\u{ff45}", 1))),
    (Nothing, |l, d, _| format!("{l}@{}", d.replacen('e', "\u{24d4}", 1))),
    (Nothing, |l, d, _| format!("{l}@{}", d.replacen('e', "\u{1d41e}", 1))),
    (Nothing, |l, d, _| format!("{l}@{}", d.replacen('e', "\u{212f}", 1))),
    (Nothing, |l, d, _| format!("{l}@\u{17f}{d}")),
    // dots and ats that are others
    (Nothing, |l, d, _| format!("{l}@{}", d.replacen('.', "\u{3002}", 1))),
    (Nothing, |l, d, _| format!("{l}@{}", d.replacen('.', "\u{ff0e}", 1))),
    (Nothing, |l, d, _| format!("{l}@{}", d.replacen('.', "\u{ff61}", 1))),
    (Nothing, |l, d, _| format!("{l}\u{ff20}{d}")),
    (Nothing, |l, d, _| format!("{l}%40{d}")),
    (Nothing, |l, d, _| format!("{l}@{d}.")),
    (Nothing, |l, d, _| format!("{l}@{d}..")),
    (Nothing, |l, d, _| format!("{l}@.{d}")),
    (Nothing, |l, d, _| format!("{l}@{}", d.replacen('.', "..", 1))),
    (Nothing, |l, d, _| format!("{l}.@{d}")),
    (Nothing, |l, d, _| format!(".{l}@{d}")),
    (Nothing, |l, d, _| format!("{l}..x@{d}")),
    // white space
    (Nothing, |l, d, _| format!(" {l}@{d}")),
    (Nothing, |l, d, _| format!("{l}@{d} ")),
    (Nothing, |l, d, _| format!("{l} @{d}")),
    (Nothing, |l, d, _| format!("{l}@{d}\r\n")),
    (Nothing, |l, d, _| format!("{l}@{d}\t")),
    (Nothing, |l, d, _| format!("{l}@{d}\0")),
    // quoted local parts, comments, source routes, literals
    (Nothing, |l, d, _| format!("\"{l}\"@{d}")),
    (Nothing, |l, d, _| format!("\"{l} x\"@{d}")),
    (Nothing, |l, d, _| format!("\"{l}@evil.example\"@{d}")),
    (Nothing, |l, d, _| format!("{l}\\@{d}")),
    (Nothing, |l, d, _| format!("{l}(x)@{d}")),
    (Nothing, |l, d, _| format!("{l}@(x){d}")),
    (Nothing, |l, d, _| format!("@evil.example:{l}@{d}")),
    (Nothing, |l, d, _| format!("@evil.example,@b.example:{l}@{d}")),
    (Nothing, |l, _, _| format!("{l}@[192.0.2.1]")),
    (Nothing, |l, d, _| format!("{l}%evil.example@{d}")),
    (Nothing, |l, d, _| format!("evil!{l}@{d}")),
    // several
    (Nothing, |l, d, _| format!("{l}@{d},eve@evil.example")),
    (Nothing, |l, d, _| format!("{l}@{d};eve@evil.example")),
    (Nothing, |l, d, _| format!("{l}@{d} eve@evil.example")),
    (Nothing, |l, d, _| format!("{l}@{d}@evil.example")),
    (Nothing, |l, d, _| format!("<{l}@{d}>")),
    (Nothing, |l, d, _| format!("Eve <{l}@{d}>")),
    (Nothing, |l, d, _| format!("{l}@{d}>\r\nRCPT TO:<eve@evil.example")),
];

/// Domains of one kind each: plain, with a hyphen, of several labels, international; all hold the letters that are changed.
const DOMAINS: [(&str, &str); 4] = [
    ("maple-x.example", "maple-x.example"),
    ("mail.maple.x-example.com", "mail.maple.x-example.com"),
    ("b\u{fc}cher-maple.example", "xn--bcher-maple-thb.example"),
    ("ma\u{df}ple.example", "xn--maple-mqa.example"),
];
const LOCALS: [&str; 6] = ["anna", "anton.nu", "nina_n", "jan-ni", "o'nan", "n"];

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Letter by letter: the two letters that stand for a capital ß are another name.
fn upper(text: &str) -> String {
    let letter = |c: char| if c == '\u{df}' { c } else { c.to_uppercase().next().unwrap_or(c) };
    text.chars().map(letter).collect()
}

struct Pair {
    verdict: Verdict,
    first: String,
    second: String,
}

/// Each change of each address that it changes, with a local part that no other pair has.
fn pairs() -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (verdict, change) in CHANGES {
        for (domain, label) in DOMAINS {
            for local in LOCALS {
                // a letter, so that none can be mistaken for another pair's with something after it
                let local = format!("{local}{}q", pairs.len());
                let (first, second) = (format!("{local}@{domain}"), change(&local, domain, label));
                if first != second {
                    pairs.push(Pair { verdict, first, second });
                }
            }
        }
    }
    pairs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_addresses_are_one_only_by_their_canonical_form() {
    let service = Service::start_with(&[("mail_workers", "8")], Script::accept_all()).await;
    warm_up(&service).await;
    let owner = service.owner("olga", "acme").await;
    let pairs = pairs();
    assert!(pairs.len() >= 2000, "{}", pairs.len());

    let invite = async |pair: &Pair| {
        let first = owner.invite("acme", &pair.first).await.unwrap();
        assert_eq!(first.email, pair.first);
        let second = owner.invite("acme", &pair.second).await;
        let outcome = match &second {
            Ok(second) if second.email == pair.second => Other,
            Ok(_) => panic!("{:?} became another address", pair.second),
            Err(status) if bad_fields(status) == ["invitation.email"] => Nothing,
            Err(_) => {
                assert_eq!(reason(second), "OPEN_INVITATION_EXISTS");
                Same
            }
        };
        (outcome != pair.verdict).then(|| format!("{outcome:?}: {:?} and {:?}", pair.first, pair.second))
    };
    let wrong = iter(&pairs).map(invite).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    let wrong = wrong.into_iter().flatten().collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{} are taken for something else: {wrong:#?}", wrong.len());
    // control: each kind is there in numbers
    for verdict in [Same, Other, Nothing] {
        assert!(pairs.iter().filter(|pair| pair.verdict == verdict).count() > 100, "{verdict:?}");
    }

    mail_is_sent(&service).await;
    let rows = "SELECT e.email_id::text, e.recipient, i.email_key FROM emails e JOIN invitations i USING (invitation) \
                 WHERE e.kind = 'ACCOUNT_INVITATION'";
    let rows: Vec<(String, String, String)> = sqlx::query_as(rows).fetch_all(service.pool()).await.unwrap();
    let expected = pairs.len() + pairs.iter().filter(|pair| pair.verdict == Other).count();
    let stored = rows.into_iter().map(|(id, recipient, key)| (id, (recipient, key))).collect::<BTreeMap<_, _>>();
    let received = service.mailbox.received();
    assert_eq!((received.len(), stored.len()), (expected, expected));
    for email in received {
        let message = MessageParser::default().parse(&email.message).unwrap();
        let (id, _) = message.message_id().unwrap().split_once('@').unwrap();
        let (recipient, key) = &stored[id];
        assert_eq!(email.recipients, [recipient.as_str()], "one recipient, the stored one");
        assert!(recipient.eq_ignore_ascii_case(key), "{recipient} is not {key}");
        let to = message.to().unwrap().iter().map(|to| to.address().unwrap()).collect::<Vec<_>>();
        assert_eq!(to, [recipient.as_str()]);
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_holds_an_address_only_by_its_canonical_form() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let require = pb::Policy { address_match: pb::policy::AddressMatch::Require.into(), ..Default::default() };
    owner.set_policy("acme", &["address_match"], require).await;
    let pairs = pairs();
    // one of each change is enough: the pairs above have tried the rule, this tries who asks it
    let pairs = pairs.chunk_by(|a, b| a.verdict == b.verdict).flat_map(|kind| kind.iter().step_by(17));
    for (number, pair) in pairs.enumerate() {
        let username = format!("guest-{number}");
        let person = service.stranger(&username, &pair.second);
        person.create_account(&username).await.unwrap();
        owner.invite("acme", &pair.first).await.unwrap();
        let offered = owner.offer("acme", &username, &pair.first, "READER").await;
        match pair.verdict {
            Same => assert_eq!(offered.unwrap().account, format!("accounts/{username}")),
            Other | Nothing => {
                assert_eq!(reason(offered), "ACCOUNT_EMAIL_NOT_FOUND", "{:?} for {:?}", pair.second, pair.first);
                let code = service.code_to(&wire(&pair.first), 1).await;
                let why = if pair.verdict == Other { "ADDRESS_MISMATCH" } else { "EMAIL_NOT_VERIFIED" };
                assert_eq!(reason(person.request_access(&code).await), why, "{:?} for {:?}", pair.second, pair.first);
            }
        }
    }
    service.stop().await;
}

/// As the recipient of an email, by the table above and not by the service's own rule.
fn wire(address: &str) -> String {
    let (local, domain) = address.split_once('@').unwrap();
    let (_, label) = DOMAINS.iter().find(|(name, _)| *name == domain).unwrap();
    format!("{local}@{label}")
}

#[tokio::test]
async fn names_have_one_spelling() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let others = [
        "Acme",
        "ACME",
        "acme ",
        " acme",
        "acme\0",
        "acme\n",
        "acme-",
        "-acme",
        "acme--",
        "ac_me",
        "acme.",
        "\u{430}cme",
        "\u{ff41}cme",
        "acm\u{e9}",
        "acme\u{301}",
        "ac\u{200b}me",
        "\u{24d0}cme",
        "acme/",
        "acme/members",
        "acme%20",
        "acme%2f",
        "./acme",
        "../acme",
        "acme?",
        "acme#",
        "organizations/acme",
        "1acme",
        "me",
        "ac",
        "\u{131}cme",
        "\u{212a}me",
        "acme\u{202e}",
    ];
    for other in others {
        let name = format!("organizations/{other}");
        let message = pb::GetOrganizationRequest { name };
        assert_eq!(bad_of(owner.organizations.clone().get_organization(message).await, other), "FIELD_INVALID");
        assert_eq!(bad_of(owner.create_organization(other).await, other), "FIELD_INVALID");
        let stranger = service.stranger("mallory", "mallory@example.com");
        assert_eq!(bad_of(stranger.create_account(other).await, other), "FIELD_INVALID");
        assert_eq!(bad_of(owner.offer("acme", other, "olga@example.com", "READER").await, other), "FIELD_INVALID");
    }
    let invited = owner.invite("acme", "anna@example.com").await.unwrap().name;
    for other in
        [invited.to_uppercase(), invited.replace('-', ""), format!("{invited} "), invited.replace("acme", "Acme")]
    {
        assert_eq!(bad_of(owner.get(&other).await, &other), "FIELD_INVALID");
    }

    // people are compared byte for byte: each of these subjects is somebody else
    let subjects =
        ["anna", "Anna", "anna ", "ann\u{e1}", "anna\u{301}", "\u{430}nna", "anna\u{200b}", "dev-github/anna"];
    let mut people = Vec::<Person>::new();
    for (number, subject) in subjects.iter().enumerate() {
        let person = service.stranger(subject, "anna@example.com");
        let username = format!("anna-{number}");
        assert_eq!(person.create_account(&username).await.unwrap().name, format!("accounts/{username}"), "{subject:?}");
        people.push(person);
    }
    // control: and the same one again is not
    assert_eq!(reason(people[0].create_account("anna-again").await), "ACCOUNT_EXISTS");
    service.stop().await;
}

fn bad_of<T: std::fmt::Debug>(outcome: Result<T, tonic::Status>, what: &str) -> String {
    assert!(outcome.is_err(), "{what:?} is taken");
    reason(outcome)
}
