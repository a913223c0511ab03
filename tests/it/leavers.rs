//! Callers that leave at any moment: what they asked for has happened as a whole or not at all, and asking again with the
//! same request id gives the one answer.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use invitations::dev::mailbox::{Action, Script, Step};
use invitations::pb::{self, Invitation};
use rand::RngExt;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::{Database, Person, Service};

const CALLS: usize = 3_000;
const AT_ONCE: usize = 30;
/// Of all callers these do not wait for the answer.
const LEAVERS: f64 = 0.2;
const ORGANIZATIONS: [&str; 3] = ["acme", "beta", "gamma"];

/// A call that changes something of its own.
#[derive(Clone, Debug)]
enum Call {
    /// Of that address.
    Create(String),
    /// Of that invitation.
    Resend(String),
    Revoke(String),
}

#[derive(Clone, Debug)]
struct Command {
    organization: &'static str,
    request_id: Uuid,
    call: Call,
}

impl Command {
    async fn send(&self, person: &Person) -> Result<Invitation, Status> {
        let mut client = person.invitations.clone();
        let request_id = self.request_id.to_string();
        let answer = match self.call.clone() {
            Call::Create(email) => {
                let invitation = Some(Invitation { email, ..Default::default() });
                let parent = format!("organizations/{}", self.organization);
                let message = pb::CreateInvitationRequest { parent, invitation, request_id, ..Default::default() };
                client.create_invitation(message).await
            }
            Call::Resend(name) => {
                client.resend_invitation(pb::ResendInvitationRequest { name, request_id, ..Default::default() }).await
            }
            Call::Revoke(name) => {
                client.revoke_invitation(pb::RevokeInvitationRequest { name, request_id, ..Default::default() }).await
            }
        };
        answer.map(tonic::Response::into_inner)
    }

    /// The same by a client that does what the contract says: where the service was too busy it asks again.
    async fn send_patiently(&self, person: &Person) -> Invitation {
        loop {
            match self.send(person).await {
                Err(status) if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) => {}
                answer => return answer.unwrap(),
            }
        }
    }

    /// How often each of its effects is there, in one snapshot: by the remembered request, what it did to the row, its
    /// event, its emails.
    async fn effects(&self, pool: &PgPool) -> Vec<i64> {
        let (query, value) = match &self.call {
            Call::Create(email) => (
                "SELECT ARRAY[(SELECT count(*) FROM request_ids WHERE organization = $1 AND request_id = $2), \
                   count(DISTINCT i.invitation), count(DISTINCT e.position), count(DISTINCT m.email_id)] \
                   FROM invitations i \
                   LEFT JOIN events e ON e.organization = $1 AND e.invitation = i.invitation AND e.kind = 'INVITED' \
                   LEFT JOIN emails m ON m.organization = $1 AND m.invitation = i.invitation AND m.kind = 'ACCOUNT_INVITATION' \
                  WHERE i.organization = $1 AND i.email = $3",
                email.as_str(),
            ),
            // the first email is the one of the invitation itself
            Call::Resend(name) => (
                "SELECT ARRAY[(SELECT count(*) FROM request_ids WHERE organization = $1 AND request_id = $2), \
                   i.revision - 1, count(DISTINCT e.position), count(DISTINCT m.email_id) - 1] \
                   FROM invitations i \
                   LEFT JOIN events e ON e.organization = $1 AND e.invitation = i.invitation AND e.kind = 'RESENT' \
                   LEFT JOIN emails m ON m.organization = $1 AND m.invitation = i.invitation AND m.kind = 'ACCOUNT_INVITATION' \
                  WHERE i.organization = $1 AND i.invitation = $3::text::uuid GROUP BY i.revision",
                name.rsplit('/').next().unwrap(),
            ),
            Call::Revoke(name) => (
                "SELECT ARRAY[(SELECT count(*) FROM request_ids WHERE organization = $1 AND request_id = $2), \
                   i.revision - 1, count(DISTINCT e.position), count(*) FILTER (WHERE i.state = 'REVOKED')] \
                   FROM invitations i \
                   LEFT JOIN events e ON e.organization = $1 AND e.invitation = i.invitation AND e.kind = 'REVOKED' \
                  WHERE i.organization = $1 AND i.invitation = $3::text::uuid GROUP BY i.revision",
                name.rsplit('/').next().unwrap(),
            ),
        };
        let row = sqlx::query_scalar(query).bind(self.organization).bind(self.request_id).bind(value);
        row.fetch_optional(pool).await.unwrap().unwrap_or_default()
    }
}

