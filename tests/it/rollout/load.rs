//! Who calls meanwhile: newcomers who are invited, get their code by email, and use it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use invitations::pb;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use super::client::Client;
use crate::program::person;
use crate::support::{Channel, Person, Service, words};

/// Calls of one newcomer's way, see [`Load::walk`].
const CALLS: usize = 8;
/// An email that takes longer is lost: more than the lease of a replica that was killed.
const EMAIL_WITHIN: Duration = Duration::from_secs(90);
/// How many organizations share the load.
const ORGANIZATIONS: usize = 16;

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    pub calls: usize,
    pub retries: usize,
    pub seconds: u64,
    /// Whether a replica could not reach its database in time.
    pub starved: bool,
    /// What a caller was told in the end, with the call.
    pub errors: Vec<String>,
    /// Of newcomers whose code never came.
    pub lost_emails: usize,
    /// Emails in the outbox that were given up or are overdue, by state.
    pub unsent: Vec<(String, i64)>,
}

impl Report {
    #[expect(clippy::print_stdout, reason = "what a trial is for")]
    pub fn is_good(&self) {
        let Self { calls, retries, seconds, .. } = self;
        println!("{calls} calls in {seconds} s, {retries} retries");
        assert!(self.errors.is_empty() && self.lost_emails == 0 && self.unsent.is_empty(), "{self:?}");
    }
}

/// What the walks share.
pub struct Load<'a> {
    service: &'a Service,
    client: Arc<Client>,
    owners: Vec<Person>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    calls: AtomicUsize,
    lost_emails: AtomicUsize,
    errors: Mutex<Vec<String>>,
    /// By the address that they were sent to.
    codes: Mutex<HashMap<String, String>>,
}

impl<'a> Load<'a> {
    /// Opens the accounts of the owners and their organizations.
    pub async fn prepare(service: &'a Service, client: Arc<Client>) -> Self {
        let mut owners = Vec::new();
        for n in 0..ORGANIZATIONS {
            let owner = person(service, &service.channel, &format!("owner-{n}"));
            let account = format!("owner-{n}");
            client.call(async |channel| owner.on(channel).create_account(&account).await).await.unwrap();
            let id = organization(n);
            client.call(async |channel| owner.on(channel).create_organization(&id).await).await.unwrap();
            owners.push(owner);
        }
        Self { service, client, owners, shared: Arc::default() }
    }

