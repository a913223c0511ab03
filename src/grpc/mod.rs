//! The gRPC edge: decode, ask `app`, encode. The only place that knows tonic.

mod accept;
mod accounts;
mod authenticate;
mod call;
mod deadline;
mod encode;
mod fields;
pub mod health;
mod invitations;
mod organizations;
mod page_token;
pub mod probe;
pub mod serve;
mod settings;
pub mod status;
mod telemetry;

use std::sync::Arc;

use tonic::service::Routes;

use crate::app::App;
use crate::identity::Verifier;
use crate::pb::account_service_server::AccountServiceServer;
use crate::pb::invitation_service_server::InvitationServiceServer;
use crate::pb::organization_service_server::OrganizationServiceServer;

/// The largest request that is read, in bytes: requests hold names, not data.
const MAX_REQUEST: usize = 64 * 1024;

/// The three services of the contract.
#[derive(Clone, Debug)]
pub struct Api {
    app: App,
    verifier: Arc<Verifier>,
}

impl Api {
    pub fn new(app: App, verifier: Arc<Verifier>) -> Self {
        Self { app, verifier }
    }

    /// The services, ready to be served.
    pub fn routes(&self) -> Routes {
        Routes::new(InvitationServiceServer::new(self.clone()).max_decoding_message_size(MAX_REQUEST))
            .add_service(OrganizationServiceServer::new(self.clone()).max_decoding_message_size(MAX_REQUEST))
            .add_service(AccountServiceServer::new(self.clone()).max_decoding_message_size(MAX_REQUEST))
    }
}
