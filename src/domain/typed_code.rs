//! What people send for a code: typed, pasted from an email, or the whole link.

use super::display_name::is_hidden;

/// The longest text that may be a code, in characters, without those that are not seen.
const LONGEST_CODE: usize = 64;
/// The longest text that is looked at, such as a link with a code, in bytes.
const LONGEST_TEXT: usize = 2048;
/// How often a link may be escaped: each link within a link does it once more.
const ESCAPED: usize = 4;

/// Whether a text is too long for a code, and is no link with one.
pub fn is_too_long(typed: &str) -> bool {
    let is_longer = |text: &str| code_in_link(text).is_none() && text.chars().count() > LONGEST_CODE;
    typed.len() > LONGEST_TEXT || is_longer(&compact(typed))
}

/// What counts of it, in capitals. White space, dashes, quotes, full stops and characters without width came along and
/// do not count, as they are or escaped; characters of full width are the plain ones. Every other letter, digit or control
/// character counts, and is a typing error where it is no symbol of the alphabet.
pub fn symbols(typed: &str) -> Vec<char> {
    let text = compact(typed);
    let counts = |c: &char| (c.is_alphanumeric() && !is_mark(*c)) || c.is_control();
    code_in_link(&text).unwrap_or(&text).chars().filter(counts).map(|c| c.to_ascii_uppercase()).collect()
}

/// In small letters of ordinary width, without what is not seen and without escapes: a link may be broken anywhere.
fn compact(typed: &str) -> String {
    (0..ESCAPED).fold(seen(typed), |text, _| seen(&unescape(&text)))
}

fn seen(text: &str) -> String {
    let ordinary = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    let is_unseen = |c: char| c.is_whitespace() || (is_hidden(c) && !c.is_control());
    text.chars().filter(|c| !is_unseen(*c)).map(|c| ordinary(c).to_ascii_lowercase()).collect()
}

/// Each `%2d` as the byte that it stands for; where that makes no text, as it is.
fn unescape(text: &str) -> String {
    let is_hex = |digits: &&str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part.get(..2).filter(is_hex).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(b'%'));
        bytes.extend_from_slice(&part.as_bytes()[if byte.is_some() { 2 } else { 0 }..]);
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// What stands behind the last `code=`, up to the next parameter.
fn code_in_link(text: &str) -> Option<&str> {
    let (_, code) = text.rsplit_once("code=")?;
    code.split('&').next()
}

/// Letters to Unicode that people type for a dash or a quote: what a Japanese keyboard has for a hyphen, its form of half
/// width, the Arabic stretch; primes and apostrophes.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{30fc}' | '\u{ff70}' | '\u{640}' | '\u{2b9}'..='\u{2bf}' | '\u{2ee}' | '\u{a78b}' | '\u{a78c}')
}
