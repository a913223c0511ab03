//! Ways to bring an invitation to a stage, as the people would.

use invitations::pb::{self, Invitation};
use tonic::Status;

use super::{Person, Service, patiently};

impl Service {
    /// A new account that has used the code of an invitation to its own address.
    pub async fn requested(&self, owner: &Person, organization: &str, username: &str) -> (Person, Invitation) {
        let email = format!("{username}@example.com");
        patiently(async || owner.invite(organization, &email).await).await.unwrap();
        let person = self.account(username).await;
        let code = self.code_to(&email, 1).await;
        let invitation = patiently(async || person.request_access(&code).await).await.unwrap();
        (person, invitation)
    }

    /// A new account with an offer out of the blue.
    pub async fn offered(
        &self,
        owner: &Person,
        organization: &str,
        username: &str,
        role: &str,
    ) -> (Person, Invitation) {
        let person = self.account(username).await;
        let email = format!("{username}@example.com");
        let invitation = patiently(async || owner.offer(organization, username, &email, role).await).await.unwrap();
        (person, invitation)
    }
}

impl Person {
    /// Changes an organization's policy; what is not named stays. Where an owner asks less of people, it waits.
    pub async fn set_policy(&self, organization: &str, paths: &[&str], policy: pb::Policy) {
        let organization = pb::Organization {
            name: format!("organizations/{organization}"),
            policy: Some(policy),
            ..Default::default()
        };
        let paths = paths.iter().map(|path| format!("policy.{path}")).collect();
        let message = pb::UpdateOrganizationRequest {
            organization: Some(organization),
            update_mask: Some(prost_types::FieldMask { paths }),
            ..Default::default()
        };
        self.organizations.clone().update_organization(message).await.unwrap();
    }

    /// Offers of this role and higher ones wait for a second person.
    pub async fn ask_for_approval_of(&self, organization: &str, role: pb::Role) {
        let policy = pb::Policy { approval_role: role.into(), ..Default::default() };
        self.set_policy(organization, &["approval_role"], policy).await;
    }

    /// Approves what waits for another owner.
    pub async fn approve_change(&self, organization: &str) -> Result<pb::Organization, Status> {
        let read = self.organization(organization).await;
        let message = pb::ApproveOrganizationChangeRequest { name: read.name, etag: read.etag, ..Default::default() };
        Ok(self.organizations.clone().approve_organization_change(message).await?.into_inner())
    }

    /// Takes back what waits.
    pub async fn withdraw_change(&self, organization: &str) -> Result<pb::Organization, Status> {
        let name = format!("organizations/{organization}");
        let message = pb::WithdrawOrganizationChangeRequest { name, ..Default::default() };
        Ok(self.organizations.clone().withdraw_organization_change(message).await?.into_inner())
    }

    /// What happened to an invitation, as `KIND actor`.
    pub async fn story(&self, invitation: &str) -> Vec<String> {
        let (parent, _) = invitation.split_once("/invitations/").unwrap();
        let message = pb::ListEventsRequest {
            parent: parent.to_owned(),
            invitation: invitation.to_owned(),
            ..Default::default()
        };
        let events = self.organizations.clone().list_events(message).await.unwrap().into_inner().events;
        events.iter().map(|event| format!("{} {}", event.kind().as_str_name(), event.actor).trim().to_owned()).collect()
    }

    pub async fn organization(&self, id: &str) -> pb::Organization {
        let message = pb::GetOrganizationRequest { name: format!("organizations/{id}") };
        self.organizations.clone().get_organization(message).await.unwrap().into_inner()
    }

    pub async fn seats_taken(&self, organization: &str) -> i32 {
        self.organization(organization).await.seats_taken
    }
}
