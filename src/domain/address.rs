//! Email addresses: what was typed, what is written on the wire, and what is compared.

use std::fmt;

use icu_properties::CodePointMapData;
use icu_properties::props::Script;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What is wrong with an address; the text completes "{field} …".
pub const ADDRESS_RULE: &str =
    "must be a plain address like anna@example.com: ASCII before the @, at most 254 bytes, and no link";

/// One address that mail can be sent to.
///
/// The local part is kept as typed and compared in lower case; the domain is compared and sent as its lower-case
/// A-label. `Debug` shows nothing of it, so that no log line can.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress {
    typed: String,
    key: String,
}

impl EmailAddress {
    /// In bytes, as typed and on the wire.
    pub const LONGEST: usize = 254;

    /// Takes a dot-atom local part of ASCII (RFC 5321, at most 64 octets) and a domain of at least two labels.
    /// Quoted local parts, comments, source routes and literals are valid in RFC 5322 and refused here: no person
    /// has one, and each is read differently by some server on the way. So are `%` and `!`, which some take for a
    /// route, `=?`, which some mail programs decode (RFC 2047) wherever it stands, and what they would make a link of:
    /// whoever is invited is named in emails to others.
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > Self::LONGEST {
            return None;
        }
        let (local, domain) = typed.split_once('@')?;
        let domain = a_label(domain)?;
        if !is_dot_atom(local)
            || local.contains("=?")
            || reads_as_a_link(local)
            || local.len() + 1 + domain.len() > Self::LONGEST
        {
            return None;
        }
        Some(Self { typed: typed.to_owned(), key: format!("{}@{domain}", local.to_ascii_lowercase()) })
    }

    /// A pair that the database holds, which was parsed before it was stored.
    pub fn stored(typed: String, key: String) -> Self {
        Self { typed, key }
    }

    /// As the person or the administrator typed it; what the API returns.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// The form that is compared: two addresses are the same if and only if their keys are.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The domain as a lower-case A-label.
    pub fn domain(&self) -> &str {
        self.key.split_once('@').map_or("", |(_, domain)| domain)
    }

    /// The mailbox that it most likely ends up in: for what is counted and suppressed, never for whose an address is.
    ///
    /// A tag is left out (`anna+news`, RFC 5233), and at Google's own domains the dots, which Google ignores. What begins
    /// with the sign is a name of its own, such as a telephone number.
    pub fn mailbox(&self) -> String {
        let (local, domain) = self.key.split_once('@').unwrap_or((&self.key, ""));
        let tag = local.char_indices().skip(1).find(|(_, c)| *c == '+');
        let name = tag.map_or(local, |(begin, _)| &local[..begin]);
        match domain {
            "gmail.com" | "googlemail.com" => format!("{}@gmail.com", name.replace('.', "")),
            _ => format!("{name}@{domain}"),
        }
    }

    /// What goes into `RCPT TO` and `To`: the local part as typed, the domain as an A-label.
    pub fn wire(&self) -> String {
        let local = self.typed.split_once('@').map_or("", |(local, _)| local);
        format!("{local}@{}", self.domain())
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

/// The lower-case A-label of a domain of at least two labels, as policies and addresses compare it. An accent may be a
/// character of its own (NFD), as macOS types it.
pub fn a_label(typed: &str) -> Option<String> {
    if typed.len() > EmailAddress::LONGEST {
        return None;
    }
    // UTS 46 maps or drops zero-width and full-width characters; a domain that needs it was not typed by a person. Nor
    // was one with the signs for Kelvin and Ångström, which are letters to it
    let is_letter = |c: char| c.is_alphanumeric() || is_combining_mark(c) && is_of_a_script(c);
    let domain = &typed.nfc().collect::<String>();
    if domain.is_empty()
        || domain.ends_with('.')
        || typed.chars().any(is_sign_for_a_letter)
        || !domain.chars().all(|c| is_letter(c) || c == '-' || c == '.')
    {
        return None;
    }
    let ascii = idna::domain_to_ascii_strict(domain).ok()?;
    let labels = ascii.split('.').collect::<Vec<_>>();
    let hyphens_inside = |label: &&str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    let top_is_a_name = labels.last().is_some_and(|top| top.starts_with(|c: char| c.is_ascii_alphabetic()));
    let round_trip = idna::domain_to_unicode(&ascii).0 == domain.to_lowercase() || ascii == domain.to_ascii_lowercase();
    (labels.len() >= 2 && ascii.len() <= 253 && labels.iter().all(hyphens_inside) && top_is_a_name && round_trip)
        .then_some(ascii)
}

/// Whether NFC makes another single letter of it.
fn is_sign_for_a_letter(c: char) -> bool {
    let mut letters = std::iter::once(c).nfc();
    letters.next() != Some(c) && letters.next().is_none()
}

/// A mark of one script, such as a vowel sign, and no accent that could stand on any letter.
fn is_of_a_script(mark: char) -> bool {
    !matches!(CodePointMapData::<Script>::new().get(mark), Script::Inherited | Script::Common)
}

fn is_dot_atom(local: &str) -> bool {
    // RFC 5322 atext, without what some servers take for a route
    let atext = |b: u8| b.is_ascii_alphanumeric() || b"#$&'*+-/=?^_`{|}~".contains(&b);
    local.len() <= 64 && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(atext))
}

