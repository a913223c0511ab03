//! Entries that are refused before the service starts, each with the field in the message.

use serde_json::json;

use super::*;
use crate::domain::Scope;

#[test]
fn a_wrong_entry_is_refused_with_its_name_and_field() {
    let file = KeyFile::published();
    let empty = KeyFile::new(r#"{"keys": []}"#);
    let (secret, blanks) = (KeyFile::new("hunter2\n"), KeyFile::new("two words"));
    let table = [
        (broker(&file), json!({"id": "B"}), "id must be 3 to 39"),
        (broker(&file), json!({"issuer": ""}), "issuer must not"),
        (broker(&file), json!({"audience": "a b"}), "audience must not"),
        (broker(&file), json!({"typ": ""}), "typ must not"),
        (broker(&file), json!({"scope": "a b"}), "scope must not"),
        (broker(&file), json!({"typ": null}), "typ other than JWT, or scope, is required"),
        (broker(&file), json!({"typ": "application/JWT"}), "typ other than JWT, or scope, is required"),
        (broker(&file), json!({"algorithms": []}), "algorithms must"),
        (broker(&file), json!({"algorithms": ["HS256"]}), "algorithms must"),
        (broker(&file), json!({"jwks_file": null}), "exactly one of jwks_url, jwks_file and discovery"),
        (broker(&file), json!({"discovery": true}), "exactly one of jwks_url, jwks_file and discovery"),
        (broker(&file), json!({"jwks_file": "/nowhere/keys"}), "jwks_file: No such file"),
        (broker(&file), json!({"jwks_file": empty.0}), "has no key with a kid"),
        (broker(&file), json!({"jwks_file": null, "jwks_url": "http://example.com/k"}), "jwks_url must be an https"),
        (
            broker(&file),
            json!({"jwks_file": null, "discovery": true, "issuer": "accounts"}),
            "discovery: issuer is not",
        ),
        (broker(&file), json!({"provider": null}), "provider is required"),
        (broker(&file), json!({"email_domains": null}), "email_domains must"),
        (broker(&file), json!({"email_domains": ["example"]}), "email_domains must"),
        (broker(&file), json!({"provider": "broker", "email_domains": "*"}), "email_domains must"),
        (broker(&file), json!({"tenants": [TENANT]}), "tenants must"),
        (broker(&file), json!({"services": services(&file)["services"]}), "services is for kind \"service\""),
        (broker(&file), json!({"issuer": null}), "issuer is required"),
        (broker(&file), json!({"audience": null}), "audience is required"),
        (broker(&file), json!({"issuer": "https://a.example/{tenantid}/v2.0"}), "only for provider \"entra\""),
        (broker(&file), json!({"leeway_seconds": 61}), "leeway_seconds must be at most 60"),
        (broker(&file), json!({"ca_file": "/nowhere"}), "ca_file is for jwks_url"),
        (broker(&file), json!({"bearer_token_file": "/nowhere"}), "bearer_token_file is for jwks_url"),
        (
            broker(&file),
            json!({"jwks_file": null, "discovery": true, "bearer_token_file": file.0}),
            "bearer_token_file is for jwks_url",
        ),
        (url_broker(), json!({"ca_file": "/nowhere"}), "ca_file: No such file"),
        (url_broker(), json!({"ca_file": file.0}), "holds no certificate"),
        (url_broker(), json!({"bearer_token_file": "/nowhere"}), "bearer_token_file: No such file"),
        (
            broker(&file),
            json!({"verified_domains": [{"tenant": TENANT, "domain": "example.com"}]}),
            "verified_domains must",
        ),
        (
            entra(&file),
            json!({"verified_domains": [{"tenant": "any", "domain": "example.com"}]}),
            "verified_domains must",
        ),
        (entra(&file), json!({"verified_domains": [{"tenant": TENANT, "domain": "*"}]}), "verified_domains must"),
        (
            entra(&file),
            json!({"email_domains": ["a.example"], "verified_domains": [{"tenant": TENANT, "domain": "b.example"}]}),
            "verified_domains must",
        ),
        (entra(&file), json!({"scope": null}), "scope is required"),
        (entra(&file), json!({"issuer": ISSUER}), "issuer must be of the v2.0 endpoint"),
        (entra(&file), json!({"issuer": "https://login.example.com/common/v2.0"}), "issuer must have {tenantid}"),
        (entra(&file), json!({"tenants": "any"}), "issuer must have {tenantid}"),
        (entra(&file), json!({"tenants": []}), "tenants must"),
        (entra(&file), json!({"tenants": [TENANT.to_uppercase()]}), "tenants must"),
        (services(&file), json!({"services": []}), "services must have an entry"),
        (services(&file), json!({"provider": "github"}), "are for kind \"user\""),
        (github(&secret), json!({"kind": "service"}), "github is for kind \"user\""),
        (github(&secret), json!({"provider": "broker"}), "github is for kind \"user\" and provider \"github\""),
        (github(&secret), json!({"audience": "hub"}), "an entry with github has"),
        (github(&secret), json!({"jwks_file": file.0}), "an entry with github has"),
        (github(&secret), json!({"scope": "user:email"}), "an entry with github has"),
        (github(&secret), json!({"leeway_seconds": 0}), "an entry with github has"),
        (github(&secret), json!({"email_domains": null}), "email_domains must"),
        (github(&secret), app(&secret, "client_id", &json!("a/b")), "github.client_id must"),
        (github(&secret), app(&secret, "client_secret_file", &json!("/nowhere")), "client_secret_file: No such file"),
        (github(&secret), app(&blanks, "ca_file", &json!(null)), "must hold one line"),
        (
            github(&secret),
            app(&secret, "api_url", &json!("http://api.github.com")),
            "github.api_url must be an https URL",
        ),
        (
            github(&secret),
            app(&secret, "api_url", &json!("https://a:b@api.github.com")),
            "github.api_url must have no user",
        ),
        (github(&secret), app(&secret, "ca_file", &json!("/nowhere")), "github.ca_file: No such file"),
        (github(&secret), app(&secret, "checks_per_minute", &json!(0)), "github.checks_per_minute must"),
    ];
    for (entry, change, message) in table {
        verifier([entry.clone()]).unwrap();
        let error = verifier([with(entry, &change)]).unwrap_err();
        assert!(error.starts_with("issuers: entry ") && error.contains(message), "{change}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_wrong_service_is_refused_with_its_name_and_field() {
    let file = KeyFile::published();
    let entry = |change: Value| {
        let mut entry = services(&file);
        entry["services"][0] = with(entry["services"][0].clone(), &change);
        entry
    };
    verifier([entry(json!({"organizations": "*", "highest_role": "OWNER"}))]).unwrap();
    // the controls: every scope without a list, and all but two with one
    let every = Scope::ALL.map(Scope::as_str);
    verifier([entry(json!({"organizations": "*", "scopes": every}))]).unwrap();
    let others = every.into_iter().filter(|scope| !["accounts.admin", "mail.operate"].contains(scope));
    verifier([entry(json!({"scopes": others.collect::<Vec<_>>()}))]).unwrap();
    for (change, message) in [
        (json!({"subject": ""}), "must not be empty"),
        (json!({"subject": "*"}), "is for the dev issuer only"),
        (json!({"scopes": ["everything"]}), "scopes must"),
        (json!({"organizations": ["acme", "*"]}), "organizations must"),
        (json!({"organizations": "acme corp"}), "organizations must"),
        (json!({"highest_role": "ADMIN"}), "highest_role must"),
        (json!({"scopes": ["accounts.admin"]}), "accounts.admin acts on every organization, so organizations must be"),
        (json!({"scopes": ["mail.operate"]}), "mail.operate acts on every organization, so organizations must be"),
    ] {
        let error = verifier([entry(change.clone())]).unwrap_err();
        assert!(error.starts_with("issuers: entry \"cluster\": services: ") && error.contains(message), "{error}");
    }
    let mut twice = services(&file);
    let first = twice["services"][0].clone();
    twice["services"].as_array_mut().unwrap().push(first);
    assert!(verifier([twice]).unwrap_err().ends_with("is there twice"));
}

/// People who sign in to GitHub itself.
fn github(secret: &KeyFile) -> Value {
    let app = json!({"client_id": "Iv1.0123456789abcdef", "client_secret_file": secret.0});
    json!({"id": "direct", "kind": "user", "provider": "github", "email_domains": "*", "github": app})
}

/// The entry's app with one field changed.
fn app(secret: &KeyFile, field: &str, value: &Value) -> Value {
    let mut app = github(secret)["github"].clone();
    app[field] = value.clone();
    json!({"github": app})
}

#[test]
fn only_one_entry_asks_github() {
    let (file, secret) = (KeyFile::published(), KeyFile::new("hunter2\n"));
    verifier([github(&secret), broker(&file)]).unwrap();
    let error = verifier([github(&secret), broker(&file), with(github(&secret), &json!({"id": "own"}))]).unwrap_err();
    assert!(error.contains("\"direct\" and \"own\": only one can have github"), "{error}");
    let error = verifier([broker(&file), with(github(&secret), &json!({"id": "broker"}))]).unwrap_err();
    assert!(error.ends_with("id is there twice"), "{error}");
}

/// With its keys at a URL.
fn url_broker() -> Value {
    with(broker(&KeyFile::published()), &json!({"jwks_file": null, "jwks_url": "https://id.example.com/keys"}))
}

#[test]
fn tenants_that_could_sign_in_by_two_entries_are_refused() {
    let file = KeyFile::published();
    let template = json!({"id": "all", "issuer": "https://login.example.com/{tenantid}/v2.0", "tenants": "any"});
    let template = with(entra(&file), &template);
    let error = verifier([entra(&file), template.clone()]).unwrap_err();
    assert!(error.contains("\"entra\" and \"all\"") && error.contains("one token could fit both"), "{error}");
    // the controls: another audience, and tenants of which none is the other's
    verifier([entra(&file), with(template.clone(), &json!({"audience": "other"}))]).unwrap();
    let others = json!({"tenants": ["11111111-2222-4333-8444-555555555555"]});
    verifier([entra(&file), with(template, &others)]).unwrap();
}

#[test]
fn two_entries_that_one_token_could_fit_are_refused() {
    let file = KeyFile::published();
    let other = |change: Value| [broker(&file), with(services(&file), &change)];
    verifier(other(json!({"audience": "other"}))).unwrap();
    verifier(other(json!({"issuer": "https://other.example.com"}))).unwrap();
    // a condition such as a scope does not keep them apart: one token can have both
    let error = verifier(other(json!({"scope": "services"}))).unwrap_err();
    assert!(error.contains("\"broker\" and \"cluster\"") && error.contains("issuer and audience"), "{error}");
    let error = verifier(other(json!({"audience": "other", "id": "broker"}))).unwrap_err();
    assert!(error.ends_with("id is there twice"), "{error}");
}

#[test]
fn an_entry_reads_from_toml_and_a_misspelt_field_is_an_error() {
    let toml = r#"
        id = "cluster"
        kind = "service"
        issuer = "https://kubernetes.default.svc"
        audience = "invitations"
        discovery = true

        [[services]]
        subject = "system:serviceaccount:ops:gateway"
        scopes = ["invitations.read"]
        organizations = "*"
    "#;
    let entry = toml::from_str::<IssuerEntry>(toml).unwrap();
    assert!(!entry.is_dev());
    let verifier = Verifier::new(vec![entry]).unwrap();
    assert_eq!(verifier.service("cluster", "system:serviceaccount:ops:gateway").unwrap().organizations, None);
    assert!(toml::from_str::<IssuerEntry>(&toml.replace("discovery", "discover")).is_err());
    assert!(toml::from_str::<IssuerEntry>(&toml.replace("scopes", "scope")).is_err());
}
