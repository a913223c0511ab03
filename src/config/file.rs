//! The configuration file: TOML, whose values become the texts that a variable would have.

use std::{collections::BTreeMap, fs, path::Path};

use toml::{Table, Value};

use super::{
    Error,
    keys::{keys, renamed},
    text::without_mark,
};

/// Reads the file; every key has to be a setting.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let problem = |problem: &str| Error::setting("config", &format!("{}: {problem}", path.display()));
    let text = fs::read_to_string(path)
        .map_err(|error| Error::setting("config", &format!("the file cannot be read: {error}")))?;
    parse(without_mark(&text)).map_err(|error| problem(&error))
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let table = text.parse::<Table>().map_err(|error| {
        let line = text[..error.span().map_or(0, |span| span.start)].matches('\n').count() + 1;
        // the parser's words may hold what stands there
        format!("line {line} is not TOML, as a text without quotes or the same key twice")
    })?;
    let mut values = BTreeMap::new();
    flatten("", table, &mut values)?;
    let known = keys();
    let said = |key: &String| renamed(key).map_or(key.clone(), |new| format!("{key} (is called {new} now)"));
    let unknown = values.keys().filter(|key| !known.contains(key)).map(said).collect::<Vec<_>>();
    if unknown.is_empty() { Ok(values) } else { Err(format!("no such setting: {}", unknown.join(", "))) }
}

fn flatten(prefix: &str, table: Table, values: &mut BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        let text = match value {
            Value::Table(table) => {
                flatten(&format!("{key}_"), table, values)?;
                continue;
            }
            Value::String(text) => text,
            Value::Array(_) => serde_json::to_string(&value).map_err(|error| format!("{key}: {error}"))?,
            other => other.to_string(),
        };
        if values.insert(key.clone(), text).is_some() {
            return Err(format!("{key} is there twice, once in a table"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_join_with_underscores_and_lists_become_json() {
        let text = r#"
            reflection = false
            reserved_names = ["acme"]
            [database]
            url = "postgres://localhost/hub"
            [smtp]
            port = 25
            [[issuers]]
            id = "entra"
            tenants = ["t"]
        "#;
        let expected = [
            ("database_url", "postgres://localhost/hub"),
            ("issuers", r#"[{"id":"entra","tenants":["t"]}]"#),
            ("reflection", "false"),
            ("reserved_names", r#"["acme"]"#),
            ("smtp_port", "25"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(parse(text), Ok(BTreeMap::from(expected)));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        for (text, expected) in [
            ("databse_url = 'x'\n[smtp]\nhots = 'x'", "no such setting: databse_url, smtp_hots"),
            ("config = 'x'", "no such setting: config"),
            ("[metrics]\nlisten = 'x'", "no such setting: metrics_listen (is called admin_listen now)"),
            ("smtp_host = 'x'\n[smtp]\nhost = 'x'", "smtp_host is there twice, once in a table"),
        ] {
            assert_eq!(parse(text), Err(expected.to_owned()));
        }
        let error = parse("listen = 'x'\nlog_level = info\n").unwrap_err();
        assert!(error.starts_with("line 2 is not TOML, ") && !error.contains('\n'), "{error}");
    }
}
