//! How long the metadata of a call may be.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tonic::Status;
use tonic::body::Body;

use super::status;
use crate::domain::FieldFault;

/// The longest metadata of a call, in bytes. A token is most of it: those of people in many groups are long.
const MAX_METADATA: usize = 16 * 1024;

/// What is read of a call's headers, so that whoever has sent too long a token can be told; HTTP/2 refuses what is longer
/// with 431. Nothing above [`MAX_METADATA`] is kept while a call waits.
pub(super) const MAX_READ: u32 = 64 * 1024;

/// What each header takes beside its name and its value, as RFC 9113 counts (6.5.2).
const OVERHEAD: usize = 32;

/// What to answer where it is too long. Where the token alone is to blame the answer says so, and is for a gRPC client to
/// read; other metadata of that length is no client's of ours, and HTTP's status is all there is to say.
pub(super) fn refusal(headers: &HeaderMap) -> Option<Result<Response<Body>, Status>> {
    let length = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + OVERHEAD;
    let all = headers.iter().map(length).sum::<usize>();
    if all <= MAX_METADATA {
        return None;
    }
    let others = headers.iter().filter(|(name, _)| *name != AUTHORIZATION).map(length).sum::<usize>();
    if others > MAX_METADATA {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Some(Ok(response));
    }
    let rule = "makes the metadata longer than 16 KiB: have the issuer put less into the token, such as fewer groups";
    Some(Err(status::bad_header(AUTHORIZATION.as_str(), FieldFault::TooLong, rule)))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    /// What becomes of a call with a token and another header of these lengths.
    fn answer(token: usize, other: usize) -> Option<Result<StatusCode, Code>> {
        let value = |length: usize| HeaderValue::from_str(&"a".repeat(length)).unwrap();
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, value(token)),
            (HeaderName::from_static("x-other-header"), value(other)),
        ]);
        refusal(&headers).map(|refused| refused.map(|http| http.status()).map_err(|status| status.code()))
    }

    #[test]
    fn the_whole_counts_and_a_token_is_named() {
        let full = 16 * 1024 - 2 * 32 - "authorization".len() - "x-other-header".len();
        assert_eq!(answer(full, 0), None);
        assert_eq!(answer(full - 1000, 1000), None);
        assert_eq!(answer(0, full), None);
        assert_eq!(answer(full + 1, 0), Some(Err(Code::InvalidArgument)));
        assert_eq!(answer(full - 999, 1000), Some(Err(Code::InvalidArgument)));
        assert_eq!(answer(60_000, 0), Some(Err(Code::InvalidArgument)));
        assert_eq!(answer(1000, 17 * 1024), Some(Ok(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)));
        assert_eq!(answer(17 * 1024, 17 * 1024), Some(Ok(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)));
    }
}
