//! The cell of an address, as people fill it in.

use crate::domain::{ADDRESS_RULE, EmailAddress};

/// An address and what stood beside it in its cell, for people; mostly nothing.
#[derive(Debug)]
pub(super) struct Understood {
    pub(super) email: EmailAddress,
    pub(super) left_out: Vec<&'static str>,
}

/// Blanks of every kind, and signs that nobody sees and Outlook copies along.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Takes one address, also as `Name <address>`, `<address>`, `mailto:address`, in quotation marks, or with a separator
/// after it. Or says why not; the text completes "the address …".
pub(super) fn understand(cell: &str) -> Result<Understood, &'static str> {
    let mut left_out = Vec::new();
    let mut rest = cell;
    loop {
        let before = rest;
        for (what, take) in FORMS {
            if let Some(inner) = take(rest) {
                rest = inner;
                if !left_out.contains(&what) {
                    left_out.push(what);
                }
            }
        }
        if rest == before {
            break;
        }
    }
    match EmailAddress::parse(rest) {
        Some(email) => Ok(Understood { email, left_out }),
        None if rest.is_empty() => Err("is missing"),
        None if holds_several(cell) => Err("is more than one: write each in a row of its own"),
        None => Err(ADDRESS_RULE),
    }
}

/// Takes something off a text, if it is there.
type Form = fn(&str) -> Option<&str>;

/// What each takes off.
const FORMS: [(&str, Form); 6] = [
    ("blanks", |text| {
        let trimmed = text.trim_matches(is_blank);
        (trimmed.len() < text.len()).then_some(trimmed)
    }),
    ("a separator", |text| text.strip_suffix([',', ';'])),
    ("angle brackets", |text| text.strip_prefix('<')?.strip_suffix('>').filter(|inner| !inner.contains('<'))),
    ("a name", in_angle_brackets),
    ("mailto:", |text| {
        let (scheme, rest) = text.split_at_checked(7)?;
        let is_it = scheme.eq_ignore_ascii_case("mailto:");
        is_it.then(|| rest.split_once('?').map_or(rest, |(address, _)| address))
    }),
    ("quotation marks", |text| {
        let marks = [('"', '"'), ('\'', '\''), ('“', '”'), ('„', '“'), ('‘', '’'), ('«', '»')];
        marks.iter().find_map(|(open, close)| text.strip_prefix(*open)?.strip_suffix(*close))
    }),
];

/// The inner part of `Name <address>`, unless another address stands before it.
fn in_angle_brackets(text: &str) -> Option<&str> {
    let (name, address) = text.strip_suffix('>')?.split_once('<')?;
    let is_another = name.contains('@') && name.contains([',', ';']);
    (!is_another && !address.contains('<')).then_some(address)
}

fn holds_several(cell: &str) -> bool {
    let parts = cell.split(|c: char| is_blank(c) || [',', ';', '/', '|', '<', '>'].contains(&c));
    parts.filter(|part| part.contains('@')).count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood_and_said() {
        for (cell, left_out) in [
            ("anna@example.com", ""),
            (" anna@example.com\u{a0}", "blanks"),
            ("\u{202a}anna@example.com\u{202c}", "blanks"),
            ("anna@example.com\u{200b}", "blanks"),
            ("<anna@example.com>", "angle brackets"),
            ("Anna Berg <anna@example.com>", "a name"),
            ("\"Berg, Anna\" <anna@example.com>", "a name"),
            ("Berg, Anna < anna@example.com >", "a name, blanks"),
            ("anna@example.com <anna@example.com>", "a name"),
            ("mailto:anna@example.com", "mailto:"),
            ("MailTo:anna@example.com?subject=Hello", "mailto:"),
            ("Anna <mailto:anna@example.com>", "a name, mailto:"),
            ("<mailto:anna@example.com>;", "a separator, angle brackets, mailto:"),
            ("'anna@example.com'", "quotation marks"),
            ("„anna@example.com“", "quotation marks"),
            ("anna@example.com; ", "blanks, a separator"),
        ] {
            let understood = understand(cell).unwrap_or_else(|why| panic!("{cell:?}: {why}"));
            assert_eq!(understood.email.typed(), "anna@example.com", "{cell:?}");
            assert_eq!(understood.left_out.join(", "), left_out, "{cell:?}");
        }
        // these signs are of the address
        for own in ["o'neil@example.com", "'x@example.com", "Anna@Example.com", "=1+1@example.com"] {
            assert_eq!(understand(own).unwrap().email.typed(), own);
        }
    }

    #[test]
    fn what_is_none_is_refused_in_words() {
        for empty in ["", "  ", "\u{a0}", "<>", "mailto:", "''"] {
            assert_eq!(understand(empty).unwrap_err(), "is missing", "{empty:?}");
        }
        for several in [
            "anna@example.com, otto@example.com",
            "anna@example.com;otto@example.com",
            "anna@example.com otto@example.com",
            "anna@example.com\notto@example.com",
            "anna@example.com / otto@example.com",
            "Anna <anna@example.com>, Otto <otto@example.com>",
            "anna@example.com; Otto <otto@example.com>",
        ] {
            assert!(understand(several).unwrap_err().starts_with("is more than one"), "{several:?}");
        }
        for bad in ["anna", "anna@example", "anna@@example.com", "anna (home) @example.com", "Anna anna@example.com"] {
            assert_eq!(understand(bad).unwrap_err(), ADDRESS_RULE, "{bad:?}");
        }
    }
}
