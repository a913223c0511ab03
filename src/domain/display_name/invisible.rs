//! Characters that are not seen: refused, but where they change what is seen. A name with one more is then another name
//! to the eye, too.

use icu_properties::props::{Emoji, ExtendedPictographic, JoiningType, Script};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';
/// The combining class of the signs that take the vowel of a letter away (Virama).
const VIRAMA: u8 = 9;
/// The Malayalam letters that have another form without a vowel (Chillu), which they show before a joiner.
const CHILLU: [char; 6] = ['\u{d15}', '\u{d23}', '\u{d28}', '\u{d30}', '\u{d32}', '\u{d33}'];
/// The flags that are written with characters which are not seen: England, Scotland, Wales.
const FLAGS: [&str; 3] = [
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
];

/// Control and bidirectional characters, those that some programs take for a line break, and what shows nothing
/// (Unicode's Default_Ignorable_Code_Point and the empty Braille pattern): a name of it is empty, a link with it is no
/// link.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The first hidden character that has no business where it stands.
pub fn stray(text: &str) -> Option<char> {
    let text = FLAGS.iter().fold(text.to_owned(), |text, flag| text.replace(flag, "\u{1f3f4}"));
    let chars = text.chars().collect::<Vec<_>>();
    let split = |at: usize| (&chars[..at], &chars[at + 1..]);
    let is_stray = |at: &usize| is_hidden(chars[*at]) && !is_seen(chars[*at], split(*at));
    (0..chars.len()).find(is_stray).map(|at| chars[at])
}

/// Whether the character changes how its neighbours look.
fn is_seen(c: char, (before, after): (&[char], &[char])) -> bool {
    match c {
        // RFC 5892, A.1 and A.2
        NON_JOINER => parts_letters(before, after) || joins(before, after),
        JOINER => parts_letters(before, after) || makes_chillu(before) || joins_emoji(before, after),
        '\u{fe0e}' | '\u{fe0f}' => has_variants(before, after),
        _ => false,
    }
}

/// Whether it stands between a letter without its vowel and one of the same script, which would make one sign. Behind the
/// last letter of a word it shows nothing.
fn parts_letters(before: &[char], after: &[char]) -> bool {
    let script = |c: char| CodePointMapData::<Script>::new().get(c);
    let is_virama = |c: &char| canonical_combining_class(*c) == VIRAMA;
    let is_letter = |c: &char| c.is_alphabetic() && !is_combining_mark(*c);
    let virama = before.last().copied().filter(is_virama);
    let letter = after.first().copied().filter(is_letter);
    virama.zip(letter).is_some_and(|(virama, letter)| script(virama) == script(letter))
}

fn makes_chillu(before: &[char]) -> bool {
    matches!(before, [.., letter, '\u{d4d}'] if CHILLU.contains(letter))
}

/// Whether the letters on both sides would be joined without it.
fn joins(before: &[char], after: &[char]) -> bool {
    let joining = |c: &char| CodePointMapData::<JoiningType>::new().get(*c);
    let before = before.iter().rev().map(joining).find(|joining| *joining != JoiningType::Transparent);
    let after = after.iter().map(joining).find(|joining| *joining != JoiningType::Transparent);
    matches!(before, Some(JoiningType::LeftJoining | JoiningType::DualJoining))
        && matches!(after, Some(JoiningType::RightJoining | JoiningType::DualJoining))
}

/// Whether it makes one picture of two, such as a family or a profession.
fn joins_emoji(before: &[char], after: &[char]) -> bool {
    let is_picture = |c: &char| CodePointSetData::new::<ExtendedPictographic>().contains(*c);
    // the picture may have a style and a colour of skin
    let mut before = before.iter().rev().skip_while(|c| matches!(c, '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}'));
    before.next().is_some_and(is_picture) && after.first().is_some_and(is_picture)
}

/// Whether the character before is drawn as text or as a picture: an emoji, or a digit on a key.
fn has_variants(before: &[char], after: &[char]) -> bool {
    let Some(c) = before.last() else { return false };
    if c.is_ascii() {
        return (c.is_ascii_digit() || matches!(c, '#' | '*')) && after.first() == Some(&'\u{20e3}');
    }
    CodePointSetData::new::<Emoji>().contains(*c)
}
