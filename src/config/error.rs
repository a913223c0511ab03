//! The one line that says what is wrong, made from what clap knows about it.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::keys::{keys, variable};

/// Why the command line or the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Help, the version, or a wrong command line: clap prints it.
    #[error(transparent)]
    Usage(clap::Error),
    /// Settings are missing or wrong: one line without a secret in it.
    #[error("{0}")]
    Settings(String),
}

impl Error {
    pub(crate) fn setting(key: &str, problem: &str) -> Self {
        Self::Settings(format!("setting {key} ({}): {problem}", variable(key)))
    }

    fn missing(keys: &[String]) -> Self {
        let names = keys.iter().map(|key| format!("{key} ({})", variable(key))).collect::<Vec<_>>().join(", ");
        let where_to = "set them in the environment or in the file that --config names";
        Self::Settings(format!("missing settings: {names}; {where_to}"))
    }
}

impl From<clap::Error> for Error {
    fn from(error: clap::Error) -> Self {
        // clap's own text has several lines, and the value in it
        let described = match (error.kind(), error.get(ContextKind::InvalidArg)) {
            (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(flags))) => {
                flags.iter().map(|flag| key(flag)).collect::<Option<Vec<_>>>().map(|keys| Self::missing(&keys))
            }
            (ErrorKind::ValueValidation, Some(ContextValue::String(flag))) => {
                key(flag).zip(error.source()).map(|(key, problem)| Self::setting(&key, &problem.to_string()))
            }
            (ErrorKind::InvalidValue, Some(ContextValue::String(flag))) => {
                let rule = match error.get(ContextKind::ValidValue) {
                    Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
                        format!("must be {}", valid.join(" or "))
                    }
                    _ => "must have a value".to_owned(),
                };
                key(flag).map(|key| Self::setting(&key, &rule))
            }
            _ => None,
        };
        described.unwrap_or(Self::Usage(error))
    }
}

/// The setting that a flag such as `--log-level <FILTER>` is for.
fn key(flag: &str) -> Option<String> {
    let key = flag.strip_prefix("--")?.split([' ', '=']).next()?.replace('-', "_");
    (key == "config" || keys().contains(&key)).then_some(key)
}
