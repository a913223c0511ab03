//! The table of settings in the README, from the one definition that `--help` has too.

use clap::{Arg, Args, Command};

use super::{Settings, environment};

/// A Markdown table with a row for each setting.
pub fn markdown() -> String {
    let head = "| setting | environment variable | default | meaning |\n|---|---|---|---|\n".to_owned();
    let settings = environment::with_variables(Settings::augment_args(Command::new("invitations")));
    settings.get_arguments().fold(head, |table, arg| table + &row(arg))
}

fn row(arg: &Arg) -> String {
    let code = |text: &str| format!("`{text}`");
    let default = match arg.get_default_values() {
        [value] if !value.is_empty() => code(&value.to_string_lossy()),
        _ if arg.is_required_set() => "required".to_owned(),
        _ => "–".to_owned(),
    };
    let values = arg.get_possible_values().iter().map(|value| code(value.get_name())).collect::<Vec<_>>();
    let choice = if values.is_empty() { String::new() } else { format!(": {}", values.join(" or ")) };
    let variable = arg.get_env().unwrap_or_default().to_string_lossy();
    let meaning = arg.get_help().map(ToString::to_string).unwrap_or_default();
    format!("| {} | {} | {default} | {meaning}{choice} |\n", code(arg.get_id().as_str()), code(&variable))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_row_says_what_the_setting_means() {
        for row in markdown().lines() {
            let cells = row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
            assert_eq!(cells.len(), 4, "{row}");
            assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
        }
    }

    #[test]
    fn the_readme_has_the_settings_as_they_are() {
        let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap_or_default();
        let rest = readme.split_once("<!-- settings -->").map_or("", |(_, rest)| rest);
        let table = rest.split_once("<!-- /settings -->").map_or("", |(table, _)| table);
        let expected = markdown();
        assert!(table.trim() == expected.trim(), "between the marks in README.md there has to be:\n\n{expected}");
    }
}
