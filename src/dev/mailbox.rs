//! An SMTP server that keeps every email in a folder and sends none: for `invitations dev` and the tests.
//!
//! It speaks plain SMTP (RFC 5321) without authentication, and in tests it can misbehave by a [`Script`].

mod script;
mod session;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

pub use self::script::{Action, Script, Step};
pub use self::store::Received;
use self::store::Store;

/// The pause after a failed accept, which happens when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running mailbox. Dropping it closes the port and every connection.
pub struct Mailbox {
    addr: SocketAddr,
    received: watch::Receiver<Vec<Arc<Received>>>,
    accepting: AbortHandle,
}

impl Mailbox {
    /// Listens on `addr` (port 0: any free one) and keeps emails in `folder`, which is created if it is missing.
    ///
    /// Each email is one file there before its sender hears that it was taken: `00000001.eml`, `00000002.eml` …
    /// in the order of arrival, going on from what is there. A file is the message with the envelope as its first
    /// lines, one `Return-Path` and an `X-Envelope-To` for each recipient.
    pub async fn start(addr: SocketAddr, folder: &Path, script: Script) -> io::Result<Self> {
        let store = Arc::new(Store::open(folder)?);
        let received = store.received();
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, store, script)).abort_handle();
        Ok(Self { addr, received, accepting })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What has arrived since the start, in this order.
    pub fn received(&self) -> Vec<Arc<Received>> {
        self.received.borrow().clone()
    }

    /// Waits until at least `count` emails have arrived since the start, and returns all. Has no time limit.
    pub async fn wait_for(&self, count: usize) -> Vec<Arc<Received>> {
        let mut received = self.received.clone();
        // an error says that the server has ended: then nothing more will come
        let _ended = received.wait_for(|received| received.len() >= count).await.map(drop);
        received.borrow().clone()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves every connection until it is aborted; the connections end with it.
async fn accept(listener: TcpListener, store: Arc<Store>, script: Script) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (store, script) = (Arc::clone(&store), script.clone());
                    // how a connection ends is the client's matter
                    sessions.spawn(async move { drop(session::serve(stream, &store, &script).await) });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = sessions.join_next() => {}
        }
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("addr", &self.addr).finish_non_exhaustive()
    }
}
