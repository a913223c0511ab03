//! What a token says. Which claims count, and so have to be of their type, depends on the entry that the token is for:
//! each claim is kept as it came, and whoever looks at it names it where it cannot be read.

use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use serde_json::Value;

use super::times::{NumericDate, Times};

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

    /// What RFC 9068 writes with blanks between, and others as a list.
    fn words(&self) -> impl Iterator<Item = &str> {
        self.as_slice().iter().flat_map(|text| text.split_ascii_whitespace())
    }
}

/// A claim that we read as a `T`; `null` is as good as nothing.
#[derive(Debug, Default)]
pub(super) enum Claim<T> {
    #[default]
    Absent,
    Good(T),
    /// Of another type, which matters to nobody who does not look at it.
    Odd,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Claim<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::deserialize(deserializer)? {
            Value::Null => Self::Absent,
            value => T::deserialize(value).map_or(Self::Odd, Self::Good),
        })
    }
}

impl<T> Claim<T> {
    pub fn is_there(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// `odd` is for the log, and names the claim.
    pub fn get(&self, odd: &'static str) -> Result<Option<&T>, &'static str> {
        match self {
            Self::Absent => Ok(None),
            Self::Good(value) => Ok(Some(value)),
            Self::Odd => Err(odd),
        }
    }

    /// The same for a claim that has to be there.
    fn required(&self, odd: &'static str) -> Result<&T, &'static str> {
        self.get(odd)?.ok_or(odd)
    }

    /// For what may only help: whatever cannot be read does not count.
    pub fn readable(&self) -> Option<&T> {
        self.get("").ok().flatten()
    }
}

/// The claims that count for some entry; one that is given twice is refused by serde.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Claims {
    iss: Claim<String>,
    sub: Claim<String>,
    aud: Claim<OneOrMany>,
    exp: Claim<NumericDate>,
    iat: Claim<NumericDate>,
    nbf: Claim<NumericDate>,
    scope: Claim<OneOrMany>,
    scp: Claim<OneOrMany>,
    /// Keycloak's: what kind of token it is.
    pub typ: Claim<String>,
    /// The client: OpenID Connect's name for it, RFC 9068's, Okta's, Entra's.
    azp: Claim<String>,
    client_id: Claim<String>,
    cid: Claim<String>,
    appid: Claim<String>,
    pub nonce: Claim<IgnoredAny>,
    pub at_hash: Claim<IgnoredAny>,
    pub c_hash: Claim<IgnoredAny>,
    ver: Claim<String>,
    idtyp: Claim<String>,
    tid: Claim<String>,
    oid: Claim<String>,
    email: Claim<String>,
    email_verified: Claim<Value>,
    xms_edov: Claim<Value>,
}

/// A text that not every token has.
type Text<'a> = Result<Option<&'a str>, &'static str>;

impl Claims {
    pub fn iss(&self) -> Result<&str, &'static str> {
        self.iss.required("its claim iss is missing or no text").map(String::as_str)
    }

    pub fn sub(&self) -> Result<&str, &'static str> {
        self.sub.required("its claim sub is missing or no text").map(String::as_str)
    }

