//! Whether an issuer answers: a line in the log when that changes, and a metric.

use std::sync::atomic::{AtomicBool, Ordering};

/// Of one entry.
#[derive(Debug)]
pub(super) struct Reach {
    /// The id of the entry.
    issuer: String,
    /// Whether the last request failed.
    is_down: AtomicBool,
}

impl Reach {
    /// Nothing was asked yet.
    pub fn new(issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), is_down: AtomicBool::new(false) }
    }

    /// It has answered.
    pub fn is_up(&self) {
        self.count(1);
        if self.is_down.swap(false, Ordering::Relaxed) {
            tracing::info!(issuer.id = self.issuer, "the issuer answers again");
        }
    }

    /// It has not; `problem` may be another one each time, and is told the first time.
    pub fn is_down(&self, problem: &str) {
        self.count(0);
        if self.is_down.swap(true, Ordering::Relaxed) {
            tracing::debug!(issuer.id = self.issuer, problem, "the issuer still does not answer");
        } else {
            tracing::warn!(
                issuer.id = self.issuer,
                problem,
                "the issuer does not answer, what is known of it counts for a while, other tokens of it are UNAVAILABLE: \
                 check its entry and the network"
            );
        }
    }

    fn count(&self, up: u8) {
        metrics::gauge!("invitations_issuer_up", "issuer" => self.issuer.clone()).set(up);
    }
}
