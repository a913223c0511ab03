//! The names of settings.

use clap::{Arg, Args, Command};

use super::Settings;

/// Names of earlier releases, and those of today.
pub(super) const RENAMED: [(&str, &str); 1] = [("metrics_listen", "admin_listen")];

/// The keys of all settings, in the order of their definition. `config` is none: a file that names another one would
/// have to say which of them wins.
pub(super) fn keys() -> Vec<String> {
    let definition = Settings::augment_args(Command::new("invitations"));
    definition.get_arguments().map(|arg| arg.get_id().to_string()).filter(|key| key != "config").collect()
}

/// The name of today of a setting that had that one in an earlier release.
pub(super) fn renamed(key: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == key).map(|(_, new)| *new)
}

/// The environment variable of a setting.
pub(super) fn variable(key: &str) -> String {
    format!("INVITATIONS_{}", key.to_ascii_uppercase())
}

/// The settings that have a default, and the defaults.
pub fn defaults() -> Vec<(String, String)> {
    let definition = Settings::augment_args(Command::new("invitations"));
    let default = |arg: &Arg| {
        let [default] = arg.get_default_values() else { return None };
        Some((arg.get_id().to_string(), default.to_string_lossy().into_owned()))
    };
    definition.get_arguments().filter_map(default).filter(|(_, default)| !default.is_empty()).collect()
}
