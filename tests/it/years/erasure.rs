//! Who deletes their account is forgotten: no column of any table holds an address of theirs.

use invitations::pb::{self, invitation::State};
use sqlx::AssertSqlSafe;

use super::{Retention, Step, count, let_pass, sweeper, turn};
use crate::support::{Person, Service};

/// Where any of these words stands: in any column of any table, in any case, as text, in JSON or as bytes.
async fn holding(service: &Service, words: &[&str]) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
        .fetch_all(service.pool())
        .await
        .unwrap();
    let patterns = words.iter().flat_map(|word| {
        let hex = invitations::store::limits::hex(word.as_bytes());
        [format!("%{word}%"), format!("%{hex}%")]
    });
    let mut found = Vec::new();
    for table in tables {
        let query = format!(
            "SELECT DISTINCT '{table}.' || c.key FROM \"{table}\" t, jsonb_each_text(to_jsonb(t)) c \
              WHERE lower(c.value) LIKE ANY($1) ORDER BY 1"
        );
        let patterns = patterns.clone().collect::<Vec<_>>();
        let here: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(query)).bind(patterns).fetch_all(service.pool()).await.unwrap();
        found.extend(here);
    }
    found.sort();
    found
}

/// A policy is changed, so the owners are written to.
async fn write_to_owners(owner: &Person, organization: &str) {
    let policy = pb::Policy { reminders_disabled: true, ..Default::default() };
    owner.set_policy(organization, &["reminders_disabled"], policy).await;
}

