//! Words that are kept for who operates the service: names with them would read as its own.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::folding::look;
use super::invisible::is_hidden;

/// The product: reserved wherever its letters stand in a row, whatever is before, between and behind them.
const PRODUCT: &str = "ipmhub";
/// Reserved wherever they stand as words: they claim to speak for a service, and companies are not called so.
const CLAIMS: [&str; 15] = [
    "admin",
    "administrator",
    "administrators",
    "admins",
    "donotreply",
    "hostmaster",
    "mailerdaemon",
    "noreply",
    "official",
    "postmaster",
    "superuser",
    "sysadmin",
    "sysadmins",
    "sysop",
    "webmaster",
];
/// Reserved alone, beside each other and beside [`PLAIN`] words. Beside any other word they are a part of what real
/// companies and people are called: "Contoso Security", "Amy Root".
const AUTHORITY: [&str; 44] = [
    "abuse",
    "administration",
    "alert",
    "alerts",
    "api",
    "billing",
    "compliance",
    "help",
    "helpdesk",
    "helpline",
    "info",
    "invitation",
    "invitations",
    "legal",
    "maintenance",
    "moderation",
    "moderator",
    "moderators",
    "notification",
    "notifications",
    "operations",
    "operator",
    "operators",
    "payment",
    "payments",
    "phishing",
    "privacy",
    "root",
    "safety",
    "secure",
    "security",
    "service",
    "servicedesk",
    "services",
    "staff",
    "status",
    "support",
    "system",
    "systems",
    "trust",
    "update",
    "updates",
    "verification",
    "verified",
];
/// They make no name of their own of the words beside them.
const PLAIN: [&str; 40] = [
    "account",
    "accounts",
    "and",
    "center",
    "centre",
    "contact",
    "customer",
    "customers",
    "department",
    "dept",
    "desk",
    "email",
    "for",
    "from",
    "global",
    "group",
    "internal",
    "it",
    "live",
    "login",
    "mail",
    "member",
    "members",
    "message",
    "messages",
    "notice",
    "notices",
    "of",
    "office",
    "online",
    "our",
    "platform",
    "portal",
    "team",
    "teams",
    "the",
    "unit",
    "user",
    "users",
    "your",
];
/// Shorter words are found only where they stand as words, and not as a part of others.
const SHORTEST_JOINED: usize = 4;

