//! The settings as docs/settings.md shows them, from the one definition that `--help` has too.

use clap::{Arg, Args, Command};

use super::{Settings, environment};

const HEAD: &str = "| setting | environment variable | default | meaning |\n|---|---|---|---|\n";

/// Markdown: a table for each group of settings, and in it a row for each setting.
pub fn markdown() -> String {
    let settings = environment::with_variables(Settings::augment_args(Command::new("invitations")));
    let (mut text, mut group) = (HEAD.to_owned(), None);
    for arg in settings.get_arguments() {
        let heading = arg.get_help_heading();
        if heading != group {
            text.extend(["\n## ", heading.unwrap_or_default(), "\n\n", HEAD]);
            group = heading;
        }
        text += &row(arg);
    }
    text
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
        for row in markdown().lines().filter(|line| line.starts_with('|')) {
            let cells = row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
            assert_eq!(cells.len(), 4, "{row}");
            assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
        }
    }

    #[test]
    fn the_page_has_the_settings_as_they_are() {
        let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md")).unwrap_or_default();
        let rest = page.split_once("<!-- settings -->").map_or("", |(_, rest)| rest);
        let tables = rest.split_once("<!-- /settings -->").map_or("", |(tables, _)| tables);
        let expected = markdown();
        assert!(
            tables.trim() == expected.trim(),
            "between the marks in docs/settings.md there has to be:\n\n{expected}"
        );
    }
}
