//! Good tokens that come again: what is remembered about them, and what ends it.

use std::{mem, sync::atomic::Ordering::Relaxed, time::Duration};

use serde_json::json;

use super::{
    super::verified::{self, MAX_TOKENS, Verified, VerifiedTokens},
    *,
};
use crate::identity::{claims::Claims, keys::KeySet};

/// How many signatures the key was asked about since it was fetched.
fn checks(keys: &KeySet, kid: &str) -> usize {
    keys.get(kid).unwrap().asked.load(Relaxed)
}

#[tokio::test]
async fn a_signature_is_checked_once() {
    let file = KeyFile::published();
    let mut verifier = verifier([broker(&file), with(services(&file), &json!({"audience": "services"}))]).unwrap();
    let gateway = json!({"sub": "system:serviceaccount:ops:gateway", "aud": "services"});
    let (anna, gateway) = (Signer::eddsa().token(&good()), Signer::eddsa().token(&with(good(), &gateway)));
    for _ in 0..100 {
        assert_eq!(user(&verifier, &anna).await.subject, ["583231"]);
        assert_eq!(service(&verifier, &gateway).await.subject, "system:serviceaccount:ops:gateway");
    }
    let counts = |verifier: &Verifier| [0, 1].map(|issuer| checks(&verifier.issuers[issuer].keys, "eddsa"));
    assert_eq!(counts(&verifier), [1, 1]);

    // the controls: another token of the same person, and nothing that remembers
    user(&verifier, &Signer::eddsa().token(&with(good(), &json!({"jti": "another"})))).await;
    assert_eq!(counts(&verifier), [2, 1]);
    drop(mem::take(&mut verifier.verified));
    user(&verifier, &anna).await;
    assert_eq!(counts(&verifier), [3, 1]);
}

#[tokio::test]
async fn a_remembered_token_is_judged_by_the_time_of_each_call() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let now = now();
    let token = Signer::eddsa().token(&with(good(), &json!({"iat": now, "nbf": now, "exp": now + 600})));
    // with the leeway of 30 s; the clock may also be set back
    for (at, outcome) in [
        (now, Ok(())),
        (now + 629, Ok(())),
        (now + 630, Err(TokenError::Invalid("expired"))),
        (now - 30, Ok(())),
        (now - 31, Err(TokenError::Invalid("issued in the future"))),
        (now + 100_000, Err(TokenError::Invalid("expired"))),
        (now, Ok(())),
    ] {
        assert_eq!(verifier.verify_jwt(&token, at).await.map(drop), outcome, "{}", at - now);
    }
    // all the same it was remembered
    assert_eq!(checks(&verifier.issuers[0].keys, "eddsa"), 1);
    let later = Signer::eddsa().token(&with(good(), &json!({"nbf": now + 100})));
    verifier.verify_jwt(&later, now + 100).await.unwrap();
    assert_eq!(verifier.verify_jwt(&later, now + 69).await.map(drop), Err(TokenError::Invalid("not yet valid")));
}

#[tokio::test]
async fn a_remembered_token_ends_with_its_key() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let keys = &verifier.issuers[0].keys;
    let token = Signer::eddsa().token(&good());
    // an unknown key makes us read the file again
    let read_again = async || {
        keys.age(Duration::from_mins(1)).await;
        refusal(&verifier, &Signer::stranger("unknown").token(&good())).await;
    };
    user(&verifier, &token).await;
    // the controls: what has not changed ends nothing, and while nothing is read, it matters not what the file says
    read_again().await;
    user(&verifier, &token).await;
    file.replace(&jwks(&[&Signer::es256()]));
    user(&verifier, &token).await;
    assert_eq!(checks(keys, "eddsa"), 1);
    read_again().await;
    assert_eq!(refusal(&verifier, &token).await, "signed by an unknown key");

    // another key by the same name
    file.replace(&jwks(&[&Signer::stranger("eddsa")]));
    read_again().await;
    assert_eq!(refusal(&verifier, &token).await, "the signature is wrong");

    // the same key once more, which has to say so itself
    file.replace(&jwks(&[&Signer::eddsa()]));
    read_again().await;
    for _ in 0..10 {
        user(&verifier, &token).await;
    }
    assert_eq!(checks(keys, "eddsa"), 1);
}

