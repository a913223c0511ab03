//! Bad tokens, each differing in one thing from a good one.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn each_allowed_algorithm_signs() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    for signer in [Signer::eddsa(), Signer::es256(), Signer::rs256()] {
        assert_eq!(user(&verifier, &signer.token(&good())).await.subject, ["583231"], "{}", signer.kid);
    }
}

#[tokio::test]
async fn a_token_with_one_bad_claim_is_refused() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let signer = Signer::eddsa();
    let no_text = |claim: &str| format!("its claim {claim} is missing or no text").leak() as &'static str;
    let no_time =
        |claim: &str| format!("its claim {claim} is missing or no time in seconds since 1970").leak() as &'static str;
    let audience = "its claim aud is missing or neither a text nor a list of texts";
    let another = "of no configured issuer, tenant and audience";
    let subject = "its subject is empty, longer than 255 bytes or has a control character";
    let table = [
        (json!({"exp": now() - 31}), "expired"),
        (json!({"iat": now() + 60}), "issued in the future"),
        (json!({"nbf": now() + 60}), "not yet valid"),
        (json!({"iat": now() - 60, "exp": now() + 86_400}), "lives longer than 24 h"),
        (json!({"aud": "other"}), another),
        (json!({"aud": ["other", "invitations.example.com"]}), another),
        (json!({"aud": []}), another),
        (json!({"iss": "https://broker.example.com/"}), another),
        (json!({"iss": "https://Broker.example.com"}), another),
        (json!({"iss": [ISSUER]}), no_text("iss")),
        (json!({"iss": null}), no_text("iss")),
        (json!({"aud": null}), audience),
        (json!({"aud": 7}), audience),
        (json!({"aud": [AUDIENCE, 7]}), audience),
        (json!({"sub": null}), no_text("sub")),
        (json!({"sub": 583_231}), no_text("sub")),
        (json!({"exp": null}), no_time("exp")),
        (json!({"iat": null}), no_time("iat")),
        (json!({"exp": "4102444800"}), no_time("exp")),
        (json!({"exp": (now() + 600) * 1000}), no_time("exp")),
        (json!({"iat": -1}), no_time("iat")),
        (json!({"nbf": true}), "its claim nbf is no time in seconds since 1970"),
        (json!({"email": ["anna@example.com"]}), "its claim email is no text"),
        (json!({"sub": ""}), subject),
        (json!({"sub": "a\0b"}), subject),
        (json!({"sub": "a".repeat(256)}), subject),
        (json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}), "an ID token"),
        (json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ", "nonce": "n-0S6_WzA2Mj"}), "an ID token"),
        (json!({"typ": "ID"}), "an ID token"),
    ];
    for (change, why) in table {
        let token = signer.token(&with(good(), &change));
        assert_eq!(refusal(&verifier, &token).await, why, "{change}");
        // the control: without this one change it is taken
        user(&verifier, &signer.token(&good())).await;
    }
    // the leeway can be another one
    let [strict, generous] =
        [0, 60].map(|seconds| super::verifier([with(broker(&file), &json!({"leeway_seconds": seconds}))]));
    let late = signer.token(&with(good(), &json!({"exp": now() - 20})));
    assert_eq!(refusal(&strict.unwrap(), &late).await, "expired");
    user(&generous.unwrap(), &signer.token(&with(good(), &json!({"exp": now() - 50})))).await;
    for same in [json!({"aud": ["other", AUDIENCE]}), json!({"exp": now() - 20}), json!({"nbf": now() + 20})] {
        user(&verifier, &signer.token(&with(good(), &same))).await;
    }
}

