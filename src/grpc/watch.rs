//! WatchEvents: decode, ask, encode.

use futures_util::Stream;
use tonic::{Request, Response, Status};

use super::Api;
use crate::pb;

/// What WatchEvents answers with.
pub(super) type Watch = std::pin::Pin<Box<dyn Stream<Item = Result<pb::WatchEventsResponse, Status>> + Send>>;

impl Api {
    pub(super) async fn watch(&self, _request: Request<pb::WatchEventsRequest>) -> Result<Response<Watch>, Status> {
        Err(Status::unimplemented("under construction"))
    }
}
