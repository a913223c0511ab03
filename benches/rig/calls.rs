//! The calls that are measured.

use std::ops::RangeInclusive;
use std::sync::Arc;

use invitations::domain::InvitationId;
use invitations::pb::invitation_service_client::InvitationServiceClient;
use invitations::pb::{
    AcceptInvitationRequest, CreateInvitationRequest, GetInvitationRequest, Invitation, ListInvitationsRequest,
    OfferMembershipRequest, RequestAccessRequest, Role,
};
use tonic::Status;
use tonic::transport::Channel;
use uuid::Uuid;

use super::database::{ORGANIZATIONS, STANDING, STANDING_RUN};
use super::people::{People, authorized};

/// Invitations on a page.
const PAGE: i32 = 50;

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Create,
    Request,
    Offer,
    Accept,
    Get,
    List,
}

/// Which organizations it is called for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spread {
    Many,
    One,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub method: Method,
    pub spread: Spread,
    /// Each measurement has another number, which names its rows.
    pub run: u16,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CreateInvitation",
            Self::Request => "RequestAccess",
            Self::Offer => "OfferMembership",
            Self::Accept => "AcceptInvitation",
            Self::Get => "GetInvitation",
            Self::List => "ListInvitations, 50",
        }
    }
}

impl Spread {
    pub fn name(self) -> &'static str {
        match self {
            Self::Many => "many organizations",
            Self::One => "one organization",
        }
    }
}

impl Scenario {
    /// The numbers of the organizations: 0 is the hot one.
    pub fn organizations(self) -> RangeInclusive<u32> {
        match self.spread {
            Spread::One => 0..=0,
            Spread::Many => 1..=ORGANIZATIONS - 1,
        }
    }

    /// In turn, as the seed deals invitations.
    pub fn organization(self, n: u32) -> u32 {
        let organizations = self.organizations();
        organizations.start() + n % (organizations.end() - organizations.start() + 1)
    }
}

/// Somebody who makes one call after the other.
#[derive(Clone)]
pub struct Caller {
    client: InvitationServiceClient<Channel>,
    people: Arc<People>,
}

impl Caller {
    pub fn new(connection: Channel, people: Arc<People>) -> Self {
        Self { client: InvitationServiceClient::new(connection), people }
    }

    /// Call number `n` of a scenario.
    pub async fn call(&mut self, scenario: Scenario, n: u32) -> Result<(), Status> {
        let organization = scenario.organization(n);
        match scenario.method {
            Method::Create => self.create(scenario, organization, n).await,
            Method::Request => self.request(scenario, n).await,
            Method::Offer => self.offer(scenario, organization, n).await,
            Method::Accept => self.accept(scenario, organization, n).await,
            Method::Get => self.get(scenario, n).await,
            Method::List => self.list(scenario, organization, n).await,
        }
    }

    async fn create(&mut self, scenario: Scenario, organization: u32, n: u32) -> Result<(), Status> {
        let email = format!("s{}-{n}@example.com", scenario.run);
        let message = CreateInvitationRequest {
            parent: parent(organization),
            invitation: Some(Invitation { email, ..Invitation::default() }),
            ..CreateInvitationRequest::default()
        };
        let request = authorized(message, self.inviter(scenario, organization, n));
        self.client.create_invitation(request).await.map(drop)
    }

    async fn request(&mut self, scenario: Scenario, n: u32) -> Result<(), Status> {
        let code = self.people.code(InvitationId(invitation_id(scenario.run, n))).reveal();
        let message = RequestAccessRequest { code, ..RequestAccessRequest::default() };
        let request = authorized(message, &self.people.accounts[n as usize]);
        self.client.request_access(request).await.map(drop)
    }

    async fn offer(&mut self, scenario: Scenario, organization: u32, n: u32) -> Result<(), Status> {
        let message = OfferMembershipRequest {
            parent: parent(organization),
            username: format!("account-{n}"),
            email: format!("account-{n}@example.com"),
            role: Role::Reader.into(),
            ..OfferMembershipRequest::default()
        };
        let request = authorized(message, self.inviter(scenario, organization, n));
        self.client.offer_membership(request).await.map(drop)
    }

    async fn accept(&mut self, scenario: Scenario, organization: u32, n: u32) -> Result<(), Status> {
        let message =
            AcceptInvitationRequest { name: name(organization, scenario.run, n), ..AcceptInvitationRequest::default() };
        let request = authorized(message, &self.people.accounts[n as usize]);
        self.client.accept_invitation(request).await.map(drop)
    }

    /// One of those that stand in the database, in no order.
    async fn get(&mut self, scenario: Scenario, n: u32) -> Result<(), Status> {
        let standing = STANDING * (ORGANIZATIONS - 1);
        let n = u32::try_from(u64::from(n) * 7_919 % u64::from(standing)).unwrap_or_default();
        let organization = scenario.organization(n);
        let message = GetInvitationRequest { name: name(organization, STANDING_RUN, n) };
        let request = authorized(message, self.inviter(scenario, organization, n));
        self.client.get_invitation(request).await.map(drop)
    }

    async fn list(&mut self, scenario: Scenario, organization: u32, n: u32) -> Result<(), Status> {
        let message = ListInvitationsRequest {
            parent: parent(organization),
            page_size: PAGE,
            ..ListInvitationsRequest::default()
        };
        let request = authorized(message, self.inviter(scenario, organization, n));
        let page = self.client.list_invitations(request).await?.into_inner();
        let is_full = i32::try_from(page.invitations.len()) == Ok(PAGE);
        if is_full { Ok(()) } else { Err(Status::internal("the page is not full")) }
    }

    /// Many owners stand behind the hot organization: a caller has a limit of its own.
    fn inviter(&self, scenario: Scenario, organization: u32, n: u32) -> &super::Token {
        match scenario.spread {
            Spread::One => &self.people.inviters[n as usize % self.people.inviters.len()],
            Spread::Many => &self.people.owners[organization as usize],
        }
    }
}

fn parent(organization: u32) -> String {
    format!("organizations/organization-{organization}")
}

fn name(organization: u32, run: u16, n: u32) -> String {
    format!("{}/invitations/{}", parent(organization), invitation_id(run, n))
}

/// As the function `invitation_of` of the seed makes it.
pub fn invitation_id(run: u16, n: u32) -> Uuid {
    Uuid::from_u128(u128::from(run) << 112 | u128::from(n) << 80 | 0x7000_8000 << 48)
}
