//! What a token says, and the checks that need nothing but the token and the clock.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Header, TokenData, dangerous::insecure_decode};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::Value;

/// The longest life of a token, `exp − iat`, in seconds: a token cannot be called back.
const MAX_LIFETIME: i64 = 24 * 60 * 60;
/// Far above what issuers send; what a stranger may make us decode.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// One text or a list of them: `aud` (RFC 7519), `scp`, and lists in the configuration where `"*"` stands for all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    pub(super) fn contains(&self, text: &str) -> bool {
        self.as_slice().iter().any(|one| one == text)
    }

    /// Whether it is `"*"` or `["*"]`.
    pub(super) fn is_all(&self) -> bool {
        self.as_slice() == ["*"]
    }
}

/// The claims that count here. Those without `Option` are required; a claim given twice is refused by serde.
#[derive(Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub sub: String,
    pub aud: OneOrMany,
    exp: i64,
    pub iat: i64,
    nbf: Option<i64>,
    scope: Option<OneOrMany>,
    scp: Option<OneOrMany>,
    pub ver: Option<String>,
    pub idtyp: Option<String>,
    nonce: Option<IgnoredAny>,
    at_hash: Option<IgnoredAny>,
    pub email: Option<String>,
    email_verified: Option<Value>,
    xms_edov: Option<Value>,
    pub tid: Option<String>,
    pub oid: Option<String>,
}

/// Whether it begins as a JWT does, with a JSON object before the first dot (RFC 7519, 7.2): what is for one of the
/// other issuers is nothing to show to GitHub. An opaque token may have dots, but none begins like that.
pub(super) fn is_jwt(token: &str) -> bool {
    let head = token.split_once('.').and_then(|(head, _)| URL_SAFE_NO_PAD.decode(head).ok());
    head.is_some_and(|head| head.trim_ascii_start().starts_with(b"{"))
}

/// A token taken apart. Nothing in it may be believed before its key said that it has signed it.
pub(super) struct Token<'a> {
    pub header: Header,
    pub claims: Claims,
    /// What the signature is about: everything before the last dot.
    pub message: &'a str,
    pub signature: &'a str,
}

impl<'a> Token<'a> {
    pub fn parse(token: &'a str) -> Result<Self, &'static str> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err("longer than 8 KiB");
        }
        let (message, signature) = token.rsplit_once('.').ok_or("not a JWT")?;
        let TokenData { header, claims } = insecure_decode::<Claims>(token)
            .map_err(|_| "not a readable JWT with iss, sub, aud, exp and iat, signed by an algorithm that we know")?;
        // these name a key of the sender's own choice, or (crit) ask for what we do not do
        if header.jwk.is_some() || header.jku.is_some() || header.x5u.is_some() || header.x5c.is_some() {
            return Err("brings its own key");
        }
        if header.crit.is_some() {
            return Err("has a crit header");
        }
        Ok(Self { header, claims, message, signature })
    }
}

/// When a token is good, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
}

impl Times {
    /// `leeway` is by how many seconds the issuer's clock and ours may differ.
    pub fn check(self, now: i64, leeway: u8) -> Result<(), &'static str> {
        let (Self { exp, iat, nbf }, leeway) = (self, i64::from(leeway));
        if iat > now + leeway {
            Err("issued in the future")
        } else if exp <= now - leeway {
            Err("expired")
        } else if nbf.is_some_and(|nbf| nbf > now + leeway) {
            Err("not yet valid")
        } else if exp.saturating_sub(iat) > MAX_LIFETIME {
            Err("lives longer than 24 h")
        } else {
            Ok(())
        }
    }
}

impl Claims {
    pub fn times(&self) -> Times {
        Times { exp: self.exp, iat: self.iat, nbf: self.nbf }
    }

    /// An ID token tells a client who signed in; it was never meant for an API (OIDC Core 2, 3.1.3.6).
    pub fn is_id_token(&self) -> bool {
        self.nonce.is_some() || self.at_hash.is_some()
    }

