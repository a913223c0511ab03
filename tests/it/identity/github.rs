//! People who sign in to GitHub itself, against a double of its API.

use futures_util::future::join_all;
use invitations::pb;
use serde_json::Value;
use tonic::{Code, Status};

use crate::support::github::{CLIENT_ID, Github};
use crate::support::{Person, Service, named, reason, retry_after, scratch};

/// A service that trusts GitHub, beside the dev issuer.
async fn start(github: &Github, name: &str, app: &[(&str, Value)]) -> Service {
    let mut entry = github.entry(&scratch(name).join("client-secret"));
    for (field, value) in app {
        entry["github"][*field] = value.clone();
    }
    Service::start_trusting(vec![entry]).await
}

async fn me(person: &Person) -> Result<pb::Account, Status> {
    let message = pb::GetAccountRequest { name: "accounts/me".to_owned() };
    Ok(person.accounts.clone().get_account(message).await?.into_inner())
}

async fn identity_of(service: &Service, username: &str) -> (String, Vec<String>) {
    let query = "SELECT issuer, subject FROM identities WHERE username = $1";
    sqlx::query_as(query).bind(username).fetch_one(service.pool()).await.unwrap()
}

#[tokio::test]
async fn an_account_is_the_numeric_id_and_holds_every_verified_address() {
    let github = Github::start().await;
    let service = start(&github, "github_account", &[]).await;
    github.grant(
        "gho_anna",
        583_231,
        &[
            "old@example.org",
            "583231+anna@users.noreply.github.com",
            "anna@Example.com primary",
            "not-mine@example.net unverified",
        ],
    );
    let anna = Person::new(&service.channel, "gho_anna".to_owned());
    let account = anna.create_account("anna").await.unwrap();
    assert_eq!((account.provider.as_str(), account.email.as_str()), ("github", "anna@Example.com"));
    assert_eq!(account.emails, ["anna@Example.com", "old@example.org"]);
    assert_eq!(identity_of(&service, "anna").await, ("github".to_owned(), vec!["583231".to_owned()]));
    // one check for both calls, and one page
    assert_eq!(me(&anna).await.unwrap().emails, account.emails);
    let check = format!("POST /applications/{CLIENT_ID}/token");
    assert_eq!(github.requests(), [check, "GET /user/emails?per_page=100&page=1".to_owned()]);

    // another token of the same person, who has other addresses now
    github.grant("ghu_anna2", 583_231, &["anna@new.example primary"]);
    let again = Person::new(&service.channel, "ghu_anna2".to_owned());
    assert_eq!(me(&again).await.unwrap().emails, ["anna@new.example"]);
    // a renamed or another user with the same address is another person
    github.grant("gho_bert", 583_232, &["anna@new.example primary"]);
    let bert = Person::new(&service.channel, "gho_bert".to_owned());
    assert_eq!(reason(me(&bert).await), "ACCOUNT_REQUIRED");
}

#[tokio::test]
async fn a_verified_address_of_github_goes_the_whole_way() {
    let github = Github::start().await;
    let service = start(&github, "github_way", &[]).await;
    let owner = service.owner("olga", "acme").await;
    github.grant("gho_anna", 7, &["anna@private.example primary", "anna@work.example"]);
    let anna = Person::new(&service.channel, "gho_anna".to_owned());
    owner.invite("acme", "anna@work.example").await.unwrap();
    anna.create_account("anna").await.unwrap();
    anna.request_access(&service.code_to("anna@work.example", 1).await).await.unwrap();
    let offer = owner.offer("acme", "anna", "anna@work.example", "READER").await.unwrap();
    assert_eq!(anna.accept(&offer.name).await.unwrap().account, "accounts/anna");
}

