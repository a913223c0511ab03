//! Entries that are refused before the service starts, each with the field in the message.

use serde_json::json;

use super::*;

#[test]
fn a_wrong_entry_is_refused_with_its_name_and_field() {
    let file = KeyFile::published();
    let empty = KeyFile::new(r#"{"keys": []}"#);
    let table = [
        (broker(&file), json!({"id": "B"}), "id must be 3 to 39"),
        (broker(&file), json!({"issuer": ""}), "issuer must not"),
        (broker(&file), json!({"audience": "a b"}), "audience must not"),
        (broker(&file), json!({"typ": ""}), "typ must not"),
        (broker(&file), json!({"scope": "a b"}), "scope must not"),
        (broker(&file), json!({"algorithms": []}), "algorithms must"),
        (broker(&file), json!({"algorithms": ["HS256"]}), "algorithms must"),
        (broker(&file), json!({"jwks_file": null}), "exactly one of jwks_url, jwks_file and discovery"),
        (broker(&file), json!({"discovery": true}), "exactly one of jwks_url, jwks_file and discovery"),
        (broker(&file), json!({"jwks_file": "/nowhere/keys"}), "jwks_file /nowhere/keys: No such file"),
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
        (entra(&file), json!({"tenants": []}), "tenants must"),
        (entra(&file), json!({"tenants": [TENANT.to_uppercase()]}), "tenants must"),
        (services(&file), json!({"services": []}), "services must have an entry"),
        (services(&file), json!({"provider": "github"}), "are for kind \"user\""),
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
    for (change, message) in [
        (json!({"subject": ""}), "must not be empty"),
        (json!({"subject": "*"}), "is for the dev issuer only"),
        (json!({"scopes": ["everything"]}), "scopes must"),
        (json!({"organizations": ["acme", "*"]}), "organizations must"),
        (json!({"organizations": "acme corp"}), "organizations must"),
        (json!({"highest_role": "ADMIN"}), "highest_role must"),
    ] {
        let error = verifier([entry(change.clone())]).unwrap_err();
        assert!(error.starts_with("issuers: entry \"cluster\": services: ") && error.contains(message), "{error}");
    }
    let mut twice = services(&file);
    let first = twice["services"][0].clone();
    twice["services"].as_array_mut().unwrap().push(first);
    assert!(verifier([twice]).unwrap_err().ends_with("is there twice"));
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
