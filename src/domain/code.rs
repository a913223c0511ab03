//! Invitation codes: made from a key, printed for people, forgiving to type.
//!
//! A code is `HMAC-SHA-256(key, version ‖ purpose ‖ invitation id ‖ generation)` cut to 130 bits, so nothing secret is
//! stored and each retry of an email carries the same code. Two check characters tell a typing error from a guess
//! without a query.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{CodeKey, EmailAddress, InvitationId, OrganizationId, typed_code};

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 26 characters of 5 bits.
const PAYLOAD: usize = 26;
/// The largest prime that two characters can hold: every single wrong character and every swap changes the remainder.
const CHECK_PRIME: u32 = 1021;

/// A code as it stands in one email. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct InvitationCode([u8; PAYLOAD]);

impl InvitationCode {
    /// The code of an invitation's generation (1, 2, …) under a key.
    pub fn derive(key: &CodeKey, invitation: InvitationId, generation: i32) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.secret())
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        mac.update(b"\x01invitation-code");
        mac.update(invitation.0.as_bytes());
        mac.update(&generation.to_be_bytes());
        Self::cut(&mac.finalize().into_bytes())
    }

    /// The code that shows whose the notification address of an organization is.
    pub fn of_address(key: &CodeKey, organization: &OrganizationId, address: &EmailAddress, generation: i32) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.secret())
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        // neither a slug nor an address holds the byte 0
        mac.update(b"\x01notification-code");
        mac.update(organization.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(address.key().as_bytes());
        mac.update(&[0]);
        mac.update(&generation.to_be_bytes());
        Self::cut(&mac.finalize().into_bytes())
    }

    fn cut(digest: &[u8]) -> Self {
        let mut symbols = [0; PAYLOAD];
        for (n, symbol) in symbols.iter_mut().enumerate() {
            let (byte, bit) = (n * 5 / 8, n * 5 % 8);
            let window = u16::from_be_bytes([digest[byte], digest[byte + 1]]);
            *symbol = u8::try_from(window >> (11 - bit) & 31).unwrap_or_default();
        }
        Self(symbols)
    }

    /// Reads what a person typed or pasted, see [`typed_code::symbols`]; O is 0, I and L are 1. `None` is a typing error,
    /// found by public arithmetic.
    pub fn parse(typed: &str) -> Option<Self> {
        let mut symbols = Vec::with_capacity(PAYLOAD + 2);
        for c in typed_code::symbols(typed) {
            let c = match c {
                'O' => '0',
                'I' | 'L' => '1',
                c => c,
            };
            let value = ALPHABET.iter().position(|symbol| char::from(*symbol) == c)?;
            symbols.push(u8::try_from(value).ok()?);
            if symbols.len() > PAYLOAD + 2 {
                return None;
            }
        }
        let (payload, check) = symbols.split_at_checked(PAYLOAD)?;
        let code = Self(payload.try_into().ok()?);
        (code.check() == check).then_some(code)
    }

    /// Whether nobody types or pastes that much for a code.
    pub fn is_too_long(typed: &str) -> bool {
        typed_code::is_too_long(typed)
    }

    /// What the database finds it by. 130 random bits need no salt.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// Seven groups of four characters, for the email.
    pub fn reveal(&self) -> String {
        let symbols = [&self.0[..], &self.check()].concat();
        let text = symbols.iter().map(|symbol| char::from(ALPHABET[usize::from(*symbol)])).collect::<Vec<_>>();
        text.chunks(4).map(String::from_iter).collect::<Vec<_>>().join("-")
    }

    fn check(&self) -> [u8; 2] {
        let remainder = self.0.iter().fold(0, |sum, symbol| (sum * 32 + u32::from(*symbol)) % CHECK_PRIME);
        [remainder / 32, remainder % 32].map(|symbol| u8::try_from(symbol).unwrap_or_default())
    }
}