/// Okta's `ver` is a number, and what another issuer means by a name is its own affair.
#[tokio::test]
async fn a_claim_that_an_entry_does_not_look_at_may_be_of_any_type() {
    let file = KeyFile::published();
    let users = with(broker(&file), &json!({"audience": "users"}));
    let entra = with(entra(&file), &json!({"audience": "entra"}));
    let verifier = verifier([users, entra, services(&file)]).unwrap();
    let signer = Signer::rs256();
    let of_users = |change: &Value| signer.token(&with(with(good(), &json!({"aud": "users"})), change));
    let of_entra = |change: &Value| signer.token(&with(with(entra_claims(), &json!({"aud": "entra"})), change));
    let gateway = json!({"sub": "system:serviceaccount:ops:gateway", "email": null, "email_verified": null});
    let of_services = |change: &Value| signer.token(&with(with(good(), &gateway), change));
    let odds = [json!(1), json!(2.5), json!(true), json!("text"), json!(["a", 1]), json!({"a": [null]})];
    for claim in ["ver", "tid", "oid", "idtyp", "scope", "scp", "xms_edov", "typ", "azp", "nonce", "groups", "amr"] {
        for odd in &odds {
            user(&verifier, &of_users(&json!({claim: odd}))).await;
        }
    }
    for claim in ["ver", "tid", "oid", "idtyp", "email", "email_verified", "xms_edov", "typ", "azp", "uid", "cid"] {
        for odd in &odds {
            service(&verifier, &of_services(&json!({claim: odd}))).await;
        }
    }
    for claim in ["scope", "email_verified", "typ", "azp", "nonce", "roles"] {
        for odd in &odds {
            user(&verifier, &of_entra(&json!({claim: odd}))).await;
        }
    }
    // one that it does look at is named
    let no_list = |claim: &str| format!("its claim {claim} is neither a text nor a list of texts");
    let no_text = |claim: &str| format!("its claim {claim} is no text");
    for odd in [json!(1), json!(true), json!([1]), json!({})] {
        for claim in ["ver", "idtyp", "tid", "oid", "email"] {
            assert_eq!(refusal(&verifier, &of_entra(&json!({claim: odd}))).await, no_text(claim), "{odd}");
        }
        assert_eq!(refusal(&verifier, &of_entra(&json!({"scp": odd}))).await, no_list("scp"), "{odd}");
        for claim in ["scope", "scp"] {
            assert_eq!(refusal(&verifier, &of_services(&json!({claim: odd}))).await, no_list(claim), "{odd}");
        }
        assert_eq!(refusal(&verifier, &of_users(&json!({"email": odd}))).await, no_text("email"), "{odd}");
    }
}

#[tokio::test]
async fn a_time_may_have_a_fraction() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let second = |seconds: i64, fraction: &str| format!("{seconds}{fraction}").parse::<serde_json::Number>().unwrap();
    let now = now();
    for fraction in ["", ".0", ".864", ".999999"] {
        let (then, end) = (second(now - 60, fraction), second(now + 600, fraction));
        let token = Signer::eddsa().token(&with(good(), &json!({"iat": then, "nbf": then, "exp": end})));
        assert_eq!(user(&verifier, &token).await.attest_time.unix_timestamp(), now - 60, "{fraction}");
    }
    // the neighbour: it has ended, whatever the fraction says
    let late = json!({"exp": second(now - 31, ".9")});
    assert_eq!(refusal(&verifier, &Signer::eddsa().token(&with(good(), &late))).await, "expired");
}

#[tokio::test]
async fn a_long_token_is_taken() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let groups = (0..144).map(|_| uuid::Uuid::new_v4().to_string()).collect::<Vec<_>>();
    let token = Signer::rs256().token(&with(good(), &json!({"groups": groups})));
    assert!(token.len() > 7 * 1024);
    user(&verifier, &token).await;
    let longer = Signer::rs256().token(&with(good(), &json!({"groups": "a".repeat(11 * 1024)})));
    assert!((15 * 1024..16 * 1024).contains(&longer.len()), "{}", longer.len());
    user(&verifier, &longer).await;
}

