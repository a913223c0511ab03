//! One span, one log line, one count and one duration for each call, and the id that joins an answer to its log lines. A
//! refusal says its reason there and is counted by it: it is no event, and takes no lock.
//!
//! Metadata and messages are never logged: they hold tokens, codes and addresses.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::Span;

use crate::domain::Method;
use crate::pb::ErrorReason;
use crate::traces::CallSpan;

/// Of the answer: our own id of the call.
const CALL_ID: &str = "x-call-id";
/// Of the request: the caller's.
const CALLERS_ID: &str = "x-request-id";
/// Of the request: the caller's span, as W3C Trace Context names it.
const TRACEPARENT: &str = "traceparent";

/// Methods are logged up to this length, in bytes; a caller can name any.
const MAX_METHOD: usize = 100;

tokio::task_local! {
    static CALL: Arc<Known>;
}

/// What the inside of a call finds out about it.
#[derive(Debug, Default)]
struct Known {
    id: String,
    changes: bool,
    caller: OnceLock<String>,
    /// Of the last refusal, as the enum of the contract; 0: none.
    reason: AtomicI32,
}

/// The id of the call that this task is carrying out; empty outside of one.
pub fn call_id() -> String {
    CALL.try_with(|call| call.id.clone()).unwrap_or_default()
}

/// Whether the call may change something.
pub(super) fn changes() -> bool {
    CALL.try_with(|call| call.changes).unwrap_or_default()
}

/// Tells whose call it is.
pub(super) fn note_caller(caller: String) {
    CALL.try_with(|call| call.caller.set(caller).ok()).ok();
}

/// Tells why it is refused.
pub(super) fn note_reason(reason: ErrorReason) {
    CALL.try_with(|call| call.reason.store(reason.into(), Ordering::Relaxed)).ok();
}

/// The same for what goes on behind the answer's beginning: the span and the reason of an end belong to the call.
pub(super) fn carried_on<F: Future>(work: F) -> impl Future<Output = F::Output> {
    use tracing::Instrument;
    let known = CALL.try_with(Arc::clone).unwrap_or_default();
    CALL.scope(known, work).in_current_span()
}

/// What is known of a call; dropping it writes the log line.
#[derive(Debug)]
pub(super) struct Call {
    known: Arc<Known>,
    /// `None`: not of our contract.
    method: Option<Method>,
    quiet: bool,
    began: Instant,
    code: Option<Code>,
    span: Span,
    trace: CallSpan,
}

impl Call {
    pub(super) fn begin<B>(request: &Request<B>) -> Self {
        // A new one for each call: who could choose it could send us after the wrong lines.
        let id = format!("{:016x}", rand::random::<u64>());
        let path = request.uri().path();
        let name = &path[..path.floor_char_boundary(MAX_METHOD)];
        // Probes come every few seconds and would be most of the log.
        let quiet = path.starts_with("/grpc.health.v1.Health/");
        let method = Method::of_path(path);
        let traceparent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let trace = if quiet { CallSpan::none() } else { CallSpan::begin(method.map(full_name), &id, traceparent) };
        // At the highest level, so that no filter takes the id from the lines of a failure.
        let span = tracing::error_span!(
            "call",
            call_id = id,
            trace_id = trace.trace_id(),
            rpc.method = name,
            caller.request_id = callers_id(request.headers()),
        );
        let changes = method.is_some_and(|method| !method.is_read());
        let known = Arc::new(Known { id, changes, ..Known::default() });
        Self { known, method, quiet, began: Instant::now(), code: None, span, trace }
    }

    /// Makes [`call_id`] and the span known to the call.
    pub(super) async fn carry_out<F: Future>(&self, call: F) -> F::Output {
        use tracing::Instrument;
        let call = self.trace.carry(CALL.scope(Arc::clone(&self.known), call));
        call.instrument(self.span.clone()).await
    }

