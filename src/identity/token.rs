//! A JWT taken apart, and what tells an access token from an ID token.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Header, TokenData, dangerous::insecure_decode};

use super::claims::Claims;

/// Whether it begins as a JWT does, with a JSON object before the first dot (RFC 7519, 7.2): what is for one of the
/// other issuers is nothing to show to GitHub. An opaque token may have dots, but none begins like that.
pub(super) fn is_jwt(token: &str) -> bool {
    let head = token.split_once('.').and_then(|(head, _)| URL_SAFE_NO_PAD.decode(head).ok());
    head.is_some_and(|head| head.trim_ascii_start().starts_with(b"{"))
}

/// A `typ` as it is compared: without case and without `application/` (RFC 7515, 4.1.9).
pub(super) fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ).to_owned()
}

/// Nothing in it may be believed before its key said that it has signed it.
pub(super) struct Token<'a> {
    pub header: Header,
    pub claims: Claims,
    /// What the signature is about: everything before the last dot.
    pub message: &'a str,
    pub signature: &'a str,
}

impl<'a> Token<'a> {
    pub fn parse(token: &'a str) -> Result<Self, &'static str> {
        let (message, signature) = token.rsplit_once('.').ok_or("not a JWT")?;
        let TokenData { header, claims } = insecure_decode::<Claims>(token)
            .map_err(|_| "not a readable JWT, with each claim once, signed by an algorithm that we know")?;
        // these name a key of the sender's own choice, or (crit) ask for what we do not do
        if header.jwk.is_some() || header.jku.is_some() || header.x5u.is_some() || header.x5c.is_some() {
            return Err("brings its own key");
        }
        if header.crit.is_some() {
            return Err("has a crit header");
        }
        Ok(Self { header, claims, message, signature })
    }

    /// The `typ` of the header.
    pub fn typ(&self) -> Option<String> {
        self.header.typ.as_deref().map(media_type)
    }

    /// An ID token tells a client who signed in; it was never meant for an API. The hash of an access token or of a code
    /// (OIDC Core, 3.1.3.6 and 3.3.2.11) is in no other token, and Keycloak says it in so many words. A `nonce` alone
    /// is in access tokens as well (Keycloak before 25): it counts where nothing says access token.
    pub fn is_id_token(&self) -> bool {
        let claims = &self.claims;
        claims.at_hash.is_there()
            || claims.c_hash.is_there()
            || claims.typ.readable().is_some_and(|typ| typ == "ID")
            || (claims.nonce.is_there() && !self.says_access_token())
    }

    fn says_access_token(&self) -> bool {
        let claims = &self.claims;
        // at+jwt, or the type that the entry requires: what is of another one was refused before
        let by_header = self.typ().is_some_and(|typ| typ != "jwt");
        let by_typ = claims.typ.readable().is_some_and(|typ| typ == "Bearer" || typ == "DPoP");
        let by_scope = claims.scopes().is_ok_and(|scopes| scopes.is_some_and(|scopes| !scopes.is_empty()));
        // an ID token's audience is its client (OIDC Core, 2)
        let of_another = |client| claims.aud().is_ok_and(|aud| !aud.contains(client));
        by_header || by_typ || by_scope || claims.client().is_some_and(of_another)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

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

    fn is_id_token(typ: Option<&str>, claims: &Value) -> bool {
        let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let token = format!("{}.{}.", part(json!({"alg": "RS256", "typ": typ})), part(claims.clone()));
        Token::parse(&token).unwrap().is_id_token()
    }

    #[test]
    fn a_nonce_alone_makes_no_id_token_where_typ_scope_or_aud_say_access_token() {
        let with = |more: Value| {
            let mut all = json!({"nonce": "n-0S6_WzA2Mj", "aud": "web", "azp": "web"});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        let jwt = Some("JWT");
        // OpenID Connect's own, with the client as its audience; what says nothing does not help
        for more in [
            json!({}),
            json!({"azp": null}),
            json!({"azp": null, "client_id": "web"}),
            json!({"aud": ["web", "account"]}),
            json!({"scope": ""}),
            json!({"scope": 7}),
            json!({"typ": "JWT"}),
            json!({"typ": ["Bearer"]}),
            json!({"azp": 7}),
        ] {
            assert!(is_id_token(jwt, &with(more.clone())), "{more}");
            assert!(is_id_token(None, &with(more.clone())), "{more}");
            assert!(!is_id_token(Some("application/AT+JWT"), &with(more.clone())), "{more}");
            assert!(!is_id_token(jwt, &with(with_no_nonce(more.clone()))), "{more}");
        }
        // Keycloak 24, Okta, an API with a client of its own
        for more in [
            json!({"typ": "Bearer"}),
            json!({"typ": "DPoP"}),
            json!({"scope": "openid email"}),
            json!({"scp": ["access"]}),
            json!({"aud": "invitations"}),
            json!({"aud": ["invitations", "account"]}),
            json!({"azp": null, "cid": "0oa1", "aud": "api://default"}),
        ] {
            assert!(!is_id_token(jwt, &with(more.clone())), "{more}");
            // these are in ID tokens only, whatever else is said
            for sure in [json!({"at_hash": "a"}), json!({"c_hash": 1}), json!({"typ": "ID"})] {
                let both = [&more, &sure].into_iter().flat_map(|map| map.as_object().unwrap().clone());
                assert!(is_id_token(Some("at+jwt"), &with(both.collect())), "{more} {sure}");
            }
        }
    }

    fn with_no_nonce(mut more: Value) -> Value {
        more["nonce"] = Value::Null;
        more
    }
}
