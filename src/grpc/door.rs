//! Refuses at the door what would only be refused later. Where more calls come than can be carried out, the time that a
//! refusal takes is what is missing for the others.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use http::{HeaderMap, Request, Response};
use tonic::body::Body;

use super::authenticate::token;
use super::shares::{Shares, Who};
use super::{status, telemetry};
use crate::app::{About, Error};
use crate::flood::Flood;
use crate::identity::{Credential, Verifier};
use crate::pb::ErrorReason;

/// The whole answer, written once.
static OVERLOADED: LazyLock<HeaderMap> =
    LazyLock::new(|| status::from_error(Error::Overloaded).into_http::<Body>().into_parts().0.headers);

/// Knows who calls by a token that was checked before, and who waits.
#[derive(Clone, Debug)]
pub struct Door {
    verifier: Arc<Verifier>,
    shares: Shares,
    refused: Arc<Mutex<Flood>>,
}

impl Door {
    pub fn new(verifier: Arc<Verifier>, shares: Shares) -> Self {
        Self { verifier, shares, refused: Arc::default() }
    }

    /// The answer to a call of somebody who has as many waiting as anybody while too many wait. It has no id, as the log
    /// has no line for it. A service is let in: whose share it takes is known when its request is read.
    pub(super) fn refusal<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        if !self.shares.is_full() {
            return None;
        }
        let credential = self.verifier.remembered(token(request.headers())?)?;
        let is_person = matches!(credential, Credential::User(_));
        if !is_person || self.shares.has_room(&Who::of(&credential, &About::NOTHING)) {
            return None;
        }
        let told = self.refused.lock().unwrap_or_else(PoisonError::into_inner).count();
        if let Some(count) = told {
            tracing::warn!(count, "calls are refused at the door: too many wait");
        }
        telemetry::count(request.uri().path(), tonic::Code::ResourceExhausted, Some(ErrorReason::Overloaded));
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = OVERLOADED.clone();
        Some(response)
    }
}

#[cfg(test)]
mod tests {
    use super::OVERLOADED;

    #[test]
    fn the_answer_written_once_is_a_whole_one() {
        for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
            assert!(OVERLOADED.contains_key(name), "{name}");
        }
    }
}
