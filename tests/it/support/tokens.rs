//! Tokens that no well-behaved issuer would make at that moment.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use invitations::dev::issuer::{self, Provider};
use jsonwebtoken::{EncodingKey, decode_header, encode};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Person, Service};

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

    /// Signed anew by the dev issuer.
    fn changed(&self, token: &str, change: impl FnOnce(&mut Value)) -> String {
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let mut claims: Value = serde_json::from_slice(&payload).unwrap();
        change(&mut claims);
        let key = EncodingKey::from_ed_pem(&std::fs::read(self.dir.join("issuer")).unwrap()).unwrap();
        encode(&decode_header(token).unwrap(), &claims, &key).unwrap()
    }
}
