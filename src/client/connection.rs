//! One connection to the service, and calls with one caller's token.

use std::error::Error;
use std::fmt;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};
use tower::Layer;

use super::retry::{Retry, RetryLayer, RetryPolicy};
use crate::pb::account_service_client::AccountServiceClient;
use crate::pb::invitation_service_client::InvitationServiceClient;
use crate::pb::mail_service_client::MailServiceClient;
use crate::pb::organization_service_client::OrganizationServiceClient;

/// What the generated clients are made of: a token on each call, which is repeated where that helps.
pub type Calls = InterceptedService<Retry<Channel>, Bearer>;

/// The services, over one connection. A clone shares it.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Retry<Channel>,
    bearer: Bearer,
}

impl Client {
    /// At a URL such as `http://127.0.0.1:50051`; with `https`, the roots that the machine trusts hold. Nothing is
    /// connected before the first call.
    pub fn connect(url: &str, token: &str) -> Result<Self, ConnectError> {
        Self::open(url, token, ClientTlsConfig::new().with_native_roots())
    }

    /// The same for an `https` URL whose certificate comes from one of these (PEM), and not from the machine's roots.
    pub fn connect_trusting(url: &str, token: &str, roots: &str) -> Result<Self, ConnectError> {
        Self::open(url, token, ClientTlsConfig::new().ca_certificate(Certificate::from_pem(roots)))
    }

    fn open(url: &str, token: &str, tls: ClientTlsConfig) -> Result<Self, ConnectError> {
        let wrong = |error: &dyn Error| ConnectError(format!("{url} is no address to call: {error}"));
        let mut endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| wrong(&error))?;
        if endpoint.uri().scheme_str() == Some("https") {
            endpoint = endpoint.tls_config(tls).map_err(|error| wrong(&error))?;
        }
        let channel = RetryLayer::new(RetryPolicy::default()).layer(endpoint.connect_lazy());
        Ok(Self { channel, bearer: Bearer::new(token)? })
    }

    /// The same connection for another caller, or with a fresh token.
    pub fn with_token(&self, token: &str) -> Result<Self, ConnectError> {
        Ok(Self { channel: self.channel.clone(), bearer: Bearer::new(token)? })
    }

    pub fn invitations(&self) -> InvitationServiceClient<Calls> {
        InvitationServiceClient::new(self.calls())
    }

    pub fn organizations(&self) -> OrganizationServiceClient<Calls> {
        OrganizationServiceClient::new(self.calls())
    }

    pub fn accounts(&self) -> AccountServiceClient<Calls> {
        AccountServiceClient::new(self.calls())
    }

    pub fn mail(&self) -> MailServiceClient<Calls> {
        MailServiceClient::new(self.calls())
    }

    fn calls(&self) -> Calls {
        InterceptedService::new(self.channel.clone(), self.bearer.clone())
    }
}

/// Puts the caller's token on each call.
#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    fn new(token: &str) -> Result<Self, ConnectError> {
        let value = format!("Bearer {token}").parse::<MetadataValue<Ascii>>();
        let mut value = value.map_err(|_| ConnectError("the token has characters that no token has".to_owned()))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// Leaves the token out.
impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer")
    }
}

/// A URL or a token that nothing can be called with.
#[derive(Debug)]
pub struct ConnectError(String);

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ConnectError {}
