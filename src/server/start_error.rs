//! Why the service does not start.

use std::io;

use crate::{store, traces};

/// Why the service does not start; the text is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("setting database_url (INVITATIONS_DATABASE_URL): is not a Postgres URL")]
    DatabaseUrl,
    #[error("the database cannot be reached: {0}")]
    Database(store::Error),
    #[error("the database lacks {0} migrations: run `invitations migrate`")]
    Schema(usize),
    #[error(
        "setting code_keys_file (INVITATIONS_CODE_KEYS_FILE): the key {0:?} is another secret than this database knows by \
         that id: put the old one back, or give the new one an id of its own"
    )]
    CodeKey(String),
    #[error(
        "setting address_key_file (INVITATIONS_ADDRESS_KEY_FILE): it is another key than the one of this database, whose \
         suppressions would be void: put the old one back"
    )]
    AddressKey,
    #[error(transparent)]
    Settings(crate::config::Error),
    #[error("setting listen (INVITATIONS_LISTEN): {0}")]
    Listen(io::Error),
    #[error("setting admin_listen (INVITATIONS_ADMIN_LISTEN): {0}")]
    Admin(io::Error),
    #[error("setting otlp_endpoint (INVITATIONS_OTLP_ENDPOINT): {0}")]
    Collector(traces::Invalid),
    #[error(transparent)]
    Serve(io::Error),
}
