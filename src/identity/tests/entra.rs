//! Entra's own conditions, each beside a token that differs in nothing else.

use serde_json::json;

use super::*;

const OTHER: &str = "11111111-2222-4333-8444-555555555555";
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const TEMPLATE: &str = "https://login.example.com/{tenantid}/v2.0";

fn token(change: &Value) -> String {
    Signer::rs256().token(&with(entra_claims(), change))
}

/// As Entra would for a person of that tenant.
fn of_tenant(tenant: &str) -> Value {
    json!({"tid": tenant, "iss": TEMPLATE.replace("{tenantid}", tenant)})
}

async fn emails(verifier: &Verifier, change: Value) -> Vec<String> {
    let emails = user(verifier, &token(&change)).await.emails.unwrap();
    emails.iter().map(|email| email.typed().to_owned()).collect()
}

#[tokio::test]
async fn an_identity_is_tenant_and_object_id() {
    let file = KeyFile::published();
    let verifier = verifier([entra(&file)]).unwrap();
    let identity = user(&verifier, &token(&json!({"xms_edov": "1"}))).await;
    assert_eq!(identity.subject, [TENANT, "6467882c-fdfd-4354-a1ed-4e13f064be25"]);
    assert_eq!((identity.provider.as_str(), identity.tenant.as_deref()), ("entra", Some(TENANT)));
    assert_eq!(identity.emails.unwrap().len(), 1);
    for missing in [json!({"tid": null}), json!({"oid": null})] {
        assert_eq!(refusal(&verifier, &token(&missing)).await, "without tid or oid");
    }
}

#[tokio::test]
async fn a_token_is_refused_that_is_no_persons_access_token_of_version_2() {
    let file = KeyFile::published();
    let verifier = verifier([entra(&file)]).unwrap();
    let without_scope = "without the required scope";
    for (change, why) in [
        (json!({"ver": "1.0"}), "not of Entra's v2.0 endpoint"),
        (json!({"ver": null}), "not of Entra's v2.0 endpoint"),
        (json!({"idtyp": "app"}), "a daemon's token"),
        // an ID token, and a daemon's token without idtyp
        (json!({"scp": null}), without_scope),
        (json!({"scp": null, "roles": ["access"]}), without_scope),
        // not Entra's claim
        (json!({"scp": null, "scope": "access"}), without_scope),
        (json!({"scp": "openid accessible"}), without_scope),
        (json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}), "an ID token"),
    ] {
        assert_eq!(refusal(&verifier, &token(&change)).await, why, "{change}");
        user(&verifier, &token(&json!({"idtyp": "user"}))).await;
    }
    // an ID token of the same app: the scope is what it lacks, and so the nonce counts
    let signer = Signer::rs256();
    let jwt = Header { typ: Some("JWT".to_owned()), ..signer.header() };
    let minted = |change: &Value| signer.sign(&jwt, &with(entra_claims(), change));
    let id_token = json!({"scp": null, "nonce": "n-0S6_WzA2Mj"});
    assert_eq!(refusal(&verifier, &minted(&id_token)).await, "an ID token");
    user(&verifier, &minted(&json!({"nonce": "n-0S6_WzA2Mj"}))).await;
}

#[tokio::test]
async fn a_tokens_issuer_is_that_of_its_tenant() {
    let file = KeyFile::published();
    let any = with(entra(&file), &json!({"issuer": TEMPLATE, "tenants": "any"}));
    let of_none = "of no configured issuer, tenant and audience";
    let [one, any, listed] = [entra(&file), any.clone(), with(any, &json!({"tenants": [TENANT, CONSUMERS]}))]
        .map(|entry| verifier([entry]).unwrap());
    for (verifier, tenant, fits) in [
        (&one, TENANT, true),
        (&one, OTHER, false),
        (&any, TENANT, true),
        (&any, OTHER, true),
        // anybody can have a personal account, so this has to be meant
        (&any, CONSUMERS, false),
        (&listed, CONSUMERS, true),
        (&listed, TENANT, true),
        (&listed, OTHER, false),
    ] {
        let token = token(&of_tenant(tenant));
        if fits {
            assert_eq!(user(verifier, &token).await.tenant.as_deref(), Some(tenant));
        } else {
            assert_eq!(refusal(verifier, &token).await, of_none, "{tenant}");
        }
    }
    // signed by Entra for one tenant, and says that it is of the other
    for verifier in [&one, &any] {
        let mixed = with(of_tenant(TENANT), &json!({"tid": OTHER}));
        assert_eq!(refusal(verifier, &token(&mixed)).await, of_none);
        let literal = json!({"iss": TEMPLATE, "tid": "{tenantid}"});
        assert_eq!(refusal(verifier, &token(&literal)).await, of_none);
    }
}

#[tokio::test]
async fn a_key_with_an_issuer_signs_for_that_one_only() {
    let keyed = |issuer: Value| {
        let mut jwk = serde_json::to_value(Signer::rs256().jwk()).unwrap();
        jwk["issuer"] = issuer;
        KeyFile::new(&json!({"keys": [jwk]}).to_string())
    };
    let consumers = TEMPLATE.replace("{tenantid}", CONSUMERS);
    for (issuer, tenant, fits) in [
        (json!(TEMPLATE), TENANT, true),
        (json!(TEMPLATE), OTHER, true),
        (json!(consumers), CONSUMERS, true),
        // the key of personal accounts under the name of a company
        (json!(consumers), TENANT, false),
        (json!("https://other.example.com/{tenantid}/v2.0"), TENANT, false),
    ] {
        let file = keyed(issuer.clone());
        let entry = with(entra(&file), &json!({"issuer": TEMPLATE, "tenants": ["any", CONSUMERS]}));
        let verifier = verifier([entry]).unwrap();
        let token = token(&of_tenant(tenant));
        if fits {
            user(&verifier, &token).await;
        } else {
            assert_eq!(refusal(&verifier, &token).await, "signed by a key of another issuer", "{issuer}");
        }
    }
}

#[tokio::test]
async fn an_address_counts_by_xms_edov_or_by_a_rule_for_tenant_and_domain() {
    let file = KeyFile::published();
    let any = with(entra(&file), &json!({"issuer": TEMPLATE, "tenants": "any"}));
    let rule = json!({"verified_domains": [{"tenant": TENANT, "domain": "Example.com"}]});
    let [bare, ruled] = [any.clone(), with(any, &rule)].map(|entry| verifier([entry]).unwrap());
    let anna = ["anna@example.com"];
    for edov in [json!(true), json!(1), json!("1"), json!("true")] {
        assert_eq!(emails(&bare, json!({"xms_edov": edov})).await, anna);
    }
    // Entra's own claim decides, not OpenID Connect's
    for change in [json!({}), json!({"xms_edov": false}), json!({"email_verified": true})] {
        assert!(emails(&bare, change.clone()).await.is_empty(), "{change}");
    }
    assert_eq!(emails(&ruled, json!({})).await, anna);
    assert!(emails(&ruled, json!({"email": "anna@example.org"})).await.is_empty());
    assert!(emails(&ruled, json!({"email": "anna@sub.example.com"})).await.is_empty());
    // nOAuth: another tenant's administrator has typed the address
    assert!(emails(&ruled, of_tenant(OTHER)).await.is_empty());
    assert_eq!(emails(&ruled, with(of_tenant(OTHER), &json!({"xms_edov": true}))).await, anna);
}
