//! One span and one log line for each call, and the id that joins an answer to its log lines.
//!
//! Metadata and messages are never logged: they hold tokens, codes and addresses.

use std::time::Instant;

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::Span;

const REQUEST_ID: &str = "x-request-id";

/// Methods are logged up to this length, in bytes; a caller can name any.
const MAX_METHOD: usize = 100;

tokio::task_local! {
    static CALL_ID: String;
}

/// The id of the call that this task is carrying out; empty outside of one.
pub fn call_id() -> String {
    CALL_ID.try_with(Clone::clone).unwrap_or_default()
}

/// What is known of a call; dropping it writes the log line.
#[derive(Debug)]
pub(super) struct Call {
    id: String,
    quiet: bool,
    began: Instant,
    code: Option<Code>,
    span: Span,
}

impl Call {
    pub(super) fn begin<B>(request: &Request<B>) -> Self {
        // A new one for each call: who could choose it could send us after the wrong lines.
        let id = format!("{:016x}", rand::random::<u64>());
        let path = request.uri().path();
        let method = path.get(..MAX_METHOD).unwrap_or(path);
        // At the highest level, so that no filter takes the id from the lines of a failure.
        let span = tracing::error_span!(
            "call",
            call.id = id,
            rpc.method = method,
            caller.request_id = callers_id(request.headers()),
        );
        // Probes come every few seconds and would be most of the log.
        let quiet = path.starts_with("/grpc.health.v1.Health/");
        Self { id, quiet, began: Instant::now(), code: None, span }
    }

    /// Makes [`call_id`] and the span known to the call.
    pub(super) async fn carry_out<F: Future>(&self, call: F) -> F::Output {
        use tracing::Instrument;
        CALL_ID.scope(self.id.clone(), call).instrument(self.span.clone()).await
    }

    /// Adds the id to the answer, and waits for the answer's end.
    pub(super) fn answered(mut self, mut response: Response<Body>) -> Response<Body> {
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        self.note_code(response.headers());
        if self.code.is_some() {
            return response;
        }
        let watched = |body: Body| {
            Body::new(body.map_frame(move |frame| {
                if let Some(trailers) = frame.trailers_ref() {
                    self.note_code(trailers);
                }
                frame
            }))
        };
        response.map(watched)
    }

    fn note_code(&mut self, headers: &HeaderMap) {
        self.code = headers.get(Status::GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes()));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Without an end, the caller has left, or the connection was lost.
        let code = self.code.unwrap_or(Code::Cancelled);
        let duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let _in_span = self.span.enter();
        if self.quiet {
            tracing::debug!(rpc.code = ?code, duration_ms, "call ended");
        } else {
            tracing::info!(rpc.code = ?code, duration_ms, "call ended");
        }
    }
}

/// The caller's own id, where it cannot be mistaken for anything else in a log.
fn callers_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (id.len() <= 64 && id.bytes().all(plain)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(id: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(REQUEST_ID), HeaderValue::from_str(id).unwrap())])
    }

    #[test]
    fn a_callers_id_is_logged_only_if_it_is_plain() {
        assert_eq!(callers_id(&headers("b7e0-F_1.2")), Some("b7e0-F_1.2"));
        assert_eq!(callers_id(&headers("a b")), None);
        assert_eq!(callers_id(&headers("anna@example.org")), None);
        assert_eq!(callers_id(&headers(&"a".repeat(65))), None);
    }

    #[tokio::test]
    async fn a_call_knows_its_id_and_has_another_one_than_the_next() {
        let call = Call::begin(&Request::new(()));
        let id = call.carry_out(async { call_id() }).await;
        assert_eq!(id, call.id);
        assert_eq!(id.len(), 16);
        assert_ne!(id, Call::begin(&Request::new(())).id);
        assert_eq!(call_id(), "");
    }
}
