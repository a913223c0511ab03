//! Page tokens: opaque to the caller, bound to method, parent and filters. They authorise nothing: a page is read with
//! the rights of whoever asks for it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::domain::Refusal;

/// What a list asked for, apart from the page.
#[derive(Debug)]
pub struct Binding([u8; 8]);

impl Binding {
    pub fn new(method: &str, parts: &[&str]) -> Self {
        let mut hash = Sha256::new_with_prefix(method);
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        Self(std::array::from_fn(|n| digest[n]))
    }

    /// The token of the next page, empty for the last one.
    pub fn write(&self, cursor: Option<impl ToString>) -> String {
        cursor.map_or_else(String::new, |cursor| {
            URL_SAFE_NO_PAD.encode([&self.0[..], cursor.to_string().as_bytes()].concat())
        })
    }

    /// Where the page begins; `None` for the first one.
    pub fn read<T>(&self, token: &str, cursor: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Refusal> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = Some(token).filter(|token| token.len() <= 200).and_then(|token| URL_SAFE_NO_PAD.decode(token).ok());
        let text =
            bytes.as_deref().and_then(|bytes| bytes.strip_prefix(&self.0)).and_then(|rest| str::from_utf8(rest).ok());
        text.and_then(cursor).map(Some).ok_or(Refusal::PageTokenInvalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_list_only() {
        let token = Binding::new("ListMembers", &["organizations/acme"]).write(Some("anna"));
        let read = |binding: Binding| binding.read(&token, |cursor| Some(cursor.to_owned()));
        assert_eq!(read(Binding::new("ListMembers", &["organizations/acme"])), Ok(Some("anna".to_owned())));
        assert_eq!(read(Binding::new("ListMembers", &["organizations/beta"])), Err(Refusal::PageTokenInvalid));
        assert_eq!(read(Binding::new("ListEvents", &["organizations/acme"])), Err(Refusal::PageTokenInvalid));
    }

    #[test]
    fn no_token_is_the_first_page() {
        assert_eq!(Binding::new("M", &[]).read("", |_| Some(())), Ok(None));
        assert_eq!(Binding::new("M", &[]).write(None::<String>), "");
    }
}
