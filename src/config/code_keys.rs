//! The file with the keys that invitation codes are made with.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::domain::{CodeKey, CodeKeys};

/// Permission to read, for users who are neither owner nor of the group.
const EVERYBODY_READS: u32 = 0o004;

/// Reads the file. An error names the line and never what stands there.
pub(super) fn read(path: &str) -> Result<CodeKeys, String> {
    let cannot = |error: io::Error| format!("cannot read {path}: {error}");
    let mut file = File::open(path).map_err(cannot)?;
    if file.metadata().map_err(cannot)?.permissions().mode() & EVERYBODY_READS != 0 {
        return Err(format!("every user of this machine can read {path}: chmod o= it"));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(cannot)?;
    parse(&text).map_err(|error| format!("{path}: {error}"))
}

fn parse(text: &str) -> Result<CodeKeys, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let keys = lines.map(|(n, line)| {
        let rule = || format!("line {} must be an id, a blank and at least 32 random bytes in base64", n + 1);
        key(line).ok_or_else(rule)
    });
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    CodeKeys::new(keys).ok_or_else(|| "must have at least one key, each with an id of its own".to_owned())
}

fn key(line: &str) -> Option<CodeKey> {
    let (id, secret) = line.trim().split_once(char::is_whitespace)?;
    CodeKey::new(id.to_owned(), STANDARD.decode(secret.trim()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    #[test]
    fn the_first_key_makes_new_codes_and_the_others_are_known() {
        let keys = parse(&format!("# of 2026\n\nnew {SECRET}\n old\t{SECRET}\r\n")).unwrap();
        assert_eq!(keys.newest().id, "new");
        assert!(keys.get("old").is_some());
    }

    #[test]
    fn a_wrong_line_is_named_and_not_shown() {
        let short = &SECRET[4..];
        for wrong in [format!("k2 {short}"), format!("k2{SECRET}"), format!("k2 {SECRET} {SECRET}"), short.to_owned()] {
            let error = parse(&format!("k1 {SECRET}\n{wrong}")).unwrap_err();
            assert!(error.starts_with("line 2 must be") && !error.contains("AAAA"), "{error}");
        }
        assert!(parse("").is_err());
        assert!(parse(&format!("k1 {SECRET}\nk1 {SECRET}")).is_err());
    }
}
