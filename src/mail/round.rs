//! One round of a worker: lease a batch of what is due, send it with no transaction open, settle each email.
//!
//! Any worker may be killed at any time: what it held comes due again when the lease ends. A slow mail server does not
//! end it, because the lease of the email that is being sent is renewed; what waits behind it is given back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::{Instant, Interval, interval_at, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::cold::Verdict;
use super::message::{Draft, shows_sign_in};
use super::smtp::{Failure, Letter, Session, Timeouts};
use super::{Mailer, backoff};
use crate::domain::{Answer, EmailState};
use crate::store::limits::Charge;
use crate::store::outbox::{self, Held};
use crate::store::{Error, Result};

/// Emails leased at once, and sent one after another over one connection.
pub const BATCH: usize = 16;
/// An outcome that cannot be written is tried again a second later; after that the lease ends, and the email is sent
/// once more.
const SETTLE_TRIES: u32 = 5;

/// What became of the emails of one round.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Round {
    pub claimed: usize,
    pub sent: usize,
    pub retrying: usize,
    pub failed: usize,
    pub dropped: usize,
    /// Given back untried.
    pub released: usize,
    /// Given back untried: their addresses have had enough for now.
    pub waiting: usize,
    /// Withdrawn, or taken over by somebody else, between lease and attempt.
    pub lost: usize,
    /// The mail server takes nothing at present.
    pub unreachable: bool,
}

/// How an attempt ended.
#[derive(Clone, Copy)]
enum Outcome {
    Sent(Answer),
    Retry(Answer, Duration),
    Failed(Answer),
    Dropped(Answer),
}

/// One connection to the mail server, one email at a time.
#[derive(Debug)]
pub struct Worker {
    pool: PgPool,
    mailer: Arc<Mailer>,
    session: Session,
    /// Whether the mail server was there the last time: the log says only when that changes.
    reachable: bool,
}

impl Worker {
    pub fn new(pool: PgPool, mailer: Arc<Mailer>) -> Self {
        Self { pool, mailer, session: Session::default(), reachable: true }
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
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let Timeouts { lease, sign_of_life, .. } = self.mailer.server.timeouts;
        let mut batch = VecDeque::from(with(&self.pool, async |c| outbox::claim(c, None, limit, lease).await).await?);
        let mut round = Round { claimed: batch.len(), ..Round::default() };
        let mut life = interval_at(Instant::now() + sign_of_life, sign_of_life);
        while !stop.is_cancelled() && !round.unreachable {
            let Some(mut held) = batch.pop_front() else { break };
            let Some((draft, charge)) = self.draft(&held).await? else {
                round.lost += 1;
                continue;
            };
            let outcome = match draft {
                Draft::Drop(answer) => Outcome::Dropped(answer),
                Draft::Fail(answer) => Outcome::Failed(answer),
                Draft::Wait(wait) => {
                    with(&self.pool, async |c| outbox::release(c, &held, wait).await).await?;
                    round.waiting += 1;
                    continue;
                }
                Draft::Send(letter) => {
                    let waiting = batch.len();
                    let result = self.send(&letter, &mut held, &mut batch, &mut life).await;
                    round.released += waiting - batch.len();
                    round.unreachable = matches!(result, Err(Failure::Unreachable { .. }));
                    self.judge(&held, &result)
                }
            };
            self.settle(&held, outcome).await?;
            if let (Some(charge), false) = (charge, matches!(outcome, Outcome::Sent(_))) {
                with(&self.pool, async |c| self.mailer.cold.give_back(c, &charge).await).await?;
            }
            round.count(outcome);
        }
        round.released += batch.len();
        release(&self.pool, &mut batch).await?;
        Ok(round)
    }

    /// Reads what the email needs at this moment, and writes it; with what its recipient was charged. `None`: it is held
    /// no more.
    async fn draft(&self, held: &Held) -> Result<Option<(Draft, Option<Charge>)>> {
        let Some(facts) = with(&self.pool, async |c| outbox::facts(c, held).await).await? else { return Ok(None) };
        if backoff::is_spent(held.attempt) {
            // no attempt of it ever came to an end
            return Ok(Some((Draft::Fail(Answer::Unbuildable), None)));
        }
        let username = facts.invitation.as_ref().and_then(|invitation| invitation.username.as_ref());
        let sign_in = match username.filter(|_| shows_sign_in(held.kind)) {
            Some(username) => with(&self.pool, async |c| outbox::sign_in(c, username).await).await?,
            None => None,
        };
        let draft = self.mailer.writer.draft(held, &facts, sign_in.as_ref());
        let is_unsolicited = facts.invitation.as_ref().is_some_and(|invitation| invitation.is_unsolicited);
        if !matches!(draft, Draft::Send(_)) || !held.kind.is_cold(is_unsolicited) {
            return Ok(Some((draft, None)));
        }
        let judge = async |c: &mut PgConnection| self.mailer.cold.judge(c, &held.recipient).await;
        Ok(Some(match with(&self.pool, judge).await? {
            Verdict::Send(charge) => (draft, charge),
            Verdict::Wait(wait) => (Draft::Wait(wait), None),
            Verdict::Suppressed => (Draft::Drop(Answer::Suppressed), None),
        }))
    }

