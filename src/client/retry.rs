//! The retry policy, which tonic has no setting for: `clients/service-config.json` as a tower layer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use prost::bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{BoxError, Layer, Service, ServiceExt};

use super::details::Details;

/// Calls of other services, such as health and reflection, may be streams, which nothing repeats.
const OURS: &str = "/ipmhub.invitations.v1.";
/// Of ours, the one that is a stream: whoever follows it opens it again by [`Events`](super::Events).
const STREAM: &str = "/ipmhub.invitations.v1.OrganizationService/WatchEvents";
/// What the service takes, in KiB: of most methods, and of those with rows.
const LARGEST_REQUEST: usize = 64;
const LARGEST_OF_ROWS: (usize, [&str; 2]) = (1024, ["/BatchCreateInvitations", "/BatchGetInvitations"]);

/// How often and when a call is repeated that failed with UNAVAILABLE; no other is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RetryPolicy {
    pub max_attempts: u32,
    /// The wait before the second attempt, give or take a fifth, where the server does not say how long.
    pub initial_backoff: Duration,
    pub max_backoff: Duration,
    pub backoff_multiplier: u32,
    /// For all attempts together, where the call has no timeout of its own.
    pub default_timeout: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            initial_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(5),
            backoff_multiplier: 2,
            default_timeout: Duration::from_secs(20),
        }
    }
}

/// Puts the policy over a channel.
#[derive(Clone, Copy, Debug)]
pub struct RetryLayer(RetryPolicy);

impl RetryLayer {
    pub fn new(policy: RetryPolicy) -> Self {
        Self(policy)
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry { inner, policy: self.0 }
    }
}

/// A channel whose calls are repeated.
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: S,
    policy: RetryPolicy,
}

impl<S> Service<Request<Body>> for Retry<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    /// Each attempt waits for a place in the channel by itself.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let path = request.uri().path();
            if path == STREAM || !path.starts_with(OURS) {
                return attempt(this.inner, request).await;
            }
            let timeout = timeout_of(request.headers()).unwrap_or(this.policy.default_timeout);
            let deadline = Instant::now() + timeout;
            let answer = timeout_at(deadline, this.attempts(request, deadline)).await;
            answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer came within the call's timeout")))
        })
    }
}

impl<S> Retry<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone,
    S::Error: Into<BoxError>,
{
    async fn attempts(self, request: Request<Body>, deadline: Instant) -> Result<Response<Body>, Status> {
        let (mut parts, body) = request.into_parts();
        let body = whole(body, largest(parts.uri.path())).await?;
        let mut backoff = self.policy.initial_backoff;
        let mut number = 1;
        loop {
            parts.headers.insert("grpc-timeout", left_until(deadline)?);
            let request = Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
            let answer = attempt(self.inner.clone(), request).await;
            let Some(wait) = wait(&answer, backoff) else { return answer };
            if number >= self.policy.max_attempts || Instant::now() + wait >= deadline {
                return answer;
            }
            sleep(wait).await;
            parts.headers.insert("grpc-previous-rpc-attempts", HeaderValue::from(number));
            backoff = (backoff * self.policy.backoff_multiplier).min(self.policy.max_backoff);
            number += 1;
        }
    }
}

async fn attempt<S>(channel: S, request: Request<Body>) -> Result<Response<Body>, Status>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Error: Into<BoxError>,
{
    channel.oneshot(request).await.map_err(|error| Status::from_error(error.into()))
}

/// The largest request of the method with that path, in KiB.
fn largest(path: &str) -> usize {
    let (largest, methods) = LARGEST_OF_ROWS;
    if methods.iter().any(|method| path.ends_with(method)) { largest } else { LARGEST_REQUEST }
}

/// A request can be sent again only if all of it is there: so many KiB at most.
async fn whole(body: Body, largest: usize) -> Result<Bytes, Status> {
    let collected = Limited::new(body, largest * 1024).collect().await;
    let collected = collected.map_err(|error| match error.downcast::<Status>() {
        Ok(status) => *status,
        Err(_) => Status::invalid_argument(format!("a request has at most {largest} KiB")),
    });
    Ok(collected?.to_bytes())
}

/// How long until the next attempt; `None`: there is none.
fn wait(answer: &Result<Response<Body>, Status>, backoff: Duration) -> Option<Duration> {
    let status = match answer {
        // One that fails without an answer is all headers. Once there is more, it is the caller's.
        Ok(answer) => Status::from_header_map(answer.headers()).or_else(|| proxy_status(answer))?,
        Err(status) => status.clone(),
    };
    if status.code() != Code::Unavailable {
        return None;
    }
    // the server's word; a negative number says: do not try again
    if let Some(pushback) = status.metadata().get("grpc-retry-pushback-ms") {
        return pushback.to_str().ok()?.parse().ok().map(Duration::from_millis);
    }
    let jittered = backoff.mul_f64(rand::random_range(0.8..1.2));
    Some(Details::from(&status).retry_after.unwrap_or(jittered))
}

/// What gRPC takes an answer for that something in between made.
fn proxy_status(answer: &Response<Body>) -> Option<Status> {
    let says_unavailable = [429, 502, 503, 504].contains(&answer.status().as_u16());
    says_unavailable.then(|| Status::unavailable(answer.status().to_string()))
}

/// The timeout that a call has been given: digits and a unit.
fn timeout_of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = number.parse::<u32>().ok()?.into();
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// What is left for an attempt, rounded up, so that it is no attempt that ends the call. Eight digits are allowed.
fn left_until(deadline: Instant) -> Result<HeaderValue, Status> {
    let left = deadline.saturating_duration_since(Instant::now()).as_millis() + 1;
    let value = HeaderValue::try_from(format!("{}m", left.min(99_999_999)));
    value.map_err(|error| Status::internal(error.to_string()))
}

#[cfg(all(test, feature = "server"))]
mod tests;