#[tokio::test]
async fn a_token_with_one_bad_header_is_refused() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let (signer, stranger) = (Signer::eddsa(), Signer::stranger("stranger"));
    let header = || signer.header();
    let own = "brings its own key";
    let wrong = "its typ is another one";
    let table = [
        (Header { jwk: Some(stranger.jwk()), ..header() }, own),
        (Header { jku: Some("https://attacker.example/keys".to_owned()), ..header() }, own),
        (Header { x5u: Some("https://attacker.example/cert".to_owned()), ..header() }, own),
        (Header { x5c: Some(vec!["MIIB".to_owned()]), ..header() }, own),
        (Header { crit: Some(vec!["b64".to_owned()]), ..header() }, "has a crit header"),
        (Header { typ: Some("logout+jwt".to_owned()), ..header() }, wrong),
        (Header { kid: None, ..header() }, "names no key"),
        (Header { kid: Some("made-up".to_owned()), ..header() }, "signed by an unknown key"),
        // the key of another algorithm: the key's algorithm counts, not the header's
        (
            Header { kid: Some("rs256".to_owned()), ..header() },
            "signed by an algorithm that is not the key's or not allowed",
        ),
    ];
    for (header, why) in table {
        assert_eq!(refusal(&verifier, &signer.sign(&header, &good())).await, why, "{header:?}");
    }
    user(&verifier, &signer.sign(&header(), &good())).await;
    // an entry may write it as long as a token
    let long = super::verifier([with(broker(&file), &json!({"typ": "application/AT+jwt"}))]).unwrap();
    user(&long, &signer.sign(&header(), &good())).await;
    // where an entry says nothing about the type
    let scoped = super::verifier([with(broker(&file), &json!({"typ": null, "scope": "access"}))]).unwrap();
    let claims = with(good(), &json!({"scope": "access"}));
    let typed = |typ: Option<&str>| signer.sign(&Header { typ: typ.map(str::to_owned), ..header() }, &claims);
    for typ in [None, Some("JWT"), Some("at+jwt"), Some("application/at+JWT")] {
        user(&scoped, &typed(typ)).await;
    }
    assert_eq!(refusal(&scoped, &typed(Some("logout+jwt"))).await, wrong);
}

/// Keycloak before 25 has the `nonce` of the sign-in in access tokens, too.
#[tokio::test]
async fn an_access_token_with_a_nonce_is_taken() {
    let file = KeyFile::published();
    let by_typ = broker(&file);
    let by_scope = with(broker(&file), &json!({"typ": null, "scope": "invitations"}));
    let nonce = with(good(), &json!({"nonce": "n-0S6_WzA2Mj"}));
    let signer = Signer::rs256();
    let jwt = |claims: &Value| signer.sign(&Header { typ: Some("JWT".to_owned()), ..signer.header() }, claims);
    // the type of RFC 9068
    user(&verifier([by_typ.clone()]).unwrap(), &signer.token(&nonce)).await;
    // Keycloak 24 as it is delivered
    let keycloak = json!({
        "typ": "Bearer", "azp": "web", "aud": [AUDIENCE, "account"], "scope": "openid invitations", "acr": "1",
        "session_state": "8c8b", "auth_time": now() - 60, "allowed-origins": ["*"], "realm_access": {"roles": ["a"]},
    });
    let scoped = verifier([by_scope]).unwrap();
    user(&scoped, &jwt(&with(nonce.clone(), &keycloak))).await;
    user(&scoped, &jwt(&with(nonce.clone(), &json!({"scp": ["invitations"]})))).await;
    // the ID token beside it, with and without what only ID tokens have
    let id_token = json!({"typ": "ID", "azp": "web", "aud": AUDIENCE, "at_hash": "77QmUPtjPfzWtF2AnpK9RQ"});
    assert_eq!(refusal(&scoped, &jwt(&with(nonce.clone(), &id_token))).await, "an ID token");
    for missing in ["typ", "at_hash"] {
        let id_token = with(with(nonce.clone(), &id_token), &json!({missing: null}));
        assert_eq!(refusal(&scoped, &jwt(&id_token)).await, "an ID token", "{missing}");
    }
    let bare = json!({"azp": AUDIENCE});
    assert_eq!(refusal(&scoped, &jwt(&with(nonce.clone(), &bare))).await, "an ID token");
    let why = refusal(&verifier([by_typ]).unwrap(), &jwt(&with(nonce.clone(), &keycloak))).await;
    assert_eq!(why, "its typ is another one");

    // an entry for services asks for neither typ nor scope
    let services = verifier([services(&file)]).unwrap();
    let gateway = with(nonce, &json!({"sub": "system:serviceaccount:ops:gateway"}));
    for says in [json!({"typ": "Bearer"}), json!({"scope": "invitations.read"}), json!({"azp": "gateway"})] {
        service(&services, &jwt(&with(gateway.clone(), &says))).await;
        let why = refusal(&services, &jwt(&with(with(gateway.clone(), &says), &json!({"at_hash": "77Qm"})))).await;
        assert_eq!(why, "an ID token", "{says}");
    }
    for says_not in [json!({}), json!({"azp": AUDIENCE}), json!({"scope": ""})] {
        assert_eq!(refusal(&services, &jwt(&with(gateway.clone(), &says_not))).await, "an ID token", "{says_not}");
    }
}

