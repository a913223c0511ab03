//! `dev --demo`: the seven steps, walked over gRPC by the program itself, the code read from the email as a person would.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::issuer::{self, Provider};
use super::mailbox::{Mailbox, Received};
use super::{DEMO_ORGANIZATION, Error, State};
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
        let bearer = format!("Bearer {}", self.token).parse().map_err(|_| Error::new("a token is not ASCII"))?;
        request.metadata_mut().insert("authorization", bearer);
        Ok(request)
    }
}

/// Walks the steps for a new person each time; fails unless the person has access at the end.
pub(super) async fn run(state: &State, address: &str, mailbox: &Mailbox) -> Result<(), Error> {
    let channel = Channel::from_shared(format!("http://{address}")).map_err(Error::from_display)?;
    let channel = channel.connect().await.map_err(Error::from_display)?;
    let mut invitations = InvitationServiceClient::new(channel.clone());
    let mut accounts = AccountServiceClient::new(channel.clone());
    let mut organizations = OrganizationServiceClient::new(channel);
    let suffix = format!("{:06x}", rand::random_range(0..0x0100_0000_u32));
    let (username, email) = (format!("anna-{suffix}"), format!("anna.{suffix}@example.com"));
    let owner = Person { token: state.owner_token()? };
    let anna = Person { token: issuer::user_token(&state.dir, &username, Some(&email), true, Provider::Github)? };
    let mut inbox = Inbox { mailbox, read: mailbox.received().len() };

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
    let code = inbox.next_to(&email).await?.and_then(|email| find_code(&email));
    let code = code.ok_or_else(|| Error::new("the invitation email holds no code"))?;

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
    let told = inbox.next_to(super::NOTIFICATION_EMAIL).await?.map(|email| readable(&email));
    if !told.is_some_and(|text| text.contains(&username) && text.contains(&email)) {
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
    if member.role() != pb::Role::Contributor {
        return Err(Error::new("the person has another role than the one that was offered"));
    }
    say(&format!("\n{username} has access"));
    Ok(())
}

/// The mailbox from where it was last read.
struct Inbox<'a> {
    mailbox: &'a Mailbox,
    read: usize,
}

impl Inbox<'_> {
    /// Waits for the next email to an address, and shows it.
    async fn next_to(&mut self, address: &str) -> Result<Option<std::sync::Arc<Received>>, Error> {
        let waiting = async {
            loop {
                let received = self.mailbox.wait_for(self.read + 1).await;
                let new = received.into_iter().skip(self.read).inspect(|_| self.read += 1);
                let mut to_them = new.filter(|email| email.recipients.iter().any(|to| to == address));
                if let Some(email) = to_them.next() {
                    return email;
                }
            }
        };
        let late = || Error::new("an email did not arrive within 30 s");
        let email = tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| late())?;
        say(&format!("email to {address}:"));
        say(&readable(&email).lines().fold(String::new(), |mut quoted, line| {
            writeln!(quoted, "    | {line}").ok();
            quoted
        }));
        Ok(Some(email))
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

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn say(line: &str) {
    println!("{line}");
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::new(format!("{:?}: {}", status.code(), status.message()))
    }
}
