//! Codes and tokens, looked for in everything that the service says, writes and stores.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use invitations::dev::mailbox::{Action, Script, Step};
use invitations::pb;
use sqlx::AssertSqlSafe;

use super::process::{Circumstances, Process};
use super::recorder::Recorder;
use crate::support::{Person, Service, channel_to, words};

/// Secrets in every form in which they could show.
#[derive(Default)]
struct Secrets(BTreeSet<Vec<u8>>);

impl Secrets {
    fn code(&mut self, code: &str) {
        let bare = code.replace('-', "");
        let groups = bare.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group)).collect::<Vec<_>>();
        let spaced = groups.join(" ");
        for form in [code, &bare, &spaced, &code.to_lowercase(), &bare.to_lowercase(), &bare[..26], &groups.join("_")] {
            self.add(form.as_bytes());
        }
    }

    /// The whole token and each of its parts but the first, which is the same for all.
    fn token(&mut self, token: &str) {
        self.add(token.as_bytes());
        for part in token.split('.').skip(1) {
            self.add(part.as_bytes());
            self.0.insert(URL_SAFE_NO_PAD.decode(part).unwrap());
        }
    }

    fn add(&mut self, secret: &[u8]) {
        assert!(secret.len() > 20, "too short to be told from anything else");
        let hex = |upper: bool| {
            let digits = |byte: &u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
            secret.iter().map(digits).collect::<String>().into_bytes()
        };
        // as Rust shows bytes
        let list = format!("{secret:?}");
        let list = list.trim_matches(['[', ']']).as_bytes().to_vec();
        let forms = [secret.to_vec(), hex(true), hex(false), list];
        self.0.extend(forms);
        for shift in 0..3 {
            // whatever stands before it; the last characters depend on what comes after
            let encoded = STANDARD_NO_PAD.encode(&secret[shift..]);
            self.0.insert(encoded.as_bytes()[..encoded.len() - 4].to_vec());
            let encoded = URL_SAFE_NO_PAD.encode(&secret[shift..]);
            self.0.insert(encoded.as_bytes()[..encoded.len() - 4].to_vec());
        }
    }

    /// How many of them stand there.
    fn found_in(&self, haystack: &[u8]) -> usize {
        // by the first eight bytes: each place is looked at once
        let mut by_start = std::collections::HashMap::<&[u8], Vec<&[u8]>>::new();
        for secret in &self.0 {
            by_start.entry(&secret[..8]).or_default().push(secret);
        }
        let mut found = BTreeSet::<&[u8]>::new();
        for at in 0..haystack.len().saturating_sub(8) {
            let here = &haystack[at..];
            let candidates = by_start.get(&here[..8]).into_iter().flatten();
            found.extend(candidates.filter(|secret| here.starts_with(secret)).copied());
        }
        found.len()
    }
}

