//! One call from its request to its answer: what surrounds every handler, from the outside in:
//! its task → door → log line and call id → form → deadline → open streams and requests → panics → tonic's own errors → handler.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, stream};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::rt::Executor;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;

use super::deadline::{Deadline, Deadlines, asked};
use super::door::Door;
use super::idle::Busy;
use super::metadata;
use super::places::Places;
use super::serve_settings::ServeSettings;
use super::shares::Seat;
use super::sizes::Size;
use super::status;
use super::telemetry::{self, Call};
use super::watches::Wire;
use crate::app;
use crate::domain::{self, FieldFault};

const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

tokio::task_local! {
    /// Cancelled where the call that this task carries out is cut off.
    static CUT: CancellationToken;
}

/// Runs each call in a task of its own, which ends early where the call is cut off.
#[derive(Clone, Debug)]
pub(super) struct CallTasks;

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for CallTasks {
    fn execute(&self, call: F) {
        let cut = CancellationToken::new();
        tokio::spawn(CUT.scope(cut.clone(), cut.run_until_cancelled_owned(call)));
    }
}

/// Answers the calls of every connection. Clones share the limits.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    door: Door,
    routes: Routes,
    deadlines: Deadlines,
    open_streams: Arc<Semaphore>,
    /// Requests that have not arrived to their end.
    arriving: BySize,
    /// Answers that their callers have not taken.
    untaken: BySize,
}

/// Places of short and of long requests, or their answers: together they take twice the memory of the short ones.
#[derive(Clone, Debug)]
struct BySize {
    short: Places,
    long: Places,
}

impl BySize {
    fn new(max: usize) -> Self {
        Self { short: Places::new(max), long: Places::new(Size::Long.share(max)) }
    }

    fn of(&self, size: Size) -> &Places {
        match size {
            Size::Short => &self.short,
            Size::Long => &self.long,
        }
    }
}

impl Calls {
    pub(super) fn new(door: Door, routes: Routes, settings: &ServeSettings) -> Self {
        Self {
            door,
            routes: routes.prepare(),
            deadlines: Deadlines { default: settings.default_deadline, max: settings.max_deadline },
            open_streams: Arc::new(Semaphore::new(settings.max_open_streams)),
            arriving: BySize::new(settings.max_arriving_requests),
            untaken: BySize::new(settings.max_untaken_answers),
        }
    }

    /// The connection is busy until the answer is taken.
    pub(super) async fn answer(self, mut request: Request<Incoming>, busy: Busy) -> Result<Response<Body>, Infallible> {
        if let Some(refusal) = self.door.refusal(&request) {
            return Ok(refusal);
        }
        let call = Call::begin(&request);
        let path = request.uri().path();
        // streams have limits of their own, and are held for long by everybody
        let untaken =
            (!is_open_stream(path) && !is_watch(path)).then(|| self.untaken.of(Size::of_answer(path)).clone());
        if is_watch(path) {
            let wire = Wire { connection: busy.connection(), cut: CUT.with(CancellationToken::clone) };
            request.extensions_mut().insert(wire);
        }
        // calls that wait for their turn in thousands should be small: the rest is made when it comes
        let response = call.carry_out(Box::pin(self.if_formed(request))).await;
        let response = call.answered(response.unwrap_or_else(Status::into_http));
        let place = untaken.map(|untaken| untaken.take(CUT.with(CancellationToken::clone)));
        Ok(response.map(|body| holding(body, (place, busy))))
    }

    /// What is not POST or not of gRPC's content type comes from no gRPC client: a browser, a scanner, a proxy that
    /// repeats a GET. Nothing is carried out, and HTTP's status says so as well, as PROTOCOL-HTTP2 of gRPC asks.
    async fn if_formed(self, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        let refused = |code, field, rule| {
            let mut response = status::bad_header(field, FieldFault::NotAllowed, rule).into_http();
            *response.status_mut() = code;
            response
        };
        if request.method() != Method::POST {
            let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, ":method", "must be POST");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Ok(response);
        }
        let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        if !content_type.is_some_and(is_grpc) {
            let rule = "must be application/grpc or application/grpc+proto";
            return Ok(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", rule));
        }
        match metadata::refusal(request.headers()) {
            None => self.within_deadline(request).await,
            Some(refusal) => refusal,
        }
    }