/// Whether a command has left a part of itself; how often all of it is there.
fn torn(effects: &[i64]) -> Result<i64, String> {
    let first = effects.first().copied().unwrap_or_default();
    if effects.iter().all(|count| *count == first) { Ok(first) } else { Err(format!("{effects:?}")) }
}

/// 3,000 commands, half of them new invitations, the others about invitations of their own.
async fn commands(owner: &Person) -> Vec<Command> {
    let mut commands = Vec::new();
    for n in 0..CALLS {
        let organization = ORGANIZATIONS[n % ORGANIZATIONS.len()];
        commands.push(Command {
            organization,
            request_id: Uuid::new_v4(),
            call: Call::Create(format!("n{n}@example.com")),
        });
    }
    let targets = commands.split_off(CALLS / 2);
    let mut prepared = JoinSet::new();
    for chunk in targets.chunks(targets.len() / AT_ONCE) {
        let (owner, chunk) = (owner.clone(), chunk.to_vec());
        prepared.spawn(async move {
            let mut named = Vec::new();
            for (n, target) in chunk.into_iter().enumerate() {
                let name = target.send_patiently(&owner).await.name;
                let call = if n % 2 == 0 { Call::Resend(name) } else { Call::Revoke(name) };
                named.push(Command { request_id: Uuid::new_v4(), call, ..target });
            }
            named
        });
    }
    commands.extend(prepared.join_all().await.into_iter().flatten());
    assert_eq!(commands.len(), CALLS);
    commands
}