    /// `scope` (RFC 9068, blanks between) and `scp` (Entra, Okta) together; `None` where the token has neither.
    pub fn scopes(&self) -> Option<Vec<&str>> {
        if self.scope.is_none() && self.scp.is_none() {
            return None;
        }
        let claims = [&self.scope, &self.scp].into_iter().flatten();
        Some(claims.flat_map(OneOrMany::as_slice).flat_map(|text| text.split_ascii_whitespace()).collect())
    }

    /// Whether `scp`, which Entra gives to tokens of people only, has this scope.
    pub fn has_scp(&self, scope: &str) -> bool {
        let texts = self.scp.iter().flat_map(OneOrMany::as_slice);
        texts.flat_map(|text| text.split_ascii_whitespace()).any(|one| one == scope)
    }

    /// OIDC's way to say that the address is the person's.
    pub fn email_is_verified(&self) -> bool {
        self.email_verified == Some(Value::Bool(true))
    }

    /// Entra's way: the domain's owner was verified. Its type differs between versions of the token.
    pub fn email_domain_owner_is_verified(&self) -> bool {
        match &self.xms_edov {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::Number(number)) => number.as_i64() == Some(1),
            Some(Value::String(text)) => text == "1" || text == "true",
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(more: &Value) -> Claims {
        let mut all = json!({"iss": "i", "sub": "s", "aud": "a", "exp": 2000, "iat": 1000});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn each_limit_of_time_holds_to_the_second() {
        let check = |more: Value, now| claims(&more).times().check(now, 30);
        assert_eq!(check(json!({}), 2029), Ok(()));
        assert_eq!(check(json!({}), 2030), Err("expired"));
        assert_eq!(check(json!({}), 970), Ok(()));
        assert_eq!(check(json!({}), 969), Err("issued in the future"));
        assert_eq!(check(json!({"nbf": 1530}), 1500), Ok(()));
        assert_eq!(check(json!({"nbf": 1531}), 1500), Err("not yet valid"));
        assert_eq!(check(json!({"exp": 1000 + 86_400}), 1500), Ok(()));
        assert_eq!(check(json!({"exp": 1001 + 86_400}), 1500), Err("lives longer than 24 h"));
        assert_eq!(check(json!({"iat": i64::MIN}), 1500), Err("lives longer than 24 h"));
        assert_eq!(claims(&json!({})).times().check(2000, 0), Err("expired"));
        assert_eq!(claims(&json!({})).times().check(2059, 60), Ok(()));
    }

    #[test]
    fn entra_says_verified_in_four_ways() {
        for yes in [json!(true), json!(1), json!("1"), json!("true")] {
            assert!(claims(&json!({"xms_edov": yes})).email_domain_owner_is_verified(), "{yes}");
        }
        for no in [json!(false), json!(0), json!("0"), json!("false"), json!(null), json!([true]), json!("True")] {
            assert!(!claims(&json!({"xms_edov": no})).email_domain_owner_is_verified(), "{no}");
        }
    }

    #[test]
    fn what_begins_with_a_json_object_is_a_jwt() {
        let head = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for jwt in [head("{}") + ".", head("{\"alg\":\"none\"}") + ".a.b", head(" \n{ ") + ".a.b.c.d"] {
            assert!(is_jwt(&jwt), "{jwt}");
        }
        for other in [head("{}"), head("[]") + ".a.b", "gho_a.b.c".to_owned(), "ghu_1_eyJhbGci.b.c".to_owned()] {
            assert!(!is_jwt(&other), "{other}");
        }
    }

    #[test]
    fn scopes_are_read_from_both_claims_in_both_forms() {
        assert_eq!(claims(&json!({})).scopes(), None);
        assert_eq!(claims(&json!({"scope": ""})).scopes(), Some(vec![]));
        assert_eq!(claims(&json!({"scope": "a b", "scp": ["c"]})).scopes(), Some(vec!["a", "b", "c"]));
    }
}
