//! Accepts connections and speaks HTTP/2 on them: how many there may be, how long they live, when they are cut off.
//!
//! hyper is driven here and not by tonic's server, which never times out silence, spins when file descriptors run out,
//! gives all connections the same age, waits without limit at the end, and answers a passed deadline CANCELLED.

use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::call::{CallTasks, Calls};
use super::idle::Idle;
use super::metadata;
use super::places::Places;
use super::serve_settings::ServeSettings;
use super::tls::Tls;
use crate::flood::Flood;

/// What every HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long to wait after a failed accept. Without it, a process that is out of file descriptors spins.
const ACCEPT_PAUSE: Duration = Duration::from_millis(75);

/// A peer that is gone is noticed by a ping after this time …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// … that stays without an answer for this time.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// What one call, and all calls of a connection, may send ahead of being read, in bytes. Requests are small; hyper's
/// 1 MiB would let full connections hold a gigabyte. h2 takes fewer small DATA frames ahead where the second is less.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// What is written ahead of a peer that does not read, for each call, in bytes: what is longer is not taken until it does.
const SEND_BUFFER: usize = 16 * 1024;

/// How long connections may take to end when they are cut off at the end.
pub const CUT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection without a call may take to close when somebody else wants its place …
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);
/// … and how long that one waits for it.
const PLACE_TIMEOUT: Duration = Duration::from_secs(1);

/// All connections of the server.
#[derive(Debug)]
pub(super) struct Connections {
    calls: Calls,
    http: http2::Builder<CallTasks>,
    tls: Option<Arc<Tls>>,
    places: Arc<Semaphore>,
    idle: Places,
    first_byte_timeout: Duration,
    max_age: Duration,
    tasks: TaskTracker,
    draining: CancellationToken,
    cut: CancellationToken,
}

impl Connections {
    /// From `draining` on, no connection is accepted and each is told to go.
    pub(super) fn new(
        calls: Calls,
        tls: Option<Arc<Tls>>,
        settings: &ServeSettings,
        draining: CancellationToken,
    ) -> Self {
        // What is not set here keeps hyper's and h2's limits, those against floods of resets among them.
        let mut http = http2::Builder::new(CallTasks);
        http.timer(TokioTimer::new())
            .max_concurrent_streams(settings.max_concurrent_streams)
            .max_header_list_size(metadata::MAX_READ)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        Self {
            calls,
            http,
            tls,
            places: Arc::new(Semaphore::new(settings.max_connections)),
            idle: Places::unlimited(),
            first_byte_timeout: settings.first_byte_timeout,
            max_age: settings.max_connection_age,
            tasks: TaskTracker::new(),
            draining,
            cut: CancellationToken::new(),
        }
    }

