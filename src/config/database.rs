//! The URL of the database, whose password is rotated while the service runs: from a file it is read anew.

use std::{env, path::PathBuf};

use clap::{ArgMatches, parser::ValueSource};
use secrecy::SecretString;

use super::{Database, Origin, environment::file_variable, file, text};
use crate::store::pool::{DatabaseUrl, Engine};

const KEY: &str = "database_url";

impl Origin {
    /// Of the URL among these settings.
    pub fn of(matches: &ArgMatches) -> Self {
        // the lower layers are given to clap as defaults
        if matches.value_source(KEY) != Some(ValueSource::DefaultValue) {
            return Self::Fixed;
        }
        if let Some(path) = env::var_os(file_variable(KEY)) {
            return Self::File(path.into());
        }
        let config = matches.try_get_one::<PathBuf>("config").ok().flatten();
        config.map_or(Self::Fixed, |path| Self::Config(path.clone()))
    }

    /// What stands there now, if anything can be read.
    fn read(&self) -> Option<SecretString> {
        let url = match self {
            Self::Fixed => None,
            Self::File(path) => text::value(path).ok(),
            Self::Config(path) => file::read(path).ok()?.remove(KEY),
        };
        url.map(SecretString::from)
    }
}

impl Database {
    /// The URL, as it is whenever a connection is made.
    pub fn url(&self) -> DatabaseUrl {
        let origin = self.origin.clone();
        DatabaseUrl::new(self.database_url.clone(), move || origin.read()).with(self.engine())
    }

    /// What is behind it.
    pub fn engine(&self) -> Engine {
        if self.database_distributed { Engine::Distributed } else { Engine::Single }
    }
}
