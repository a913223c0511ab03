//! Whoever is limited gets nothing anew by another account, and learns nothing by what is refused.

use invitations::domain::{CodeKey, InvitationCode, InvitationId};
use invitations::pb;
use tonic::Status;

use super::{Limited, assert_limited};
use crate::support::{Person, reason};

impl Limited {
    /// Deletes somebody's account and opens another one with the same token, to which `owner` gives a role in acme.
    async fn begin_anew(&self, owner: &Person, person: &Person, username: &str) {
        let delete = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
        person.accounts.clone().delete_account(delete).await.unwrap();
        person.create_account(username).await.unwrap();
        let unlimited = owner.on(&self.unlimited);
        let offer = unlimited.offer("acme", username, "mia@example.com", "OWNER").await.unwrap();
        person.on(&self.unlimited).accept(&offer.name).await.unwrap();
    }
}

fn unknown_code() -> String {
    let key = CodeKey::new("elsewhere".to_owned(), vec![9; 32]).unwrap();
    InvitationCode::derive(&key, InvitationId(uuid::Uuid::now_v7()), 1).reveal()
}

async fn silence(person: &Person, reminders_disabled: bool) -> Result<(), Status> {
    let policy = Some(pb::Policy { reminders_disabled, ..Default::default() });
    let message = pb::UpdateOrganizationRequest {
        organization: Some(pb::Organization { name: "organizations/acme".to_owned(), policy, ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["policy.reminders_disabled".to_owned()] }),
        ..Default::default()
    };
    person.organizations.clone().update_organization(message).await.map(drop)
}

/// What each limit is used up by: tries that get another answer than the limit's as long as it is not.
async fn reasons(person: &Person, round: usize) -> Vec<String> {
    let email = format!("{}@example.com", uuid::Uuid::new_v4());
    let told = |outcome: Result<(), Status>| outcome.err().map_or("OK".to_owned(), |status| reason::<()>(Err(status)));
    vec![
        told(person.request_access(&unknown_code()).await.map(drop)),
        told(person.offer("acme", "nobody", "nobody@example.com", "READER").await.map(drop)),
        told(person.invite("acme", &email).await.map(drop)),
        told(silence(person, round.is_multiple_of(2)).await),
    ]
}

#[tokio::test]
async fn another_account_of_the_same_identity_brings_no_limit_anew() {
    let limited = Limited::start(&[
        ("wrong_codes_limit", "2"),
        ("wrong_accounts_limit", "2"),
        ("invitations_per_caller_limit", "2"),
        ("protection_changes_per_caller_limit", "2"),
    ])
    .await;
    let service = &limited.service;
    let olga = service.owner("olga", "acme").await;
    let mia = service.member(&olga.on(&limited.unlimited), "acme", "mia", "OWNER").await;
    let allowed = ["CODE_NOT_FOUND", "ACCOUNT_EMAIL_NOT_FOUND", "OK", "OK"];
    let refused =
        ["TOO_MANY_WRONG_CODES", "TOO_MANY_WRONG_ACCOUNTS", "TOO_MANY_INVITATIONS", "TOO_MANY_PROTECTION_CHANGES"];
    for (round, person) in limited.in_turn(&mia, 2).enumerate() {
        assert_eq!(reasons(&person, round).await, allowed, "round {round}");
    }
    assert_eq!(reasons(&mia, 2).await, refused);

    for round in 0..2 {
        limited.begin_anew(&olga, &mia, &format!("mia-{round}")).await;
        for person in limited.in_turn(&mia, 2) {
            assert_eq!(reasons(&person, 2).await, refused, "{round}");
        }
    }
    // the same calls are refused for nothing else, and another member's limits are their own
    assert_eq!(reasons(&mia.on(&limited.unlimited), 2).await, allowed);
    assert_eq!(reasons(&olga, 3).await, allowed);
    // counters name nobody
    let named = "SELECT count(*) FROM subject_limits WHERE subject ~ 'mia|olga|accounts'";
    assert_eq!(sqlx::query_scalar::<_, i64>(named).fetch_one(service.pool()).await.unwrap(), 0);
}

#[tokio::test]
async fn after_the_quota_no_answer_tells_whether_a_name_is_taken() {
    let limited = Limited::start(&[("organizations_per_identity_limit", "3")]).await;
    let service = &limited.service;
    let olga = service.owner("olga", "acme").await;
    let mia = service.account("mia").await;
    // what could not be founded anyway tells nothing either
    let unnamed = async |person: &Person, id: &str| {
        let organization = pb::Organization {
            display_name: "Visit evil.example".to_owned(),
            notification_email: "notify@acme.example".to_owned(),
            ..Default::default()
        };
        let message = pb::CreateOrganizationRequest {
            organization_id: id.to_owned(),
            organization: Some(organization),
            ..Default::default()
        };
        reason(person.organizations.clone().create_organization(message).await)
    };
    assert_eq!(unnamed(&mia, "acme").await, unnamed(&mia, "free").await);
    let charged = service.charges().await;
    for person in limited.in_turn(&mia, 3) {
        assert_eq!(reason(person.create_organization("acme").await), "ORGANIZATION_EXISTS");
    }
    assert_eq!(service.charges().await, charged + 3);
    for person in limited.in_turn(&mia, 4) {
        for name in ["acme", "free"] {
            let refused = person.create_organization(name).await;
            assert_eq!(
                refused.as_ref().unwrap_err().message(),
                "you have tried to create as many organizations as you may in 24 hours: wait before the next one"
            );
            assert_limited(refused, "TOO_MANY_ORGANIZATIONS");
        }
        assert_eq!(unnamed(&person, "acme").await, unnamed(&person, "free").await);
    }
    // without the limit each try is told, and others found as before
    for _ in 0..5 {
        assert_eq!(reason(mia.on(&limited.unlimited).create_organization("acme").await), "ORGANIZATION_EXISTS");
    }
    olga.create_organization("beta").await.unwrap();
}

#[tokio::test]
async fn a_service_of_some_organizations_searches_for_no_usernames_by_owners_to_be() {
    let limited = Limited::start(&[("organizations_per_identity_limit", "2")]).await;
    let signup = limited.service.service("signup", &["organizations.admin"]);
    let found = async |person: &Person, owner: &str, id: &str| {
        let message = pb::CreateOrganizationRequest {
            organization_id: id.to_owned(),
            organization: Some(pb::Organization {
                display_name: "Acme".to_owned(),
                notification_email: "notify@acme.example".to_owned(),
                ..Default::default()
            }),
            owner: format!("accounts/{owner}"),
            ..Default::default()
        };
        person.organizations.clone().create_organization(message).await
    };
    limited.service.account("anna").await;
    for person in limited.in_turn(&signup, 2) {
        assert_eq!(reason(found(&person, "nobody", "acme").await), "ACCOUNT_NOT_FOUND");
    }
    for owner in ["nobody", "anna"] {
        assert_limited(found(&signup, owner, "acme").await, "TOO_MANY_ORGANIZATIONS");
    }
    let unlimited = signup.on(&limited.unlimited);
    assert_eq!(reason(found(&unlimited, "nobody", "acme").await), "ACCOUNT_NOT_FOUND");
    found(&unlimited, "anna", "acme").await.unwrap();
}
