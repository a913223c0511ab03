//! The calls to the service.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use tonic::{Request, Status};

use super::Target;
use super::token::Token;
use crate::client::v1::batch_create_invitations_response::Result as RowResult;
use crate::client::v1::invitation_service_client::InvitationServiceClient;
use crate::client::v1::{BatchCreateInvitationsRequest, CreateInvitationRequest, Invitation, ListInvitationsRequest};
use crate::client::{Calls, Client};

/// For a call with its repetitions; the service itself allows no attempt more than that.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer says of each row what the request said, and more.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// One organization at one service.
pub(super) struct Service {
    client: Client,
    token: Token,
    /// The one that the client has.
    present: SecretString,
    pub(super) parent: String,
}

impl Service {
    /// Connects to nothing yet.
    pub(super) fn new(target: &Target) -> Result<Self, String> {
        let present = target.token.read()?;
        let client = match &target.roots {
            Some(roots) => Client::connect_trusting(&target.endpoint, present.expose_secret(), roots),
            None => Client::connect(&target.endpoint, present.expose_secret()),
        };
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self { client, token: target.token.clone(), present, parent: target.parent() })
    }

    /// Takes the token anew; whether it is another one.
    pub(super) fn renew_token(&mut self) -> Result<bool, String> {
        let token = self.token.read()?;
        if token.expose_secret() == self.present.expose_secret() {
            return Ok(false);
        }
        self.client = self.client.with_token(token.expose_secret()).map_err(|error| error.to_string())?;
        self.present = token;
        Ok(true)
    }

    /// Invites, or says what would become of it; one result for each row.
    pub(super) async fn invite(
        &self,
        requests: Vec<CreateInvitationRequest>,
        validate_only: bool,
    ) -> Result<Vec<RowResult>, Status> {
        let count = requests.len();
        let message = BatchCreateInvitationsRequest {
            parent: self.parent.clone(),
            requests,
            validate_only,
            ..BatchCreateInvitationsRequest::default()
        };
        let answer = self.calls().batch_create_invitations(timed(message)).await?.into_inner();
        if answer.results.len() == count {
            Ok(answer.results)
        } else {
            Err(Status::internal("the service does not answer for each row"))
        }
    }

    /// The newest invitation of an address.
    pub(super) async fn newest(&self, email: &str) -> Result<Option<(Invitation, OffsetDateTime)>, Status> {
        let message = ListInvitationsRequest {
            parent: self.parent.clone(),
            email: email.to_owned(),
            page_size: 1,
            ..ListInvitationsRequest::default()
        };
        let answer = self.calls().list_invitations(timed(message)).await?.into_inner();
        let newest = answer.invitations.into_iter().next().and_then(|invitation| {
            let created = OffsetDateTime::from_unix_timestamp(invitation.create_time?.seconds).ok()?;
            Some((invitation, created))
        });
        Ok(newest)
    }

    fn calls(&self) -> InvitationServiceClient<Calls> {
        self.client.invitations().max_decoding_message_size(LARGEST_ANSWER)
    }
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}
