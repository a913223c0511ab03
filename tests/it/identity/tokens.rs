//! Tokens as issuers really make them: each good one beside a neighbour that counts for nothing.

use invitations::pb;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tonic::{Code, Status};

use crate::rights::call;
use crate::support::{Person, Service, bad_fields, reason, rules};

const COMPANY: &str = "https://company.example/oauth2/default";
const GET_ACCOUNT: &str = "/ipmhub.invitations.v1.AccountService/GetAccount";

/// A service that trusts a company's issuer too, whose access tokens are called JWT and have a scope: Okta, Keycloak.
async fn start() -> Service {
    Service::start_with_entries(|entries| {
        let company = json!({
            "id": "company", "kind": "user", "provider": "company", "issuer": COMPANY, "audience": "invitations",
            "jwks_file": entries[0]["jwks_file"], "scope": "invitations", "email_domains": ["example.com"],
        });
        let daemons = json!({
            "id": "daemons", "kind": "service", "issuer": COMPANY, "audience": "daemons",
            "jwks_file": entries[0]["jwks_file"],
            "services": [{"subject": "gateway", "scopes": ["invitations.read"], "organizations": "*"}],
        });
        entries.as_array_mut().unwrap().extend([company, daemons]);
    })
    .await
}

/// Of the company, for one of its people, with these claims too.
fn person(service: &Service, typ: Option<&str>, more: &Value) -> Person {
    let mut claims = json!({
        "iss": COMPANY, "sub": "anna", "scope": "openid invitations", "email": "anna@example.com",
        "email_verified": true,
    });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Person::new(&service.channel, service.signed(typ, &claims))
}

/// The same for one of its services.
fn daemon(service: &Service, more: &Value) -> Person {
    let mut claims = json!({"iss": COMPANY, "sub": "gateway", "aud": "daemons"});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Person::new(&service.channel, service.signed(None, &claims))
}

