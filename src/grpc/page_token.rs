//! Page tokens: opaque to the caller, bound to method, parent and filters. They authorise nothing: a page is read with
//! the rights of whoever asks for it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::domain::Method;

/// The longest token, in bytes.
const LONGEST: usize = 200;

/// What a list asked for, apart from the page.
#[derive(Debug)]
pub struct Binding([u8; Self::BYTES]);

impl Binding {
    /// What of a token is the binding.
    pub(super) const BYTES: usize = 8;

    pub fn new(method: Method, parts: &[&str]) -> Self {
        let mut hash = Sha256::new_with_prefix(method.name());
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

    /// Where the page begins; `None` for a token of another list.
    pub fn read<T>(&self, token: &str, cursor: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let bytes = decode(token)?;
        cursor(str::from_utf8(bytes.strip_prefix(&self.0)?).ok()?)
    }
}

/// What a token holds, whatever list it belongs to.
pub(super) fn decode(token: &str) -> Option<Vec<u8>> {
    Some(token).filter(|token| token.len() <= LONGEST).and_then(|token| URL_SAFE_NO_PAD.decode(token).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_list_only() {
        let token = Binding::new(Method::ListMembers, &["organizations/acme"]).write(Some("anna"));
        let read = |binding: Binding| binding.read(&token, |cursor| Some(cursor.to_owned()));
        assert_eq!(read(Binding::new(Method::ListMembers, &["organizations/acme"])), Some("anna".to_owned()));
        assert_eq!(read(Binding::new(Method::ListMembers, &["organizations/beta"])), None);
        assert_eq!(read(Binding::new(Method::ListEvents, &["organizations/acme"])), None);
        assert_eq!(Binding::new(Method::ListMembers, &[]).read("", |_| Some(())), None);
    }

    #[test]
    fn the_last_page_has_no_token_for_the_next() {
        assert_eq!(Binding::new(Method::ListMembers, &[]).write(None::<String>), "");
    }
}
