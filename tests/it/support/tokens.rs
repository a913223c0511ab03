//! Tokens that no well-behaved issuer would make at that moment.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use invitations::dev::issuer::{self, Provider};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, decode_header, encode};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Person, Service, evidence, scratch};

/// Every kind of token that must count for nothing.
pub const FORGED: [&str; 10] = [
    "expired",
    "not yet valid",
    "wrong audience",
    "wrong issuer",
    "alg none",
    "HS256 with the public key",
    "unknown key",
    "embedded key",
    "an id token",
    "an id token under the type of access tokens",
];

impl Service {
    /// A GitHub token of the dev issuer whose times lie this many seconds from now.
    pub fn token_at(&self, subject: &str, email: &str, issued: i64, expires: i64) -> String {
        let token = issuer::user_token(&self.dir, subject, Some(email), true, Provider::Github).unwrap();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        self.changed(&token, |claims| {
            claims["iat"] = json!(now + issued);
            claims["exp"] = json!(now + expires);
        })
    }

    /// The same person with a token that is newer by so many seconds (at most 30) and attests another address.
    pub fn signed_in_later(&self, subject: &str, seconds: i64, email: &str) -> Person {
        Person::new(&self.channel, self.token_at(subject, email, seconds, 3600))
    }

    /// The same with a token that says nothing about addresses.
    pub fn signed_in_silently(&self, subject: &str, seconds: i64) -> Person {
        let token = self.token_at(subject, "any@example.com", seconds, 3600);
        let token = self.changed(&token, |claims| {
            claims.as_object_mut().unwrap().remove("email");
        });
        Person::new(&self.channel, token)
    }

    /// A service with a token as Kubernetes makes it: without a scope, unless one is given.
    pub fn service_account(&self, subject: &str, scope: Option<&str>) -> Person {
        let token = issuer::service_token(&self.dir, subject, &[]).unwrap();
        let token = self.changed(&token, |claims| {
            let claims = claims.as_object_mut().unwrap();
            claims.remove("scope");
            claims.insert("kubernetes.io".to_owned(), json!({"namespace": "ops"}));
            claims.extend(scope.map(|scope| ("scope".to_owned(), json!(scope))));
        });
        Person::new(&self.channel, token)
    }

    /// A token that says to be the person's, and is made wrongly in one way.
    pub fn forged(&self, how: &str, subject: &str, email: &str) -> String {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let good = issuer::user_token(&self.dir, subject, Some(email), true, Provider::Github).unwrap();
        let with = |changes: Value| {
            let changes = changes.as_object().unwrap().clone();
            self.changed(&good, |claims| claims.as_object_mut().unwrap().extend(changes))
        };
        let (header, claims) = (decode_header(&good).unwrap(), claims_of(&good));
        let forged = match how {
            "expired" => with(json!({"iat": now - 3600, "exp": now - 60})),
            "not yet valid" => with(json!({"nbf": now + 3600})),
            "wrong audience" => with(json!({"aud": "another-service"})),
            "wrong issuer" => with(json!({"iss": "https://issuer.example"})),
            "alg none" => {
                let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
                format!("{}.{}.", part(&json!({"alg": "none", "typ": "at+jwt"})), part(&claims))
            }
            "HS256 with the public key" => {
                let jwks: Value = serde_json::from_slice(&fs::read(self.dir.join("issuer.jwks")).unwrap()).unwrap();
                let public = URL_SAFE_NO_PAD.decode(jwks["keys"][0]["x"].as_str().unwrap()).unwrap();
                let header = Header { alg: Algorithm::HS256, ..header };
                encode(&header, &claims, &EncodingKey::from_secret(&public)).unwrap()
            }
            "unknown key" => encode(&header, &claims, &self.foreign_key()).unwrap(),
            "embedded key" => {
                let key = self.foreign_key();
                let jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap();
                encode(&Header { jwk: Some(jwk), ..header }, &claims, &key).unwrap()
            }
            "an id token" => {
                let mut claims = claims;
                claims["nonce"] = json!("n-0S6_WzA2Mj");
                self.signed(Some("JWT"), &claims)
            }
            "an id token under the type of access tokens" => {
                with(json!({"nonce": "n-0S6_WzA2Mj", "at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}))
            }
            _ => panic!("nobody forges like {how}"),
        };
        evidence::token(&forged);
        forged
    }

    /// Of the dev issuer, with these claims and whatever they lack of a good token: `aud`, `iat` and `exp`.
    pub fn signed(&self, typ: Option<&str>, claims: &Value) -> String {
        let good = issuer::user_token(&self.dir, "any", None, true, Provider::Github).unwrap();
        let header = Header { typ: typ.map(str::to_owned), ..decode_header(&good).unwrap() };
        let mut all = claims_of(&good);
        for lacking in ["iss", "sub"] {
            all.as_object_mut().unwrap().remove(lacking);
        }
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let signed = encode(&header, &all, &self.key()).unwrap();
        evidence::token(&signed);
        signed
    }

    /// The same by a key that no issuer has published.
    pub fn signed_by_nobody(&self, claims: &Value) -> String {
        let good = self.signed(Some("at+jwt"), claims);
        let header = Header { kid: Some("unknown".to_owned()), ..decode_header(&good).unwrap() };
        let signed = encode(&header, &claims_of(&good), &self.foreign_key()).unwrap();
        evidence::token(&signed);
        signed
    }

    /// Signed anew by the dev issuer.
    fn changed(&self, token: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = claims_of(token);
        change(&mut claims);
        let changed = encode(&decode_header(token).unwrap(), &claims, &self.key()).unwrap();
        evidence::token(&changed);
        changed
    }

    fn key(&self) -> EncodingKey {
        EncodingKey::from_ed_pem(&fs::read(self.dir.join("issuer")).unwrap()).unwrap()
    }

    /// Of an issuer that nobody here trusts.
    fn foreign_key(&self) -> EncodingKey {
        let dir = scratch(&format!("{}-foreign", self.database.name));
        issuer::entries(&dir).unwrap();
        EncodingKey::from_ed_pem(&fs::read(dir.join("issuer")).unwrap()).unwrap()
    }
}

fn claims_of(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}
