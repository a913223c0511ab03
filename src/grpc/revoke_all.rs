//! RevokeInvitations: decode, ask, encode.

use tonic::{Request, Response, Status};

use super::Api;
use crate::pb;

impl Api {
    pub(super) async fn revoke_all(
        &self,
        _request: Request<pb::RevokeInvitationsRequest>,
    ) -> Result<Response<pb::RevokeInvitationsResponse>, Status> {
        Err(Status::unimplemented("under construction"))
    }
}
