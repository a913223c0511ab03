//! What a telephone dials, and addresses of machines.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::folding::bare;

/// So many digits are a telephone number wherever they stand.
const NATIONAL: usize = 10;
/// So many are one where the name is nothing else: the numbers of many countries are no longer, and no word tells that it
/// is another kind of number. A company that has eight digits for its name, or nine and a word, may.
const ALONE: usize = 9;
/// So many are one after `+` or `00`, or where other characters stand for the digits.
const MARKED: usize = 7;

/// A character as it is dialled.
#[derive(Clone, Copy)]
struct Key {
    c: char,
    /// It is written as something else, such as a digit in a circle.
    is_disguised: bool,
}

/// The first part of a text that is a number to a telephone, or an address such as `192.0.2.1`.
pub fn number_in(text: &str) -> Option<String> {
    let keys = text.chars().flat_map(keys).filter(|key| !is_combining_mark(key.c)).collect::<Vec<_>>();
    let mut at = 0_usize;
    for run in keys.chunk_by(|a, b| is_dialled(a.c) == is_dialled(b.c)) {
        let before = at.checked_sub(1).map(|last| keys[last].c);
        at += run.len();
        let is_all = run.len() == keys.len();
        if is_dialled(run[0].c) && is_number(run, before, is_all) {
            return Some(run.iter().map(|key| key.c).collect::<String>().trim().to_owned());
        }
    }
    let text = bare(text);
    let mut machines = text.split(|c: char| !c.is_numeric() && c != '.');
    machines.find(|run| run.split('.').filter(|part| !part.is_empty()).count() >= 4).map(str::to_owned)
}

fn keys(c: char) -> impl Iterator<Item = Key> {
    // digits of full width are ordinary in East Asia
    let is_wide = ('\u{ff10}'..='\u{ff19}').contains(&c);
    std::iter::once(c).nfkd().map(move |key| Key { c: key, is_disguised: key != c && !is_wide && key.is_numeric() })
}

/// Whether it stands in telephone numbers, as a digit or between digits.
fn is_dialled(c: char) -> bool {
    c.is_numeric() || c.is_whitespace() || "+-./()".contains(c) || matches!(c, '\u{2010}'..='\u{2013}')
}

fn is_number(run: &[Key], before: Option<char>, is_all: bool) -> bool {
    let digits = |keys: &[Key]| keys.iter().filter(|key| key.c.is_numeric()).count();
    let enough = if run.iter().any(|key| key.is_disguised) {
        MARKED
    } else if is_all {
        ALONE
    } else {
        NATIONAL
    };
    let is_international = |at: usize| {
        let last = at.checked_sub(1).map_or(before, |last| Some(run[last].c));
        let begins = |c: char| !c.is_alphanumeric() && c != '+';
        let marked = match (run[at].c, run.get(at + 1).map(|key| key.c)) {
            ('+', Some(next)) if next != '+' => Some(at + 1),
            ('0', Some('0')) => Some(at + 2),
            _ => None,
        };
        last.is_none_or(begins) && marked.is_some_and(|marked| digits(&run[marked..]) >= MARKED)
    };
    digits(run) >= enough || (0..run.len()).any(is_international)
}
