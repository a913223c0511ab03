//! What accounts hold of what their identity attests, and what is left of them.

use std::collections::BTreeMap;

use invitations::pb;
use sqlx::AssertSqlSafe;
use tonic::Status;

use crate::support::github::Github;
use crate::support::{Person, Service, reason, scratch};

async fn emails(person: &Person) -> Vec<String> {
    let message = pb::GetAccountRequest { name: "accounts/me".to_owned() };
    person.accounts.clone().get_account(message).await.unwrap().into_inner().emails
}

async fn delete(person: &Person) -> Result<(), Status> {
    let message = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
    person.accounts.clone().delete_account(message).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_newer_token_replaces_the_addresses_and_an_older_one_changes_nothing() {
    let service = Service::start().await;
    let anna = service.account("anna").await;
    let later = service.signed_in_later("anna", 10, "anna@new.example");
    assert_eq!(emails(&anna).await, ["anna@example.com"]);
    assert_eq!(emails(&later).await, ["anna@new.example"]);
    // the first token is still good, and says what is over
    assert_eq!(emails(&anna).await, ["anna@new.example"]);
    // a token that says nothing about addresses takes none away; one that says that none is verified does
    assert_eq!(emails(&service.signed_in_silently("anna", 20)).await, ["anna@new.example"]);
    let issuer: Vec<(String, String)> =
        sqlx::query_as("SELECT issuer, email FROM account_emails WHERE username = 'anna'")
            .fetch_all(service.pool())
            .await
            .unwrap();
    assert_eq!(issuer, [("dev-github".to_owned(), "anna@new.example".to_owned())]);
    let newer: bool = sqlx::query_scalar(
        "SELECT every(e.attest_time = i.attest_time AND e.attest_time > now()) FROM account_emails e \
           JOIN identities i USING (username) WHERE username = 'anna'",
    )
    .fetch_one(service.pool())
    .await
    .unwrap();
    assert!(newer, "the time is the token's");
}

#[tokio::test]
async fn every_address_that_github_attests_is_one_to_be_invited_under() {
    let github = Github::start().await;
    let service = Service::start_trusting(vec![github.entry(&scratch("github_every").join("secret"))]).await;
    let owner = service.owner("olga", "acme").await;
    github.grant("gho_anna", 1, &["a@one.example", "b@two.example primary", "c@three.example unverified"]);
    let anna = Person::new(&service.channel, "gho_anna".to_owned());
    anna.create_account("anna").await.unwrap();
    assert_eq!(reason(owner.offer("acme", "anna", "c@three.example", "READER").await), "ACCOUNT_EMAIL_NOT_FOUND");
    for email in ["a@one.example", "b@two.example"] {
        let offer = owner.offer("acme", "anna", email, "READER").await.unwrap();
        assert_eq!(offer.account_email, email);
        owner.revoke(&offer.name).await.unwrap();
    }
    // after a newer check one of them is gone
    github.grant("gho_later", 1, &["b@two.example primary"]);
    assert_eq!(emails(&Person::new(&service.channel, "gho_later".to_owned())).await, ["b@two.example"]);
    assert_eq!(reason(owner.offer("acme", "anna", "a@one.example", "READER").await), "ACCOUNT_EMAIL_NOT_FOUND");
}

#[tokio::test]
async fn a_deleted_account_leaves_its_name_and_nothing_to_inherit() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    service.owner("other", "umbrella").await;
    let anna = service.member(&owner, "acme", "anna", "CONTRIBUTOR").await;
    let open = owner.on(&service.channel);
    let others = service.stranger("other", "other@example.com");
    let offer = others.offer("umbrella", "anna", "anna@example.com", "READER").await.unwrap();
    open.invite("acme", "somebody@example.com").await.unwrap();

    delete(&anna).await.unwrap();
    assert_eq!(reason(owner.member("acme", "anna").await), "MEMBER_NOT_FOUND");
    assert_eq!(reason(anna.accept(&offer.name).await), "ACCOUNT_REQUIRED");
    assert_eq!(others.get(&offer.name).await.unwrap().state(), pb::invitation::State::Revoked);
    // the name is blocked for everybody, the person too
    assert_eq!(reason(anna.create_account("anna").await), "USERNAME_TAKEN");
    assert_eq!(reason(service.stranger("twin", "t@example.com").create_account("anna").await), "USERNAME_TAKEN");

    let again = anna.create_account("anna-two").await.unwrap();
    assert_eq!((again.name.as_str(), again.emails), ("accounts/anna-two", vec!["anna@example.com".to_owned()]));
    assert_eq!(reason(anna.accept(&offer.name).await), "INVITATION_NOT_FOUND");
    assert_eq!(reason(anna.get(&offer.name).await), "INVITATION_NOT_FOUND");
    let parent = "accounts/me".to_owned();
    let memberships = pb::ListAccountMembershipsRequest { parent: parent.clone(), ..Default::default() };
    let memberships = anna.accounts.clone().list_account_memberships(memberships).await.unwrap().into_inner();
    assert!(memberships.memberships.is_empty());
    let invitations = pb::ListAccountInvitationsRequest { parent, ..Default::default() };
    let invitations = anna.invitations.clone().list_account_invitations(invitations).await.unwrap().into_inner();
    assert!(invitations.invitations.is_empty());
    service.recount().await;
}

/// What a deletion erases of the person, and what organizations keep of their own: the address that they wrote to, until
/// their records go.
#[tokio::test]
async fn a_deletion_erases_the_person_and_not_the_organizations_records() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (anna, _) = service.requested(&owner, "acme", "anna").await;
    let before = mentions(&service, "anna@example.com").await;
    // the control
    assert!(before.contains_key("account_emails"), "{before:?}");
    delete(&anna).await.unwrap();
    let after = mentions(&service, "anna@example.com").await;
    let kept = after.keys().map(String::as_str).collect::<Vec<_>>();
    // the note of what is still to be erased goes with it
    assert_eq!(kept, ["emails", "erasures", "invitations"], "{after:?}");
    let tombstone: (String, Option<String>, Option<String>, bool) =
        sqlx::query_as("SELECT username, display_name, tenant, identity IS NULL FROM accounts WHERE username = 'anna'")
            .fetch_one(service.pool())
            .await
            .unwrap();
    assert_eq!(tombstone, ("anna".to_owned(), None, None, true));
    let identities: i64 = sqlx::query_scalar("SELECT count(*) FROM identities WHERE username = 'anna'")
        .fetch_one(service.pool())
        .await
        .unwrap();
    assert_eq!(identities, 0);
}

/// How many rows of each table hold a text.
async fn mentions(service: &Service, text: &str) -> BTreeMap<String, i64> {
    let tables: Vec<String> = sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
        .fetch_all(service.pool())
        .await
        .unwrap();
    let mut mentions = BTreeMap::new();
    for table in tables {
        let query = format!("SELECT count(*) FROM {table} t WHERE to_jsonb(t)::text LIKE '%' || $1 || '%'");
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(query)).bind(text).fetch_one(service.pool()).await.unwrap();
        if count > 0 {
            mentions.insert(table, count);
        }
    }
    mentions
}