/// Does it for every command, some at once.
async fn for_each<T, F>(
    commands: &Arc<Vec<Command>>,
    work: impl Fn(Command) -> F + Clone + Send + 'static,
) -> BTreeMap<usize, T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send,
{
    let mut tasks = JoinSet::new();
    for first in 0..AT_ONCE {
        let (commands, work) = (Arc::clone(commands), work.clone());
        tasks.spawn(async move {
            let mut done = Vec::new();
            for n in (first..CALLS).step_by(AT_ONCE) {
                done.push((n, work(commands[n].clone()).await));
            }
            done
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_finds_all_of_it_or_nothing_and_one_answer() {
    // what is sent does not matter here, and takes time
    let stall = Script::new(|step| if matches!(step, Step::Message(_)) { Action::Stall } else { Action::Proceed });
    let service = Service::start_with(&[("mail_workers", "1")], stall).await;
    let owner = service.owner("olga", "acme").await;
    for id in &ORGANIZATIONS[1..] {
        owner.create_organization(id).await.unwrap();
    }
    let commands = Arc::new(commands(&owner).await);

    let mut callers = JoinSet::new();
    for caller in 0..AT_ONCE {
        let (commands, owner) = (Arc::clone(&commands), owner.clone());
        callers.spawn(async move {
            let (mut answers, mut usual) = (BTreeMap::new(), Duration::from_millis(20));
            for n in (caller..CALLS).step_by(AT_ONCE) {
                let call = commands[n].send_patiently(&owner);
                let leaves = rand::rng().random_bool(LEAVERS);
                // some leave before the request is out, some when it is decided, some when the answer is on its way
                let patience = usual.mul_f64(rand::rng().random_range(0.0..1.2));
                if !leaves {
                    let began = Instant::now();
                    answers.insert(n, Some(call.await.name));
                    usual = (usual + began.elapsed()) / 2;
                } else if let Ok(answer) = tokio::time::timeout(patience, call).await {
                    answers.insert(n, Some(answer.name));
                } else {
                    answers.insert(n, None);
                }
            }
            answers
        });
    }
    let answers = callers.join_all().await.into_iter().flatten().collect::<BTreeMap<_, _>>();

    let pool = service.pool().clone();
    let found = for_each(&commands, {
        let pool = pool.clone();
        move |command| {
            let pool = pool.clone();
            async move { torn(&command.effects(&pool).await) }
        }
    })
    .await;
    let (mut left, mut happened) = (0, 0);
    for (n, answer) in &answers {
        let count = found[n].clone().unwrap_or_else(|parts| panic!("a part of {:?}: {parts}", commands[*n]));
        if answer.is_none() {
            (left, happened) = (left + 1, happened + count);
        } else {
            assert_eq!(count, 1, "acknowledged: {:?}", commands[*n]);
        }
    }
    // the control of the moments: some came too early for anything, some too late to stop it
    assert!(left > CALLS / 10 && happened > 20 && happened + 20 < i64::try_from(left).unwrap(), "{happened} of {left}");
    service.recount().await;

    let again = for_each(&commands, move |command| {
        let (owner, pool) = (owner.clone(), pool.clone());
        async move {
            let name = command.send_patiently(&owner).await.name;
            (name, torn(&command.effects(&pool).await))
        }
    })
    .await;
    for (n, answer) in &answers {
        let (name, count) = &again[n];
        assert!(answer.as_ref().is_none_or(|first| first == name), "{:?}", commands[*n]);
        assert_eq!(*count, Ok(1), "once: {:?}", commands[*n]);
    }
    service.recount().await;
    let total: i64 = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(service.pool()).await.unwrap();
    // each target was invited before, and each organization was founded
    assert_eq!(total, i64::try_from(CALLS + CALLS / 2 + ORGANIZATIONS.len()).unwrap());
    eprintln!("{left} of {CALLS} left, {happened} of these found it done");
}

/// The control: the statements of CreateInvitation one by one, and the caller leaves in between.
#[tokio::test]
async fn control_statements_without_a_transaction_leave_a_part() {
    let database = Database::create().await;
    let pool = &database.pool;
    let organization = "INSERT INTO organizations (organization, display_name, notification_email, notification_email_key) \
                        VALUES ('acme', 'Acme', 'n@acme.example', 'n@acme.example')";
    sqlx::query(organization).execute(pool).await.unwrap();
    let (mut parts, mut wholes) = (0, 0);
    // how often it waits is the machine's to say
    for n in 1..=400 {
        if parts > 0 && wholes > 0 {
            break;
        }
        let email = format!("n{n}@example.com");
        let command = Command { organization: "acme", request_id: Uuid::new_v4(), call: Call::Create(email) };
        let Call::Create(email) = &command.call else { unreachable!() };
        let by_hand = async {
            for statement in [
                "INSERT INTO invitations (organization, invitation, state, email, email_key, inviter, code_hash, code_key_id, \
                                          generation, expire_time, send_time) \
                 VALUES ('acme', $1, 'INVITED', $2, $2, 'accounts/olga', sha256($2::bytea), 'test', 1, \
                         now() + interval '7 days', now())",
                "INSERT INTO events (organization, position, kind, invitation) \
                 SELECT 'acme', count(*) + 1, 'INVITED', $1 FROM events WHERE $2 <> ''",
                "INSERT INTO emails (organization, email_id, invitation, kind, generation, recipient) \
                 VALUES ('acme', gen_random_uuid(), $1, 'ACCOUNT_INVITATION', 1, $2)",
                "INSERT INTO request_ids (organization, caller, request_id, method, digest, resource) \
                 VALUES ('acme', 'accounts/olga', $1, 'CreateInvitation', '', $2)",
            ] {
                sqlx::query(statement).bind(command.request_id).bind(email).execute(pool).await.unwrap();
            }
        };
        leave_at(n, by_hand).await;
        match torn(&command.effects(pool).await) {
            Ok(count) => wholes += count,
            Err(_) => parts += 1,
        }
    }
    assert!(parts > 0 && wholes > 0, "{parts} torn, {wholes} whole");
}

/// Drops a future when it waits for the nth time.
async fn leave_at<F: Future>(waits: usize, future: F) {
    let mut future = pin!(future);
    let mut left = waits;
    poll_fn(|context| {
        left -= 1;
        if future.as_mut().poll(context).is_ready() || left == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
