//! The files with keys: a line for each, an id, a blank, and at least 32 random bytes in base64.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::text::without_mark;
use crate::domain::{AddressKey, CodeKey, CodeKeys};

/// Permission to read, for users who are neither owner nor of the group.
const EVERYBODY_READS: u32 = 0o004;

/// The keys that invitation codes are made with. An error names the line and never what stands there, nor a path that
/// leads nowhere: it may be the key itself.
pub(super) fn code_keys(path: &str) -> Result<CodeKeys, String> {
    parse(&read(path)?).map_err(|error| format!("{path}: {error}"))
}

/// The one key under which addresses are hashed.
pub(super) fn address_key(path: &str) -> Result<AddressKey, String> {
    parse_address_key(&read(path)?).map_err(|error| format!("{path}: {error}"))
}

fn read(path: &str) -> Result<String, String> {
    let cannot = |error: io::Error| format!("cannot read the file: {error}");
    let mut file = File::open(path).map_err(cannot)?;
    if file.metadata().map_err(cannot)?.permissions().mode() & EVERYBODY_READS != 0 {
        return Err(format!("every user of this machine can read {path}: chmod o= it"));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(cannot)?;
    Ok(text)
}

/// What each line holds, as the kind of key that it is.
fn keys<K>(text: &str, key: impl Fn(String, Vec<u8>) -> Option<K>) -> Result<Vec<K>, String> {
    // files that were put together have a mark in their middle, too
    let lines = text.lines().map(|line| without_mark(line).trim()).enumerate();
    let keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(|(n, line)| {
        let rule = || {
            let rule = "must be an id, a blank and at least 32 random bytes in base64, and the id must be all visible";
            format!("line {} {rule}", n + 1)
        };
        let parts = line.split_once(char::is_whitespace).filter(|(id, _)| !id.contains(is_invisible));
        let parts = parts.and_then(|(id, secret)| Some((id.to_owned(), STANDARD.decode(secret.trim()).ok()?)));
        parts.and_then(|(id, secret)| key(id, secret)).ok_or_else(rule)
    });
    keys.collect()
}

/// In an id it would make another one that looks the same.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn parse_address_key(text: &str) -> Result<AddressKey, String> {
    let mut keys = keys(text, |_, secret| AddressKey::new(secret))?;
    let only = keys.pop().filter(|_| keys.is_empty());
    only.ok_or_else(|| "must have exactly one key: another one would forget every suppression".to_owned())
}

fn parse(text: &str) -> Result<CodeKeys, String> {
    let keys = keys(text, CodeKey::new)?;
    CodeKeys::new(keys).ok_or_else(|| "must have at least one key, each with an id of its own".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    #[test]
    fn the_first_key_makes_new_codes_and_the_others_are_known() {
        let keys = parse(&format!("# of 2026\n\nnew {SECRET}\n old\t{SECRET}\r\n")).unwrap();
        assert_eq!(keys.first().id, "new");
        assert!(keys.get("old").is_some());
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_an_id() {
        for text in [
            format!("\u{feff}k1 {SECRET}\n"),
            format!("\u{feff}# of 2026\r\nk1 {SECRET}\r\n"),
            format!("\u{feff}\n  k1\u{a0}{SECRET}"),
            format!("k0 {SECRET}\n\u{feff}k1 {SECRET}\n"),
        ] {
            assert!(parse(&text).unwrap().get("k1").is_some(), "{text:?}");
        }
        assert!(parse_address_key(&format!("\u{feff}a1 {SECRET}")).is_ok());
        // the neighbours: the same mark twice, within an id, and other marks without width
        for text in ["\u{feff}\u{feff}k1", "k\u{feff}1", "k1\u{200b}", "\u{2060}k1", "k\u{ad}1", "k\u{7}1"] {
            let error = parse(&format!("{text} {SECRET}")).unwrap_err();
            assert!(error.starts_with("line 1 must be an id"), "{error}");
        }
    }

    #[test]
    fn there_is_one_address_key() {
        assert!(parse_address_key(&format!("a1 {SECRET}\n")).is_ok());
        for wrong in [String::new(), SECRET[4..].to_owned(), format!("a1 {SECRET}\na2 {SECRET}")] {
            let error = parse_address_key(&wrong).unwrap_err();
            assert!(error.contains("must") && !error.contains("AAAA"), "{error}");
        }
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