/// As an issuer gives it to a web client that has asked for the code alone: without `nonce` and `at_hash`.
#[tokio::test]
async fn an_id_token_that_looks_like_an_access_token_is_refused() {
    let file = KeyFile::published();
    let signer = Signer::es256();
    for condition in [json!({"typ": "at+jwt"}), json!({"typ": "at+jwt", "scope": "access"}), json!({"scope": "access"})]
    {
        let verifier = verifier([with(with(broker(&file), &json!({"typ": null})), &condition)]).unwrap();
        let access_token = with(good(), &json!({"scope": "openid access"}));
        user(&verifier, &signer.token(&access_token)).await;
        for typ in [None, Some("JWT")] {
            let id_token = signer.sign(&Header { typ: typ.map(str::to_owned), ..signer.header() }, &good());
            let why = refusal(&verifier, &id_token).await;
            assert!(["its typ is another one", "without the required scope"].contains(&why), "{condition}: {why}");
        }
    }
    // which is why an entry has to say one of both
    for condition in [json!({"typ": null}), json!({"typ": "JWT"}), json!({"typ": "jwt"})] {
        let error = verifier([with(broker(&file), &condition)]).unwrap_err();
        assert!(error.contains("or ID tokens would count"), "{error}");
    }
}

#[tokio::test]
async fn a_signature_counts_only_with_a_published_key() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let signer = Signer::eddsa();
    let token = signer.token(&good());
    user(&verifier, &token).await;

    let wrong = "the signature is wrong";
    // a stranger's key under the kid of a published one
    assert_eq!(refusal(&verifier, &Signer::stranger("eddsa").token(&good())).await, wrong);
    // a good signature over other claims
    let [header, _, signature] = parts(&token);
    let forged = part(&with(good(), &json!({"sub": "1"})));
    assert_eq!(refusal(&verifier, &format!("{header}.{forged}.{signature}")).await, wrong);
    assert_eq!(refusal(&verifier, &token[..=token.rfind('.').unwrap()]).await, wrong);
    // a claim given twice, which two parsers read differently
    let twice = good().to_string().replacen('{', "{\"sub\":\"1\",", 1);
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(twice));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &signer.key, signer.algorithm).unwrap();
    assert!(refusal(&verifier, &format!("{message}.{signature}")).await.starts_with("not a readable JWT"));
    // `none` in its spellings
    let [_, claims, _] = parts(&token);
    for none in ["none", "None", "NONE", ""] {
        let header = part(&json!({"alg": none, "kid": "eddsa"}));
        for signature in ["", &signature] {
            let why = refusal(&verifier, &format!("{header}.{claims}.{signature}")).await;
            assert!(why.starts_with("not a readable JWT"), "{why}");
        }
    }
}

/// The classic: the published key, taken as the secret of an HMAC.
#[tokio::test]
async fn a_published_key_is_no_secret_of_an_hmac() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let signer = Signer::eddsa();
    user(&verifier, &signer.token(&good())).await;
    let jwk = serde_json::to_value(signer.jwk()).unwrap();
    let public = jwk["x"].as_str().unwrap();
    for secret in [public.as_bytes(), &URL_SAFE_NO_PAD.decode(public).unwrap()] {
        is_no_secret(&verifier, &signer, secret).await;
    }

    let signer = Signer::rs256();
    user(&verifier, &signer.token(&good())).await;
    let jwk = serde_json::to_value(signer.jwk()).unwrap();
    let modulus = jwk["n"].as_str().unwrap();
    // the two forms in which public keys are given away: of any kind (RFC 5280), and of RSA alone (RFC 8017)
    let [spki, pkcs1] = [include_str!("../testdata/rs256.spki.pem"), include_str!("../testdata/rs256.pkcs1.pem")];
    let [spki_der, pkcs1_der] = [spki, pkcs1].map(|pem| {
        let lines = pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
        STANDARD.decode(lines).unwrap()
    });
    let modulus_bytes = URL_SAFE_NO_PAD.decode(modulus).unwrap();
    assert!([&spki_der, &pkcs1_der].iter().all(|der| der.windows(256).any(|part| part == modulus_bytes)));
    for secret in [
        spki.as_bytes(),
        spki.trim_end().as_bytes(),
        pkcs1.as_bytes(),
        pkcs1.trim_end().as_bytes(),
        &spki_der,
        &pkcs1_der,
        modulus.as_bytes(),
        &modulus_bytes,
    ] {
        is_no_secret(&verifier, &signer, secret).await;
    }
}

