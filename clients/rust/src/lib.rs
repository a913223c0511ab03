//! The seven steps, from an email address to a membership.

mod mailbox;
mod who;

use std::error::Error;

use invitations::client::{Client, v1};
use uuid::Uuid;
use v1::{
    AcceptInvitationRequest, CreateAccountRequest, CreateInvitationRequest, GetMemberRequest, Invitation,
    ListAccountInvitationsRequest, Member, OfferMembershipRequest, RequestAccessRequest, Role,
};

pub use mailbox::Mailbox;
pub use who::Who;

pub const ORGANIZATION: &str = "organizations/acme";

/// A new id for each change: whoever repeats the call with it changes nothing twice.
pub fn request_id() -> String {
    Uuid::new_v4().to_string()
}

/// Inviting this address.
pub fn invite(parent: &str, email: &str) -> CreateInvitationRequest {
    let invitation = Invitation { email: email.to_owned(), ..Invitation::default() };
    let parent = parent.to_owned();
    CreateInvitationRequest { parent, invitation: Some(invitation), request_id: request_id(), ..Default::default() }
}

pub async fn seven_steps(owner: &Client, person: &Client, who: &Who) -> Result<Member, Box<dyn Error>> {
    let (email, username) = (&who.email, &who.username);
    let mailbox = Mailbox::new(&who.mailbox);

    // 1. An administrator invites a person by email.
    owner.invitations().create_invitation(invite(ORGANIZATION, email)).await?;

    // 2. The person creates an account and picks a username.
    let request = CreateAccountRequest { account_id: username.clone(), request_id: request_id(), ..Default::default() };
    person.accounts().create_account(request).await?;

    // 3. The person requests access with the code of the email.
    let code = mailbox.code_to(email).await?;
    let request = RequestAccessRequest { code, request_id: request_id() };
    person.invitations().request_access(request).await?;

    // 4. The organization is told the account's email address and username.
    mailbox.email(&format!("Subject: {username} requests access")).await?;

    // 5. An administrator invites that account, with a role.
    let request = OfferMembershipRequest {
        parent: ORGANIZATION.to_owned(),
        username: username.clone(),
        email: email.clone(),
        role: Role::Contributor.into(),
        request_id: request_id(),
    };
    owner.invitations().offer_membership(request).await?;

    // 6. The person gets the organization invitation by email.
    mailbox.email(&format!("Hello {username},")).await?;

    // 7. The person accepts, and has access.
    let request = ListAccountInvitationsRequest { parent: "accounts/me".to_owned(), ..Default::default() };
    let mine = person.invitations().list_account_invitations(request).await?.into_inner().invitations;
    let offer = mine.into_iter().find(|invitation| invitation.name.starts_with(ORGANIZATION)).ok_or("no offer")?;
    let request = AcceptInvitationRequest { name: offer.name, request_id: request_id(), ..Default::default() };
    person.invitations().accept_invitation(request).await?;

    let request = GetMemberRequest { name: format!("{ORGANIZATION}/members/{username}") };
    Ok(owner.organizations().get_member(request).await?.into_inner())
}
