//! One round of a worker: lease a batch of what is due, send it with no transaction open, settle it.
//!
//! Any worker may be killed at any time: what it held comes due again when the lease ends. A slow mail server does not
//! end it, because the lease of the email that is being sent is renewed; what waits behind it is given back. And it makes
//! the batches small: what is known of an email is asked again where it is no longer fresh, and outcomes are written then.

use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom;
use tokio::time::{Instant, Interval, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::batch::{Batch, Ready, Round};
use super::smtp::{Failure, Letter, Session, Timeouts};
use super::{Mailer, backoff};
use crate::domain::{Answer, EmailState, OrganizationId};
use crate::store::Result;
use crate::store::connection::Own;
use crate::store::outbox::{self, Held};
use crate::store::pool::Engine;
use crate::traces::EmailSpan;

/// Emails leased at once, and sent one after another over one connection: the fewest and the most.
const SHARE: std::ops::RangeInclusive<usize> = 16..=128;
/// One connection to the mail server, one email at a time.
#[derive(Debug)]
pub struct Worker {
    database: Own,
    mailer: Arc<Mailer>,
    session: Session,
    /// Whether the mail server was there the last time: the log says only when that changes.
    reachable: bool,
    /// How many emails it leases next: about as many as go out while what is known of them is fresh.
    share: usize,
    /// Organizations that may have due emails, where they are claimed one after the other.
    due: Vec<OrganizationId>,
    /// Those whose turn could not be set yet, because somebody was writing it.
    turns: Vec<OrganizationId>,
}

impl Worker {
    pub fn new(database: Own, mailer: Arc<Mailer>) -> Self {
        Self {
            database,
            mailer,
            session: Session::default(),
            reachable: true,
            share: *SHARE.start(),
            due: Vec::new(),
            turns: Vec::new(),
        }
    }

    /// Closes the connection to the mail server until there is something to send.
    pub async fn hang_up(&mut self) {
        self.session.quit().await;
    }

    /// Sends what is due, at most a batch. What it leases and has not tried when `stop` comes is given back.
    ///
    /// # Errors
    ///
    /// The database's; what is leased then comes due again by itself.
    pub async fn deliver_due(&mut self, stop: &CancellationToken) -> Result<Round> {
        let Timeouts { lease, sign_of_life, fresh, .. } = self.mailer.server.timeouts;
        let (began, share) = (Instant::now(), self.share);
        let limit = i64::try_from(share).unwrap_or(i64::MAX);
        let held = self.claim(limit, lease).await?;
        let is_full = held.len() == share || !self.due.is_empty();
        let mut round = Round { claimed: held.len(), is_full, ..Round::default() };
        let mut batch = Batch::new(held, std::mem::take(&mut self.turns));
        let mut life = interval_at(began + sign_of_life, sign_of_life);
        while !(batch.untried.is_empty() || round.unreachable || stop.is_cancelled()) {
            let known = Instant::now();
            let judged = self.mailer.judge(&mut self.database, std::mem::take(&mut batch.untried)).await?;
            for judged in judged {
                batch.sort(judged, &mut round);
            }
            while let Some(ready) = batch.ready.pop_front() {
                Box::pin(self.send(ready, &mut batch, &mut round, known + fresh, &mut life)).await;
                if round.unreachable || stop.is_cancelled() || known.elapsed() >= fresh {
                    break;
                }
            }
            batch.put_back();
            batch.write_down(&mut self.database).await?;
        }
        round.released += batch.give_up();
        batch.write_down(&mut self.database).await?;
        self.turns = batch.turns;
        self.share = match began.elapsed() {
            slow if slow > fresh => (share / 2).max(*SHARE.start()),
            _ if round.is_full => (share * 2).min(*SHARE.end()),
            _ => share,
        };
        Ok(round)
    }

    /// Leases what is due. A distributed database locks the rows of one organization at a time: there they take turns.
    async fn claim(&mut self, limit: i64, lease: Duration) -> Result<Vec<Held>> {
        if self.database.engine() == Engine::Single {
            return self.database.run(async |c| outbox::claim(c, None, limit, lease).await).await;
        }
        if self.due.is_empty() {
            self.due = self.database.run(outbox::due_organizations).await?;
            // workers that see the same ones do not all begin with the same
            self.due.shuffle(&mut rand::rng());
        }
        while let Some(organization) = self.due.pop() {
            let held = self.database.run(async |c| outbox::claim(c, Some(&organization), limit, lease).await).await?;
            if !held.is_empty() {
                return Ok(held);
            }
        }
        Ok(Vec::new())
    }

    /// Writes and sends one email.
    async fn send(
        &mut self,
        mut ready: Ready,
        batch: &mut Batch,
        round: &mut Round,
        fresh_until: Instant,
        life: &mut Interval,
    ) {
        let Held { kind, id, attempt, .. } = &ready.item.held;
        let span = EmailSpan::begin(kind.as_str(), id.to_string(), *attempt, ready.traces());
        let letter = match ready.draft(&self.mailer.writer) {
            Ok(letter) => letter,
            Err((state, answer)) => {
                span.end(state.as_str(), state == EmailState::Failed);
                return ready.into_items().for_each(|item| batch.end_unsent(item, state, answer, round));
            }
        };
        let result = self.hand_over(&letter, &mut ready.item.held, batch, round, fresh_until, life).await;
        round.unreachable = matches!(result, Err(Failure::Unreachable { .. }));
        self.notice(&result);
        let (state, answer, wait) = match result {
            Ok(answer) => (EmailState::Sent, answer, Duration::ZERO),
            Err(Failure::Refused(answer)) => (EmailState::Failed, answer, Duration::ZERO),
            Err(Failure::Delayed(answer) | Failure::Unreachable { answer, .. }) => {
                match backoff::delay(ready.item.held.attempt, rand::random()) {
                    Some(wait) => (EmailState::Retrying, answer, wait),
                    None => (EmailState::Failed, answer, Duration::ZERO),
                }
            }
        };
        span.end(state.as_str(), state != EmailState::Sent);
        ready.into_items().for_each(|item| batch.end(item, state, answer, wait, round));
    }

    /// Gives the letter to the mail server. An email that takes its time holds up no other: meanwhile what has ended is
    /// written down, and then, with a sign of life, what waits is given back.
    async fn hand_over(
        &mut self,
        letter: &Letter,
        held: &mut Held,
        batch: &mut Batch,
        round: &mut Round,
        mut write_at: Instant,
        life: &mut Interval,
    ) -> std::result::Result<Answer, Failure> {
        let Self { database, mailer, session, .. } = self;
        let Timeouts { lease, sign_of_life, .. } = mailer.server.timeouts;
        let sending = session.send(&mailer.server, letter);
        tokio::pin!(sending);
        loop {
            let written = tokio::select! {
                result = &mut sending => return result,
                () = sleep_until(write_at), if !batch.ended.is_empty() => {
                    write_at = Instant::now() + sign_of_life;
                    batch.write_down(database).await
                }
                _ = life.tick() => {
                    round.released += batch.give_up();
                    let renewed = database.run(async |c| outbox::renew(c, held, lease).await).await;
                    // whether it is still ours or not, the mail server may have it already: see how it ends
                    renewed.and(batch.write_down(database).await)
                }
            };
            if let Err(error) = written {
                warn!(%error, "outcomes or leases of emails were not written while one is being sent");
            }
        }
    }

    /// Tells the log when the mail server goes or comes back.
    fn notice(&mut self, result: &std::result::Result<Answer, Failure>) {
        let reachable = !matches!(result, Err(Failure::Unreachable { .. }));
        match result {
            Err(Failure::Unreachable { detail, .. }) if self.reachable => {
                warn!(detail, "the mail server takes no email; check the mail settings if this goes on");
            }
            _ if reachable && !self.reachable => info!("the mail server takes email again"),
            _ => {}
        }
        self.reachable = reachable;
    }
}
