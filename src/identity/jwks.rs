//! An issuer's published keys: a JSON Web Key Set (RFC 7517), reduced to the keys that may sign tokens for us.

use std::{collections::HashMap, sync::Arc};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use super::entra;

/// A key with the one algorithm that it may be used with.
#[derive(Debug)]
pub(super) struct Key {
    pub algorithm: Algorithm,
    decoding: DecodingKey,
    /// Entra's own property: the one issuer that the key signs for, as text or template.
    issuer: Option<String>,
    /// How many signatures it was asked about.
    #[cfg(test)]
    pub asked: std::sync::atomic::AtomicUsize,
}

impl Key {
    /// Whether a token with this `iss`, and with this `tid` if it has one, may be signed by the key. Without an issuer
    /// of its own the key looks at neither.
    pub fn signs_for(&self, iss: &str, tenant: Result<Option<&str>, &'static str>) -> Result<bool, &'static str> {
        let Some(issuer) = &self.issuer else { return Ok(true) };
        Ok(tenant?.map_or_else(|| issuer == iss, |tenant| entra::filled(issuer, tenant) == iss))
    }

    /// Whether this is its signature of the message. The algorithm is the key's, whatever a header says.
    pub fn has_signed(&self, message: &str, signature: &str) -> bool {
        #[cfg(test)]
        self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.decoding, self.algorithm).unwrap_or(false)
    }
}

pub(super) type Keys = HashMap<String, Arc<Key>>;

/// Reads a key set. Keys for other purposes are skipped; a set without a usable key is an error, because taking it
/// would lock out everybody.
pub(super) fn parse(json: &[u8]) -> Result<Keys, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set = serde_json::from_slice::<Set>(json).map_err(|error| format!("not a JSON Web Key Set: {error}"))?;
    let mut keys = Keys::new();
    for jwk in set.keys {
        // one key that cannot be read (a new type) must not take the others away
        if let Some((id, key)) = usable(jwk) {
            keys.entry(id).or_insert_with(|| Arc::new(key));
        }
    }
    if keys.is_empty() {
        return Err("the key set has no key with a kid for EdDSA, ES256 or RS256".to_owned());
    }
    Ok(keys)
}

fn usable(jwk: Value) -> Option<(String, Key)> {
    let issuer = match jwk.get("issuer") {
        None => None,
        Some(issuer) => Some(issuer.as_str()?.to_owned()),
    };
    let jwk = serde_json::from_value::<Jwk>(jwk).ok()?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let (algorithm, name) = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        _ => return None,
    };
    if jwk.common.key_algorithm.is_some_and(|declared| declared != name) {
        return None;
    }
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    let key = Key {
        algorithm,
        decoding,
        issuer,
        #[cfg(test)]
        asked: std::sync::atomic::AtomicUsize::default(),
    };
    Some((jwk.common.key_id?, key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_keys_that_may_sign_are_taken() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"; // RFC 8037, appendix A.2
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "good", "x": x},
            {"kty": "OKP", "crv": "Ed25519", "kid": "good-too", "x": x, "use": "sig", "alg": "EdDSA"},
            {"kty": "OKP", "crv": "Ed25519", "x": x},
            {"kty": "OKP", "crv": "Ed25519", "kid": "odd-issuer", "x": x, "issuer": ["https://a.example"]},
            {"kty": "OKP", "crv": "Ed25519", "kid": "encrypts", "x": x, "use": "enc"},
            {"kty": "OKP", "crv": "Ed25519", "kid": "other-alg", "x": x, "alg": "ES256"},
            {"kty": "OKP", "crv": "X25519", "kid": "other-curve", "x": x},
            {"kty": "EC", "crv": "P-384", "kid": "p384", "x": x, "y": x},
            {"kty": "RSA", "kid": "pss", "n": x, "e": "AQAB", "alg": "PS256"},
            {"kty": "oct", "kid": "secret", "k": x, "alg": "HS256"},
            {"kty": "AKP", "kid": "future", "pub": x},
            {"kty": 7, "kid": 7},
        ]});
        let keys = parse(set.to_string().as_bytes()).unwrap();
        let mut ids = keys.keys().collect::<Vec<_>>();
        ids.sort();
        assert_eq!(ids, ["good", "good-too"]);
    }

    #[test]
    fn a_key_with_an_issuer_signs_for_that_one_only() {
        let key = |issuer: Option<&str>| {
            let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "issuer": issuer,
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
            let jwk = jwk.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
            usable(jwk.map(|(name, value)| (name.clone(), value.clone())).collect()).unwrap().1
        };
        let iss = "https://login.example/t1/v2.0";
        let signs = |key: &Key, tenant| key.signs_for(iss, Ok(tenant)).unwrap();
        let (tenant, odd) = (Some("t1"), Err("its claim tid is no text"));
        assert!(signs(&key(None), tenant) && signs(&key(None), None));
        assert_eq!(key(None).signs_for(iss, odd), Ok(true));
        let template = key(Some("https://login.example/{tenantid}/v2.0"));
        assert!(signs(&template, tenant));
        assert!(!signs(&template, Some("t2")) && !signs(&template, None));
        assert_eq!(template.signs_for(iss, odd), Err("its claim tid is no text"));
        assert!(signs(&key(Some(iss)), tenant) && signs(&key(Some(iss)), None));
        assert!(!signs(&key(Some("https://login.example/t2/v2.0")), tenant));
    }

    #[test]
    fn a_set_that_would_lock_out_everybody_is_an_error() {
        assert!(parse(b"{\"keys\": []}").is_err());
        assert!(parse(b"<html>").is_err());
    }
}
