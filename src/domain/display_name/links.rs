//! What a mail program makes a link of, or a person who reads it.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::folding::{bare, plain};
use super::top_level;

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

/// The first part of a text that is a link to programs or to people.
pub fn link_in(text: &str) -> Option<String> {
    let linked = |word: &&str| is_host(word) || is_marked(&bare(word));
    let linked = text.split_whitespace().find(linked).map(str::to_owned);
    linked.or_else(|| spoken_in(text)).or_else(|| is_short_host(text).then(|| text.to_owned()))
}

/// Whether a mail program takes a word for a host by its top-level domain: `example.com`, and neither `Node.js`, `.NET`,
/// `J. Smith` nor `1.5`.
pub fn is_host(word: &str) -> bool {
    let is_disguised = word.chars().any(stands_for_others);
    let text = plain(word);
    let chars = text.chars().collect::<Vec<_>>();
    let opens = |c: char| c.is_whitespace() || matches!(c, '.' | '(' | '[' | '{' | '"' | '\'');
    let is_host = |(at, _)| {
        let in_label = |c: &&char| c.is_alphanumeric() || is_combining_mark(**c) || **c == '-';
        let label = chars[at + 1..].iter().take_while(in_label).collect::<String>();
        let first = label.split('-').next().unwrap_or_default();
        let is_known = |label: &str| top_level::is_known(label) || top_level::is_known(&bare(label));
        let is_word = bare(&label).chars().take_while(|c| c.is_alphabetic()).count() > 1;
        !opens(chars[at - 1]) && is_word && (is_disguised || is_known(&label) || is_known(first))
    };
    chars.iter().enumerate().skip(1).filter(|(_, c)| **c == '.').any(is_host)
}

/// What some program replaces by letters, such as a circled one. Those of full width are ordinary in East Asia.
fn stands_for_others(c: char) -> bool {
    let is_ordinary = matches!(c, '\u{ff00}'..='\u{ffef}' | 'ª' | 'º' | '™' | '℠');
    let (letters, own) = (std::iter::once(c).nfkd(), std::iter::once(c).nfd());
    !is_ordinary && letters.clone().any(char::is_alphabetic) && !letters.eq(own)
}

/// Whether a word says itself that it is a link: a scheme, `www.`, slashes with something behind them.
fn is_marked(word: &str) -> bool {
    let has_scheme = |(scheme, rest): (&str, &str)| {
        SCHEMES.contains(&scheme.trim_start_matches(|c: char| !c.is_alphanumeric())) && !rest.is_empty()
    };
    let leads_somewhere = |slashes| word.split_once(slashes).is_some_and(|(_, rest)| !rest.is_empty());
    word.starts_with("www.")
        || word.split_once(':').is_some_and(has_scheme)
        || leads_somewhere("//")
        || leads_somewhere("\\\\")
}

/// What people would make a domain of: `evil dot com`, `evil[.]com`, `evil·com`, `evil . com`.
fn spoken_in(text: &str) -> Option<String> {
    // the one that begins a name of its own
    let text = bare(&without_ends(text)).replace(" .net", " dotnet").replace("(.net", "(dotnet");
    let spaced = |c: char| if c == '.' || is_raised(c) { " . ".to_owned() } else { c.to_string() };
    let text = text.chars().map(spaced).collect::<String>();
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '.').filter(|word| !word.is_empty());
    let words = words.collect::<Vec<_>>();
    let spoken = |w: &&[&str]| w[0] != "." && matches!(w[1], "." | "dot") && SPOKEN.contains(&w[2]);
    words.windows(3).find(spoken).map(|w| w.join(" "))
}

fn is_raised(c: char) -> bool {
    matches!(c, '\u{b7}' | '\u{2022}' | '\u{2027}' | '\u{2219}' | '\u{22c5}' | '\u{25cf}' | '\u{30fb}')
}

/// Without the dots that end a word, as a blank and a capital follow, and those that stand between two: `Acme Inc. Online`,
/// `Acme · Online`.
fn without_ends(text: &str) -> String {
    let mut before = None;
    let keep = |(at, c): (usize, char)| {
        let ends = before.replace(c).is_some_and(char::is_alphanumeric);
        let between = |c: &char| !c.is_alphanumeric();
        let rest = &text[at + c.len_utf8()..];
        let next = rest.trim_start_matches(|c| between(&c));
        let is_apart = rest.chars().take_while(between).any(char::is_whitespace);
        let is_end = is_apart && next.starts_with(|c: char| c.is_ascii_uppercase());
        if is_end && (is_raised(c) || c == '.' && ends) { ',' } else { c }
    };
    text.char_indices().map(keep).collect()
}

/// Whether a text is nothing but a letter, a dot and small letters: it reads as a short link, whatever top-level domains
/// there are today.
fn is_short_host(text: &str) -> bool {
    text.split_once('.').is_some_and(|(host, top)| {
        host.chars().count() == 1 && top.chars().count() > 1 && host.chars().chain(top.chars()).all(char::is_lowercase)
    })
}