#[tokio::test]
async fn keys_that_are_old_are_fetched_again_though_every_token_is_remembered() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let keys = &verifier.issuers[0].keys;
    let token = Signer::eddsa().token(&good());
    user(&verifier, &token).await;
    file.replace(&jwks(&[&Signer::es256()]));
    keys.age(Duration::from_mins(29)).await;
    user(&verifier, &token).await;
    keys.age(Duration::from_mins(1)).await;
    let mut known = keys.watch();
    // this call does not wait for what it causes
    user(&verifier, &token).await;
    tokio::time::timeout(Duration::from_secs(5), known.changed()).await.expect("nobody has read the file").unwrap();
    assert_eq!(refusal(&verifier, &token).await, "signed by an unknown key");
}

/// After a quiet night, say.
#[tokio::test]
async fn a_remembered_token_waits_for_keys_that_are_too_old_to_be_believed() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let keys = &verifier.issuers[0].keys;
    let token = Signer::eddsa().token(&good());
    user(&verifier, &token).await;
    // the control: a set that has not changed keeps what was verified by it
    keys.age(Duration::from_hours(8)).await;
    user(&verifier, &token).await;
    user(&verifier, &token).await;
    assert_eq!(checks(keys, "eddsa"), 2);
    file.replace(&jwks(&[&Signer::es256()]));
    keys.age(Duration::from_hours(1)).await;
    assert_eq!(refusal(&verifier, &token).await, "signed by an unknown key");
    file.replace("nonsense");
    keys.age(Duration::from_hours(1)).await;
    assert_eq!(verifier.verify(&token).await.map(drop), Err(TokenError::NO_ANSWER));
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let forged = Signer::stranger("eddsa").token(&good());
    for number in 1..=3 {
        assert_eq!(refusal(&verifier, &forged).await, "the signature is wrong");
        assert_eq!(checks(&verifier.issuers[0].keys, "eddsa"), number);
    }
    // nor one that the signature is no reason for
    refusal(&verifier, &Signer::eddsa().token(&with(good(), &json!({"sub": ""})))).await;
    let early = Signer::eddsa().token(&with(good(), &json!({"nbf": now() + 60})));
    assert_eq!(verifier.verify_jwt(&early, now()).await.map(drop), Err(TokenError::Invalid("not yet valid")));
    assert_eq!(verifier.verified.len(), 0);
    // the control
    verifier.verify_jwt(&early, now() + 60).await.unwrap();
    assert_eq!(verifier.verified.len(), 1);
}

#[tokio::test]
async fn a_flood_of_good_tokens_takes_no_more_than_its_places() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let Credential::User(anna) = verifier.verify(&Signer::eddsa().token(&good())).await.unwrap() else { panic!() };
    let keys = &verifier.issuers[0].keys;
    let (tokens, claims) = (VerifiedTokens::default(), serde_json::from_value::<Claims>(good()).unwrap());
    let remember = |token: &str| {
        let what = Verified {
            times: claims.times().unwrap(),
            leeway_seconds: 0,
            keys: Arc::clone(keys),
            key: keys.get("eddsa").unwrap(),
            credential: Credential::User(Arc::clone(&anna)),
        };
        tokens.remember(verified::hash(token), what);
    };
    let is_known = |token: &str| tokens.get(&verified::hash(token), now()).is_some();
    remember("in use");
    remember("once");
    for number in 0..3 * MAX_TOKENS {
        remember(&number.to_string());
        assert!(tokens.len() <= MAX_TOKENS);
        assert!(is_known("in use"), "{number}");
        // the control: it was remembered as long as there was room
        assert!(number > MAX_TOKENS / 4 || tokens.len() == number + 3);
    }
    assert!(!is_known("once"));
    let latest = (3 * MAX_TOKENS - MAX_TOKENS / 4)..3 * MAX_TOKENS;
    assert!(latest.map(|number| number.to_string()).all(|token| is_known(&token)));
}

#[tokio::test]
async fn what_is_remembered_shows_nobody() {
    let file = KeyFile::published();
    let verifier = verifier([broker(&file)]).unwrap();
    let token = Signer::eddsa().token(&good());
    user(&verifier, &token).await;
    let shown = format!("{verifier:?}");
    assert!(shown.contains("VerifiedTokens") && !shown.contains("583231") && !shown.contains(&token), "{shown}");
}