    /// Newcomers come at a fixed rate until `stop`; then each goes their way to its end.
    pub async fn run(&self, calls_per_second: usize, stop: CancellationToken) -> Report {
        let pause = Duration::from_secs(1) * u32::try_from(CALLS).unwrap() / u32::try_from(calls_per_second).unwrap();
        let mut ticks = interval(pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut walks = FuturesUnordered::new();
        let mut newcomers = 0;
        let reading = CancellationToken::new();
        let letters = async { reading.run_until_cancelled(self.read_letters()).await };
        let walking = async {
            loop {
                tokio::select! {
                    () = stop.cancelled() => break,
                    _ = ticks.tick() => {}
                    Some(()) = walks.next() => continue,
                }
                let name = format!("newcomer-{newcomers}");
                let newcomer = person(self.service, &self.service.channel, &name);
                let owner = newcomers % ORGANIZATIONS;
                let walk = Walk {
                    client: Arc::clone(&self.client),
                    shared: Arc::clone(&self.shared),
                    owner: self.owners[owner].clone(),
                    organization: organization(owner),
                    newcomer,
                    name,
                };
                walks.push(walk.go());
                newcomers += 1;
            }
            while walks.next().await.is_some() {}
            reading.cancel();
        };
        tokio::join!(letters, walking);
        Report {
            calls: self.shared.calls.load(Ordering::Relaxed),
            retries: self.client.retries.load(Ordering::Relaxed),
            errors: std::mem::take(&mut *self.shared.errors.lock().unwrap()),
            lost_emails: self.shared.lost_emails.load(Ordering::Relaxed),
            ..Report::default()
        }
    }

    async fn read_letters(&self) {
        let mut read = 0;
        loop {
            let received = self.service.mailbox.wait_for(read + 1).await;
            for email in &received[read..] {
                let text = words(email);
                let is_code = |line: &&str| line.split('-').map(str::len).eq([4; 7]);
                if let Some(code) = text.lines().map(str::trim).find(is_code) {
                    self.shared.codes.lock().unwrap().insert(email.recipients[0].clone(), code.to_owned());
                }
            }
            read = received.len();
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn organization(n: usize) -> String {
    format!("org-{n}")
}

/// One newcomer, and the owner who invites them.
struct Walk {
    client: Arc<Client>,
    shared: Arc<Shared>,
    owner: Person,
    organization: String,
    newcomer: Person,
    name: String,
}

impl Walk {
    async fn go(self) {
        if let Err((call, status)) = self.walk().await {
            let error = format!("{}: {call}: {:?} {}", self.name, status.code(), status.message());
            self.shared.errors.lock().unwrap().push(error);
        }
    }

    /// Each change has a request id, which its repetitions keep.
    async fn walk(&self) -> Result<(), (&'static str, Status)> {
        let (owner, newcomer, organization) = (&self.owner, &self.newcomer, &self.organization);
        let email = format!("{}@example.com", self.name);
        let parent = format!("organizations/{organization}");
        let ids = [(); 4].map(|()| Uuid::new_v4().to_string());
        self.call("CreateAccount", async |channel| {
            let (account_id, request_id) = (self.name.clone(), ids[0].clone());
            let message = pb::CreateAccountRequest { account_id, request_id, ..Default::default() };
            newcomer.on(channel).accounts.create_account(message).await
        })
        .await?;
        let invited = async |channel: &Channel| owner.on(channel).invite_by(organization, &email, &ids[1]).await;
        let invited = self.call("CreateInvitation", invited).await?;
        self.call("GetInvitation", async |channel| owner.on(channel).get(&invited.name).await).await?;
        self.call("ListInvitations", async |channel| {
            let message = pb::ListInvitationsRequest { parent: parent.clone(), page_size: 10, ..Default::default() };
            owner.on(channel).invitations.list_invitations(message).await
        })
        .await?;
        let Some(code) = self.code(&email).await else { return Ok(()) };
        self.call("RequestAccess", async |channel| {
            let message = pb::RequestAccessRequest { code: code.clone(), request_id: ids[2].clone() };
            newcomer.on(channel).invitations.request_access(message).await
        })
        .await?;
        let offered = self.call("OfferMembership", async |channel| {
            let message = pb::OfferMembershipRequest {
                parent: parent.clone(),
                username: self.name.clone(),
                email: email.clone(),
                role: pb::Role::Reader.into(),
                request_id: ids[3].clone(),
            };
            owner.on(channel).invitations.offer_membership(message).await
        });
        let offer = offered.await?.into_inner().name;
        let request_id = Uuid::new_v4().to_string();
        self.call("AcceptInvitation", async |channel| {
            let (name, request_id) = (offer.clone(), request_id.clone());
            let message = pb::AcceptInvitationRequest { name, request_id, ..Default::default() };
            newcomer.on(channel).invitations.accept_invitation(message).await
        })
        .await?;
        self.call("GetMember", async |channel| newcomer.on(channel).member(organization, &self.name).await).await?;
        Ok(())
    }

    /// Of the email to that address; `None`: it is lost.
    async fn code(&self, email: &str) -> Option<String> {
        let waiting = async {
            loop {
                if let Some(code) = self.shared.codes.lock().unwrap().remove(email) {
                    return code;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let code = timeout(EMAIL_WITHIN, waiting).await.ok();
        if code.is_none() {
            self.shared.lost_emails.fetch_add(1, Ordering::Relaxed);
        }
        code
    }

    async fn call<T>(
        &self,
        name: &'static str,
        call: impl AsyncFn(&Channel) -> Result<T, Status>,
    ) -> Result<T, (&'static str, Status)> {
        self.shared.calls.fetch_add(1, Ordering::Relaxed);
        self.client.call(call).await.map_err(|status| (name, status))
    }
}
