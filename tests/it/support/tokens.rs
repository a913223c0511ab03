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
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let mut claims: Value = serde_json::from_slice(&payload).unwrap();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        claims["iat"] = json!(now + issued);
        claims["exp"] = json!(now + expires);
        let key = EncodingKey::from_ed_pem(&std::fs::read(self.dir.join("issuer")).unwrap()).unwrap();
        encode(&decode_header(&token).unwrap(), &claims, &key).unwrap()
    }

    /// The same person with a token that is newer by so many seconds (at most 30) and attests another address.
    pub fn signed_in_later(&self, subject: &str, seconds: i64, email: &str) -> Person {
        Person::new(&self.channel, self.token_at(subject, email, seconds, 3600))
    }
}
