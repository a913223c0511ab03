//! One call from its request to its answer: what surrounds every handler, from the outside in:
//! log line and call id → form → deadline → open streams → panics → tonic's own errors → handler.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;

use super::deadline::Deadlines;
use super::status;
use super::telemetry::Call;
use crate::app;

/// Answers the calls of every connection. Clones share the limit of open streams.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    routes: Routes,
    deadlines: Deadlines,
    open_streams: Arc<Semaphore>,
}

impl Calls {
    pub(super) fn new(routes: Routes, deadlines: Deadlines, max_open_streams: usize) -> Self {
        Self { routes: routes.prepare(), deadlines, open_streams: Arc::new(Semaphore::new(max_open_streams)) }
    }

    pub(super) async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let call = Call::begin(&request);
        let response = call.carry_out(self.if_formed(request)).await;
        Ok(call.answered(response.unwrap_or_else(Status::into_http)))
    }

    /// What is not POST or not of gRPC's content type comes from no gRPC client: a browser, a scanner, a proxy that
    /// repeats a GET. Nothing is carried out, and HTTP's status says so as well, as PROTOCOL-HTTP2 of gRPC asks.
    async fn if_formed(self, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        let refused = |code, field, rule| {
            let mut response = status::malformed(field, rule).into_http();
            *response.status_mut() = code;
            response
        };
        if request.method() != Method::POST {
            let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, ":method", "must be POST");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Ok(response);
        }
        let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        if !content_type.is_some_and(|value| value.starts_with(b"application/grpc")) {
            let rule = "must begin with application/grpc";
            return Ok(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", rule));
        }
        self.within_deadline(request).await
    }

    async fn within_deadline(self, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        let deadline = self.deadlines.of(request.headers())?;
        let response = timeout(deadline, self.within_open_streams(request)).await;
        response.unwrap_or_else(|_| Err(status::deadline_passed().into()))
    }

    /// Streams that ask for no token would let anybody fill the memory with them.
    async fn within_open_streams(self, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        if !is_open_stream(request.uri().path()) {
            return self.without_panic(request).await;
        }
        let overloaded = |_| status::from_error(app::Error::Overloaded);
        let place = Arc::clone(&self.open_streams).try_acquire_owned().map_err(overloaded)?;
        let response = self.without_panic(request).await?;
        Ok(response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _held_by_the_body = &place;
                frame
            }))
        }))
    }

    async fn without_panic(mut self, request: Request<Incoming>) -> Result<Response<Body>, Status> {
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

/// Requests of gRPC have no trailers. tonic puts them over the headers, so that a call could say who it is by in a place
/// where nobody before us has looked.
fn without_trailers(body: Incoming) -> Body {
    Body::new(body.map_frame(|frame| match frame.into_data() {
        Ok(data) => Frame::data(data),
        Err(_) => Frame::trailers(HeaderMap::new()),
    }))
}

fn is_open_stream(method: &str) -> bool {
    method == "/grpc.health.v1.Health/Watch" || method.starts_with("/grpc.reflection.")
}

/// What tonic refuses before a handler sees it has no details, and is INTERNAL where the caller is at fault.
fn in_our_words(response: Response<Body>, method: &str) -> Result<Response<Body>, Status> {
    let Some(refused) = Status::from_header_map(response.headers()) else { return Ok(response) };
    if !refused.details().is_empty() {
        return Ok(response);
    }
    match refused.code() {
        Code::Unimplemented if refused.message().is_empty() => Err(status::method_unknown(method).into()),
        Code::Internal | Code::OutOfRange | Code::ResourceExhausted => {
            Err(status::unreadable(refused.message()).into())
        }
        // An encoding that we do not know stays UNIMPLEMENTED, which tells clients to send it plain.
        _ => Ok(response),
    }
}
