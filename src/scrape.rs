//! The page that Prometheus reads: what the process has counted, as text over plain HTTP.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Readers at one time; Prometheus is one.
const MAX_READERS: usize = 8;
/// A reader that takes longer is cut off.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// Out of file descriptors, a loop would only burn the processor.
const PAUSE: Duration = Duration::from_millis(100);

/// The endpoint, bound and counting. What is counted is the process's, however many services run in it.
#[derive(Debug)]
pub struct Scrape {
    listener: TcpListener,
    page: PrometheusHandle,
}

impl Scrape {
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        static PAGE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
        let listener = TcpListener::bind(address).await?;
        let page = PAGE.get_or_init(|| PrometheusBuilder::new().install_recorder().ok());
        let page = page.clone().ok_or_else(|| io::Error::other("something else counts in this process"))?;
        Ok(Self { listener, page })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop`.
    pub async fn serve(self, stop: CancellationToken) {
        let readers = Arc::new(Semaphore::new(MAX_READERS));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                sleep(PAUSE).await;
                continue;
            };
            let Ok(place) = Arc::clone(&readers).try_acquire_owned() else { continue };
            let page = self.page.clone();
            tokio::spawn(async move {
                let answer = service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&request, &page))));
                let connection = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), answer);
                timeout(READ_WITHIN, connection).await.ok();
                drop(place);
            });
        }
    }
}

fn answer(request: &Request<Incoming>, page: &PrometheusHandle) -> Response<String> {
    let is_page = request.method() == Method::GET && request.uri().path() == "/metrics";
    let mut response = Response::new(if is_page { page.render() } else { "see /metrics\n".to_owned() });
    if !is_page {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}
