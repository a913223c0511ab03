//! Languages, by their BCP 47 tags.

/// What is wrong with one; the text completes "{field} …".
pub const LOCALE_RULE: &str = "must be a BCP 47 language tag such as en or de-AT, at most 35 characters";

/// In bytes.
pub const LONGEST_LOCALE: usize = 35;

/// Whether it has the form of a tag; which languages there are is not asked.
pub fn is_locale(text: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_language = |part: &str| part.len() >= 2 && part.bytes().all(|b| b.is_ascii_alphabetic());
    text.len() <= LONGEST_LOCALE && text.split('-').next().is_some_and(is_language) && text.split('-').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales_are_tags() {
        for good in ["en", "de-AT", "zh-Hant-TW"] {
            assert!(is_locale(good), "{good}");
        }
        for bad in ["", "d", "de_AT", "de-", "-de", "de--AT", "x\0", "1a", &"de-".repeat(20)] {
            assert!(!is_locale(bad), "{bad}");
        }
    }
}
