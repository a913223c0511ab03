//! Callers, with one method for each call that tests make often.

use std::time::Instant;

use invitations::dev::mailbox::Received;
use invitations::pb::account_service_client::AccountServiceClient;
use invitations::pb::invitation_service_client::InvitationServiceClient;
use invitations::pb::mail_service_client::MailServiceClient;
use invitations::pb::organization_service_client::OrganizationServiceClient;
use invitations::pb::{self, FieldReason, Invitation};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Request, Status};
use tonic_types::{FieldViolation, StatusExt};

use super::{Channel, PATIENCE, evidence};

/// Puts the token into each call, where there is one.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

type Authenticated = InterceptedService<Channel, Bearer>;

/// Somebody, or some service, with a token.
#[derive(Clone)]
pub struct Person {
    pub token: String,
    pub invitations: InvitationServiceClient<Authenticated>,
    pub organizations: OrganizationServiceClient<Authenticated>,
    pub accounts: AccountServiceClient<Authenticated>,
    pub mail: MailServiceClient<Authenticated>,
}

impl Person {
    pub fn new(channel: &Channel, token: String) -> Self {
        let bearer = Bearer(Some(format!("Bearer {token}").parse().unwrap()));
        Self::with(channel, token, bearer)
    }

    fn with(channel: &Channel, token: String, bearer: Bearer) -> Self {
        evidence::token(&token);
        Self {
            token,
            invitations: InvitationServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            organizations: OrganizationServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            accounts: AccountServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            mail: MailServiceClient::with_interceptor(channel.clone(), bearer),
        }
    }

    /// The same caller on another connection or replica.
    pub fn on(&self, channel: &Channel) -> Self {
        Self::new(channel, self.token.clone())
    }

    pub async fn create_account(&self, username: &str) -> Result<pb::Account, Status> {
        let message = pb::CreateAccountRequest { account_id: username.to_owned(), ..Default::default() };
        Ok(self.accounts.clone().create_account(message).await?.into_inner())
    }

    pub async fn create_organization(&self, id: &str) -> Result<pb::Organization, Status> {
        let organization = pb::Organization {
            display_name: format!("The {id} people"),
            notification_email: format!("notify@{id}.example"),
            ..Default::default()
        };
        let message = pb::CreateOrganizationRequest {
            organization_id: id.to_owned(),
            organization: Some(organization),
            ..Default::default()
        };
        Ok(self.organizations.clone().create_organization(message).await?.into_inner())
    }

    pub async fn invite(&self, organization: &str, email: &str) -> Result<Invitation, Status> {
        self.invite_by(organization, email, "").await
    }

    /// With a request id.
    pub async fn invite_by(&self, organization: &str, email: &str, request_id: &str) -> Result<Invitation, Status> {
        let message = pb::CreateInvitationRequest {
            parent: format!("organizations/{organization}"),
            invitation: Some(Invitation { email: email.to_owned(), ..Default::default() }),
            request_id: request_id.to_owned(),
            ..Default::default()
        };
        Ok(self.invitations.clone().create_invitation(message).await?.into_inner())
    }

    pub async fn request_access(&self, code: &str) -> Result<Invitation, Status> {
        let message = pb::RequestAccessRequest { code: code.to_owned(), ..Default::default() };
        Ok(self.invitations.clone().request_access(message).await?.into_inner())
    }

    pub async fn offer(
        &self,
        organization: &str,
        username: &str,
        email: &str,
        role: &str,
    ) -> Result<Invitation, Status> {
        let message = pb::OfferMembershipRequest {
            parent: format!("organizations/{organization}"),
            username: username.to_owned(),
            email: email.to_owned(),
            role: pb::Role::from_str_name(role).unwrap().into(),
            ..Default::default()
        };
        Ok(self.invitations.clone().offer_membership(message).await?.into_inner())
    }

    pub async fn approve(&self, name: &str) -> Result<Invitation, Status> {
        let message = pb::ApproveOfferRequest { name: name.to_owned(), ..Default::default() };
        Ok(self.invitations.clone().approve_offer(message).await?.into_inner())
    }

    pub async fn accept(&self, name: &str) -> Result<Invitation, Status> {
        let message = pb::AcceptInvitationRequest { name: name.to_owned(), ..Default::default() };
        Ok(self.invitations.clone().accept_invitation(message).await?.into_inner())
    }

    pub async fn decline(&self, name: &str) -> Result<Invitation, Status> {
        let message = pb::DeclineInvitationRequest { name: name.to_owned(), ..Default::default() };
        Ok(self.invitations.clone().decline_invitation(message).await?.into_inner())
    }

    pub async fn reject(&self, name: &str) -> Result<Invitation, Status> {
        let message = pb::RejectAccessRequest { name: name.to_owned(), ..Default::default() };
        Ok(self.invitations.clone().reject_access(message).await?.into_inner())
    }

