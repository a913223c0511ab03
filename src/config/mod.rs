//! The settings: what they are, where they come from, and the one line that says what is wrong with them.
//!
//! Each setting is a flag, an environment variable `INVITATIONS_<KEY>` and a key of the configuration file. A flag wins
//! over the variable, that over the file, that over the built-in default. All values pass the same checks, which are
//! clap's: the lower layers are given to it as defaults.

mod checks;
mod environment;
mod error;
mod file;
mod key_files;
mod layers;
mod settings;
mod table;
mod values;

pub use environment::unknown_variables;
pub use error::Error;
pub use layers::parse;
pub use settings::{Calls, Database, Issuers, Limit, Log, Mail, Names, Settings, Source, Tenancy, Throttles};
pub use table::markdown;
#[cfg(feature = "dev")]
pub(crate) use values::socket_address;

use clap::{Args, Command};

/// The environment variable of a setting.
fn variable(key: &str) -> String {
    format!("INVITATIONS_{}", key.to_ascii_uppercase())
}

/// All settings, as clap knows them.
fn definition() -> Command {
    environment::with_variables(Settings::augment_args(Command::new("invitations")))
}

/// The keys of all settings, in the order of their definition. `config` is none: a file that names another one would
/// have to say which of them wins.
fn keys() -> Vec<String> {
    let definition = Settings::augment_args(Command::new("invitations"));
    definition.get_arguments().map(|arg| arg.get_id().to_string()).filter(|key| key != "config").collect()
}
