//! Against a server on a real connection that fails as it is told; the service itself does not do so on request.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::Layer;

use super::{Retry, RetryLayer, RetryPolicy};
use crate::pb::mail_service_client::MailServiceClient;
use crate::pb::mail_service_server::{MailService, MailServiceServer};
use crate::pb::{SuppressEmailRequest, UnsuppressEmailRequest};

/// Fails with these, one a call and the last one first, and then succeeds.
#[derive(Clone, Default)]
struct Scripted {
    failures: Arc<Mutex<Vec<Status>>>,
    seen: Arc<Mutex<Vec<(SuppressEmailRequest, MetadataMap)>>>,
}

#[tonic::async_trait]
impl MailService for Scripted {
    async fn suppress_email(&self, request: Request<SuppressEmailRequest>) -> Result<Response<()>, Status> {
        let (metadata, _, message) = request.into_parts();
        self.seen.lock().unwrap().push((message, metadata));
        self.failures.lock().unwrap().pop().map_or(Ok(Response::new(())), Err)
    }

    async fn unsuppress_email(&self, _: Request<UnsuppressEmailRequest>) -> Result<Response<()>, Status> {
        Err(Status::unimplemented(""))
    }
}

struct Outcome {
    code: Code,
    seen: Vec<(SuppressEmailRequest, MetadataMap)>,
    took: Duration,
}

fn message(email: &str) -> SuppressEmailRequest {
    SuppressEmailRequest { email: email.to_owned(), request_id: "1".to_owned() }
}

/// A server that fails so, and a channel to it.
async fn serve(failures: Vec<Status>) -> (Scripted, Channel) {
    let scripted = Scripted { failures: Arc::new(Mutex::new(failures)), ..Scripted::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder().add_service(MailServiceServer::new(scripted.clone()));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (scripted, Endpoint::from_shared(url).unwrap().connect_lazy())
}

fn layered(channel: Channel) -> Retry<Channel> {
    RetryLayer::new(RetryPolicy::default()).layer(channel)
}

/// A call through the layer.
async fn call(failures: Vec<Status>, timeout: Duration) -> Outcome {
    let (scripted, channel) = serve(failures).await;
    let mut request = Request::new(message("anna@example.com"));
    request.set_timeout(timeout);
    let start = Instant::now();
    let answer = MailServiceClient::new(layered(channel)).suppress_email(request).await;
    let seen = std::mem::take(&mut *scripted.seen.lock().unwrap());
    Outcome { code: answer.map_or_else(|status| status.code(), |_| Code::Ok), seen, took: start.elapsed() }
}

fn pushback(code: Code, ms: &str) -> Status {
    let mut status = Status::new(code, "not now");
    status.metadata_mut().insert("grpc-retry-pushback-ms", MetadataValue::try_from(ms).unwrap());
    status
}

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_call_that_fails_twice_with_unavailable_succeeds_with_the_same_request_each_time() {
    let outcome = call(vec![pushback(Code::Unavailable, "10"); 2], LONG).await;
    assert_eq!(outcome.code, Code::Ok);
    assert_eq!(outcome.seen.len(), 3);
    for (nth, (seen, metadata)) in outcome.seen.iter().enumerate() {
        assert_eq!(*seen, message("anna@example.com"));
        let before = metadata.get("grpc-previous-rpc-attempts").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(before, (nth > 0).then(|| nth.to_string()));
    }
}

/// The control.
#[tokio::test]
async fn without_the_layer_it_fails() {
    let (scripted, channel) = serve(vec![pushback(Code::Unavailable, "10"); 2]).await;
    let status = MailServiceClient::new(channel).suppress_email(message("anna@example.com")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(scripted.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn it_waits_as_long_as_the_server_says_and_else_by_its_own_backoff() {
    let told = call(vec![pushback(Code::Unavailable, "900")], LONG).await;
    assert!(told.took >= Duration::from_millis(900), "{:?}", told.took);

    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(Duration::from_millis(900)));
    let told = call(vec![Status::with_error_details(Code::Unavailable, "", details)], LONG).await;
    assert!(told.took >= Duration::from_millis(900), "{:?}", told.took);

    let own = call(vec![Status::unavailable("")], LONG).await;
    assert!(own.took >= Duration::from_millis(400) && own.took < Duration::from_millis(900), "{:?}", own.took);
}

#[tokio::test]
async fn a_negative_pushback_another_code_and_the_last_attempt_end_it() {
    let never = call(vec![pushback(Code::Unavailable, "-1")], LONG).await;
    assert_eq!((never.code, never.seen.len()), (Code::Unavailable, 1));
    for code in [Code::ResourceExhausted, Code::DeadlineExceeded, Code::Internal, Code::Aborted] {
        let other = call(vec![pushback(code, "10")], LONG).await;
        assert_eq!((other.code, other.seen.len()), (code, 1));
    }
    let last = call(vec![pushback(Code::Unavailable, "10"); 9], LONG).await;
    assert_eq!((last.code, last.seen.len()), (Code::Unavailable, 5));
}

#[tokio::test]
async fn the_timeout_holds_for_all_attempts_together() {
    // the second wait, a second, is not begun
    let outcome = call(vec![Status::unavailable(""); 9], Duration::from_millis(1200)).await;
    assert_eq!((outcome.code, outcome.seen.len()), (Code::Unavailable, 2));
    assert!(outcome.took < Duration::from_millis(1200), "{:?}", outcome.took);
    // and each attempt is told what is left
    let left = outcome.seen.iter().map(|(_, metadata)| {
        metadata.get("grpc-timeout").unwrap().to_str().unwrap().strip_suffix('m').unwrap().parse::<u32>().unwrap()
    });
    let left = left.collect::<Vec<_>>();
    assert!(left[0] <= 1201 && left[1] <= 801, "{left:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let control = MailServiceClient::new(channel.clone()).suppress_email(message("anna@example.com")).await;
    assert_eq!(control.unwrap_err().code(), Code::Unavailable);

    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let server = Server::builder().add_service(MailServiceServer::new(Scripted::default()));
        server.serve(address).await
    });
    MailServiceClient::new(layered(channel)).suppress_email(message("anna@example.com")).await.unwrap();
}

#[tokio::test]
async fn a_request_that_the_service_would_refuse_for_its_length_is_not_kept() {
    let (scripted, channel) = serve(Vec::new()).await;
    let mut client = MailServiceClient::new(layered(channel));
    let status = client.suppress_email(message(&"a".repeat(64 * 1024))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(scripted.seen.lock().unwrap().is_empty());
    client.suppress_email(message(&"a".repeat(63 * 1024))).await.unwrap();
}

#[test]
fn the_numbers_are_those_of_the_service_config() {
    let config = include_str!("../../../clients/service-config.json");
    let config = serde_json::from_str::<serde_json::Value>(config).unwrap();
    let policy = &config["methodConfig"][0]["retryPolicy"];
    let seconds = |key: &str| policy[key].as_str().unwrap().strip_suffix('s').unwrap().parse::<f64>().unwrap();
    let ours = RetryPolicy::default();
    assert_eq!(policy["maxAttempts"], ours.max_attempts);
    assert_eq!(policy["backoffMultiplier"], ours.backoff_multiplier);
    assert_eq!(Duration::from_secs_f64(seconds("initialBackoff")), ours.initial_backoff);
    assert_eq!(Duration::from_secs_f64(seconds("maxBackoff")), ours.max_backoff);
    assert_eq!(policy["retryableStatusCodes"], serde_json::json!(["UNAVAILABLE"]));
}