impl fmt::Debug for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvitationCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn code(id: u128, generation: i32) -> InvitationCode {
        let key = CodeKey::new("k1".to_owned(), vec![7; 32]).unwrap();
        InvitationCode::derive(&key, InvitationId(Uuid::from_u128(id)), generation)
    }

    #[test]
    fn a_code_is_seven_groups_of_four() {
        let text = code(1, 1).reveal();
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [4; 7]);
    }

    #[test]
    fn key_invitation_and_generation_each_change_the_code() {
        let other_key = CodeKey::new("k2".to_owned(), vec![8; 32]).unwrap();
        let other = InvitationCode::derive(&other_key, InvitationId(Uuid::from_u128(1)), 1);
        assert_eq!(code(1, 1), code(1, 1));
        for different in [code(2, 1), code(1, 2), other] {
            assert_ne!(code(1, 1), different);
        }
    }

    #[test]
    fn debug_shows_neither_code_nor_secret() {
        let key = CodeKey::new("k1".to_owned(), vec![7; 32]).unwrap();
        assert_eq!(format!("{:?} {key:?}", code(1, 1)), "InvitationCode(…) CodeKey { id: \"k1\", .. }");
    }

    #[test]
    fn a_pasted_link_gives_its_code() {
        let code = code(7, 1);
        let text = code.reveal();
        let wide = text.chars().filter_map(|c| char::from_u32(u32::from(c) + 0xfee0)).collect::<String>();
        let (start, end) = text.split_at(12);
        for typed in [
            format!("https://hub.example/invitations#code={text}"),
            format!("<https://hub.example/invitations#code={text}>."),
            format!("https://hub.example/invitations#CODE={}", text.to_lowercase()),
            format!("https://hub.example/invit\r\nations#co\r\nde={start}\r\n{end}\r\n"),
            format!("> https://hub.example/invitations#code={start}\n> {end}"),
            format!("https://hub.example/invitations#code={text}&utm_source=mail"),
            format!("[https://hub.example/invitations#code={text}](https://hub.example/invitations#code={text})"),
            format!("https://safe.example/?url=https%3A%2F%2Fhub.example%2Finvitations%23code%3D{text}&data=05%7C02"),
            format!("https://safe.example/?url=https%3a%2f%2fhub.example%2f%23code%3d{text}%26data%3d05&x=y"),
            format!("https://hub.example/invitations#code={}", text.replace('-', "%2D")),
            format!("https://hub.example/invitations#code={}", text.replace('-', "%E2%80%91")),
            format!("https://hub.example/invitations#code={start}%0D%0A{end}%C2%A0"),
            format!("https://hub.example/invitations#code={}%20", text.replace('-', "%e2%80%\r\n93")),
            format!(
                "https://safe.example/?url=https%253A%252F%252Fhub.example%252F%2523code%253D{text}%2526data%253D05"
            ),
            format!(
                "https://a.example/?u=https%3A%2F%2Fb.example%2F%3Fu%3Dhttps%253A%252F%252Fhub%252F%2523code%253D{text}"
            ),
            format!("https://hub.example/invitations#code={}", text.replace('-', "%252D")),
            format!("#code={text}"),
            format!("code={text}"),
            text.replace('-', "ー"),
            text.replace('-', "\u{ff70}"),
            text.replace('-', "\u{640}"),
            format!("\u{2bc}{text}\u{2b9}"),
            format!("\u{3164}{}\u{115f}", text.replace('-', "\u{1160}\u{ffa0}")),
            text.chars().flat_map(|c| [c, ' ', '\u{3000}', ' ']).collect::<String>(),
            wide,
            format!("“{text}”."),
            text.replace('-', "\u{2011}"),
            text.replace('-', " – "),
            text.replace('-', ""),
        ] {
            assert_eq!(InvitationCode::parse(&typed), Some(code.clone()), "{typed}");
            assert!(!InvitationCode::is_too_long(&typed), "{typed}");
        }
    }

    #[test]
    fn a_text_is_too_long_by_what_is_seen_of_it_and_as_a_whole() {
        let text = code(7, 1).reveal();
        for fits in [
            "x".repeat(64),
            format!("{}\u{200b}", "x ".repeat(64)),
            text.chars().flat_map(|c| [c, '\t', ' ']).collect(),
            "\u{3000}".repeat(600),
            format!("#code={}", "x".repeat(2000)),
            format!("%2523code%253d{}", "x".repeat(2000)),
        ] {
            assert!(!InvitationCode::is_too_long(&fits), "{fits}");
        }
        for long in [
            "x".repeat(65),
            "x ".repeat(65),
            "-".repeat(65),
            " ".repeat(2049),
            "\u{3000}".repeat(700),
            format!("#code={text}{}", " ".repeat(2048)),
        ] {
            assert!(InvitationCode::is_too_long(&long), "{long}");
        }
        // escapes within escapes end somewhere
        let deep = format!("#code{}3D{text}", "%25".to_owned() + &"25".repeat(900));
        assert!(InvitationCode::is_too_long(&deep) && InvitationCode::parse(&deep).is_none());
    }

    #[test]
    fn what_is_no_code_stays_a_typing_error() {
        let text = code(7, 1).reveal();
        for typed in [
            format!("{text}0"),
            format!("{text}{text}"),
            format!("{text}\0"),
            format!("{text}\u{1b}"),
            format!("{text}é"),
            format!("К{text}"),
            format!("{text}\u{ff11}"),
            format!("{text}٣"),
            format!("{text}①"),
            format!("{text}ア"),
            format!("{text}ㅎ"),
            format!("{text}ᵃ"),
            format!("https://hub.example/invitations#code={text}%41"),
            format!("https://hub.example/invitations#code={text}%2541"),
            format!("https://hub.example/invitations#code={text}%00"),
            format!("https://hub.example/invitations#code={text}%FF"),
            format!("https://hub.example/invitations#code={text}%+5"),
            format!("https://hub.example/invitations#code={text}%C3%A9"),
            format!("my code {text}"),
            format!("https://hub.example/invitations/{text}"),
            format!("https://hub.example/invitations#code={text}0"),
            format!("https://hub.example/invitations#code=&x={text}"),
            text.replacen(|c: char| c.is_ascii_digit(), "U", 1),
            text[1..].to_owned(),
            "#code=".to_owned(),
            "…".to_owned(),
        ] {
            assert_eq!(InvitationCode::parse(&typed), None, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn typing_is_forgiving(id: u128) {
            let code = code(id, 1);
            let typed = code.reveal().to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
            prop_assert_eq!(InvitationCode::parse(&typed), Some(code));
        }

        #[test]
        fn what_came_along_does_not_count(id: u128, junk in "[ \t\r\n\u{a0}\u{2002}\u{202f}\u{3000}\u{ad}\u{200b}-\u{200f}\u{2010}-\u{2015}\u{2028}-\u{202e}\u{2060}\u{2066}-\u{2069}\u{feff}\u{2212}\u{ff0d}\"'.,;:<>()\u{201c}\u{201d}]{1,8}", at in 0_usize..35) {
            let code = code(id, 1);
            let mut typed = code.reveal();
            typed.insert_str(at.min(typed.len()), &junk);
            prop_assert_eq!(InvitationCode::parse(&typed), Some(code));
        }

        #[test]
        fn one_wrong_character_is_always_noticed(id: u128, at in 0_usize..28, shift in 1_usize..32) {
            let mut text = code(id, 1).reveal().replace('-', "").into_bytes();
            let value = ALPHABET.iter().position(|symbol| *symbol == text[at]).unwrap();
            text[at] = ALPHABET[(value + shift) % 32];
            prop_assert_eq!(InvitationCode::parse(std::str::from_utf8(&text).unwrap()), None);
        }

        #[test]
        fn two_swapped_characters_are_always_noticed(id: u128, at in 0_usize..27) {
            let mut text = code(id, 1).reveal().replace('-', "").into_bytes();
            prop_assume!(text[at] != text[at + 1]);
            text.swap(at, at + 1);
            prop_assert_eq!(InvitationCode::parse(std::str::from_utf8(&text).unwrap()), None);
        }

        #[test]
        fn anything_else_typed_is_refused_without_a_panic(text in ".{0,64}") {
            prop_assert_eq!(InvitationCode::parse(&text), None);
        }
    }
}
