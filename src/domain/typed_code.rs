//! What people send for a code: typed, pasted from an email, or the whole link.

/// The longest text that may be a code, in characters, without those that are not seen.
const LONGEST_CODE: usize = 64;
/// The longest text that may be a link with a code, in bytes.
const LONGEST_LINK: usize = 2048;
/// Before the code in a link, as it is and as links within links have it.
const BEFORE: [&str; 2] = ["code=", "code%3d"];
/// What ends the code in a link: another parameter.
const AFTER: [&str; 2] = ["&", "%26"];

/// Whether a text is too long to be looked at.
pub fn is_too_long(typed: &str) -> bool {
    let seen = || typed.chars().filter(|c| !is_unseen(*c)).count();
    typed.len() > LONGEST_LINK || seen() > LONGEST_CODE && code_in_link(&compact(typed)).is_none()
}

/// What counts of it, in capitals. White space, dashes, quotes, full stops and characters without width came along and
/// do not count; characters of full width are the plain ones. Every other letter, digit or control character counts, and
/// is a typing error where it is no symbol of the alphabet.
pub fn symbols(typed: &str) -> Vec<char> {
    let text = compact(typed);
    // a link may have a hyphen or a blank as an escape
    let code = code_in_link(&text).unwrap_or(&text).replace("%2d", "").replace("%20", "");
    let counts = |c: &char| c.is_alphanumeric() || c.is_control();
    code.chars().filter(counts).map(|c| c.to_ascii_uppercase()).collect()
}

/// In small letters of ordinary width, without white space: a link may be broken anywhere.
fn compact(typed: &str) -> String {
    let ordinary = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    let kept = typed.chars().filter(|c| !c.is_whitespace() && !is_unseen(*c));
    kept.map(|c| ordinary(c).to_ascii_lowercase()).collect()
}

/// What stands behind the last `code=`, up to the next parameter.
fn code_in_link(text: &str) -> Option<&str> {
    let begin = BEFORE.iter().filter_map(|before| Some(text.rfind(before)? + before.len())).max()?;
    let code = &text[begin..];
    let end = AFTER.iter().filter_map(|after| code.find(after)).min();
    Some(&code[..end.unwrap_or(code.len())])
}

/// Without width: joiners, marks of direction, soft hyphens, byte order marks.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}