    /// Adds the id to the answer, and waits for the answer's end.
    pub(super) fn answered(mut self, mut response: Response<Body>) -> Response<Body> {
        if let Ok(id) = HeaderValue::from_str(&self.known.id) {
            response.headers_mut().insert(CALL_ID, id);
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
        let duration = self.began.elapsed();
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let reason = ErrorReason::try_from(self.known.reason.load(Ordering::Relaxed)).unwrap_or_default();
        // a refusal that came to nothing, as another part of the call went on, is none
        let reason = (code != Code::Ok && reason != ErrorReason::Unspecified).then(|| reason.as_str_name());
        let caller = self.known.caller.get();
        let _in_span = self.span.enter();
        if self.quiet {
            tracing::debug!(rpc.code = ?code, duration_ms, "call ended");
        } else {
            tracing::info!(rpc.code = ?code, reason, caller, duration_ms, "call ended");
        }
        let error = reason.or_else(|| (code != Code::Ok).then(|| status_name(code)));
        self.trace.end(status_name(code), error, is_fault(code));
        count_of(self.method, code, reason, duration);
    }
}

/// Counts a call that was refused at once, and has no log line of its own.
pub(super) fn count(path: &str, code: Code, reason: Option<ErrorReason>) {
    count_of(Method::of_path(path), code, reason.map(|reason| reason.as_str_name()), Duration::ZERO);
}

/// By labels that a caller cannot multiply.
fn count_of(method: Option<Method>, code: Code, reason: Option<&'static str>, duration: Duration) {
    let name = method.map_or("other", Method::name);
    metrics::counter!("invitations_calls_total", "method" => name, "code" => format!("{code:?}")).increment(1);
    if let Some(reason) = reason {
        metrics::counter!("invitations_refusals_total", "method" => name, "reason" => reason).increment(1);
    }
    // name and labels are those of OpenTelemetry
    metrics::histogram!(
        "rpc_server_call_duration_seconds",
        "rpc_system_name" => "grpc",
        "rpc_method" => method.map_or("_OTHER", full_name),
        "rpc_response_status_code" => status_name(code),
    )
    .record(duration);
}

/// With its service.
fn full_name(method: Method) -> &'static str {
    method.path().trim_start_matches('/')
}

/// What OpenTelemetry takes for a fault of the server, and not of its caller.
fn is_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, DataLoss | DeadlineExceeded | Internal | Unavailable | Unimplemented | Unknown)
}

/// As gRPC's documentation writes it.
fn status_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The caller's own id, where it cannot be mistaken for anything else in a log.
fn callers_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(CALLERS_ID)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (id.len() <= 64 && id.bytes().all(plain)).then_some(id)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use tracing::Dispatch;

    use super::*;

    fn headers(id: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(CALLERS_ID), HeaderValue::from_str(id).unwrap())])
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
        assert_eq!(id, call.known.id);
        assert_eq!(id.len(), 16);
        assert_ne!(id, Call::begin(&Request::new(())).known.id);
        assert_eq!(call_id(), "");
    }

    /// What a call that ends with this status leaves in the log.
    async fn logged(code: &'static str, call: impl Future<Output = ()>) -> String {
        logged_of(Method::GetMember.path(), code, call).await
    }

    /// Lives on: while no subscriber does, which may be between two tests of other threads, tracing takes a line for one that
    /// nobody wants, and may do so for a moment longer.
    static SOMEBODY: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

    async fn logged_of(path: &str, code: &'static str, call: impl Future<Output = ()>) -> String {
        LazyLock::force(&SOMEBODY);
        let log = Arc::new(std::sync::Mutex::new(Vec::new()));
        let writer = Arc::clone(&log);
        let lines = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || Log(Arc::clone(&writer)));
        let _here = tracing::subscriber::set_default(lines.finish());
        let begun = Call::begin(&Request::builder().uri(path).body(()).unwrap());
        begun.carry_out(call).await;
        let answer = Response::builder().header(Status::GRPC_STATUS, code).body(Body::empty()).unwrap();
        drop(begun.answered(answer));
        let log = log.lock().unwrap().clone();
        String::from_utf8(log).unwrap()
    }

    struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_line_of_a_refused_call_has_its_reason_and_its_caller() {
        let anna = || "accounts/anna".to_owned();
        let refused = async {
            note_caller(anna());
            drop(Status::from(crate::grpc::status::token_missing()));
        };
        let line = logged("16", refused).await;
        let both = [r#""reason":"TOKEN_MISSING""#, r#""caller":"accounts/anna""#];
        assert!(both.iter().all(|part| line.contains(part)), "{line}");

        let line = logged("0", async { note_caller(anna()) }).await;
        assert!(!line.contains("reason") && line.contains(both[1]), "{line}");
        let line = logged("0", async {}).await;
        assert!(!line.contains("caller\":"), "{line}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_long_method_is_logged_in_part_wherever_its_characters_end() {
        for (name, logged) in [("a".repeat(1000), 100), ("ü".repeat(1000), 99)] {
            let path = format!("/{name}");
            let line = logged_of(&path, "12", async {}).await;
            let line = serde_json::from_str::<serde_json::Value>(line.trim()).unwrap();
            assert_eq!(line["span"]["rpc.method"], path[..logged], "{name:.3}");
        }
    }
}
