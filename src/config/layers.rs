//! From the command line, the environment, the file and the defaults to one value for each setting.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::{Error, Origin, Settings, environment, file, keys};

/// Parses a command line whose subcommands have settings among their arguments.
pub fn parse(cli: Command, args: &[OsString]) -> Result<ArgMatches, Error> {
    let mut cli = cli.mut_subcommands(environment::with_variables);
    // The file has to be known before the rest can be parsed. This first look answers --help, where values of the file
    // have no place, and leaves all errors to the second one.
    let first = cli.clone().ignore_errors(true).try_get_matches_from(args)?;
    if let Some((name, matches)) = first.subcommand() {
        let mut values = match matches.try_get_one::<PathBuf>("config") {
            Ok(Some(path)) => file::read(path)?,
            _ => BTreeMap::new(),
        };
        if let Some(command) = cli.find_subcommand(name) {
            values.extend(environment::from_files(command)?);
        }
        cli = cli.mut_subcommand(name, |command| with_defaults(command, &values));
    }
    Ok(cli.try_get_matches_from(args)?)
}

impl Settings {
    /// The settings of a process that makes its own surroundings, like `dev`: what it has `fixed` is not for the
    /// environment to change; what it has as `defaults` is. No file is read.
    pub fn with_defaults(fixed: &[(&str, String)], defaults: &[(&str, String)]) -> Result<Self, Error> {
        Ok(Self::with_differences(fixed, defaults)?.0)
    }

    /// The same, and what of it is not as the built-in defaults have it.
    pub fn with_differences(
        fixed: &[(&str, String)],
        defaults: &[(&str, String)],
    ) -> Result<(Self, Vec<Difference>), Error> {
        let command = environment::with_variables(Self::augment_args(Command::new("invitations").no_binary_name(true)));
        let mut values =
            defaults.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect::<BTreeMap<_, _>>();
        values.extend(environment::from_files(&command)?);
        let flags = fixed.iter().map(|(key, value)| format!("--{}={value}", key.replace('_', "-")));
        let matches = with_defaults(command, &values).try_get_matches_from(flags)?;
        let mut settings = Self::from_arg_matches(&matches)?;
        settings.database.origin = Origin::of(&matches);
        settings.check()?;
        let difference = |(key, default): (String, String)| {
            let value = matches.get_raw(&key)?.next()?.to_string_lossy().into_owned();
            Some(Difference { key, value, default })
        };
        let all = keys::defaults().into_iter().filter_map(difference);
        Ok((settings, all.filter(|one| one.value != one.default).collect()))
    }
}

/// A setting that has another value than its default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    pub key: String,
    pub value: String,
    pub default: String,
}

/// What is not said on the command line or in the environment is taken from here.
fn with_defaults(command: Command, values: &BTreeMap<String, String>) -> Command {
    command.mut_args(|arg| match values.get(arg.get_id().as_str()) {
        // for clap a default does not make up for a required argument
        Some(value) => arg.required(false).default_value(value.clone()),
        None => arg,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fixed_wins_over_a_default() {
        let setting = |port: &str| [("smtp_port", port.to_owned())];
        let error = |fixed: &[_], defaults: &[_]| Settings::with_defaults(fixed, defaults).unwrap_err().to_string();
        assert!(error(&setting("70001"), &setting("70002")).ends_with(r#"but is "70001""#));
        assert!(error(&setting("25"), &setting("70002")).starts_with("missing settings: database_url "));
        assert!(error(&[], &setting("70002")).ends_with(r#"but is "70002""#));
    }
}