/// A token under the key's own kid, which whoever takes the header's word for the algorithm finds good.
async fn is_no_secret(verifier: &Verifier, signer: &Signer, secret: &[u8]) {
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let header = Header { alg: algorithm, ..signer.header() };
        let token = encode(&header, &good(), &EncodingKey::from_secret(secret)).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let key = DecodingKey::from_secret(secret);
        assert!(jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, algorithm).unwrap());
        assert_eq!(refusal(verifier, &token).await, "signed by an algorithm that is not the key's or not allowed");
    }
}

#[tokio::test]
async fn an_entry_decides_which_algorithms_count() {
    let file = KeyFile::published();
    let verifier = verifier([with(broker(&file), &json!({"algorithms": ["ES256"]}))]).unwrap();
    user(&verifier, &Signer::es256().token(&good())).await;
    for signer in [Signer::eddsa(), Signer::rs256()] {
        assert_eq!(
            refusal(&verifier, &signer.token(&good())).await,
            "signed by an algorithm that is not the key's or not allowed"
        );
    }
}

#[tokio::test]
async fn what_is_no_jwt_is_refused() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let good = Signer::eddsa().token(&good());
    user(&verifier, &good).await;
    for bad in ["", ".", "..", "...", "a.b.c", "\0", &format!("{good}."), &format!("a.{good}"), &format!(" {good}")] {
        refusal(&verifier, bad).await;
    }
}

#[tokio::test]
async fn a_token_that_fits_two_entries_is_refused() {
    let file = KeyFile::published();
    let two = [broker(&file), with(broker(&file), &json!({"id": "second", "audience": "second"}))];
    let verifier = verifier(two).unwrap();
    let token = |aud: Value| Signer::eddsa().token(&with(good(), &json!({"aud": aud})));
    assert_eq!(user(&verifier, &token(json!([AUDIENCE]))).await.issuer, "broker");
    assert_eq!(user(&verifier, &token(json!(["second"]))).await.issuer, "second");
    assert_eq!(refusal(&verifier, &token(json!([AUDIENCE, "second"]))).await, "for more than one configured audience");
}

#[tokio::test]
async fn an_entry_may_require_a_type_and_a_scope() {
    let file = KeyFile::published();
    let entry = with(broker(&file), &json!({"typ": "at+jwt", "scope": "access"}));
    let verifier = verifier([entry]).unwrap();
    let signer = Signer::eddsa();
    let typed = |typ: &str| Header { typ: Some(typ.to_owned()), ..signer.header() };
    for scopes in [json!({"scp": "access"}), json!({"scope": "openid access"}), json!({"scp": ["access", "x"]})] {
        user(&verifier, &signer.sign(&typed("at+jwt"), &with(good(), &scopes))).await;
    }
    for scopes in [json!({}), json!({"scp": "accessible"}), json!({"scope": "openid Access"})] {
        let token = signer.sign(&typed("at+jwt"), &with(good(), &scopes));
        assert_eq!(refusal(&verifier, &token).await, "without the required scope", "{scopes}");
    }
    let token = signer.sign(&typed("JWT"), &with(good(), &json!({"scp": "access"})));
    assert_eq!(refusal(&verifier, &token).await, "its typ is another one");
}

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

fn parts(token: &str) -> [String; 3] {
    let parts = token.split('.').map(str::to_owned).collect::<Vec<_>>();
    parts.try_into().unwrap()
}
