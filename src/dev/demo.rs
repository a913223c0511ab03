//! `dev --demo`: the seven steps, walked over gRPC by the program itself, the code read from the email as a person would.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tonic::Request;
use tonic::transport::Channel;

use super::guide::say;
use super::mailbox::{Mailbox, Received};
use super::setup::{DEMO_ORGANIZATION, NOTIFICATION_EMAIL, Newcomer, bearer};
use super::{Error, State};
use crate::pb::account_service_client::AccountServiceClient;
use crate::pb::invitation_service_client::InvitationServiceClient;
use crate::pb::organization_service_client::OrganizationServiceClient;
use crate::pb::{self, Invitation};

/// How long an email may take: it is sent within a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// A person at the keyboard, with their token.
struct Person {
    token: String,
}

impl Person {
    fn asks<T>(&self, message: T) -> Result<Request<T>, Error> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", bearer(&self.token)?);
        Ok(request)
    }
}

/// Walks the steps with the newcomer; fails unless they have access at the end.
pub(super) async fn run(state: &State, channel: &Channel, mailbox: &Mailbox, anna: Newcomer) -> Result<(), Error> {
    let mut invitations = InvitationServiceClient::new(channel.clone());
    let mut accounts = AccountServiceClient::new(channel.clone());
    let mut organizations = OrganizationServiceClient::new(channel.clone());
    let mut inbox = Inbox { mailbox, arrived: mailbox.received().len(), unread: VecDeque::new() };
    let Newcomer { username, email, token } = anna;
    let (owner, anna) = (Person { token: state.owner_token()? }, Person { token });

    title(1, "an administrator invites a person by email, with a unique code");
    let input = Invitation { email: email.clone(), ..Invitation::default() };
    call("CreateInvitation", &json!({ "parent": DEMO_ORGANIZATION, "invitation": { "email": email } }));
    let message = pb::CreateInvitationRequest {
        parent: DEMO_ORGANIZATION.to_owned(),
        invitation: Some(input),
        ..pb::CreateInvitationRequest::default()
    };
    let invitation = invitations.create_invitation(owner.asks(message)?).await?.into_inner();
    show(&invitation);
    let code =
        find_code(&*inbox.next_to(&email).await?).ok_or_else(|| Error::new("the invitation email holds no code"))?;

    title(2, "the person creates an IPMHub account and picks a username");
    call("CreateAccount", &json!({ "account_id": username }));
    let message = pb::CreateAccountRequest { account_id: username.clone(), ..pb::CreateAccountRequest::default() };
    let account = accounts.create_account(anna.asks(message)?).await?.into_inner();
    say(&format!("{} ({}, {})", account.name, account.email, account.provider));

    title(3, "the person requests access with the code");
    call("RequestAccess", &json!({ "code": code }));
    let message = pb::RequestAccessRequest { code, ..pb::RequestAccessRequest::default() };
    show(&invitations.request_access(anna.asks(message)?).await?.into_inner());

    title(4, "the organization is told the account's email address and username");
    let told = readable(&*inbox.next_to(NOTIFICATION_EMAIL).await?);
    if !(told.contains(&username) && told.contains(&email)) {
        return Err(Error::new("the access request's email does not name the account"));
    }

    title(5, "the administrator invites that account, with a role");
    let offer = json!({ "parent": DEMO_ORGANIZATION, "username": username, "email": email, "role": "CONTRIBUTOR" });
    call("OfferMembership", &offer);
    let message = pb::OfferMembershipRequest {
        parent: DEMO_ORGANIZATION.to_owned(),
        username: username.clone(),
        email: email.clone(),
        role: pb::Role::Contributor.into(),
        ..pb::OfferMembershipRequest::default()
    };
    show(&invitations.offer_membership(owner.asks(message)?).await?.into_inner());

    title(6, "the person gets the organization invitation by email");
    inbox.next_to(&email).await?;

    title(7, "the person accepts, and has access");
    call("AcceptInvitation", &json!({ "name": invitation.name }));
    let message = pb::AcceptInvitationRequest { name: invitation.name, ..pb::AcceptInvitationRequest::default() };
    show(&invitations.accept_invitation(anna.asks(message)?).await?.into_inner());
    let name = format!("{DEMO_ORGANIZATION}/members/{username}");
    call("GetMember", &json!({ "name": name }));
    let member = organizations.get_member(owner.asks(pb::GetMemberRequest { name })?).await?.into_inner();
    say(&format!("{} is {}", member.name, member.role().as_str_name()));
    inbox.next_to(&email).await?;
    inbox.next_to(NOTIFICATION_EMAIL).await?;
    if member.role() != pb::Role::Contributor {
        return Err(Error::new("the person has another role than the one that was offered"));
    }
    say(&format!("\n{username} has access"));
    Ok(())
}

/// The mailbox, read one email at a time.
struct Inbox<'a> {
    mailbox: &'a Mailbox,
    /// How many the mailbox held when it was last looked into.
    arrived: usize,
    /// Those of them that nobody waited for yet: two emails of one step may come in any order.
    unread: VecDeque<Arc<Received>>,
}

impl Inbox<'_> {
    /// Waits for the next email to an address, and shows it.
    async fn next_to(&mut self, address: &str) -> Result<Arc<Received>, Error> {
        let waiting = async {
            loop {
                let to_them = |email: &Arc<Received>| email.recipients.iter().any(|to| to == address);
                if let Some(email) = self.unread.iter().position(to_them).and_then(|nth| self.unread.remove(nth)) {
                    return email;
                }
                let all = self.mailbox.wait_for(self.arrived + 1).await;
                let new = all.into_iter().skip(self.arrived);
                self.unread.extend(new.inspect(|_| self.arrived += 1));
            }
        };
        let late = || Error::new(format!("an email did not arrive within {} s", PATIENCE.as_secs()));
        let email = tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| late())?;
        say(&format!("email to {address}:"));
        say(&readable(&email).lines().fold(String::new(), |mut quoted, line| {
            writeln!(quoted, "    | {line}").ok();
            quoted
        }));
        Ok(email)
    }
}

/// Subject and text part, as a mail program shows them.
fn readable(email: &Received) -> String {
    let raw = String::from_utf8_lossy(&email.message).replace("\r\n", "\n");
    let subject = raw.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default().to_owned();
    let text = raw.split("Content-Type: text/plain").nth(1).and_then(|part| part.split_once("\n\n"));
    let body = text.map_or("", |(_, body)| body.split("\n--").next().unwrap_or_default());
    format!("{subject}\n\n{}", unquote(body).trim())
}

/// Quoted-printable (RFC 2045, 6.7).
fn unquote(text: &str) -> String {
    let text = text.replace("=\n", "");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).filter(|_| *first == b'=').and_then(|hex| str::from_utf8(hex).ok());
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Seven groups of four, on a line of their own.
fn find_code(email: &Received) -> Option<String> {
    let groups = |line: &str| line.split('-').map(str::len).eq([4; 7]);
    readable(email).lines().map(str::trim).find(|line| groups(line)).map(str::to_owned)
}

fn title(step: usize, what: &str) {
    say(&format!("\n{step}. {what}"));
}

fn call(method: &str, request: &serde_json::Value) {
    say(&format!("{method} {request}"));
}

fn show(invitation: &Invitation) {
    say(&format!("{} is {}", invitation.name, invitation.state().as_str_name()));
}
