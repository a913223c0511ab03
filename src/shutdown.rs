//! The way out: the first SIGTERM or SIGINT asks for it, a second one does not wait.

use std::pin::pin;
use std::{io, process};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Carries `work` out. The first signal meanwhile cancels `stop`; a second one ends the process with 128 + its number, as
/// shells show it.
///
/// # Errors
///
/// Signals cannot be heard.
pub async fn with_signals<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> io::Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut work = pin!(work);
    loop {
        let signal = tokio::select! {
            done = &mut work => return Ok(done),
            _ = terminate.recv() => SignalKind::terminate(),
            _ = interrupt.recv() => SignalKind::interrupt(),
        };
        if stop.is_cancelled() {
            process::exit(128 + signal.as_raw_value());
        }
        stop.cancel();
    }
}
