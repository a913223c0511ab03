//! Names that people choose and that end up in emails to strangers.

/// What is wrong with a display name; the text completes "{field} …".
pub const DISPLAY_NAME_RULE: &str = "must be 1 to 64 characters without control or bidirectional characters, \
     without < > @ and without anything that reads as a link (write a space after a full stop)";

/// A name of an organization or a person, safe to show in an email.
///
/// Invitation emails are a well-known relay for phishing: whoever chooses a display name chooses words that we send to
/// strangers. So it is short and holds no address and nothing that a mail program would turn into a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DisplayName(String);

impl DisplayName {
    /// Takes 1 to 64 characters; outer white space is refused, not trimmed, so that what was sent is what is stored.
    pub fn parse(text: &str) -> Option<Self> {
        let length = text.chars().count();
        let good = (1..=64).contains(&length)
            && text.trim() == text
            && !text.chars().any(is_refused)
            && !text.contains("//")
            && !reads_as_a_link(text);
        good.then(|| Self(text.to_owned()))
    }

    /// A value that the database holds, which was parsed before it was stored.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_refused(c: char) -> bool {
    c.is_control()
        || matches!(c, '<' | '>' | '@' | '\u{ff20}' | '\u{fe6b}')
        // invisible and bidirectional characters, and those that some programs take for a line break
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A dot between a letter or digit and two letters: `example.com`, also with the dots of other scripts.
fn reads_as_a_link(text: &str) -> bool {
    let chars = text.chars().collect::<Vec<_>>();
    chars.windows(4).any(|w| {
        w[0].is_alphanumeric()
            && matches!(w[1], '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}' | '\u{2024}')
            && w[2].is_alphabetic()
            && w[3].is_alphabetic()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_and_companies_pass() {
        for good in
            ["Acme Inc.", "Müller & Söhne GmbH & Co. KG", "J. R. Smith", "A.B.C", "株式会社", "O'Brien", "Team 1.5"]
        {
            assert!(DisplayName::parse(good).is_some(), "{good}");
        }
    }

    #[test]
    fn what_reads_as_a_link_or_hides_something_is_refused() {
        for bad in [
            "",
            " a",
            "a ",
            "a\nb",
            "a\r\nBcc: x",
            "a\0",
            "visit example.com",
            "http://x",
            "//x",
            "www.x.yz",
            "evil。com",
            "anna@example.com",
            "<b>",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\u{2028}b",
            "pay．now",
            &"a".repeat(65),
        ] {
            assert!(DisplayName::parse(bad).is_none(), "{bad:?}");
        }
    }
}
