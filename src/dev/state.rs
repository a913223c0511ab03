//! The directory that holds everything of `dev`.

use std::fmt::Display;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Error;
use super::issuer::{self, Provider};
use crate::config;

/// Who owns the demo organization.
pub(super) const OWNER: &str = "olga";

const MAILBOX: &str = "mailbox";
const CODE_KEYS: &str = "code-keys";
const ADDRESS_KEY: &str = "address-key";
/// What `--fresh` removes beside the database: what `dev` made, and nothing else that may lie there.
const MADE_BY_US: [&str; 5] = [MAILBOX, CODE_KEYS, ADDRESS_KEY, "issuer", "issuer.jwks"];
/// How often the default of a limit its value here is.
const GENEROUS: u32 = 100;
/// The permission bit of folders that all users share, such as `/tmp`.
const STICKY: u32 = 0o1000;

/// The limits of production, so generous that nobody meets them by accident. The pause between two emails of an
/// invitation, RESENT_TOO_SOON, is the same.
fn limits() -> impl Iterator<Item = (String, String)> {
    let limits = config::defaults().into_iter().filter(|(key, _)| key.ends_with("_limit"));
    limits.filter_map(|(key, default)| Some((key, (GENEROUS * default.parse::<u32>().ok()?).to_string())))
}

/// The directory, locked for as long as this lives: two services on one state would lose track of it.
#[derive(Debug)]
pub struct State {
    pub dir: PathBuf,
    _lock: File,
}

impl State {
    /// Makes the directory if it is missing; only its owner may look inside.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let failed = |what: &str, why: &dyn Display| {
            Error::new(format!("{what} {}, choose another --dir: {why}", dir.display()))
        };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|error| failed("cannot make", &error))?;
        let permissions = fs::metadata(dir)?.permissions();
        if permissions.mode() & STICKY != 0 {
            return Err(failed("cannot take", &"all users of this machine share it"));
        }
        let closed = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
        closed.map_err(|error| failed("cannot protect", &error))?;
        let dir = dir.canonicalize()?;
        let lock = File::create(dir.join("dev.lock")).map_err(|error| failed("cannot write to", &error))?;
        if lock.try_lock().is_err() {
            return Err(Error::new(format!(
                "another `invitations dev` runs on {}: stop it or choose another --dir",
                dir.display()
            )));
        }
        Ok(Self { dir, _lock: lock })
    }

    /// Each email that was caught is a file in here.
    pub fn mailbox(&self) -> PathBuf {
        self.dir.join(MAILBOX)
    }

    /// A token of the demo organization's owner.
    pub fn owner_token(&self) -> Result<String, Error> {
        let email = format!("{OWNER}@acme.example");
        issuer::user_token(&self.dir, OWNER, Some(&email), true, Provider::Github).map_err(Error::from)
    }

    /// The settings of the service here, by their keys; the environment may override them.
    pub fn settings(
        &self,
        database_url: &str,
        listen: SocketAddr,
        smtp: SocketAddr,
    ) -> Result<Vec<(String, String)>, Error> {
        let issuers = issuer::entries(&self.dir)?;
        let issuers = serde_json::to_string(&issuers).map_err(Error::from_display)?;
        let own = [
            ("listen", listen.to_string()),
            ("database_url", database_url.to_owned()),
            ("public_base_url", "http://localhost:8080".to_owned()),
            ("code_keys_file", self.key_file(CODE_KEYS)?.display().to_string()),
            ("address_key_file", self.key_file(ADDRESS_KEY)?.display().to_string()),
            ("issuers", issuers),
            ("accounts_create_organizations", "true".to_owned()),
            ("smtp_host", smtp.ip().to_string()),
            ("smtp_port", smtp.port().to_string()),
            ("smtp_tls", "none".to_owned()),
            ("mail_from", "IPMHub <invitations@ipmhub.example>".to_owned()),
            ("endpoint_delay_seconds", "0".to_owned()),
            ("drain_timeout_seconds", "3".to_owned()),
            ("log_format", "text".to_owned()),
            ("log_level", "warn".to_owned()),
        ];
        let own = own.map(|(key, value)| (key.to_owned(), value));
        Ok(own.into_iter().chain(limits()).collect())
    }

    /// A file with a key of this directory's own, made on first use.
    fn key_file(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.dir.join(name);
        if !path.exists() {
            let line = format!("dev {}\n", STANDARD.encode(rand::random::<[u8; 32]>()));
            let new = self.dir.join(format!("{name}.new"));
            let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
            file.and_then(|mut file| file.write_all(line.as_bytes()))?;
            // renamed, so that a start that is cut off leaves no half of a key
            fs::rename(&new, &path)?;
        }
        Ok(path)
    }

    /// Removes what earlier runs made, but the database.
    pub(super) fn clear(&self) -> Result<(), Error> {
        for name in MADE_BY_US {
            let path = self.dir.join(name);
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }
}
