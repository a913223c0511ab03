//! What one account sends, again and again, whatever it is answered.

use std::sync::Arc;
use std::time::Instant;

use invitations::pb::account_service_client::AccountServiceClient;
use invitations::pb::invitation_service_client::InvitationServiceClient;
use invitations::pb::organization_service_client::OrganizationServiceClient;
use invitations::pb::{
    CreateInvitationRequest, CreateOrganizationRequest, DeleteAccountRequest, Invitation, ListInvitationsRequest,
    Organization,
};
use tonic::Status;
use tonic::transport::Channel;

use crate::rig::people::authorized;
use crate::rig::{People, Result, Service, Token};

/// Organizations of the attacker.
const ORGANIZATIONS: usize = 100;
/// Belongs nowhere.
const STRANGER: usize = 1;

#[derive(Clone, Copy)]
pub enum Flood {
    LongAddress,
    Create,
    List,
    DeleteAccount,
}

impl Flood {
    pub const ALL: [Self; 4] = [Self::LongAddress, Self::Create, Self::List, Self::DeleteAccount];

    pub fn name(self) -> &'static str {
        match self {
            Self::LongAddress => "CreateInvitation, an address of 60 KB",
            Self::Create => "CreateInvitation",
            Self::List => "ListInvitations",
            Self::DeleteAccount => "DeleteAccount, last owner of 100",
        }
    }

    /// One call after the other until the time is over; how many.
    pub async fn calls(self, connection: Channel, people: Arc<People>, stream: usize, end: Instant) -> usize {
        let mut count = 0;
        while Instant::now() < end {
            self.call(connection.clone(), &people, stream, count).await.ok();
            count += 1;
        }
        count
    }

    async fn call(
        self,
        connection: Channel,
        people: &People,
        stream: usize,
        n: usize,
    ) -> std::result::Result<(), Status> {
        let mut invitations = InvitationServiceClient::new(connection.clone());
        match self {
            Self::LongAddress => {
                let email = format!("a@{}", vec!["\u{4e2d}".repeat(900); 22].join("."));
                let message = create("organization-0", email);
                invitations.create_invitation(authorized(message, &people.accounts[STRANGER])).await.map(drop)
            }
            Self::Create => {
                let message = create("organization-0", format!("flood-{stream}-{n}@example.com"));
                invitations.create_invitation(authorized(message, &people.owners[0])).await.map(drop)
            }
            Self::List => {
                let parent = "organizations/organization-0".to_owned();
                let message = ListInvitationsRequest { parent, page_size: 100, ..ListInvitationsRequest::default() };
                invitations.list_invitations(authorized(message, &people.owners[0])).await.map(drop)
            }
            Self::DeleteAccount => {
                let message = DeleteAccountRequest { name: "accounts/owner-0".to_owned(), ..Default::default() };
                let mut accounts = AccountServiceClient::new(connection);
                accounts.delete_account(authorized(message, &people.owners[0])).await.map(drop)
            }
        }
    }
}

fn create(organization: &str, email: String) -> CreateInvitationRequest {
    CreateInvitationRequest {
        parent: format!("organizations/{organization}"),
        invitation: Some(Invitation { email, ..Invitation::default() }),
        ..CreateInvitationRequest::default()
    }
}

/// The attacker's organizations, where they are not there yet.
pub async fn prepare(service: &Service) -> Result<()> {
    let owner: &Token = &service.people.owners[0];
    let mut organizations = OrganizationServiceClient::new(service.connection(0));
    for n in 0..ORGANIZATIONS {
        let message = CreateOrganizationRequest {
            organization_id: format!("flood-{n}"),
            organization: Some(Organization {
                display_name: format!("Flood {n}"),
                notification_email: "owner-0@example.com".to_owned(),
                ..Organization::default()
            }),
            ..CreateOrganizationRequest::default()
        };
        match organizations.create_organization(authorized(message, owner)).await {
            Err(status) if status.code() != tonic::Code::AlreadyExists => return Err(status.into()),
            _ => {}
        }
    }
    Ok(())
}
