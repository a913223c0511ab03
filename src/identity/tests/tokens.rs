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
    let unreadable = "not a readable JWT with iss, sub, aud, exp and iat, signed by an algorithm that we know";
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
        (json!({"iss": [ISSUER]}), unreadable),
        (json!({"iss": null}), unreadable),
        (json!({"aud": null}), unreadable),
        (json!({"sub": null}), unreadable),
        (json!({"exp": null}), unreadable),
        (json!({"iat": null}), unreadable),
        (json!({"exp": "4102444800"}), unreadable),
        (json!({"sub": ""}), subject),
        (json!({"sub": "a\0b"}), subject),
        (json!({"sub": "a".repeat(256)}), subject),
        (json!({"nonce": "n-0S6_WzA2Mj"}), "an ID token"),
        (json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}), "an ID token"),
        (json!({"padding": "a".repeat(8192)}), "longer than 8 KiB"),
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