async fn me(person: &Person) -> Result<pb::Account, Status> {
    let message = pb::GetAccountRequest { name: "accounts/me".to_owned() };
    Ok(person.accounts.clone().get_account(message).await?.into_inner())
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

#[tokio::test]
async fn claims_that_nobody_looks_at_may_be_of_any_type() {
    let service = start().await;
    let owner = service.owner("olga", "acme").await;
    let okta = json!({
        "ver": 1, "jti": "AT.x", "cid": "0oa1", "uid": "00u1", "scope": null, "scp": ["openid", "invitations"],
        "auth_time": 1_795_940_998,
    });
    assert_eq!(person(&service, None, &okta).create_account("anna").await.unwrap().emails, ["anna@example.com"]);
    for odd in [json!({"ver": 1.5, "tid": 7}), json!({"oid": ["a"], "idtyp": {}}), json!({"xms_edov": [], "typ": 3})] {
        assert_eq!(me(&person(&service, None, &odd)).await.unwrap().name, "accounts/anna", "{odd}");
    }
    for odd in [json!({"ver": 1}), json!({"email": ["a", 1], "tid": true}), json!({"email_verified": {}, "oid": 1})] {
        assert_eq!(daemon(&service, &odd).organization("acme").await.name, "organizations/acme", "{odd}");
    }
    // what an entry does look at
    for odd in [json!({"scope": 1}), json!({"email": ["anna@example.com"]}), json!({"aud": 7}), json!({"sub": 7})] {
        assert_eq!(reason(me(&person(&service, None, &odd)).await), "TOKEN_INVALID", "{odd}");
    }
    for odd in [json!({"scope": {}}), json!({"scp": 1}), json!({"sub": ["gateway"]})] {
        assert_eq!(reason(daemon(&service, &odd).invite("acme", "a@example.com").await), "TOKEN_INVALID", "{odd}");
    }
    owner.invite("acme", "bert@example.com").await.unwrap();
}

#[tokio::test]
async fn a_time_is_any_number_that_can_be_a_time() {
    let service = start().await;
    let fraction = |seconds: i64, fraction: &str| format!("{seconds}{fraction}").parse::<serde_json::Number>().unwrap();
    person(&service, None, &json!({})).create_account("anna").await.unwrap();
    for good in [
        json!({"iat": fraction(now(), ".864")}),
        json!({"exp": fraction(now() + 600, ".5"), "nbf": fraction(now() - 1, ".999")}),
        json!({"iat": fraction(now() - 5, ".0"), "exp": fraction(now() + 600, "e0")}),
    ] {
        assert_eq!(me(&person(&service, None, &good)).await.unwrap().name, "accounts/anna", "{good}");
    }
    for bad in [
        json!({"exp": fraction(now() - 40, ".9")}),
        json!({"exp": (now() + 600) * 1000}),
        json!({"iat": 1e300}),
        json!({"iat": -1}),
        json!({"nbf": now().to_string()}),
        json!({"iat": now() - 60, "exp": fraction(now() + 86_400, ".5")}),
    ] {
        assert_eq!(reason(me(&person(&service, None, &bad)).await), "TOKEN_INVALID", "{bad}");
    }
}

#[tokio::test]
async fn a_nonce_alone_makes_no_id_token() {
    let service = start().await;
    person(&service, None, &json!({})).create_account("anna").await.unwrap();
    // Keycloak before 25, an issuer that knows RFC 9068, and one whose tokens only have a scope
    let keycloak = json!({"nonce": "n-0S6_WzA2Mj", "typ": "Bearer", "azp": "web", "aud": ["invitations", "account"]});
    let nonce = json!({"nonce": "n-0S6_WzA2Mj"});
    for (typ, access) in [(Some("JWT"), &keycloak), (Some("at+jwt"), &nonce), (None, &nonce)] {
        assert_eq!(me(&person(&service, typ, access)).await.unwrap().name, "accounts/anna", "{access}");
    }
    // the ID tokens beside them
    for id_token in [
        json!({"nonce": "n-0S6_WzA2Mj", "scope": null, "azp": "invitations"}),
        json!({"nonce": "n-0S6_WzA2Mj", "typ": "ID", "azp": "web", "scope": null}),
        json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ", "typ": "ID"}),
        json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ", "nonce": "n-0S6_WzA2Mj"}),
        json!({"c_hash": "LDktKdoQak3Pk0cnXxCltA"}),
        json!({"scope": null}),
    ] {
        assert_eq!(reason(me(&person(&service, Some("JWT"), &id_token)).await), "TOKEN_INVALID", "{id_token}");
    }
    // a service's token need have neither typ nor scope
    service.owner("olga", "acme").await;
    let other = json!({"nonce": "n-0S6_WzA2Mj", "azp": "gateway"});
    assert_eq!(daemon(&service, &other).organization("acme").await.name, "organizations/acme");
    for id_token in [json!({"nonce": "n", "azp": "daemons"}), json!({"nonce": "n"})] {
        let outcome = daemon(&service, &id_token).invite("acme", "a@example.com").await;
        assert_eq!(reason(outcome), "TOKEN_INVALID", "{id_token}");
    }
}

#[tokio::test]
async fn an_address_is_verified_by_true_and_by_nothing_like_it() {
    let service = start().await;
    for (username, flag, counts) in [
        ("flag", json!(true), true),
        ("text", json!("true"), true),
        ("false", json!("false"), false),
        ("upper", json!("True"), false),
        ("number", json!(1), false),
        ("digit", json!("1"), false),
        ("yes", json!("yes"), false),
        ("list", json!([true]), false),
        ("null", json!(null), false),
    ] {
        let person = person(&service, None, &json!({"sub": username, "email_verified": flag}));
        let emails = person.create_account(username).await.unwrap().emails;
        assert_eq!(!emails.is_empty(), counts, "{flag}: {emails:?}");
    }
}

#[tokio::test]
async fn a_token_is_as_long_as_the_metadata_may_be_and_a_longer_one_is_told_so() {
    let service = start().await;
    let with_groups = |length: usize| person(&service, None, &json!({"groups": "a".repeat(length)}));
    person(&service, None, &json!({})).create_account("anna").await.unwrap();
    for length in [6 * 1024, 8 * 1024, 11 * 1024] {
        let person = with_groups(length);
        assert_eq!(me(&person).await.unwrap().name, "accounts/anna", "{}", person.token.len());
    }
    // base64 makes 4 bytes of 3
    for length in [12 * 1024 + 512, 24 * 1024, 44 * 1024] {
        let person = with_groups(length);
        assert!(person.token.len() > 16 * 1024);
        let refused = me(&person).await.unwrap_err();
        assert_eq!((refused.code(), bad_fields(&refused)), (Code::InvalidArgument, vec!["authorization".to_owned()]));
        assert!(rules(&refused).contains("16 KiB"), "{}", rules(&refused));
        assert_eq!(reason(Err::<(), _>(refused)), "FIELD_INVALID");
    }
    // beyond all reason HTTP/2 itself refuses it
    me(&with_groups(70 * 1024)).await.unwrap_err();
    assert_eq!(me(&with_groups(0)).await.unwrap().name, "accounts/anna");
}

#[tokio::test]
async fn one_blank_or_more_part_bearer_from_the_token() {
    let service = start().await;
    let person = person(&service, None, &json!({}));
    person.create_account("anna").await.unwrap();
    let token = &person.token;
    let answer = async |value: String| {
        let message = prost::Message::encode_to_vec(&pb::GetAccountRequest { name: "accounts/me".to_owned() });
        call(&service.channel, GET_ACCOUNT, message, &[&value]).await
    };
    for parts in ["Bearer ", "Bearer  ", "bearer   ", "BEARER          "] {
        assert_eq!(answer(format!("{parts}{token}")).await, "OK", "{parts:?}");
    }
    for parts in ["Bearer\t", "Bearer \t", "Bearer", "Basic ", "Bearer, ", "Bearer token="] {
        assert_eq!(answer(format!("{parts}{token}")).await, "TOKEN_INVALID", "{parts:?}");
    }
    assert_eq!(answer("Bearer   ".to_owned()).await, "TOKEN_INVALID");
    assert_eq!(answer(format!("Bearer {token} {token}")).await, "TOKEN_INVALID");
}
