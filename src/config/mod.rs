//! The settings: what they are, where they come from, and the one line that says what is wrong with them.
//!
//! Each setting is a flag, an environment variable `INVITATIONS_<KEY>` and a key of the configuration file. A flag wins
//! over the variable, that over the file, that over the built-in default. All values pass the same checks, which are
//! clap's: the lower layers are given to it as defaults.

mod checks;
mod database;
mod environment;
mod error;
mod file;
mod key_files;
mod keys;
mod layers;
mod origin;
mod retention;
mod settings;
mod table;
mod text;
mod traces;
mod values;

pub use environment::unknown_variables;
pub use error::Error;
pub use keys::defaults;
pub use layers::{Difference, parse};
pub use origin::Origin;
pub use retention::Retention;
pub use settings::{Calls, Database, Log, Mail, Settings, Source, Tenancy, Throttles};
pub use table::markdown;
pub use traces::Traces;
#[cfg(feature = "dev")]
pub(crate) use values::socket_address;
pub use values::{Age, Issuers, Limit, Names};
