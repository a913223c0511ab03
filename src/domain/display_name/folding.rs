//! What a name may be taken for.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::skeleton;

use super::invisible::is_hidden;

/// In lower case, without what is not seen, with all that looks like it for a letter, a dot or a slash.
pub fn plain(text: &str) -> String {
    let chars = text.nfkd().filter(|c| !is_hidden(*c)).collect::<Vec<_>>();
    let is_digit = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_numeric());
    let plain = |(at, c): (usize, &char)| match *c {
        // an Arabic zero between digits is one
        '\u{660}' | '\u{6f0}' if is_digit(at.checked_sub(1)) || is_digit(Some(at + 1)) => '0',
        // Unicode's confusables of the full stop, and the ideographic one, which browsers take for it
        '\u{660}' | '\u{6d4}' | '\u{6f0}' | '\u{701}' | '\u{702}' | '\u{3002}' | '\u{a4f8}' | '\u{a60e}'
        | '\u{10a50}' | '\u{1d16d}' => '.',
        '\u{2044}' | '\u{2215}' | '\u{29f8}' => '/',
        '\u{2236}' | '\u{a789}' => ':',
        c => c,
    };
    chars.iter().enumerate().map(plain).flat_map(char::to_lowercase).nfc().collect()
}

/// The same without accents.
pub fn bare(text: &str) -> String {
    plain(text).nfd().filter(|c| !is_combining_mark(*c)).nfc().collect()
}

/// Unicode's skeleton (UTS 39), which takes letters that look alike for one. Small capitals are letters of their own to
/// it.
pub fn look(label: &str) -> String {
    let letter = |c: char| match c {
        'ᴀ' => "a",
        'ʙ' => "b",
        'ᴅ' => "d",
        'ᴇ' => "e",
        'ꜰ' => "f",
        'ɢ' => "g",
        'ʜ' => "h",
        'ᴊ' => "j",
        'ĸ' | 'ᴋ' => "k",
        'ʟ' => "l",
        'ʍ' | 'ᴍ' => "rn",
        'ɴ' => "n",
        'ᴘ' => "p",
        'ʀ' => "r",
        'ᴛ' => "t",
        'ʏ' => "y",
        _ => "",
    };
    let mut look = String::new();
    for c in skeleton(label) {
        match letter(c) {
            "" => look.extend(c.to_lowercase()),
            letter => look.push_str(letter),
        }
    }
    look
}
