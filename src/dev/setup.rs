//! Who is there before the first step: the demo organization with its owner, and somebody who is nowhere yet.

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::issuer::{self, Provider};
use super::state::OWNER;
use super::{Error, State};
use crate::pb::account_service_client::AccountServiceClient;
use crate::pb::organization_service_client::OrganizationServiceClient;
use crate::pb::{self, CreateAccountRequest, CreateOrganizationRequest};

pub(super) const DEMO_ORGANIZATION: &str = "organizations/acme";
/// Where the demo organization is told of things.
/// It is the owner's own, so that nobody has to enter a code first.
pub(super) const NOTIFICATION_EMAIL: &str = "olga@acme.example";

/// Each takes a second where the database is slow, so no pause is needed between them.
const FIRST_CALL_ATTEMPTS: u32 = 10;

/// The demo organization with its owner, unless an earlier run founded it.
pub(super) async fn found_demo_organization(state: &State, channel: &Channel) -> Result<(), Error> {
    let bearer = bearer(&state.owner_token()?)?;
    let authenticated = move |mut request: Request<()>| {
        request.metadata_mut().insert("authorization", bearer.clone());
        Ok(request)
    };
    let accounts = AccountServiceClient::with_interceptor(channel.clone(), authenticated.clone());
    let account = CreateAccountRequest { account_id: OWNER.to_owned(), ..CreateAccountRequest::default() };
    unless_there(async || accounts.clone().create_account(account.clone()).await).await?;
    let organizations = OrganizationServiceClient::with_interceptor(channel.clone(), authenticated);
    let organization = CreateOrganizationRequest {
        organization_id: DEMO_ORGANIZATION.trim_start_matches("organizations/").to_owned(),
        organization: Some(pb::Organization {
            display_name: "Acme".to_owned(),
            notification_email: NOTIFICATION_EMAIL.to_owned(),
            ..pb::Organization::default()
        }),
        ..CreateOrganizationRequest::default()
    };
    unless_there(async || organizations.clone().create_organization(organization.clone()).await).await
}

/// The first calls of all: on a busy machine, connecting to the database takes longer than the service waits for it.
async fn unless_there<T>(call: impl AsyncFn() -> Result<T, Status>) -> Result<(), Error> {
    let mut left = FIRST_CALL_ATTEMPTS;
    loop {
        left -= 1;
        match call().await.map_err(|status| (status.code(), status)) {
            Ok(_) | Err((Code::AlreadyExists, _)) => return Ok(()),
            Err((Code::Unavailable | Code::DeadlineExceeded, _)) if left > 0 => {}
            Err((_, status)) => return Err(status.into()),
        }
    }
}

/// The value of `authorization` for a token.
pub(super) fn bearer(token: &str) -> Result<MetadataValue<Ascii>, Error> {
    format!("Bearer {token}").parse().map_err(Error::from_display)
}

/// Somebody who is nowhere yet: another one at each start, so that the seven steps work again on the data of before.
pub(super) struct Newcomer {
    pub username: String,
    pub email: String,
    pub token: String,
}

impl Newcomer {
    pub fn new(state: &State) -> Result<Self, Error> {
        let suffix = format!("{:06x}", rand::random_range(0..0x0100_0000_u32));
        let (username, email) = (format!("anna-{suffix}"), format!("anna.{suffix}@example.com"));
        let token = issuer::user_token(&state.dir, &username, Some(&email), true, Provider::Github)?;
        Ok(Self { username, email, token })
    }
}
