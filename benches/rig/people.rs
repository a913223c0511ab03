//! Who calls, with tokens of an issuer whose key lies beside the database.

use std::fs;
use std::path::Path;

use invitations::dev::issuer;
use invitations::domain::{CodeKey, InvitationCode, InvitationId};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use time::{Duration, OffsetDateTime};
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};

use super::Result;
use super::database::{ACCOUNTS, INVITERS, ORGANIZATIONS};

/// `serve` refuses the name of dev's own issuer.
const ISSUER: &str = "https://id.example.com";
const AUDIENCE: &str = "invitations";
/// As the service is told it; the emails need it, and callers who use codes that no email brought them.
const SECRET: [u8; 32] = [7; 32];

pub type Token = MetadataValue<Ascii>;

/// Everybody whom the seed makes, by number, and the keys behind them.
pub struct People {
    /// Of each organization.
    pub owners: Vec<Token>,
    /// All of them may invite to organization 0.
    pub inviters: Vec<Token>,
    pub accounts: Vec<Token>,
    /// The setting `issuers`.
    pub issuers: String,
    key: EncodingKey,
    header: Header,
    code_key: CodeKey,
}

impl People {
    /// To be made before any account: a token that is newer than what an account was last seen with is a write more.
    pub fn new(dir: &Path) -> Result<Self> {
        let mut entry = issuer::entries(dir)?.into_iter().next().ok_or("dev has no issuer")?;
        entry.issuer = Some(ISSUER.to_owned());
        let keys = serde_json::from_slice::<JwkSet>(&fs::read(dir.join("issuer.jwks"))?)?;
        let kid = keys.keys.into_iter().next().and_then(|key| key.common.key_id);
        let mut people = Self {
            owners: Vec::new(),
            inviters: Vec::new(),
            accounts: Vec::new(),
            issuers: serde_json::to_string(&[entry])?,
            key: EncodingKey::from_ed_pem(&fs::read(dir.join("issuer"))?)?,
            header: Header { typ: Some("at+jwt".to_owned()), kid, ..Header::new(Algorithm::EdDSA) },
            code_key: CodeKey::new("bench".to_owned(), SECRET.to_vec()).ok_or("the key is too short")?,
        };
        let tokens = |name: &str, count| (0..count).map(|n| people.token(&format!("{name}-{n}"))).collect();
        let (owners, inviters, accounts): (Result<_>, Result<_>, Result<_>) =
            (tokens("owner", ORGANIZATIONS), tokens("inviter", INVITERS), tokens("account", ACCOUNTS));
        (people.owners, people.inviters, people.accounts) = (owners?, inviters?, accounts?);
        Ok(people)
    }

    /// Of somebody who signs in with the verified address `NAME@example.com`.
    pub fn token(&self, name: &str) -> Result<Token> {
        let now = OffsetDateTime::now_utc();
        let claims = serde_json::json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": name, "email": format!("{name}@example.com"), "email_verified": true,
            "iat": now.unix_timestamp(), "exp": (now + Duration::hours(12)).unix_timestamp(),
        });
        Ok(format!("Bearer {}", encode(&self.header, &claims, &self.key)?).parse()?)
    }

    /// The code of an invitation's first email.
    pub fn code(&self, id: InvitationId) -> InvitationCode {
        InvitationCode::derive(&self.code_key, id, 1)
    }

    /// The content of `code_keys_file`, and of `address_key_file`, which has the same form.
    pub fn key_file() -> String {
        use base64::Engine;
        format!("bench {}\n", base64::engine::general_purpose::STANDARD.encode(SECRET))
    }
}

pub fn authorized<T>(message: T, token: &Token) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", token.clone());
    request
}