    /// Sends, and gives signs of life meanwhile. An email that takes its time holds up no other.
    async fn send(
        &mut self,
        letter: &Letter,
        held: &mut Held,
        batch: &mut VecDeque<Held>,
        life: &mut Interval,
    ) -> std::result::Result<Answer, Failure> {
        let Self { pool, mailer, session, .. } = self;
        let lease = mailer.server.timeouts.lease;
        let sending = session.send(&mailer.server, letter);
        tokio::pin!(sending);
        loop {
            tokio::select! {
                result = &mut sending => return result,
                _ = life.tick() => {
                    let renewed = with(pool, async |c| outbox::renew(c, held, lease).await).await;
                    // whether it is still ours or not, the mail server may have it already: see how it ends
                    if let Err(error) = renewed.and(release(pool, batch).await) {
                        warn!(%error, "the lease of an email was not renewed");
                    }
                }
            }
        }
    }

    fn judge(&mut self, held: &Held, result: &std::result::Result<Answer, Failure>) -> Outcome {
        let reachable = !matches!(result, Err(Failure::Unreachable { .. }));
        match result {
            Err(Failure::Unreachable { detail, .. }) if self.reachable => {
                warn!(detail, "the mail server takes no email; check the mail settings if this goes on");
            }
            _ if reachable && !self.reachable => info!("the mail server takes email again"),
            _ => {}
        }
        self.reachable = reachable;
        match result {
            Ok(answer) => Outcome::Sent(*answer),
            Err(Failure::Refused(answer)) => Outcome::Failed(*answer),
            Err(Failure::Delayed(answer) | Failure::Unreachable { answer, .. }) => {
                let wait = backoff::delay(held.attempt, rand::random());
                wait.map_or(Outcome::Failed(*answer), |wait| Outcome::Retry(*answer, wait))
            }
        }
    }

    /// Writes the outcome down, if need be several times: what is sent and not settled is sent again.
    async fn settle(&self, held: &Held, outcome: Outcome) -> Result<()> {
        log(held, outcome);
        let mut tries = 1;
        loop {
            let settled = with(&self.pool, async |c| match outcome {
                Outcome::Sent(answer) => outbox::settle_sent(c, held, answer).await,
                Outcome::Retry(answer, wait) => outbox::settle(c, held, EmailState::Retrying, answer, wait).await,
                Outcome::Failed(answer) => outbox::settle(c, held, EmailState::Failed, answer, Duration::ZERO).await,
                Outcome::Dropped(answer) => outbox::settle(c, held, EmailState::Dropped, answer, Duration::ZERO).await,
            });
            match settled.await {
                Err(_) if tries < SETTLE_TRIES => sleep(Duration::from_secs(1)).await,
                result => return result,
            }
            tries += 1;
        }
    }
}

impl Round {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Sent(_) => self.sent += 1,
            Outcome::Retry(..) => self.retrying += 1,
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Dropped(_) => self.dropped += 1,
        }
    }
}

/// Kind, id and answer; never the address, the words or the code.
fn log(held: &Held, outcome: Outcome) {
    let (kind, id, attempt) = (held.kind.as_str(), held.id, held.attempt);
    match outcome {
        Outcome::Sent(answer) => debug!(email.kind = kind, email.id = %id, attempt, %answer, "email sent"),
        Outcome::Retry(answer, wait) => {
            let wait_s = wait.as_secs();
            info!(email.kind = kind, email.id = %id, attempt, %answer, wait_s, "email will be tried again");
        }
        Outcome::Failed(answer) => warn!(email.kind = kind, email.id = %id, attempt, %answer, "email failed for good"),
        Outcome::Dropped(answer) => debug!(email.kind = kind, email.id = %id, attempt, %answer, "email dropped"),
    }
}

/// Gives all of them back.
async fn release(pool: &PgPool, batch: &mut VecDeque<Held>) -> Result<()> {
    while let Some(held) = batch.pop_front() {
        with(pool, async |c| outbox::release(c, &held, Duration::ZERO).await).await?;
    }
    Ok(())
}

/// One statement on a connection that is given back at once: none is held while the mail server is spoken to.
async fn with<T>(pool: &PgPool, statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
    let mut connection = pool.acquire().await?;
    let result = statement(&mut connection).await;
    if result.as_ref().is_err_and(Error::breaks_connection) {
        connection.detach().close_hard().await.ok();
    }
    result
}