/// Every row of every table, as text.
async fn dump(service: &Service) -> Vec<u8> {
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(service.pool()).await.unwrap();
    let mut dump = Vec::new();
    for table in tables {
        let rows = format!("SELECT t::text FROM {table} t");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(service.pool()).await.unwrap();
        dump.extend(rows.join("\n").into_bytes());
    }
    dump
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_code_and_no_token_shows_anywhere() {
    let circumstances = Circumstances {
        settings: &[("wrong_codes_limit", "5"), ("metrics_listen", "127.0.0.1:0")],
        script: Some(grumpy()),
        log_level: "trace,h2=trace,hyper=trace,tonic=trace,sqlx=trace,lettre=trace,tower=trace",
        ..Circumstances::default()
    };
    let (mut service, process) = Process::serve(circumstances).await;
    let (recorder, address) = Recorder::start(process.address).await;
    service.channel = channel_to(address).await;
    let mut secrets = Secrets::default();
    for person in live(&service).await {
        secrets.token(&person.token);
    }
    service.tables().await;
    let mut codes = 0;
    for email in service.mailbox.received() {
        let text = words(&email);
        for code in text.lines().map(str::trim).filter(|line| line.split('-').map(str::len).eq([4; 7])) {
            secrets.code(code);
            codes += 1;
        }
    }
    assert!(codes > 10, "{codes}");

    let (answers, log, rows) = (recorder.answers(), process.log(), dump(&service).await);
    let metrics = crate::metrics::get(process.metrics.unwrap(), "/metrics").await;
    assert_eq!(secrets.found_in(&answers), 0, "in an answer");
    assert_eq!(secrets.found_in(&log), 0, "in the log");
    assert_eq!(secrets.found_in(&rows), 0, "in a row");
    assert_eq!(secrets.found_in(metrics.as_bytes()), 0, "in a metric");

    // controls: there was something to be found in, and what is there is found
    let has = |haystack: &[u8], text: &str| String::from_utf8_lossy(haystack).contains(text);
    assert!(
        has(&answers, "grpc-status-details-bin") && has(&answers, "anna@example.com") && has(&answers, "x-request-id")
    );
    assert!(has(&log, "\"TRACE\"") && has(&log, "call ended"), "the log is at trace level");
    assert!(has(&log, "email will be tried again") && has(&log, "email failed for good"), "emails have failed");
    assert!(metrics.contains("CODE_NOT_FOUND") && metrics.contains("TOO_MANY_WRONG_CODES"), "{metrics}");
    assert!(has(&rows, "anna@example.com") && has(&rows, "ACCOUNT_INVITATION"));
    assert!(answers.len() > 5_000 && log.len() > 100_000 && rows.len() > 5_000);
    let code = service.code_to("anna@example.com", 1).await;
    let token = service.stranger("anna", "anna@example.com").token;
    let mut one = Secrets::default();
    one.code(&code);
    one.token(&token);
    let bare = code.replace('-', "");
    for seeded in [
        format!("the code {code}"),
        format!("the code {}", bare.to_lowercase()),
        format!("x{:?}", bare.as_bytes()),
        STANDARD_NO_PAD.encode(format!("abcd{code} and more")),
        URL_SAFE_NO_PAD.encode(format!("abcdefgh {token} and more")),
        format!("Bearer {token}"),
        format!("the signature {}", token.rsplit('.').next().unwrap()),
    ] {
        assert!(one.found_in(&[&log[..2000], seeded.as_bytes(), &rows[..2000]].concat()) > 0, "{seeded} is not found");
    }
}

/// A mail server that takes the emails to two people and says that it has not.
fn grumpy() -> Script {
    Script::new(|step| match step {
        Step::Stored(email) if email.recipients == ["fay@example.com"] => Action::Reply("451 4.2.0 later"),
        Step::Stored(email) if email.recipients == ["gus@example.com"] => Action::Reply("550 5.7.1 never"),
        _ => Action::Proceed,
    })
}

/// The life of an organization, with everything that can be refused or go wrong in it.
async fn live(service: &Service) -> Vec<Person> {
    super::warm_up(service).await;
    let owner = service.owner("olga", "acme").await;
    let mut people = vec![owner.clone()];
    // the seven steps
    let (anna, requested) = service.requested(&owner, "acme", "anna").await;
    owner.offer("acme", "anna", "anna@example.com", "MANAGER").await.unwrap();
    anna.accept(&requested.name).await.unwrap();
    // codes again, anew, reminded of, and used by the wrong ones
    let invited = owner.invite("acme", "ben@example.com").await.unwrap();
    owner.resend(&invited.name, false).await.unwrap();
    let first = service.code_to("ben@example.com", 2).await;
    owner.resend(&invited.name, true).await.unwrap();
    let second = service.code_to("ben@example.com", 3).await;
    sqlx::query("UPDATE emails SET due_time = now() WHERE kind = 'INVITATION_REMINDER' AND state = 'QUEUED'")
        .execute(service.pool())
        .await
        .unwrap();
    let ben = service.account("ben").await;
    let mallory = service.account("mallory").await;
    let unverified = service.unverified("nobody", "nobody@example.com");
    unverified.create_account("nobody").await.unwrap();
    unverified.request_access(&second).await.unwrap_err();
    let typo = format!("{}0", &second[..second.len() - 1]);
    for wrong in [&first, &typo, &format!("{second}\0"), &second[1..].to_owned(), &second.repeat(3)] {
        mallory.request_access(wrong).await.unwrap_err();
    }
    let gateway = service.service("gateway", &["invitations.read", "invitations.write"]);
    gateway.request_access(&second).await.unwrap_err();
    ben.request_access(&second).await.unwrap();
    for _ in 0..7 {
        mallory.request_access(&second).await.unwrap_err();
    }
    // codes and tokens where they do not belong
    let code = service.code_to("anna@example.com", 1).await;
    for misplaced in [&code, &code.replace('-', ""), &mallory.token] {
        owner.invite("acme", misplaced).await.unwrap_err();
        owner.get(misplaced).await.unwrap_err();
        owner.create_organization(misplaced).await.unwrap_err();
        owner.offer("acme", misplaced, misplaced, "READER").await.unwrap_err();
        let message = pb::RequestAccessRequest { code: second.clone(), request_id: misplaced.clone() };
        mallory.invitations.clone().request_access(message).await.unwrap_err();
        let message = pb::ListMembersRequest {
            parent: "organizations/acme".to_owned(),
            page_token: misplaced.clone(),
            ..Default::default()
        };
        owner.organizations.clone().list_members(message).await.unwrap_err();
        Person::new(&service.channel, format!("{misplaced}x")).get(&invited.name).await.unwrap_err();
    }
    // emails that fail
    for address in ["fay@example.com", "gus@example.com"] {
        owner.invite("acme", address).await.unwrap();
        service.code_to(address, 1).await;
    }
    // ends
    let carl = service.account("carl").await;
    let revoked = owner.invite("acme", "carl@example.com").await.unwrap();
    service.code_to("carl@example.com", 1).await;
    owner.revoke(&revoked.name).await.unwrap();
    for n in 0..8 {
        let address = format!("guest-{n}@example.com");
        let invited = owner.invite("acme", &address).await.unwrap();
        service.code_to(&address, 1).await;
        service.let_expire(&invited.name).await;
    }
    owner.get(&revoked.name).await.unwrap();
    owner.events("acme").await;
    people.extend([anna, ben, mallory, unverified, gateway, carl]);
    people
}
