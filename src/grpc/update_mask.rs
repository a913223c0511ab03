//! Whether an update mask names what there is.

use super::fields::{Fields, LONGEST_LIST, is_short};
use crate::domain::FieldFault;

/// How much of a path is shown, in bytes: the longest good one is shorter.
const SHOWN: usize = 40;
/// So many bad paths are named.
const NAMED: usize = 10;

/// Refuses a mask with paths that are none; `known` says in words which are.
pub(super) fn check(fields: &mut Fields, paths: &[String], known: &str, is_path: impl Fn(&str) -> bool) {
    if !is_short(paths) {
        fields.refuse("update_mask", FieldFault::TooMany, format!("must hold at most {LONGEST_LIST} paths"));
        return;
    }
    for bad in paths.iter().filter(|path| !is_path(path)).take(NAMED) {
        fields.refuse("update_mask", FieldFault::UnknownPath, format!("must hold {known}, not \"{}\"", shown(bad)));
    }
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

    fn rules(paths: &[&str]) -> Vec<String> {
        let mut fields = Fields::default();
        let paths = paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        check(&mut fields, &paths, "paths of Organization", |path| path == "locale");
        match fields.finish(|| Some(())) {
            Ok(()) => Vec::new(),
            Err(Refusal::InvalidFields(bad)) => bad.into_iter().map(|bad| bad.rule).collect(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_bad_paths_are_named() {
        assert_eq!(rules(&["locale", "locale"]), [""; 0]);
        let bad = |path: &str| format!("must hold paths of Organization, not \"{path}\"");
        assert_eq!(rules(&["locale", "policy.colour"]), [bad("policy.colour")]);
        assert_eq!(rules(&["policy.colour", "locale", "", "x"]), [bad("policy.colour"), bad(""), bad("x")]);
    }

    #[test]
    fn of_what_a_caller_sends_little_and_only_letters_are_shown() {
        let bad = format!("anna@example.com\n\u{202e}{}", "é".repeat(60_000));
        let rules = rules(&vec![bad.as_str(); LONGEST_LIST]);
        assert_eq!(rules.len(), NAMED);
        assert!(rules[0].is_ascii() && rules[0].len() <= 100, "{rules:?}");
        assert!(rules[0].contains("anna?example.com????"), "{rules:?}");
    }
}
