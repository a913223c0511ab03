//! Where the token of the calls comes from: never the command line, which every user of the machine can read.

use std::path::PathBuf;
use std::{fmt, fs};

use secrecy::{ExposeSecret, SecretString};

/// It is read before each call: who renews the file need not start anew.
#[derive(Clone)]
pub enum Token {
    Text(SecretString),
    File(PathBuf),
}

impl Token {
    pub(super) fn read(&self) -> Result<SecretString, String> {
        let text = match self {
            Self::Text(text) => text.expose_secret().to_owned(),
            Self::File(path) => fs::read_to_string(path)
                .map_err(|error| format!("the token's file {} cannot be read: {error}", path.display()))?,
        };
        let token = text.trim();
        if token.is_empty() {
            return Err("the token is empty".to_owned());
        }
        Ok(token.into())
    }
}

/// Shows nothing of it.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}
