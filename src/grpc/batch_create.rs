//! BatchCreateInvitations: decode, ask, encode.

use tonic::{Request, Response, Status};

use super::Api;
use crate::pb;

impl Api {
    pub(super) async fn batch_create(
        &self,
        _request: Request<pb::BatchCreateInvitationsRequest>,
    ) -> Result<Response<pb::BatchCreateInvitationsResponse>, Status> {
        Err(Status::unimplemented("under construction"))
    }
}
