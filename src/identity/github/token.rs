//! An opaque token as its caller sends it, and what is kept of it.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Far above what GitHub issues; what a stranger may make us send to it.
const MAX_TOKEN_BYTES: usize = 1024;

/// A token's hash: no token is kept.
pub(super) type Key = [u8; 32];

/// A token of GitHub, which nobody can read from a log: its Debug shows nothing.
#[derive(Clone, Debug)]
pub(super) struct Token(SecretString);

impl Token {
    /// RFC 6750, 2.1: what else could not be sent on as a bearer token either.
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.trim_end_matches('=');
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let fits = !body.is_empty() && text.len() <= MAX_TOKEN_BYTES && body.bytes().all(is_good);
        fits.then(|| Self(text.into()))
    }

    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    pub fn key(&self) -> Key {
        Sha256::digest(self.expose()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_bearer_token_is_not_sent_on() {
        for good in ["gho_16C7e42F292c6912E7710c838347Ae178B4a", "ghu_a", "a.b", "a-._~+/==", &"a".repeat(1024)] {
            assert!(Token::parse(good).is_some(), "{good}");
        }
        for bad in ["", "=", "a b", "a\r\nb", "gho_ü", "a=b", "\"", &"a".repeat(1025)] {
            assert!(Token::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_token_shows_nothing() {
        let shown = format!("{:?}", Token::parse("gho_secret").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
