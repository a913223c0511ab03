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
        // bidirectional characters, those that some programs take for a line break, and what shows nothing (Unicode's
        // Default_Ignorable_Code_Point and the empty Braille pattern): a name of it is empty, a link with it is no link
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
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
            "\u{3164}",
            "\u{115f}\u{1160}",
            "\u{2800}",
            "evil.\u{fe0f}com",
            "evil.\u{34f}com",
            "evil.\u{e0100}com",
            &"a".repeat(65),
        ] {
            assert!(DisplayName::parse(bad).is_none(), "{bad:?}");
        }
    }
}