#[tokio::test]
async fn no_column_of_any_table_holds_an_address_of_a_deleted_account() {
    // the one that she signs in with, in the ways in which it is typed, and one that she has given up
    const ADDRESSES: [&str; 2] = ["anna.smith@example.com", "anna@former.example"];
    let service = Service::start().await;
    let former = service.stranger("anna", "Anna@Former.example");
    former.create_account("anna").await.unwrap();

    // an owner who was written to, under the former address
    let olga = service.owner("olga", "acme").await;
    former.create_organization("annas").await.unwrap();
    let offer = former.offer("annas", "olga", "olga@example.com", "OWNER").await.unwrap();
    olga.accept(&offer.name).await.unwrap();
    write_to_owners(&olga, "annas").await;
    service.email_to("Anna@former.example", 1).await;
    let (rosa, paul, carl, dora) = tokio::join!(
        service.owner("rosa", "beta"),
        service.owner("paul", "gamma"),
        service.owner("carl", "delta"),
        service.owner("dora", "epsilon")
    );
    dora.offer("epsilon", "anna", "anna@former.example", "READER").await.unwrap();
    // a newer token attests another address
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let anna = service.stranger("anna", "Anna.Smith@Example.com");

    // a member; an invitation that ran out, and one that she never saw; an offer that she declined
    let id = uuid::Uuid::new_v4().to_string();
    olga.invite_by("acme", "ANNA.smith@example.com", &id).await.unwrap();
    let code = service.code_to("ANNA.smith@example.com", 1).await;
    let requested = anna.request_access(&code).await.unwrap();
    assert_eq!(requested.account_email, "Anna.Smith@Example.com");
    let offer = olga.offer("acme", "anna", "anna.smith@EXAMPLE.com", "MANAGER").await.unwrap();
    anna.accept(&offer.name).await.unwrap();
    let annotated = pb::CreateInvitationRequest {
        parent: "organizations/beta".to_owned(),
        invitation: Some(pb::Invitation {
            email: "anna.smith@example.com".to_owned(),
            annotations: [("asked-by".to_owned(), "Anna@Former.example".to_owned())].into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let expired = rosa.invitations.clone().create_invitation(annotated).await.unwrap().into_inner();
    service.let_expire(&expired.name).await;
    let open = paul.invite("gamma", "Anna.Smith@example.com").await.unwrap();
    let declined = carl.offer("delta", "anna", "anna.smith@example.com", "READER").await.unwrap();
    anna.decline(&declined.name).await.unwrap();
    let operator = service.service("mailer", &["mail.operate"]);
    let message = pb::SuppressEmailRequest { email: "anna.smith@example.com".to_owned(), ..Default::default() };
    operator.mail.clone().suppress_email(message).await.unwrap();
    write_to_owners(&olga, "acme").await;

    let delete = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
    anna.accounts.clone().delete_account(delete).await.unwrap();
    service.tables().await;
    // what was decided before is committed by now
    let old = "UPDATE accounts SET delete_time = delete_time - interval '11 minutes' WHERE delete_time IS NOT NULL";
    sqlx::query(old).execute(service.pool()).await.unwrap();
    let delay = std::time::Duration::from_hours(24 * 30);
    let sweeper = sweeper(&service, Retention { erasure_delay: delay, ..Retention::default() }).await;
    let sweep = async || {
        for step in [Step::Expiries, Step::Deletions, Step::Erasures] {
            assert_eq!(turn(&sweeper, step).await.failures, 0, "{step:?}");
        }
        service.tables().await;
    };

    // the control: before the time has come they stand in many places
    sweep().await;
    let_pass(service.pool(), 29).await;
    sweep().await;
    let places = [
        "annotations.value",
        "emails.recipient",
        "erasures.email_key",
        "invitations.account_email",
        "invitations.account_email_key",
        "invitations.annotations",
        "invitations.email",
        "invitations.email_key",
    ];
    assert_eq!(holding(&service, &ADDRESSES).await, places);
    assert_eq!(rosa.get(&expired.name).await.unwrap().annotations, expired.annotations);
    assert_eq!(holding(&service, &ADDRESSES[1..]).await, places, "the former one too");

    // what is open cannot lose its address yet
    let_pass(service.pool(), 2).await;
    sweep().await;
    let left = ["emails.recipient", "erasures.email_key", "invitations.email", "invitations.email_key"];
    assert_eq!(holding(&service, &ADDRESSES).await, left);
    let whose = "SELECT string_agg(organization, ' ') FROM invitations WHERE lower(email) = 'anna.smith@example.com'";
    let whose: String = sqlx::query_scalar(whose).fetch_one(service.pool()).await.unwrap();
    assert_eq!(whose, "gamma");
    assert_eq!(paul.get(&open.name).await.unwrap().email, "Anna.Smith@example.com");
    paul.revoke(&open.name).await.unwrap();
    let_pass(service.pool(), 2).await;
    sweep().await;
    assert_eq!(holding(&service, &ADDRESSES).await, Vec::<String>::new());

    // what stays: the name, the trail, and who else there is
    assert_eq!(count(service.pool(), "SELECT count(*) FROM erasures").await, 0);
    assert_eq!(count(service.pool(), "SELECT count(*) FROM email_suppressions").await, 1);
    let shown = olga.get(&offer.name).await.unwrap();
    assert_eq!((shown.state(), shown.account.as_str(), shown.email.as_str()), (State::Accepted, "accounts/anna", ""));
    assert!(holding(&service, &["olga@example.com"]).await.contains(&"members.email".to_owned()));
    service.recount().await;
}

#[tokio::test]
async fn an_invitation_of_after_the_deletion_keeps_its_address() {
    let service = Service::start().await;
    let olga = service.owner("olga", "acme").await;
    let anna = service.account("anna").await;
    let before = olga.invite("acme", "anna@example.com").await.unwrap();
    olga.revoke(&before.name).await.unwrap();
    let delete = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
    anna.accounts.clone().delete_account(delete).await.unwrap();
    let after = olga.invite("acme", "anna@example.com").await.unwrap();
    olga.revoke(&after.name).await.unwrap();
    let_pass(service.pool(), 1).await;
    let sweeper = sweeper(&service, Retention::default()).await;
    assert_eq!(turn(&sweeper, Step::Erasures).await.rows, 1);
    assert_eq!(olga.get(&before.name).await.unwrap().email, "");
    assert_eq!(olga.get(&after.name).await.unwrap().email, "anna@example.com");
}