#[tokio::test]
async fn a_token_that_was_not_issued_to_our_app_is_refused() {
    let github = Github::start().await;
    let service = start(&github, "github_refused", &[]).await;
    github.grant("gho_anna", 1, &["anna@example.com primary"]);
    github.grant_by("Iv1.another", "gho_other_app", 1, Some(&["anna@example.com primary"]));
    // should GitHub answer for another app after all
    github.grant_by("Iv1.another", "gho_leaky", 1, Some(&["anna@example.com primary"]));
    github.grant_without_person("gho_nobody");
    github.grant("gho_gone", 1, &["anna@example.com primary"]);
    github.take_back("gho_gone");
    let refused = async |token: &str| {
        let person = Person::new(&service.channel, token.to_owned());
        let outcome = me(&person).await;
        assert_eq!(outcome.as_ref().unwrap_err().code(), Code::Unauthenticated, "{token}");
        reason(outcome)
    };
    for token in ["gho_made_up", "gho_other_app", "gho_leaky", "gho_nobody", "gho_gone"] {
        assert_eq!(refused(token).await, "TOKEN_INVALID", "{token}");
    }
    // none of them was used at GitHub
    assert!(github.requests().iter().all(|request| request.starts_with("POST ")));
    // the control
    let anna = Person::new(&service.channel, "gho_anna".to_owned());
    assert_eq!(reason(me(&anna).await), "ACCOUNT_REQUIRED");

    // refusals are kept as well, and what cannot be a token is not sent
    let asked = github.requests().len();
    for _ in 0..5 {
        refused("gho_made_up").await;
    }
    refused("gho made up").await;
    refused("\"gho\"").await;
    // nor is what GitHub gives to others than an app's users, even if it were to call it good
    for token in ["ghp_personal", "github_pat_personal", "ghs_installation", "ghr_refresh"] {
        github.grant(token, 1, &["anna@example.com primary"]);
        refused(token).await;
    }
    assert_eq!(github.requests().len(), asked);
    // a token for one of the other issuers is none of GitHub's business
    let foreign = service.stranger("bert", "bert@example.com").token;
    refused(&foreign.replacen('.', ".e30", 1)).await;
    assert_eq!(github.requests().len(), asked);
}

#[tokio::test]
async fn calls_that_come_at_once_with_one_token_ask_once() {
    let github = Github::start().await;
    let service = start(&github, "github_once", &[]).await;
    github.grant("gho_anna", 1, &["anna@example.com primary"]);
    let anna = Person::new(&service.channel, "gho_anna".to_owned());
    github.permits.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let release = async {
        while github.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        github.permits.add_permits(100);
    };
    let (answers, ()) = tokio::join!(join_all((0..6).map(|_| me(&anna))), release);
    // a busy machine may not have a connection for each of them yet
    let good = |answer| ["ACCOUNT_REQUIRED", "DATABASE_UNAVAILABLE"].contains(&&*reason(answer));
    assert!(answers.into_iter().all(good));
    assert_eq!(github.requests().len(), 2);
    // the control: as many tokens, as many checks
    for number in 0..6 {
        github.grant(&format!("gho_{number}"), 100 + number, &[]);
    }
    let people = (0..6).map(|number| Person::new(&service.channel, format!("gho_{number}"))).collect::<Vec<_>>();
    join_all(people.iter().map(me)).await;
    assert_eq!(github.requests().len(), 14);
}