/// Whether a mail program would make a link of the part before the @, or of its beginning: some of these characters
/// end a domain for it, others are what may follow one.
fn reads_as_a_link(local: &str) -> bool {
    let ends_like_a_domain = |part: &str| {
        part.rsplit_once('.').is_some_and(|(_, top)| top.len() >= 2 && !top.starts_with(|c: char| c.is_ascii_digit()))
    };
    let mut parts = local.split(['$', '&', '*', '=', '^', '`', '{', '|', '}', '~']);
    // what stands directly before the @ is read together with it
    parts.next_back();
    local.contains(['/', '?', '#']) || local.to_ascii_lowercase().starts_with("www.") || parts.any(ends_like_a_domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_compared_as_a_label_and_the_local_part_in_lower_case() {
        let typed = EmailAddress::parse("Anna.B@Bücher.Example").unwrap();
        assert_eq!(typed.typed(), "Anna.B@Bücher.Example");
        assert_eq!(typed.key(), "anna.b@xn--bcher-kva.example");
        assert_eq!(typed.wire(), "Anna.B@xn--bcher-kva.example");
        assert_eq!(typed.domain(), "xn--bcher-kva.example");
    }

    #[test]
    fn an_accent_of_its_own_is_the_same_domain() {
        for (typed, key) in [
            ("anna@bu\u{308}cher.example", "anna@xn--bcher-kva.example"),
            ("Anna@BU\u{308}CHER.example", "anna@xn--bcher-kva.example"),
            ("anna@cafe\u{301}.example", "anna@xn--caf-dma.example"),
            ("anna@caf\u{e9}-bu\u{308}cher.example", "anna@caf\u{e9}-b\u{fc}cher.example"),
            ("anna@ho\u{302}\u{323}p.example", "anna@h\u{1ed9}p.example"),
            ("anna@\u{1112}\u{1161}\u{11ab}.example", "anna@\u{d55c}.example"),
            ("anna@\u{30db}\u{309a}.example", "anna@\u{30dd}.example"),
            ("anna@\u{928}\u{93c}.example", "anna@\u{929}.example"),
        ] {
            let address = EmailAddress::parse(typed).unwrap_or_else(|| panic!("{typed:?}"));
            assert_eq!(address.typed(), typed);
            let composed = EmailAddress::parse(key).unwrap_or_else(|| panic!("{key:?}"));
            assert_eq!(address.key(), composed.key(), "{typed:?}");
            assert_eq!(address.wire().to_lowercase(), address.key(), "{typed:?}");
        }
    }

    #[test]
    fn what_some_server_would_read_differently_is_refused() {
        for bad in [
            "",
            "a",
            "@",
            "a@",
            "@b.c",
            "a@b",
            "a@b.",
            "a@.b.c",
            "a@b..c",
            "a b@c.de",
            "a@[127.0.0.1]",
            "a@1.2.3.4",
            "\"a b\"@c.de",
            "a(x)@c.de",
            "<a@b.cd>",
            "a@b.cd,e@f.gh",
            "=?utf-8?b?eA=?=@c.de",
            "a@b@c.de",
            "@x.y:a@b.cd",
            ".a@b.cd",
            "a.@b.cd",
            "a..b@c.de",
            "mıke@example.org",
            "a@exa\u{200b}mple.org",
            "a@example.org\u{200b}",
            "a@ｅxample.org",
            "a@b.cd\r\nBcc: x@y.zz",
            "a\0@b.cd",
            "a@-b.cd",
            "a@b-.cd",
            "a@b_c.de",
            "anna@example。com",
            "anna@\u{212a}elvin.example",
            "anna@\u{212b}ngstrom.example",
            "anna@q\u{308}y.example",
            "anna@\u{308}ucher.example",
            "a\u{308}nna@bucher.example",
            "anna@bu\u{308}\u{200b}cher.example",
            "anna@bu\u{308}cher\u{3002}example",
            "anna%evil.example@b.cd",
            "evil!anna@b.cd",
            "evil.example/login@b.cd",
            "evil/login@b.cd",
            "evil.example?login@b.cd",
            "evil.example#login@b.cd",
            "www.evil.example@b.cd",
            "WWW.evil@b.cd",
            "evil.example=login@b.cd",
            "x&evil.example|login@b.cd",
        ] {
            assert!(EmailAddress::parse(bad).is_none(), "{bad:?}");
        }
        assert!(EmailAddress::parse(&format!("{}@b.cd", "a".repeat(65))).is_none());
        assert!(EmailAddress::parse(&format!("a@{}.cd", "b".repeat(64))).is_none());
    }

    #[test]
    fn what_people_have_is_taken() {
        for good in [
            "anna.berg+news@b.cd",
            "o'neil@b.cd",
            "maria.dell'acqua@b.cd",
            "r&d.team@b.cd",
            "jean.d=x@b.cd",
            "www@b.cd",
            "first.last_2-x@b.cd",
            "{x}$|~*^`@b.cd",
        ] {
            assert!(EmailAddress::parse(good).is_some(), "{good:?}");
        }
    }

    #[test]
    fn a_mailbox_has_no_tag_and_at_google_no_dots() {
        for (typed, mailbox) in [
            ("Anna@Example.com", "anna@example.com"),
            ("anna+0@example.com", "anna@example.com"),
            ("ANNA+a+b.c@EXAMPLE.com", "anna@example.com"),
            ("anna+@example.com", "anna@example.com"),
            ("an.na@example.com", "an.na@example.com"),
            ("an.na+x@example.com", "an.na@example.com"),
            ("anna-x@example.com", "anna-x@example.com"),
            ("anna+x@B\u{fc}cher.example", "anna@xn--bcher-kva.example"),
            ("A.n.n.a+x@GMail.com", "anna@gmail.com"),
            ("an.na@googlemail.com", "anna@gmail.com"),
            ("an.na@gmail.com.example", "an.na@gmail.com.example"),
            ("an.na@mail.gmail.com", "an.na@mail.gmail.com"),
            // not a tag, but all that there is
            ("+tag@example.com", "+tag@example.com"),
            ("+tag+x@example.com", "+tag@example.com"),
            ("+49.170@gmail.com", "+49170@gmail.com"),
            ("++x@example.com", "+@example.com"),
        ] {
            let address = EmailAddress::parse(typed).unwrap_or_else(|| panic!("{typed:?}"));
            assert_eq!(address.mailbox(), mailbox, "{typed}");
        }
        // each stays an address of its own: whose it is, nobody guesses
        let keys = ["anna+0@gmail.com", "a.nna@gmail.com", "anna@gmail.com"].map(|typed| {
            let address = EmailAddress::parse(typed).unwrap();
            (address.key().to_owned(), address.mailbox())
        });
        assert!(keys.iter().all(|(_, mailbox)| mailbox == "anna@gmail.com"));
        assert!(keys[0].0 != keys[1].0 && keys[1].0 != keys[2].0 && keys[0].0 != keys[2].0);
        // quoted, it would be another one for some servers: no such address is taken
        assert!(EmailAddress::parse("\"anna+x\"@example.com").is_none());
    }

    #[test]
    fn debug_shows_nothing() {
        let address = EmailAddress::parse("anna@example.com").unwrap();
        assert_eq!(format!("{address:?}"), "EmailAddress(…)");
    }
}
