//! The gRPC edge: decode, ask `app`, encode. The only place that knows tonic.

mod accept;
mod accounts;
mod authenticate;
mod batch_create;
mod batch_get;
mod call;
mod change;
mod deadline;
mod door;
mod encode;
mod fields;
pub mod health;
mod idle;
mod invitations;
mod mail;
mod metadata;
mod organization_fields;
mod organizations;
mod page;
mod page_token;
mod places;
pub mod probe;
mod resume_token;
mod revoke_all;
pub mod serve;
mod serve_settings;
mod shares;
mod sizes;
pub mod status;
mod telemetry;
pub mod tls;
mod update_mask;
mod watch;
mod watches;

use std::mem::take;
use std::sync::Arc;

pub use door::Door;
pub use serve_settings::ServeSettings;
pub use shares::Shares;
use sizes::{LONG_METHODS, Size};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::Routes;
pub use watches::{WatchSettings, Watches};

use crate::app::App;
use crate::identity::Verifier;
use crate::pb::account_service_server::AccountServiceServer;
use crate::pb::invitation_service_server::InvitationServiceServer;
use crate::pb::mail_service_server::MailServiceServer;
use crate::pb::organization_service_server::OrganizationServiceServer;

/// The services of the contract.
#[derive(Clone, Debug)]
pub struct Api {
    app: App,
    verifier: Arc<Verifier>,
    shares: Shares,
    watches: Watches,
}

impl Api {
    pub fn new(app: App, verifier: Arc<Verifier>, shares: Shares, watches: Watches) -> Self {
        Self { app, verifier, shares, watches }
    }

    /// The services, ready to be served.
    pub fn routes(&self) -> Routes {
        let most = Size::Short.most();
        let invitations = InvitationServiceServer::new(self.clone()).accept_compressed(Gzip);
        let organizations = OrganizationServiceServer::new(self.clone());
        let accounts = AccountServiceServer::new(self.clone());
        let mail = MailServiceServer::new(self.clone());
        let mut routes = Routes::new(invitations.clone().max_decoding_message_size(most))
            .add_service(organizations.max_decoding_message_size(most).accept_compressed(Gzip))
            .add_service(accounts.max_decoding_message_size(most).accept_compressed(Gzip))
            .add_service(mail.max_decoding_message_size(most).accept_compressed(Gzip));
        // a whole path comes before that of its service
        let long = invitations.max_decoding_message_size(Size::Long.most());
        let paths = routes.axum_router_mut();
        for method in LONG_METHODS {
            *paths = take(paths).route_service(method.path(), long.clone());
        }
        routes
    }
}
