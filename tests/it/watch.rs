//! Streams of events: what they promise, over gRPC.

mod ends;
mod initial;
mod limits;
mod many;
mod order;
mod robust;
mod slow;
mod tokens;

use std::collections::VecDeque;

use invitations::pb;
use sqlx::AssertSqlSafe;
use tokio::time::timeout;
use tonic::{Request, Status, Streaming};

use crate::support::{PATIENCE, Person, Service};

/// Checkpoints often: nothing that waits for one takes long.
pub const QUICK: (&str, &str) = ("watch_checkpoint_seconds", "1");

/// A stream of the events of `acme`, read message by message.
pub struct Watcher {
    stream: Streaming<pb::WatchEventsResponse>,
    /// The newest.
    pub token: String,
}

pub fn watch(resume_token: &str) -> pb::WatchEventsRequest {
    let parent = "organizations/acme".to_owned();
    pb::WatchEventsRequest { parent, resume_token: resume_token.to_owned(), ..Default::default() }
}

impl Watcher {
    /// From now on.
    pub async fn open(person: &Person) -> Self {
        Self::try_open(person, watch("")).await.unwrap()
    }

    /// From a token on.
    pub async fn resume(person: &Person, token: &str) -> Self {
        Self::try_open(person, watch(token)).await.unwrap()
    }

    /// The first message that is no part of the present state is a checkpoint.
    pub async fn try_open(person: &Person, request: pb::WatchEventsRequest) -> Result<Self, Status> {
        let mut watcher = Self::begin(person, Request::new(request)).await?;
        let first = watcher.message().await.unwrap();
        assert!(first.events.is_empty() && !first.resume_token.is_empty(), "{first:?}");
        Ok(watcher)
    }

    /// Before its first message.
    pub async fn begin(person: &Person, request: Request<pb::WatchEventsRequest>) -> Result<Self, Status> {
        let stream = timeout(PATIENCE, person.organizations.clone().watch_events(request)).await.expect("it begins")?;
        Ok(Self { stream: stream.into_inner(), token: String::new() })
    }

    /// `None`: it has ended in peace.
    pub async fn next(&mut self) -> Result<Option<pb::WatchEventsResponse>, Status> {
        let message = timeout(PATIENCE, self.stream.message()).await.expect("a message or a checkpoint comes")?;
        if let Some(message) = &message
            && !message.resume_token.is_empty()
        {
            self.token.clone_from(&message.resume_token);
        }
        Ok(message)
    }

    pub async fn message(&mut self) -> Option<pb::WatchEventsResponse> {
        self.next().await.unwrap()
    }

    /// The next message with events.
    pub async fn happened(&mut self) -> pb::WatchEventsResponse {
        loop {
            let message = self.message().await.expect("it has not ended");
            if !message.events.is_empty() {
                return message;
            }
        }
    }

    /// The positions of the next events, until one of them is that.
    pub async fn positions_to(&mut self, last: i64) -> Vec<i64> {
        let mut positions = Vec::new();
        while positions.last().is_none_or(|position| *position < last) {
            positions.extend(self.happened().await.events.iter().map(position));
        }
        positions
    }

    /// All messages until the end, and how that is.
    pub async fn until_end(&mut self) -> (VecDeque<pb::WatchEventsResponse>, Result<(), Status>) {
        let mut messages = VecDeque::new();
        loop {
            match self.next().await {
                Ok(Some(message)) => messages.push_back(message),
                Ok(None) => return (messages, Ok(())),
                Err(status) => return (messages, Err(status)),
            }
        }
    }
}

pub fn position(event: &pb::Event) -> i64 {
    event.name.rsplit('/').next().unwrap().parse().unwrap()
}

/// Writes events of `acme` as a transaction of another replica would, at a time of their own: in each statement so many.
pub async fn write(service: &Service, sizes: &[i64]) {
    for size in sizes {
        let written = format!(
            "WITH head AS (UPDATE organization_heads SET event_position = event_position + {size} \
                            WHERE organization = 'acme' RETURNING event_position - {size} AS was) \
             INSERT INTO events (organization, position, kind, actor, create_time) \
             SELECT 'acme', was + n, 'RESENT', 'accounts/olga', clock.now FROM head, generate_series(1, {size}) n, \
                    (SELECT clock_timestamp() AS now OFFSET 0) clock"
        );
        run(service, &written).await;
    }
}

pub async fn run(service: &Service, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(service.pool()).await.unwrap();
}

/// The newest position of `acme`.
pub async fn head(service: &Service) -> i64 {
    let head = "SELECT event_position FROM organization_heads WHERE organization = 'acme'";
    sqlx::query_scalar(head).fetch_one(service.pool()).await.unwrap()
}

/// Deletes the oldest events of `acme`, as retention does.
pub async fn prune(service: &Service, up_to: i64) {
    run(service, &format!("DELETE FROM events WHERE organization = 'acme' AND position <= {up_to}")).await;
}
