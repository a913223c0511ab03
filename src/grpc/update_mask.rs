//! Whether an update mask names what there is.

use super::fields::{Fields, LONGEST_LIST, is_short};
use crate::domain::FieldFault;

/// How much of a path is shown, in bytes: the longest good one is shorter.
const SHOWN: usize = 40;

/// Refuses a mask with paths that are none; `known` says in words which are.
pub(super) fn check(fields: &mut Fields, paths: &[String], known: &str, is_path: impl Fn(&str) -> bool) {
    if !is_short(paths) {
        fields.refuse("update_mask", FieldFault::TooMany, format!("must hold at most {LONGEST_LIST} paths"));
        return;
    }
    let mut bad = paths.iter().filter(|path| !is_path(path));
    let Some(first) = bad.next() else { return };
    let more = match bad.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let rule = format!("must hold {known}, not \"{}\"{more}", shown(first));
    fields.refuse("update_mask", FieldFault::UnknownPath, rule);
}

/// The beginning of a path, in the characters that paths are made of: a caller may send anything.
fn shown(path: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_.*".contains(c) { c } else { '?' };
    path.chars().take(SHOWN).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Refusal;

    fn rule(paths: &[&str]) -> Option<String> {
        let mut fields = Fields::default();
        let paths = paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        check(&mut fields, &paths, "paths of Organization", |path| path == "locale");
        match fields.finish(|| Some(())) {
            Ok(()) => None,
            Err(Refusal::InvalidFields(bad)) => Some(bad[0].rule.clone()),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_bad_path_is_named() {
        assert_eq!(rule(&["locale", "locale"]), None);
        let colour = "must hold paths of Organization, not \"policy.colour\"";
        assert_eq!(rule(&["locale", "policy.colour"]).unwrap(), colour);
        assert_eq!(rule(&["policy.colour", "locale", "", "x"]).unwrap(), format!("{colour} and 2 more"));
    }

    #[test]
    fn of_what_a_caller_sends_little_and_only_letters_are_shown() {
        let bad = format!("anna@example.com\n\u{202e}{}", "é".repeat(60_000));
        let rule = rule(&vec![bad.as_str(); LONGEST_LIST]).unwrap();
        assert!(rule.is_ascii() && rule.len() <= 100, "{rule}");
        assert!(rule.contains("anna?example.com????") && rule.ends_with("\" and 99 more"), "{rule}");
    }
}
