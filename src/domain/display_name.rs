//! Names that people choose and that end up in emails to strangers.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// What is wrong with a display name; the text completes "{field} …".
pub const DISPLAY_NAME_RULE: &str = "must be 1 to 64 characters without control or bidirectional characters, \
     without < > @ and without anything that reads as a link, an address or a phone number (write a space after a full stop)";

/// What begins a link without `//`, where something follows at once.
const SCHEMES: [&str; 19] = [
    "callto",
    "cid",
    "data",
    "facetime",
    "file",
    "ftp",
    "geo",
    "http",
    "https",
    "javascript",
    "magnet",
    "mailto",
    "sip",
    "skype",
    "sms",
    "ssh",
    "tel",
    "vbscript",
    "xmpp",
];
/// Top-level domains by which people know a domain that no program would link: `evil dot com`.
const SPOKEN: [&str; 13] =
    ["com", "net", "org", "info", "biz", "xyz", "io", "app", "dev", "online", "site", "click", "link"];
/// So many digits in a row may be a phone number, whatever stands between them.
const PHONE_DIGITS: usize = 7;

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
        let read = skeleton(text);
        let good = (1..=64).contains(&length)
            && text.trim() == text
            && !text.chars().chain(read.chars()).any(is_refused)
            // RFC 2047: mail programs decode it, to whatever it says
            && !read.contains("=?")
            && !is_linked(&read)
            && !reads_as_a_domain(&read)
            && !reads_as_numbers(&read);
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
        || matches!(c, '<' | '>' | '@')
        // bidirectional characters, those that some programs take for a line break, and what shows nothing (Unicode's
        // Default_Ignorable_Code_Point and the empty Braille pattern): a name of it is empty, a link with it is no link
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// What the name may be taken for: in lower case, without accents, with all that looks like it for a letter, a dot or a
/// slash.
fn skeleton(text: &str) -> String {
    let plain = |c: char| match c {
        // Unicode's confusables of the full stop, and the ideographic one, which browsers take for it
        '\u{660}' | '\u{6d4}' | '\u{6f0}' | '\u{701}' | '\u{702}' | '\u{3002}' | '\u{a4f8}' | '\u{a60e}'
        | '\u{10a50}' | '\u{1d16d}' => '.',
        '\u{2044}' | '\u{2215}' | '\u{29f8}' => '/',
        '\u{2236}' | '\u{a789}' => ':',
        c => c,
    };
    text.nfkd().map(plain).filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

/// Whether a mail program would make a link of it: a scheme, a host without one, a file share, a domain.
fn is_linked(text: &str) -> bool {
    let starts_a_link = |word: &str| {
        let has_scheme = |(scheme, rest): (&str, &str)| {
            SCHEMES.contains(&scheme.trim_start_matches(|c: char| !c.is_alphanumeric())) && !rest.is_empty()
        };
        word.starts_with("www.") || word.split_once(':').is_some_and(has_scheme)
    };
    let chars = text.chars().collect::<Vec<_>>();
    // `example.com`, and neither `.NET` nor `J. Smith` nor `1.5`
    let is_domain = chars.windows(4).any(|w| {
        let opens = w[0].is_whitespace() || matches!(w[0], '.' | '(' | '[' | '{' | '"' | '\'');
        !opens && w[1] == '.' && w[2].is_alphabetic() && w[3].is_alphabetic()
    });
    is_domain || text.contains("//") || text.contains("\\\\") || text.split_whitespace().any(starts_a_link)
}

/// Whether people would make a domain of it: `evil dot com`, `evil[.]com`, `evil·com`, `evil . com`.
fn reads_as_a_domain(text: &str) -> bool {
    let raised =
        |c: char| matches!(c, '\u{b7}' | '\u{2022}' | '\u{2027}' | '\u{2219}' | '\u{22c5}' | '\u{25cf}' | '\u{30fb}');
    // the one that begins a name of its own
    let text = text.replace(" .net", " dotnet").replace("(.net", "(dotnet");
    let spaced = |c: char| if c == '.' || raised(c) { " . ".to_owned() } else { c.to_string() };
    let text = text.chars().map(spaced).collect::<String>();
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '.').filter(|word| !word.is_empty());
    let words = words.collect::<Vec<_>>();
    words.windows(3).any(|w| w[0] != "." && matches!(w[1], "." | "dot") && SPOKEN.contains(&w[2]))
}

/// Whether it holds a phone number, or an address of the internet such as `192.0.2.1`.
fn reads_as_numbers(text: &str) -> bool {
    let phone = text.split(|c: char| !c.is_numeric() && !c.is_whitespace() && !"+-./()".contains(c));
    let mut ip = text.split(|c: char| !c.is_numeric() && c != '.');
    phone.into_iter().any(|run| run.chars().filter(|c| c.is_numeric()).count() >= PHONE_DIGITS)
        || ip.any(|run| run.split('.').filter(|part| !part.is_empty()).count() >= 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_and_companies_pass() {
        for good in [
            "Acme Inc.",
            "Müller & Söhne GmbH & Co. KG",
            "J. R. Smith",
            "A.B.C",
            "株式会社",
            "O'Brien",
            "Team 1.5",
            ".NET Foundation",
            "The (.NET) People",
            "Col·legi de Metges",
            "コカ・コーラ",
            "re:publica",
            "C++ / Rust",
            "J. de Vries",
            "Studio 54",
            "Expo 2026",
            "Polka dot design",
            "Dot Com Ltd",
            "שלום בע\"מ",
            "Łódź",
            "Q&A: Data",
            "Foo… Bar",
        ] {
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
            "http：／／x",
            "mailto:anna",
            "(tel:112)",
            "\\\\server\\share",
            "evil dot com",
            "evil[.]com",
            "evil (dot) com",
            "evil . com",
            "evil·com",
            "evil٠com",
            "evil.c\u{334}om",
            "ｅｖｉｌ.ｃｏｍ",
            "www.1",
            "call +1 800 555 0199",
            "192.0.2.1",
            "=?utf-8?q?evil=2Ecom?=",
            "＜b＞",
            "anna＠example",
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
