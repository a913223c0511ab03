//! The port for those who run the service: gRPC health for probes, and the page that Prometheus reads. It has neither TLS
//! nor tokens, and answers before the database does.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::grpc::health::{Health, HealthAnswers};

/// The text format, as its documentation has it. Prometheus 3 reads nothing that does not say what it is.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Up to where durations are counted together, in seconds, by how the metric's name ends.
const BUCKETS: [(&str, &[f64]); 4] = [
    ("_delay_seconds", &[0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0]),
    // of OpenTelemetry
    ("_call_duration_seconds", &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]),
    ("_time_seconds", &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0]),
    // a minute to 30 days
    (
        "_state_duration_seconds",
        &[60.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 259_200.0, 604_800.0, 1_209_600.0, 2_592_000.0],
    ),
];

/// How often durations are sorted into their buckets; what nobody reads would else pile up.
const SORT_EVERY: Duration = Duration::from_secs(5);

/// Connections at one time: Prometheus has one, and each probe for a moment.
const MAX_CONNECTIONS: usize = 64;
/// A connection that takes longer is cut off.
const WITHIN: Duration = Duration::from_secs(5);
/// Out of file descriptors, a loop would only burn the processor.
const PAUSE: Duration = Duration::from_millis(100);

/// The endpoint, bound and counting. What is counted is the process's, however many services run in it.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    page: PrometheusHandle,
    health: HealthAnswers,
}

impl Admin {
    pub async fn bind(address: SocketAddr, health: &Health) -> io::Result<Self> {
        static PAGE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
        let listener = TcpListener::bind(address).await?;
        let page = PAGE.get_or_init(|| {
            let with_buckets = |builder: PrometheusBuilder, (end, buckets): (&str, &[f64])| {
                builder.set_buckets_for_metric(Matcher::Suffix(end.to_owned()), buckets)
            };
            BUCKETS.into_iter().try_fold(PrometheusBuilder::new(), with_buckets).ok()?.install_recorder().ok()
        });
        let page = page.clone().ok_or_else(|| io::Error::other("something else counts in this process"))?;
        Ok(Self { listener, page, health: health.answers() })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop`.
    pub async fn serve(self, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut sorting = interval(SORT_EVERY);
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                _ = sorting.tick() => {
                    self.page.run_upkeep();
                    continue;
                }
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                sleep(PAUSE).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let (page, health) = (self.page.clone(), self.health.clone());
            tokio::spawn(async move {
                let answer = service_fn(|request: Request<Incoming>| {
                    let (page, health) = (page.clone(), health.clone());
                    async move {
                        Ok::<_, Infallible>(if HealthAnswers::is_asked(&request) {
                            health.answer(request).await.map(Either::Left)
                        } else {
                            answer(&request, &page).map(Either::Right)
                        })
                    }
                });
                let mut server = auto::Builder::new(TokioExecutor::new());
                server.http1().keep_alive(false);
                timeout(WITHIN, server.serve_connection(TokioIo::new(stream), answer)).await.ok();
                drop(place);
            });
        }
    }
}

/// To HEAD hyper sends the same without the page.
fn answer(request: &Request<Incoming>, page: &PrometheusHandle) -> Response<String> {
    let is_read = request.method() == Method::GET || request.method() == Method::HEAD;
    let (status, kind, text) = match request.uri().path() {
        "/metrics" if is_read => (StatusCode::OK, EXPOSITION, page.render()),
        "/metrics" => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET or HEAD\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, TEXT, "see /metrics\n".to_owned()),
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
