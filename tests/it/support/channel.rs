//! What callers connect with: tonic's channel, whose answers are kept as evidence.

use std::task::{Context, Poll};

use futures_util::TryFutureExt;
use futures_util::future::MapOk;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use tonic::body::Body;
use tonic::transport::channel::ResponseFuture;
use tonic::transport::{self, Endpoint};

use super::evidence;

#[derive(Clone, Debug)]
pub struct Channel(transport::Channel);

impl Channel {
    pub async fn open(endpoint: Endpoint) -> Result<Self, transport::Error> {
        Ok(Self(endpoint.connect().await?))
    }
}

impl tower::Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = transport::Error;
    type Future = MapOk<ResponseFuture, fn(Response<Body>) -> Response<Body>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request).map_ok(kept)
    }
}

/// Decoded, in one piece: calls that are under way at once do not mix.
pub struct Answer(Vec<u8>);

impl Answer {
    pub fn begin(headers: &HeaderMap) -> Self {
        let mut answer = Self(Vec::new());
        answer.add_headers(headers);
        answer
    }

    /// As bytes: what the server calls sensitive would not show in another way.
    pub fn add_headers(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            self.0.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat());
        }
    }

    pub fn add_data(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
    }
}

/// When it has ended or nobody reads on.
impl Drop for Answer {
    fn drop(&mut self) {
        evidence::answer(&self.0);
    }
}

fn kept(response: Response<Body>) -> Response<Body> {
    let mut answer = Answer::begin(response.headers());
    let watched = |body: Body| {
        Body::new(body.map_frame(move |frame| {
            if let Some(data) = frame.data_ref() {
                answer.add_data(data);
            }
            if let Some(trailers) = frame.trailers_ref() {
                answer.add_headers(trailers);
            }
            frame
        }))
    };
    response.map(watched)
}
