//! Resume tokens: where a stream of events is, bound to its organization and filter. Opaque to the caller; they authorise
//! nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::OffsetDateTime;

use super::page_token::Binding;
use crate::app::Place;
use crate::domain::{Method, OrganizationId};

/// The longest token, in bytes.
const LONGEST: usize = 100;

/// What a stream was asked for, apart from where it begins.
#[derive(Debug)]
pub(super) struct Stream<'a> {
    pub organization: &'a OrganizationId,
    /// As it was sent.
    pub filter: &'a str,
}

impl Stream<'_> {
    pub fn write(&self, place: Place) -> String {
        let written = place.written.map_or_else(String::new, |time| micros(time).to_string());
        let cursor = format!("{}/{written}", place.position);
        // the place is bound as well: one that was never given out is none
        self.binding(&cursor).write(Some(cursor))
    }

    /// `None`: it is none of this stream.
    pub fn read(&self, token: &str) -> Option<Place> {
        let bytes =
            Some(token).filter(|token| token.len() <= LONGEST).map(|token| URL_SAFE_NO_PAD.decode(token))?.ok()?;
        let (_, cursor) = bytes.split_at_checked(Binding::BYTES)?;
        let cursor = str::from_utf8(cursor).ok()?.to_owned();
        self.binding(&cursor).read(token, |cursor| {
            let (position, written) = cursor.split_once('/')?;
            let position = position.parse().ok().filter(|position| *position >= 0)?;
            let written = if written.is_empty() { None } else { Some(time(written.parse().ok()?)?) };
            Some(Place { position, written })
        })
    }

    fn binding(&self, cursor: &str) -> Binding {
        Binding::new(Method::WatchEvents, &[self.organization.as_str(), self.filter, cursor])
    }
}

/// Postgres keeps microseconds.
fn micros(time: OffsetDateTime) -> i128 {
    time.unix_timestamp_nanos() / 1000
}

fn time(micros: i128) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(micros.checked_mul(1000)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTER: &str = "kind = INVITED";

    fn id(text: &str) -> OrganizationId {
        OrganizationId::parse(text).unwrap()
    }

    #[test]
    fn a_token_says_where_its_own_stream_is_and_nothing_to_others() {
        let (acme, beta) = (id("acme"), id("beta"));
        let stream = Stream { organization: &acme, filter: FILTER };
        let written = OffsetDateTime::UNIX_EPOCH + time::Duration::microseconds(1_795_940_998_864_123);
        for place in [Place { position: 0, written: None }, Place { position: i64::MAX, written: Some(written) }] {
            let token = stream.write(place);
            assert!(token.len() <= LONGEST, "{token}");
            assert_eq!(stream.read(&token), Some(place));
            assert_eq!(Stream { organization: &acme, filter: "" }.read(&token), None);
            assert_eq!(Stream { organization: &beta, filter: FILTER }.read(&token), None);
        }
    }

    #[test]
    fn what_was_never_given_out_is_none() {
        let acme = id("acme");
        let stream = Stream { organization: &acme, filter: FILTER };
        let token = stream.write(Place { position: 12, written: None });
        let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for nth in 0..bytes.len() {
            bytes[nth] ^= 1;
            assert_eq!(stream.read(&URL_SAFE_NO_PAD.encode(&bytes)), None, "byte {nth}");
            bytes[nth] ^= 1;
        }
        for odd in ["", "x", "####", &"A".repeat(101), &URL_SAFE_NO_PAD.encode([0; 8])] {
            assert_eq!(stream.read(odd), None, "{odd}");
        }
    }
}