type Spelt = (&'static str, Vec<char>);

/// The product, and the claims.
static RESERVED: LazyLock<(Vec<char>, Vec<Spelt>)> =
    LazyLock::new(|| (spelt(PRODUCT), CLAIMS.map(|word| (word, spelt(word))).to_vec()));
/// What [`Letters::authority`] reads, with the word that it makes of it.
static VOCABULARY: LazyLock<Vec<Spelt>> = LazyLock::new(|| {
    let authority = AUTHORITY.into_iter().map(|word| (word, spelt(word)));
    authority.chain(PLAIN.into_iter().map(|word| ("", spelt(word)))).collect()
});

/// The word because of which a name reads as one of the operator's, be it written with letters that look like its own.
/// `own` are the words of the deployment: reserved wherever they stand as words, or, where they are nothing but words of
/// authority and plain ones, as the whole name.
pub fn reserved_word(text: &str, own: &[String]) -> Option<String> {
    spellings(text).iter().map(|spelling| Letters::of(spelling)).find_map(|letters| letters.reserved(own))
}

/// What a text may be read as: words may begin with capitals, some letters look like others only when small or only when
/// capital, and some signs look like letters.
fn spellings(text: &str) -> BTreeSet<String> {
    let signed = text.chars().map(|c| match c {
        '!' | '|' | '¡' => 'i',
        '$' | '§' => 's',
        '€' => 'e',
        '(' => 'c',
        '+' => 't',
        c => c,
    });
    let mut spellings = BTreeSet::from([text.to_owned(), signed.collect()]);
    spellings.extend(spellings.clone().iter().map(|text| apart(text)));
    let cases = |text: &String| [text.to_lowercase(), text.to_uppercase()];
    spellings.extend(spellings.clone().iter().flat_map(cases));
    spellings
}

/// With a blank before each capital that follows a small letter.
fn apart(text: &str) -> String {
    let mut apart = String::new();
    for c in text.chars() {
        if c.is_uppercase() && apart.ends_with(char::is_lowercase) {
            apart.push(' ');
        }
        apart.push(c);
    }
    apart
}

/// The letters of a text without what separates them.
struct Letters(Vec<Letter>);

struct Letter {
    /// One for all that look alike.
    class: char,
    /// A digit or a letter of a flag: what it looks like, or nothing.
    is_optional: bool,
    /// Something separates it from the letter before.
    is_apart: bool,
}

impl Letters {
    fn of(text: &str) -> Self {
        let mut letters = Vec::new();
        let mut is_apart = true;
        for c in text.nfkd().filter(|c| !is_hidden(*c)) {
            for class in classes(c).chars().filter(|c| !is_combining_mark(*c)) {
                if class.is_alphanumeric() {
                    letters.push(Letter { class, is_optional: c.is_numeric() || enclosed(c).is_some(), is_apart });
                }
                is_apart = !class.is_alphanumeric();
            }
        }
        Self(letters)
    }

    fn reserved(&self, own: &[String]) -> Option<String> {
        let (product, claims) = &*RESERVED;
        let is_ours = || (0..self.0.len()).any(|at| self.begins_with(at, product).is_some()).then_some(PRODUCT);
        let claim = || claims.iter().find(|(_, word)| self.holds(word)).map(|(word, _)| *word);
        let authority = || self.authority().filter(|word| !word.is_empty());
        let built_in = is_ours().or_else(claim).or_else(authority);
        built_in.map(str::to_owned).or_else(|| own.iter().find(|name| self.holds_own(name)).cloned())
    }

    /// Whether a word stands somewhere, also with separators between its letters.
    fn holds(&self, word: &[char]) -> bool {
        (0..self.0.len()).any(|at| self.holds_at(at, word))
    }

    fn holds_at(&self, at: usize, word: &[char]) -> bool {
        self.is_begin(at) && self.begins_with(at, word).is_some_and(|end| self.is_end(end))
    }

    fn holds_own(&self, name: &str) -> bool {
        let own = Self::of(name);
        let word = own.0.iter().map(|letter| letter.class).collect::<Vec<_>>();
        match own.authority() {
            None => self.holds(&word),
            Some(_) => self.begins_with(0, &word) == Some(self.0.len()),
        }
    }

    /// A word of authority, where the text is nothing but such words, plain ones and digits; empty: plain ones alone.
    fn authority(&self) -> Option<&'static str> {
        // for each place what was found, where words lead up to it
        let mut found = vec![None; self.0.len() + 1];
        found[0] = Some("");
        for at in 0..self.0.len() {
            let Some(before) = found[at] else { continue };
            let mut lead = |end: usize, authority: &'static str| {
                let best = [Some(before), Some(authority), found[end]].into_iter().flatten().max();
                found[end] = best;
            };
            if self.0[at].is_optional {
                lead(at + 1, "");
            }
            for (authority, word) in &*VOCABULARY {
                let is_joined = word.len() >= SHORTEST_JOINED;
                if (is_joined || self.holds_at(at, word))
                    && let Some(end) = self.begins_with(at, word)
                {
                    lead(end, authority);
                }
            }
        }
        found[self.0.len()]
    }

    /// Where a word ends that stands at a place.
    fn begins_with(&self, at: usize, word: &[char]) -> Option<usize> {
        let letters = self.0.get(at..at + word.len())?;
        letters.iter().map(|letter| &letter.class).eq(word).then_some(at + word.len())
    }

    /// Whether a word may begin there: what is optional before it does not count.
    fn is_begin(&self, at: usize) -> bool {
        let optional = self.0[..at].iter().rev().take_while(|letter| letter.is_optional).count();
        (at - optional..=at).any(|at| self.0[at].is_apart)
    }

    /// Whether a word may end before it: what is optional behind it does not count.
    fn is_end(&self, at: usize) -> bool {
        let optional = self.0[at..].iter().take_while(|letter| letter.is_optional).count();
        (at..=at + optional).any(|at| self.0.get(at).is_none_or(|letter| letter.is_apart))
    }
}

/// A word as the classes of its letters.
fn spelt(word: &str) -> Vec<char> {
    word.chars().flat_map(|c| classes(c).chars().collect::<Vec<_>>()).collect()
}

/// What a character looks like, in small letters, where those that look alike are one, and wide ones are two.
fn classes(c: char) -> String {
    let c = match enclosed(c).unwrap_or(c) {
        '0' => 'o',
        '1' => 'i',
        '2' => 'z',
        '3' => 'e',
        '4' => 'a',
        '5' => 's',
        '6' | '8' => 'b',
        '7' => 't',
        '9' => 'g',
        c => c,
    };
    look(c.encode_utf8(&mut [0; 4])).replace('l', "i").replace('m', "rn").replace('w', "vv")
}

/// The letter in a circle, a square or a flag that no normalization takes out.
fn enclosed(c: char) -> Option<char> {
    let number = u32::from(c).checked_sub(0x1_f150)?;
    let letter = match c {
        '\u{1f150}'..='\u{1f169}' => number,
        '\u{1f170}'..='\u{1f189}' => number - 0x20,
        '\u{1f1e6}'..='\u{1f1ff}' => number - 0x96,
        _ => return None,
    };
    char::from_u32(u32::from('a') + letter)
}
