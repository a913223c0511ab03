//! What good tokens prove: identities with their addresses, and services with their scopes.

use serde_json::json;

use super::*;
use crate::domain::{OrganizationId, Role, Scope};

async fn emails(verifier: &Verifier, changes: Value) -> Option<Vec<String>> {
    let emails = user(verifier, &Signer::eddsa().token(&with(good(), &changes))).await.emails;
    emails.map(|emails| emails.iter().map(|email| email.typed().to_owned()).collect())
}

#[tokio::test]
async fn a_user_token_names_the_identity() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let claims = good();
    let identity = user(&verifier, &Signer::eddsa().token(&claims)).await;
    assert_eq!((identity.issuer.as_str(), identity.subject.as_slice()), ("broker", &["583231".to_owned()][..]));
    assert_eq!((identity.provider.as_str(), identity.tenant), ("github", None));
    assert_eq!(identity.attest_time.unix_timestamp(), claims["iat"].as_i64().unwrap());
}

#[tokio::test]
async fn an_address_counts_only_if_it_is_verified_and_of_the_issuers_domains() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let one = |email: &str| Some(vec![email.to_owned()]);
    let none = Some(Vec::new());
    assert_eq!(emails(&verifier, json!({})).await, one("anna@example.com"));
    assert_eq!(emails(&verifier, json!({"email": "A@EXAMPLE.com"})).await, one("A@EXAMPLE.com"));
    assert_eq!(emails(&verifier, json!({"email": "a@bücher.example"})).await, one("a@bücher.example"));
    assert_eq!(emails(&verifier, json!({"email_verified": null})).await, none);
    assert_eq!(emails(&verifier, json!({"email_verified": false})).await, none);
    assert_eq!(emails(&verifier, json!({"email_verified": "true"})).await, one("anna@example.com"));
    for no in [json!("True"), json!("false"), json!("1"), json!("yes"), json!(1), json!([true]), json!({})] {
        assert_eq!(emails(&verifier, json!({"email_verified": no})).await, none, "{no}");
    }
    assert_eq!(emails(&verifier, json!({"email_verified": null, "xms_edov": true})).await, none);
    assert_eq!(emails(&verifier, json!({"email": "anna@example.org"})).await, none);
    assert_eq!(emails(&verifier, json!({"email": "anna@sub.example.com"})).await, none);
    assert_eq!(emails(&verifier, json!({"email": "a@b@example.com"})).await, none);
    assert_eq!(emails(&verifier, json!({"email": ""})).await, none);
    // silence about addresses takes none away
    assert_eq!(emails(&verifier, json!({"email": null})).await, None);
}

#[tokio::test]
async fn a_services_rights_come_from_its_entry_and_its_token_may_only_take_away() {
    let file = KeyFile::published();
    let users = with(broker(&file), &json!({"audience": "users"}));
    let verifier = verifier([users, services(&file)]).unwrap();
    let gateway = json!({"sub": "system:serviceaccount:ops:gateway"});
    let token = |change: Value| Signer::es256().token(&with(with(good(), &gateway), &change));
    let configured = verifier.service("cluster", "system:serviceaccount:ops:gateway").unwrap();
    assert_eq!(configured.scopes, [Scope::InvitationsRead, Scope::InvitationsWrite]);
    assert_eq!(configured.organizations, Some(vec![OrganizationId::parse("acme").unwrap()]));
    assert_eq!(configured.highest_role, Role::Contributor);

    assert_eq!(service(&verifier, &token(json!({}))).await, configured);
    let narrowed = service(&verifier, &token(json!({"scope": "invitations.read members.grant"}))).await;
    assert_eq!(narrowed.scopes, [Scope::InvitationsRead]);
    assert_eq!(service(&verifier, &token(json!({"scope": "openid"}))).await.scopes, []);

    assert_eq!(refusal(&verifier, &token(json!({"sub": "other"}))).await, "of a service without an entry");
    assert_eq!(verifier.services().collect::<Vec<_>>(), [&configured]);
    assert!(verifier.service("cluster", "other").is_none());
    assert!(verifier.service("other", "system:serviceaccount:ops:gateway").is_none());
}
