//! The whole seven steps, by many people at a time: five calls, and the emails between them, each waited for.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use invitations::pb::account_service_client::AccountServiceClient;
use invitations::pb::invitation_service_client::InvitationServiceClient;
use invitations::pb::{
    AcceptInvitationRequest, CreateAccountRequest, CreateInvitationRequest, Invitation, OfferMembershipRequest,
    RequestAccessRequest, Role,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::Channel;

use crate::cost::Meter;
use crate::figures::{Call, Figures, Round};
use crate::rig::people::authorized;
use crate::rig::{Database, ORGANIZATIONS, People, Result, Service, Token};
use crate::sink::{Email, Sink};
use crate::size::Size;

/// People who are on their way at a time.
const AT_A_TIME: usize = 256;
/// The most people in a second.
const PEOPLE: u32 = 2_000;
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the seed's organizations want to be told.
const NOTIFY: &str = "notify@example.com";

/// Brings emails to whom they are about.
#[derive(Default)]
struct Post(Mutex<HashMap<String, UnboundedSender<Email>>>);

struct Person {
    n: u32,
    username: String,
    token: Token,
    emails: UnboundedReceiver<Email>,
}

pub async fn measure(server: &str, dir: &Path, people: &Arc<People>, size: &Size) -> Result<Vec<Round>> {
    let post = Arc::new(Post::default());
    let sink = Sink::start({
        let post = Arc::clone(&post);
        move |email| post.bring(email)
    });
    let sink = sink.await?;
    let database = Database::create(server, "steps").await?;
    let service = Service::start(database, dir, Arc::clone(people), sink.address, &[]).await?;
    let meter = Meter::new(&service.process, dir);
    let mut rounds = Vec::new();
    for run in 0..size.rounds {
        let time = Duration::from_secs((size.seconds + 1).into());
        rounds.push(walk_all(&service, meter, &post, run, time).await?.round());
    }
    service.stop().await?;
    Ok(rounds)
}

/// One person after the other begins, until the time is over; all of them get to the end.
async fn walk_all(
    service: &Service,
    meter: Option<Meter>,
    post: &Arc<Post>,
    run: u32,
    time: Duration,
) -> Result<Figures> {
    service.truncate_log()?;
    let usernames = (0..PEOPLE * u32::try_from(time.as_secs())?).map(|n| format!("person-{run}-{n}"));
    let tokens = usernames.map(|name| Ok((service.people.token(&name)?, name))).collect::<Result<Vec<_>>>()?;
    let (tokens, next) = (Arc::new(tokens), Arc::new(AtomicU32::new(0)));
    let reading = meter.map(Meter::read).transpose()?;
    let begin = Instant::now();
    let mut walkers = JoinSet::new();
    for walker in 0..AT_A_TIME {
        let (channel, people) = (service.connection(walker), Arc::clone(&service.people));
        let (tokens, next, post) = (Arc::clone(&tokens), Arc::clone(&next), Arc::clone(post));
        walkers.spawn(async move {
            let (mut calls, mut failed) = (Vec::new(), Vec::new());
            while begin.elapsed() < time {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let Some((token, username)) = tokens.get(n as usize).cloned() else { break };
                let left = Instant::now();
                let person = Person { n, emails: post.open(&username), username, token };
                match person.walk(&channel, &people).await {
                    Ok(()) => calls.push(Call { ended: begin.elapsed(), took: left.elapsed() }),
                    Err(error) => failed.push(error),
                }
            }
            (calls, failed)
        });
    }
    let (mut calls, mut failed) = (Vec::new(), Vec::new());
    while let Some(walked) = walkers.join_next().await {
        let (there, lost) = walked?;
        calls.extend(there);
        failed.extend(lost);
    }
    if let Some(error) = failed.last() {
        println!(
            "{} of {} people did not get to the end, at last by {error}",
            failed.len(),
            calls.len() + failed.len()
        );
    }
    let time = begin.elapsed();
    let cost = meter.zip(reading).map(|(meter, reading)| meter.since(reading)).transpose()?;
    post.close();
    Ok(Figures { time, calls, failed: failed.len(), cost })
}

impl Person {
    async fn walk(mut self, channel: &Channel, people: &People) -> Result<()> {
        let mut invitations = InvitationServiceClient::new(channel.clone());
        let organization = 1 + self.n % (ORGANIZATIONS - 1);
        let (owner, parent) =
            (&people.owners[organization as usize], format!("organizations/organization-{organization}"));
        let email = format!("{}@example.com", self.username);

        let message = CreateInvitationRequest {
            parent: parent.clone(),
            invitation: Some(Invitation { email: email.clone(), ..Invitation::default() }),
            ..CreateInvitationRequest::default()
        };
        let name = invitations.create_invitation(authorized(message, owner)).await?.into_inner().name;
        let message = CreateAccountRequest { account_id: self.username.clone(), ..CreateAccountRequest::default() };
        AccountServiceClient::new(channel.clone()).create_account(authorized(message, &self.token)).await?;
        let code = code(&self.email_to(&email).await?.text).ok_or("the email has no code")?;
        let message = RequestAccessRequest { code, ..RequestAccessRequest::default() };
        invitations.request_access(authorized(message, &self.token)).await?;
        self.email_to(NOTIFY).await?;
        let message = OfferMembershipRequest {
            parent,
            username: self.username.clone(),
            email: email.clone(),
            role: Role::Reader.into(),
            ..OfferMembershipRequest::default()
        };
        invitations.offer_membership(authorized(message, owner)).await?;
        self.email_to(&email).await?;
        let message = AcceptInvitationRequest { name, ..AcceptInvitationRequest::default() };
        invitations.accept_invitation(authorized(message, &self.token)).await?;
        self.email_to(&email).await?;
        Ok(())
    }

    /// Waits for the next one to that address.
    async fn email_to(&mut self, address: &str) -> Result<Email> {
        loop {
            let email = timeout(PATIENCE, self.emails.recv()).await?.ok_or("the post was closed")?;
            if email.recipient == address {
                return Ok(email);
            }
        }
    }
}

impl Post {
    fn open(&self, username: &str) -> UnboundedReceiver<Email> {
        let (sender, receiver) = unbounded_channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(username.to_owned(), sender);
        receiver
    }

    /// What an organization is told begins its subject with the username.
    fn bring(&self, email: Email) {
        let subject = || email.text.lines().find_map(|line| line.strip_prefix("Subject: "));
        let about = match email.recipient.strip_suffix("@example.com") {
            Some("notify") => subject().and_then(|subject| subject.split(' ').next()),
            username => username,
        };
        let boxes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = about.and_then(|username| boxes.get(username)) {
            // whoever has got to the end does not listen any more
            let _ = sender.send(email);
        }
    }

    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Seven groups of four characters on a line of their own.
fn code(text: &str) -> Option<String> {
    let is_code = |line: &&str| line.len() == 34 && line.split('-').count() == 7;
    text.lines().map(str::trim).find(is_code).map(str::to_owned)
}
