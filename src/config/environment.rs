//! What the environment says: `INVITATIONS_<KEY>` is the value of a setting, `INVITATIONS_<KEY>_FILE` the path of a file
//! that holds it, which is how container platforms hand over secrets.

use std::{collections::BTreeMap, env};

use clap::Command;

use super::{
    Error,
    keys::{RENAMED, keys, variable},
    text,
};

/// Variables that are no settings: where they stand; for `dev`, where Postgres is and whether it may be fetched; and what
/// `import` reads.
const OTHERS: [&str; 7] = [
    "INVITATIONS_CONFIG",
    "INVITATIONS_PG_BIN",
    "INVITATIONS_PG_FETCH",
    "INVITATIONS_ENDPOINT",
    "INVITATIONS_TOKEN",
    "INVITATIONS_TOKEN_FILE",
    "INVITATIONS_CA_FILE",
];

/// Lets clap read each setting's variable.
pub(super) fn with_variables(command: Command) -> Command {
    let keys = keys();
    command.mut_args(|arg| {
        let key = arg.get_id().to_string();
        if keys.contains(&key) { arg.env(variable(&key)).hide_env_values(true) } else { arg }
    })
}

/// The values that stand in files, of a command's settings. A variable of a setting that has another name now is an
/// error: without it the service would lack what it did before.
pub(super) fn from_files(command: &Command) -> Result<BTreeMap<String, String>, Error> {
    let is_argument = |key: &String| command.get_arguments().any(|arg| arg.get_id() == key);
    let is_set = |key: &str| [variable(key), file_variable(key)].iter().any(|name| env::var_os(name).is_some());
    for (old, new) in RENAMED {
        if is_set(old) && is_argument(&new.to_owned()) {
            return Err(Error::setting(old, &format!("is called {new} ({}) now", variable(new))));
        }
    }
    let mut values = BTreeMap::new();
    for key in keys().into_iter().filter(is_argument) {
        let name = variable(&key);
        let here = env::var_os(&name);
        if here.as_ref().is_some_and(|value| value.to_str().is_none()) {
            return Err(Error::setting(&key, "must be UTF-8"));
        }
        let Some(path) = env::var_os(file_variable(&key)) else { continue };
        if here.is_some() {
            return Err(Error::setting(&key, &format!("{} is set too: keep one of the two", file_variable(&key))));
        }
        let text = text::value(path.as_ref()).map_err(|error| {
            Error::setting(
                &key,
                // where a path should be, the value itself may stand
                &format!("cannot read the file that {} names: {error}", file_variable(&key)),
            )
        })?;
        values.insert(key, text);
    }
    Ok(values)
}

/// Variables that look like ours and are not: a typing error, or what Kubernetes injects for a Service of that name.
pub fn unknown_variables() -> Vec<String> {
    let known = keys().iter().flat_map(|key| [variable(key), file_variable(key)]).collect::<Vec<_>>();
    let is_known = |name: &String| known.contains(name) || OTHERS.contains(&name.as_str());
    let names = env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let mut unknown = names.filter(|name| name.starts_with("INVITATIONS_") && !is_known(name)).collect::<Vec<_>>();
    unknown.sort();
    unknown
}

pub(super) fn file_variable(key: &str) -> String {
    format!("{}_FILE", variable(key))
}