    pub fn aud(&self) -> Result<&OneOrMany, &'static str> {
        self.aud.required("its claim aud is missing or neither a text nor a list of texts")
    }

    pub fn times(&self) -> Result<Times, &'static str> {
        Ok(Times {
            exp: self.exp.required("its claim exp is missing or no time in seconds since 1970")?.0,
            iat: self.iat.required("its claim iat is missing or no time in seconds since 1970")?.0,
            nbf: self.nbf.get("its claim nbf is no time in seconds since 1970")?.map(|nbf| nbf.0),
        })
    }

    pub fn ver(&self) -> Text<'_> {
        Ok(self.ver.get("its claim ver is no text")?.map(String::as_str))
    }

    pub fn idtyp(&self) -> Text<'_> {
        Ok(self.idtyp.get("its claim idtyp is no text")?.map(String::as_str))
    }

    pub fn tid(&self) -> Text<'_> {
        Ok(self.tid.get("its claim tid is no text")?.map(String::as_str))
    }

    pub fn oid(&self) -> Text<'_> {
        Ok(self.oid.get("its claim oid is no text")?.map(String::as_str))
    }

    pub fn email(&self) -> Text<'_> {
        Ok(self.email.get("its claim email is no text")?.map(String::as_str))
    }

    /// `scope` (RFC 9068) and `scp` (Entra, Okta) together; `None` where the token has neither.
    pub fn scopes(&self) -> Result<Option<Vec<&str>>, &'static str> {
        let scope = self.scope.get("its claim scope is neither a text nor a list of texts")?;
        let both = [scope, self.scp()?];
        let is_there = both.iter().any(Option::is_some);
        Ok(is_there.then(|| both.into_iter().flatten().flat_map(OneOrMany::words).collect()))
    }

    /// Whether `scp`, which Entra gives to tokens of people only, has this scope.
    pub fn has_scp(&self, scope: &str) -> Result<bool, &'static str> {
        Ok(self.scp()?.is_some_and(|scp| scp.words().any(|one| one == scope)))
    }

    fn scp(&self) -> Result<Option<&OneOrMany>, &'static str> {
        self.scp.get("its claim scp is neither a text nor a list of texts")
    }

    /// The client that the token was given to, where the token tells.
    pub fn client(&self) -> Option<&str> {
        let names = [&self.azp, &self.client_id, &self.cid, &self.appid];
        names.into_iter().find_map(Claim::readable).map(String::as_str)
    }

    /// OIDC's way to say that the address is the person's. Some issuers (Cognito, older brokers) write it as a text;
    /// nothing else is a yes.
    pub fn email_is_verified(&self) -> bool {
        self.email_verified.readable().is_some_and(|flag| *flag == true || *flag == "true")
    }

    /// Entra's way: the domain's owner was verified. Its type differs between versions of the token.
    pub fn email_domain_owner_is_verified(&self) -> bool {
        self.xms_edov.readable().is_some_and(|flag| *flag == true || *flag == 1 || *flag == "1" || *flag == "true")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(all: &Value) -> Claims {
        Claims::deserialize(all).unwrap()
    }

    #[test]
    fn a_claim_is_odd_only_to_whoever_looks_at_it() {
        for odd in [json!(1), json!(1.5), json!(true), json!([1]), json!({"a": "b"})] {
            let all = claims(&json!({
                "iss": odd, "sub": odd, "aud": odd, "exp": "soon", "scope": odd, "scp": odd, "ver": odd, "idtyp": odd,
                "tid": odd, "oid": odd, "email": odd, "typ": odd, "azp": odd,
            }));
            let texts = [all.ver(), all.idtyp(), all.tid(), all.oid(), all.email()];
            assert!(texts.iter().all(Result::is_err), "{odd}");
            assert_eq!(all.ver(), Err("its claim ver is no text"));
            assert!(all.iss().is_err() && all.sub().is_err() && all.aud().is_err() && all.times().is_err(), "{odd}");
            assert!(all.scopes().is_err() && all.has_scp("a").is_err() && all.client().is_none(), "{odd}");
        }
        // null is as good as nothing
        let none = claims(&json!({"ver": null, "scope": null, "nonce": null}));
        assert_eq!((none.ver(), none.scopes(), none.nonce.is_there()), (Ok(None), Ok(None), false));
    }

    #[test]
    fn a_claim_that_is_there_twice_is_refused_whether_it_counts_or_not() {
        for twice in [r#"{"ver": 1, "ver": 1}"#, r#"{"sub": "a", "sub": "b"}"#, r#"{"email": [], "email": "a@b.c"}"#] {
            assert!(serde_json::from_str::<Claims>(twice).is_err(), "{twice}");
        }
    }

    #[test]
    fn verified_is_true_as_a_flag_or_as_a_text() {
        for yes in [json!(true), json!("true")] {
            assert!(claims(&json!({"email_verified": yes})).email_is_verified(), "{yes}");
        }
        let others = [json!(false), json!(1), json!(1.0), json!(null), json!([true]), json!({"true": true})];
        let texts = ["false", "True", "TRUE", " true", "true ", "1", "yes", ""].map(|text| json!(text));
        for no in others.into_iter().chain(texts) {
            assert!(!claims(&json!({"email_verified": no})).email_is_verified(), "{no}");
        }
        assert!(!claims(&json!({})).email_is_verified());
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
    fn scopes_are_read_from_both_claims_in_both_forms() {
        assert_eq!(claims(&json!({})).scopes(), Ok(None));
        assert_eq!(claims(&json!({"scope": ""})).scopes(), Ok(Some(vec![])));
        assert_eq!(claims(&json!({"scope": "a b", "scp": ["c"]})).scopes(), Ok(Some(vec!["a", "b", "c"])));
    }
}