    /// Accepts until draining begins, then closes the listener.
    pub(super) async fn accept(self: &Arc<Self>, listener: TcpListener) {
        let (mut refused, mut failed) = (Flood::default(), Flood::default());
        while let Some(accepted) = self.draining.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((socket, _)) => {
                    if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                        // from here on: a task that has not begun could not give way yet
                        let idle = Idle::new(&self.idle);
                        self.tasks.spawn(Arc::clone(self).connection(socket, place, idle));
                    } else if self.idle.free_one() {
                        self.tasks.spawn(Arc::clone(self).connection_later(socket));
                    } else {
                        count_refused("busy");
                        if let Some(count) = refused.count() {
                            tracing::warn!(count, "connections refused: all places are busy, raise max_connections");
                        }
                    }
                }
                Err(error) if is_of_one_peer(&error) => {}
                Err(error) => {
                    count_refused("failed");
                    if let Some(count) = failed.count() {
                        tracing::error!(count, %error, "no connection can be accepted: check the limit of open files");
                    }
                    self.idle.free_one();
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Waits for the connections to end; after `limit`, cuts off those that are left.
    pub(super) async fn drain(&self, limit: Duration) {
        self.tasks.close();
        if timeout(limit, self.tasks.wait()).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "connections cut off: their calls did not end in time");
            self.cut.cancel();
            timeout(CUT_TIMEOUT, self.tasks.wait()).await.ok();
        }
    }

    /// One connection, as soon as another one has given way.
    async fn connection_later(self: Arc<Self>, socket: TcpStream) {
        if let Ok(Ok(place)) = timeout(PLACE_TIMEOUT, Arc::clone(&self.places).acquire_owned()).await {
            let idle = Idle::new(&self.idle);
            self.connection(socket, place, idle).await;
        }
    }

    /// One connection, which holds its place until it is closed.
    async fn connection(self: Arc<Self>, socket: TcpStream, _place: OwnedSemaphorePermit, idle: Idle) {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "connection closed: it cannot be used");
            return;
        }
        match &self.tls {
            None => self.begin(greeted(socket.into_split()), idle).await,
            Some(tls) => {
                let handshake = tls.acceptor().accept(socket);
                self.begin(async { greeted(tokio::io::split(handshake.await?)).await }, idle).await;
            }
        }
    }

    /// All that comes before the first call, within one deadline.
    async fn begin(&self, greeted: impl Future<Output = io::Result<impl AsyncRead + AsyncWrite + Unpin>>, idle: Idle) {
        let greeted = tokio::select! {
            greeted = timeout(self.first_byte_timeout, greeted) => greeted,
            () = self.draining.cancelled() => return,
            () = idle.gives_way().cancelled() => return,
        };
        match greeted {
            Ok(Ok(socket)) => self.speak(socket, &idle).await,
            Ok(Err(error)) => tracing::debug!(%error, "connection closed: it did not begin with HTTP/2"),
            Err(_) => tracing::debug!("connection closed: it did not begin in time"),
        }
    }

    async fn speak(&self, socket: impl AsyncRead + AsyncWrite + Unpin, idle: &Idle) {
        let calls = service_fn(|request| self.calls.clone().answer(request, idle.begin_call()));
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(socket), calls));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = self.draining.run_until_cancelled(sleep(jittered(self.max_age))) => {
                connection.as_mut().graceful_shutdown();
                self.cut.run_until_cancelled(connection).await.unwrap_or(Ok(()))
            }
            () = idle.gives_way().cancelled() => {
                connection.as_mut().graceful_shutdown();
                match timeout(GOODBYE_TIMEOUT, connection.as_mut()).await {
                    Ok(ended) => ended,
                    // a call was on its way already
                    Err(_) if idle.has_call() => self.cut.run_until_cancelled(connection).await.unwrap_or(Ok(())),
                    Err(_) => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection failed");
        }
    }
}

/// Reads the whole preface before hyper gets to see the connection, and hands it on: hyper would wait for ever.
async fn greeted(
    (mut reader, writer): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
) -> io::Result<impl AsyncRead + AsyncWrite + Unpin> {
    let mut preface = [0; PREFACE.len()];
    reader.read_exact(&mut preface).await?;
    if &preface != PREFACE {
        return Err(ErrorKind::InvalidData.into());
    }
    Ok(tokio::io::join(PREFACE.chain(reader), writer))
}

/// ±10 %, so that clients that came together, after a rollout, do not come back together.
pub(super) fn jittered(age: Duration) -> Duration {
    age.mul_f64(rand::random_range(0.9..1.1))
}

/// `busy`: there are as many as there may be; `failed`: none can be accepted, as no file can be opened.
fn count_refused(cause: &'static str) {
    metrics::counter!("invitations_connections_refused_total", "cause" => cause).increment(1);
}

/// Whether only the connection that was to be accepted is lost.
fn is_of_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_differ_by_at_most_a_tenth() {
        let ages: Vec<_> = (0..100).map(|_| jittered(Duration::from_secs(100)).as_secs()).collect();
        assert!(ages.iter().all(|age| (90..=110).contains(age)), "{ages:?}");
        assert!(ages.iter().any(|age| *age != ages[0]), "{ages:?}");
    }

    #[test]
    fn running_out_of_file_descriptors_is_nobodys_own_fault() {
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        const ECONNABORTED: i32 = 103;
        assert!(!is_of_one_peer(&io::Error::from_raw_os_error(ENFILE)));
        assert!(!is_of_one_peer(&io::Error::from_raw_os_error(EMFILE)));
        assert!(is_of_one_peer(&io::Error::from_raw_os_error(ECONNABORTED)));
    }
}
