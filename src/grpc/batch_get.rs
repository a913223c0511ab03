//! BatchGetInvitations: decode, ask, encode.

use tonic::{Request, Response, Status};

use super::Api;
use crate::pb;

impl Api {
    pub(super) async fn batch_get(
        &self,
        _request: Request<pb::BatchGetInvitationsRequest>,
    ) -> Result<Response<pb::BatchGetInvitationsResponse>, Status> {
        Err(Status::unimplemented("under construction"))
    }
}