    async fn within_deadline(self, mut request: Request<Incoming>) -> Result<Response<Body>, Status> {
        let asked = asked(request.headers())?;
        let deadline = self.deadlines.of(asked);
        request.extensions_mut().insert(Deadline::within(deadline, asked));
        let seat = Seat::default();
        request.extensions_mut().insert(seat.clone());
        let response = timeout(deadline, self.within_open_streams(request)).await;
        drop(seat);
        response.unwrap_or_else(|_| Err(status::deadline_passed(telemetry::changes()).into()))
    }

    /// Streams that ask for no token would let anybody fill the memory with them.
    async fn within_open_streams(self, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        if !is_open_stream(request.uri().path()) {
            let places = self.arriving.of(Size::of(request.uri().path()));
            let request = request.map(|body| arriving(body, places));
            return self.without_panic(request).await;
        }
        let overloaded = |_| status::from_error(app::Error::Overloaded);
        let place = Arc::clone(&self.open_streams).try_acquire_owned().map_err(overloaded)?;
        let response = self.without_panic(request.map(Body::new)).await?;
        Ok(response.map(|body| holding(body, place)))
    }

    async fn without_panic(mut self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let method = request.uri().path().to_owned();
        // A handler holds nothing that outlives its call but what is shared with tasks, which a panic may end as well.
        match AssertUnwindSafe(self.routes.call(request.map(without_trailers))).catch_unwind().await {
            Ok(Ok(response)) => in_our_words(response, &method),
            Err(_) => {
                tracing::error!("a handler has panicked: where, the panic's own message says");
                Err(status::internal().into())
            }
        }
    }
}

/// gRPC with protobuf. gRPC-Web and gRPC with JSON begin with the same letters, and are a gateway's to translate.
fn is_grpc(content_type: &[u8]) -> bool {
    let kind = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    [&b"application/grpc"[..], b"application/grpc+proto"].iter().any(|ours| kind.eq_ignore_ascii_case(ours))
}

/// Requests of gRPC have no trailers. tonic puts them over the headers, so that a call could say who it is by in a place
/// where nobody before us has looked.
fn without_trailers(body: Body) -> Body {
    Body::new(body.map_frame(|frame| match frame.into_data() {
        Ok(data) => Frame::data(data),
        Err(_) => Frame::trailers(HeaderMap::new()),
    }))
}

fn is_watch(method: &str) -> bool {
    method == domain::Method::WatchEvents.path()
}

fn is_open_stream(method: &str) -> bool {
    method == "/grpc.health.v1.Health/Watch" || method.starts_with("/grpc.reflection.")
}

/// The body of a request, which ends with RESOURCE_EXHAUSTED where it has to give way to others before it has ended.
fn arriving(body: Incoming, places: &Places) -> Body {
    let gives_way = CancellationToken::new();
    let place = places.take(gives_way.clone());
    let mut told = Box::pin(gives_way.cancelled_owned().fuse());
    let mut frames = BodyStream::new(body);
    Body::new(StreamBody::new(stream::poll_fn(move |context| {
        let _held_by_the_body = &place;
        if told.poll_unpin(context).is_ready() {
            return Some(Err(status::from_error(app::Error::Overloaded))).into();
        }
        frames.poll_next_unpin(context).map_err(|error| Status::from_error(error.into()))
    })))
}

/// A body that holds something until it has ended or is no longer wanted.
fn holding(body: Body, held: impl Send + 'static) -> Body {
    Body::new(body.map_frame(move |frame| {
        let _held_by_the_body = &held;
        frame
    }))
}

/// What tonic refuses before a handler sees it has no details, and is INTERNAL where the caller is at fault.
fn in_our_words(response: Response<Body>, method: &str) -> Result<Response<Body>, Status> {
    let Some(refused) = Status::from_header_map(response.headers()) else { return Ok(response) };
    if !refused.details().is_empty() {
        return Ok(response);
    }
    match refused.code() {
        Code::Unimplemented if refused.message().is_empty() => Err(status::method_unknown(method).into()),
        Code::Internal => Err(status::unreadable().into()),
        Code::OutOfRange | Code::ResourceExhausted => Err(status::too_long(Size::of(method).words()).into()),
        // gRPC wants UNIMPLEMENTED here, with what can be read
        Code::Unimplemented => {
            let mut status = Status::from(status::encoding_unsupported());
            if let Some(known) = refused.metadata().get(ACCEPT_ENCODING) {
                status.metadata_mut().insert(ACCEPT_ENCODING, known.clone());
            }
            Err(status)
        }
        // of the services that are not ours: health says NOT_FOUND
        _ => Ok(response),
    }
}