#[tokio::test]
async fn an_outage_of_github_is_unavailable_and_forgotten_at_once() {
    let github = Github::start().await;
    let service = start(&github, "github_outage", &[]).await;
    github.grant("gho_anna", 1, &["anna@example.com primary"]);
    let anna = Person::new(&service.channel, "gho_anna".to_owned());
    for outage in [
        ("500 Internal Server Error", "{}"),
        ("502 Bad Gateway", "<html>"),
        ("403 Forbidden\r\nx-ratelimit-remaining: 0", r#"{"message":"API rate limit exceeded"}"#),
        ("429 Too Many Requests\r\nretry-after: 60", r#"{"message":"secondary rate limit"}"#),
        // our own secret is wrong
        ("401 Unauthorized", r#"{"message":"Bad credentials"}"#),
        ("302 Found\r\nlocation: /elsewhere", "{}"),
        ("200 OK", "{}"),
        ("200 OK", "[]"),
    ] {
        github.now_answers(Some(outage));
        let outcome = me(&anna).await;
        assert_eq!(outcome.as_ref().unwrap_err().code(), Code::Unavailable, "{outage:?}");
        assert!(retry_after(&outcome).is_some());
        assert_eq!(reason(outcome), "ISSUER_UNAVAILABLE");
    }
    github.now_answers(None);
    assert_eq!(reason(me(&anna).await), "ACCOUNT_REQUIRED");
    // what is known stays good while GitHub is down, and others are not affected
    github.now_answers(Some(("503 Service Unavailable", "")));
    assert_eq!(reason(me(&anna).await), "ACCOUNT_REQUIRED");
    service.account("bert").await;
}

#[tokio::test]
async fn no_more_tokens_are_checked_in_a_minute_than_the_entry_says() {
    let github = Github::start().await;
    let service = start(&github, "github_pace", &[("checks_per_minute", 6.into())]).await;
    github.grant("gho_anna", 1, &["anna@example.com primary"]);
    let anna = Person::new(&service.channel, "gho_anna".to_owned());
    assert_eq!(reason(me(&anna).await), "ACCOUNT_REQUIRED");
    let mut answers = Vec::new();
    for number in 0..20 {
        let stranger = Person::new(&service.channel, format!("gho_made_up_{number}"));
        answers.push(reason(me(&stranger).await));
    }
    assert_eq!(answers[..2], ["TOKEN_INVALID"; 2]);
    let unavailable = answers.iter().filter(|reason| *reason == "ISSUER_UNAVAILABLE").count();
    // half is for tokens that were good before; a slow machine may gain one meanwhile
    assert!(unavailable >= 15, "{answers:?}");
    assert!(github.requests().len() <= 2 + 5, "{:?}", github.requests());
    // who was checked already is not held up
    assert_eq!(reason(me(&anna).await), "ACCOUNT_REQUIRED");
}

#[tokio::test]
async fn a_token_without_the_right_to_read_addresses_names_the_person_and_attests_none() {
    let github = Github::start().await;
    let service = start(&github, "github_scope", &[]).await;
    github.grant("gho_anna", 1, &["anna@example.com primary"]);
    let account = Person::new(&service.channel, "gho_anna".to_owned()).create_account("anna").await.unwrap();
    assert_eq!(account.emails, ["anna@example.com"]);
    github.grant_by(CLIENT_ID, "gho_bare", 1, None);
    let bare = Person::new(&service.channel, "gho_bare".to_owned());
    assert!(me(&bare).await.unwrap().emails.is_empty());
    // once more with the right to it they are there again
    github.grant("gho_again", 1, &["anna@example.com primary"]);
    assert_eq!(me(&Person::new(&service.channel, "gho_again".to_owned())).await.unwrap().emails, account.emails);
    github.grant_by(CLIENT_ID, "gho_bert", 2, None);
    let bert = Person::new(&service.channel, "gho_bert".to_owned());
    assert!(bert.create_account("bert").await.unwrap().emails.is_empty());
}

#[tokio::test]
async fn addresses_are_read_over_pages_up_to_a_limit() {
    let github = Github::start().await;
    let service = start(&github, "github_pages", &[]).await;
    let mut emails = (0..349).map(|number| format!("a{number}@example.com")).collect::<Vec<_>>();
    emails.insert(250, "anna@example.com primary".to_owned());
    github.grant("gho_anna", 1, &emails.iter().map(String::as_str).collect::<Vec<_>>());
    let account = Person::new(&service.channel, "gho_anna".to_owned()).create_account("anna").await.unwrap();
    assert_eq!((account.emails.len(), account.email.as_str()), (300, "anna@example.com"));
    assert_eq!(github.requests().len(), 4);
}

#[tokio::test]
async fn two_entries_keep_their_people_apart() {
    let github = Github::start().await;
    let service = start(&github, "github_apart", &[]).await;
    // the same id at the dev issuer, which calls itself GitHub too
    let dev = service.stranger("1", "anna@example.com");
    dev.create_account("anna").await.unwrap();
    github.grant("gho_1", 1, &["anna@example.com primary"]);
    let direct = Person::new(&service.channel, "gho_1".to_owned());
    let outcome = direct.create_account("anna").await;
    assert_eq!(named(&outcome, "account"), "accounts/anna");
    assert_eq!(reason(outcome), "USERNAME_TAKEN");
}
