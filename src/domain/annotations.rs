//! The inviting platform's own references on an invitation.

use std::collections::BTreeMap;
use std::fmt;

use super::FieldFault;

/// The most pairs of one invitation.
const MOST: usize = 16;
const LONGEST_PREFIX: usize = 253;
const LONGEST_NAME: usize = 63;
/// In characters.
const LONGEST_VALUE: usize = 256;

/// Keys with values, sorted by key. What they say is nobody's but the platform's.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Annotations(BTreeMap<String, String>);

/// What is wrong with annotations: which key, in which way, and the rule. No key: the map as a whole, or a key that is
/// too long or too strange to be repeated.
pub type AnnotationFault = (Option<String>, FieldFault, &'static str);

impl Annotations {
    /// Takes up to 16 pairs, or says what is wrong with each of them.
    pub fn parse(pairs: BTreeMap<String, String>) -> Result<Self, Vec<AnnotationFault>> {
        if pairs.len() > MOST {
            return Err(vec![(None, FieldFault::TooMany, "must have at most 16 pairs")]);
        }
        let faults = pairs.iter().filter_map(|(key, value)| fault(key, value)).collect::<Vec<_>>();
        if faults.is_empty() { Ok(Self(pairs)) } else { Err(faults) }
    }

    /// What the database holds, which was parsed before it was stored.
    pub fn stored(pairs: BTreeMap<String, String>) -> Self {
        Self(pairs)
    }

    /// By key.
    pub fn pairs(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

/// It shows nothing: neither logs nor spans may hold what stands in annotations.
impl fmt::Debug for Annotations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Annotations").finish_non_exhaustive()
    }
}

/// Whether it is a key as those of Kubernetes' annotations: a name and, if wanted, a DNS name and `/` before it.
pub fn is_annotation_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_prefix(prefix) && is_name(name),
        None => is_name(text),
    }
}

/// Whether it has 1 to 256 characters, none of them a control character.
pub fn is_annotation_value(text: &str) -> bool {
    value_fault(text).is_none()
}

fn is_name(text: &str) -> bool {
    let at_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= LONGEST_NAME
        && at_end(bytes.first())
        && at_end(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn is_prefix(text: &str) -> bool {
    let is_small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().copied().is_some_and(is_small)
            && bytes.last().copied().is_some_and(is_small)
            && bytes.iter().all(|byte| is_small(*byte) || *byte == b'-')
    };
    text.len() <= LONGEST_PREFIX && text.split('.').all(is_label)
}

fn fault(key: &str, value: &str) -> Option<AnnotationFault> {
    if let Some((fault, rule)) = key_fault(key) {
        // a few words that can be read are repeated, so that whoever sent several finds it
        let is_plain = |char: char| (char.is_ascii_graphic() || char == ' ') && char != '"' && char != '\\';
        let shown = (key.len() <= LONGEST_NAME && key.chars().all(is_plain)).then(|| key.to_owned());
        return Some((shown, fault, rule));
    }
    value_fault(value).map(|(fault, rule)| (Some(key.to_owned()), fault, rule))
}

fn key_fault(key: &str) -> Option<(FieldFault, &'static str)> {
    let fault = match key.len() {
        0 => FieldFault::Missing,
        length if length > LONGEST_PREFIX + 1 + LONGEST_NAME => FieldFault::TooLong,
        _ if !is_annotation_key(key) => FieldFault::Malformed,
        _ => return None,
    };
    Some((fault, "must have a key such as ticket or example.com/ticket, its name at most 63 characters"))
}

fn value_fault(value: &str) -> Option<(FieldFault, &'static str)> {
    let fault = match value.chars().take(LONGEST_VALUE + 1).count() {
        0 => FieldFault::Missing,
        length if length > LONGEST_VALUE => FieldFault::TooLong,
        _ if value.contains(char::is_control) => FieldFault::Malformed,
        _ => return None,
    };
    Some((fault, "must have 1 to 256 characters and no control characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn keys_are_those_of_kubernetes() {
        let (name, label) = ("n".repeat(63), "d".repeat(251));
        let longest = format!("{label}.e/{name}");
        for good in ["a", "Ticket", "9", "a.b-c_D", "example.com/ticket", "e/1", "a-b.c9/X", &name, &longest] {
            assert!(is_annotation_key(good), "{good}");
        }
        let (long_name, long_prefix) = ("n".repeat(64), format!("{}/a", "d".repeat(254)));
        for bad in [
            "",
            "-a",
            "a-",
            ".a",
            "a.",
            "_a",
            "a_",
            "a b",
            "ä",
            "a\0",
            "a/",
            "/a",
            "a/b/c",
            "A/b",
            "a..b/c",
            "-a/b",
            "a-/b",
            ".a/b",
            "a./b",
            "a_b/c",
            "a:b",
            "a\"",
            &long_name,
            &long_prefix,
        ] {
            assert!(!is_annotation_key(bad), "{bad}");
        }
    }

    #[test]
    fn values_have_characters_that_can_be_read() {
        for good in ["a", " ", "OPS-7", "Müller & Söhne, \"quoted\" \\", &"ü".repeat(256)] {
            assert!(is_annotation_value(good), "{good}");
        }
        for bad in ["", "a\0", "a\nb", "\t", "\u{7f}", "\u{85}", &"ü".repeat(257)] {
            assert!(!is_annotation_value(bad), "{bad}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_without_a_value() {
        let bad =
            pairs(&[("a b", "secret"), ("bad\n", "x"), ("empty", ""), ("good", "x"), ("x/y/z", ""), ("z", "a\nb")]);
        let faults = Annotations::parse(bad).unwrap_err();
        let told = faults.iter().map(|(key, fault, _)| (key.as_deref(), *fault)).collect::<Vec<_>>();
        assert_eq!(
            told,
            [
                (Some("a b"), FieldFault::Malformed),
                (None, FieldFault::Malformed),
                (Some("empty"), FieldFault::Missing),
                (Some("x/y/z"), FieldFault::Malformed),
                (Some("z"), FieldFault::Malformed),
            ]
        );
        assert!(faults.iter().all(|(.., rule)| rule.len() <= 100));
    }

    #[test]
    fn there_are_at_most_sixteen() {
        let many = |count: usize| (0..count).map(|n| (format!("k{n}"), "v".to_owned())).collect::<BTreeMap<_, _>>();
        assert_eq!(Annotations::parse(many(16)).unwrap().pairs().len(), 16);
        assert_eq!(Annotations::parse(many(17)).unwrap_err()[0].1, FieldFault::TooMany);
        assert_eq!(Annotations::parse(BTreeMap::new()), Ok(Annotations::default()));
    }

    #[test]
    fn nothing_of_them_is_printed() {
        let annotations = Annotations::parse(pairs(&[("ticket", "OPS-7")])).unwrap();
        assert_eq!(format!("{annotations:?}"), "Annotations { .. }");
    }
}
