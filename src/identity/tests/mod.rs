//! Tokens good and bad against a [`Verifier`](super::Verifier), each bad one beside the good one that it differs from.

mod configuration;
mod credentials;
mod entra;
mod refresh;
mod tokens;
mod verified;

use std::{path::PathBuf, sync::Arc};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Credential, IssuerEntry, TokenError, Verifier};

pub const ISSUER: &str = "https://broker.example.com";
pub const AUDIENCE: &str = "invitations";
pub const TENANT: &str = "8d8ac610-566d-4ef0-9c22-186b2a5ed793";

/// A signing key; its kid is its name. `openssl genpkey` made the files in `testdata` for these tests only.
pub struct Signer {
    pub kid: &'static str,
    pub algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    pub fn eddsa() -> Self {
        let key = EncodingKey::from_ed_pem(include_bytes!("../testdata/eddsa.pem")).unwrap();
        Self { kid: "eddsa", algorithm: Algorithm::EdDSA, key }
    }

    pub fn es256() -> Self {
        let key = EncodingKey::from_ec_pem(include_bytes!("../testdata/es256.pem")).unwrap();
        Self { kid: "es256", algorithm: Algorithm::ES256, key }
    }

    pub fn rs256() -> Self {
        let key = EncodingKey::from_rsa_pem(include_bytes!("../testdata/rs256.pem")).unwrap();
        Self { kid: "rs256", algorithm: Algorithm::RS256, key }
    }

    /// A key that no issuer published, unless a test does.
    pub fn stranger(kid: &'static str) -> Self {
        let key = EncodingKey::from_ed_pem(include_bytes!("../testdata/stranger.pem")).unwrap();
        Self { kid, algorithm: Algorithm::EdDSA, key }
    }

    pub fn jwk(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.kid.to_owned());
        jwk
    }

    pub fn header(&self) -> Header {
        let typ = Some("at+jwt".to_owned());
        Header { typ, kid: Some(self.kid.to_owned()), ..Header::new(self.algorithm) }
    }

    pub fn sign(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.key).unwrap()
    }

    /// A token with these claims and nothing odd about it.
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&self.header(), claims)
    }
}

/// The key set that `broker()` publishes.
pub fn jwks(signers: &[&Signer]) -> String {
    json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()}).to_string()
}

pub fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// `claims` with some set to other values, or, where the value is null, left out.
pub fn with(mut claims: Value, changes: &Value) -> Value {
    let map = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        map.insert(name.clone(), value.clone());
    }
    map.retain(|_, value| !value.is_null());
    claims
}

/// What `broker()` takes.
pub fn good() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "583231", "iat": now() - 60, "exp": now() + 600,
        "email": "anna@example.com", "email_verified": true,
    })
}

/// A key file that is gone with the test.
pub struct KeyFile(PathBuf);

impl KeyFile {
    pub fn new(content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("invitations-test-{}.jwks", uuid::Uuid::new_v4()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    /// With the three published keys.
    pub fn published() -> Self {
        Self::new(&jwks(&[&Signer::eddsa(), &Signer::es256(), &Signer::rs256()]))
    }

    pub fn replace(&self, content: &str) {
        std::fs::write(&self.0, content).unwrap();
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A user issuer as JSON, to be changed by tests.
pub fn broker(keys: &KeyFile) -> Value {
    json!({
        "id": "broker", "kind": "user", "issuer": ISSUER, "audience": AUDIENCE, "jwks_file": keys.0,
        "typ": "at+jwt", "provider": "github", "email_domains": ["example.com", "Bücher.example"],
    })
}

/// Entra's, for one tenant.
pub fn entra(keys: &KeyFile) -> Value {
    let change = json!({
        "id": "entra", "provider": "entra", "email_domains": "*", "tenants": [TENANT], "scope": "access",
        "issuer": format!("https://login.example.com/{TENANT}/v2.0"), "typ": null,
    });
    with(broker(keys), &change)
}

/// What `entra()` takes.
pub fn entra_claims() -> Value {
    let change = json!({
        "iss": format!("https://login.example.com/{TENANT}/v2.0"), "tid": TENANT, "ver": "2.0", "scp": "access openid",
        "oid": "6467882c-fdfd-4354-a1ed-4e13f064be25", "sub": "pairwise", "email_verified": null,
    });
    with(good(), &change)
}

pub fn services(keys: &KeyFile) -> Value {
    json!({
        "id": "cluster", "kind": "service", "issuer": ISSUER, "audience": AUDIENCE, "jwks_file": keys.0,
        "services": [{
            "subject": "system:serviceaccount:ops:gateway",
            "scopes": ["invitations.read", "invitations.write"],
            "organizations": ["acme"],
        }],
    })
}

pub fn verifier<const N: usize>(entries: [Value; N]) -> Result<Verifier, String> {
    Verifier::new(entries.map(|entry| serde_json::from_value::<IssuerEntry>(entry).unwrap()).to_vec())
}

/// Why a token is refused.
pub async fn refusal(verifier: &Verifier, token: &str) -> &'static str {
    match verifier.verify(token).await {
        Err(TokenError::Invalid(why)) => why,
        other => panic!("{other:?}"),
    }
}

pub async fn user(verifier: &Verifier, token: &str) -> crate::domain::Identity {
    match verifier.verify(token).await {
        Ok(Credential::User(identity)) => Arc::unwrap_or_clone(identity),
        other => panic!("{other:?}"),
    }
}

pub async fn service(verifier: &Verifier, token: &str) -> crate::domain::Service {
    match verifier.verify(token).await {
        Ok(Credential::Service(service)) => Arc::unwrap_or_clone(service),
        other => panic!("{other:?}"),
    }
}