    pub async fn revoke(&self, name: &str) -> Result<Invitation, Status> {
        let message = pb::RevokeInvitationRequest { name: name.to_owned(), ..Default::default() };
        Ok(self.invitations.clone().revoke_invitation(message).await?.into_inner())
    }

    pub async fn resend(&self, name: &str, rotate_code: bool) -> Result<Invitation, Status> {
        let message = pb::ResendInvitationRequest { name: name.to_owned(), rotate_code, ..Default::default() };
        Ok(self.invitations.clone().resend_invitation(message).await?.into_inner())
    }

    pub async fn get(&self, name: &str) -> Result<Invitation, Status> {
        let message = pb::GetInvitationRequest { name: name.to_owned() };
        Ok(self.invitations.clone().get_invitation(message).await?.into_inner())
    }

    pub async fn member(&self, organization: &str, username: &str) -> Result<pb::Member, Status> {
        let message = pb::GetMemberRequest { name: format!("organizations/{organization}/members/{username}") };
        Ok(self.organizations.clone().get_member(message).await?.into_inner())
    }

    pub async fn set_role(&self, organization: &str, username: &str, role: &str) -> Result<pb::Member, Status> {
        let member = pb::Member {
            name: format!("organizations/{organization}/members/{username}"),
            role: pb::Role::from_str_name(role).unwrap().into(),
            ..Default::default()
        };
        let message = pb::UpdateMemberRequest { member: Some(member), ..Default::default() };
        Ok(self.organizations.clone().update_member(message).await?.into_inner())
    }

    pub async fn remove(&self, organization: &str, username: &str) -> Result<(), Status> {
        let name = format!("organizations/{organization}/members/{username}");
        let message = pb::DeleteMemberRequest { name, ..Default::default() };
        self.organizations.clone().delete_member(message).await.map(tonic::Response::into_inner)
    }

    /// All events of an organization, as `KIND` in order.
    pub async fn events(&self, organization: &str) -> Vec<String> {
        let parent = format!("organizations/{organization}");
        let message = pb::ListEventsRequest { parent, page_size: 200, ..Default::default() };
        let events = self.organizations.clone().list_events(message).await.unwrap().into_inner().events;
        events.iter().map(|event| event.kind().as_str_name().to_owned()).collect()
    }
}

/// Does what the contract tells clients: where the service was too busy, or the machine stood still, it asks again. What
/// must not happen twice has a request id.
pub async fn patiently<T>(call: impl AsyncFn() -> Result<T, Status>) -> Result<T, Status> {
    let begin = Instant::now();
    loop {
        match call().await {
            Err(status) if status.code() == Code::Unavailable && begin.elapsed() < 3 * PATIENCE => {}
            outcome => return outcome,
        }
    }
}

/// The reason of a refused call.
pub fn reason<T: std::fmt::Debug>(outcome: Result<T, Status>) -> String {
    let status = outcome.expect_err("the call is refused");
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("a status without ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "invitations.ipmhub.io");
    assert!(info.metadata.values().all(|value| !value.is_empty()), "an empty value kills Envoy's transcoder");
    info.reason.clone()
}

/// The fields that a refused call calls bad, in their order.
pub fn bad_fields(status: &Status) -> Vec<String> {
    violations(status).into_iter().map(|violation| violation.field).collect()
}

/// The same with reason and rule, each of which the contract has.
pub fn violations(status: &Status) -> Vec<FieldViolation> {
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    for violation in &violations {
        assert!((1..=100).contains(&violation.description.chars().count()), "{violation:?}");
        let reason = FieldReason::from_str_name(&violation.reason);
        assert!(reason.is_some_and(|reason| reason != FieldReason::Unspecified), "{violation:?}");
    }
    assert!(violations.is_empty() || status.message().len() <= 200, "{}", status.message());
    violations
}

/// The rules that a refused call's fields break.
pub fn rules(status: &Status) -> String {
    violations(status).into_iter().map(|violation| violation.description).collect::<Vec<_>>().join("; ")
}

/// What the details of a refused call say for a key.
pub fn named<T>(outcome: &Result<T, Status>, key: &str) -> String {
    let details = outcome.as_ref().err().expect("the call is refused").get_error_details();
    details.error_info().and_then(|info| info.metadata.get(key)).cloned().unwrap_or_default()
}

/// How long the caller of a refused call is told to wait.
pub fn retry_after<T>(outcome: &Result<T, Status>) -> Option<std::time::Duration> {
    outcome.as_ref().err().expect("the call is refused").get_error_details().retry_info()?.retry_delay
}

/// A code with another character in one place: the check characters find one for certain, and more of them only most of
/// the time.
pub fn with_a_typo(code: &str) -> String {
    let other = if code.starts_with('7') { '8' } else { '7' };
    format!("{other}{}", &code[1..])
}

/// The text part of an email, decoded by a parser that is not ours.
pub fn words(email: &Received) -> String {
    let parsed = mail_parser::MessageParser::default().parse(&email.message).expect("the email can be parsed");
    parsed.body_text(0).expect("the email has a text part").into_owned()
}
