//! The emails of a round: which are to be sent, and what is to be written down of the others.

use std::collections::VecDeque;
use std::iter::once;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::backoff;
use super::judge::{Item, Judged, Known, Verdict};
use super::message::{Ending, Writer};
use super::smtp::Letter;
use crate::domain::{Answer, EmailKind, EmailState, OrganizationId, TraceParent};
use crate::store::Result;
use crate::store::connection::Own;
use crate::store::limits::{self, Charge};
use crate::store::outbox::{self, Ended, Held};

/// An outcome that cannot be written is tried again a second later; after that the lease ends, and the email is sent
/// once more.
const SETTLE_TRIES: u32 = 5;

/// What became of the emails of one round.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Round {
    pub claimed: usize,
    /// As many as the worker asked for: there may be more.
    pub is_full: bool,
    pub sent: usize,
    pub retrying: usize,
    pub failed: usize,
    pub dropped: usize,
    /// Given back untried.
    pub released: usize,
    /// Given back untried: their addresses have had enough for now, or a newer version has to judge them.
    pub waiting: usize,
    /// Withdrawn, or taken over by somebody else, between lease and attempt.
    pub lost: usize,
    /// The mail server takes nothing at present.
    pub unreachable: bool,
}

pub(super) struct Batch {
    pub untried: Vec<Item>,
    /// To be sent, in turn.
    pub ready: VecDeque<Ready>,
    /// To be given back.
    released: Vec<(Held, Duration)>,
    /// Likewise, for the limit of their recipients.
    limited: Vec<(Held, Duration)>,
    /// To be settled.
    pub ended: Vec<Ended>,
    /// What was charged for emails that were not sent.
    charges: Vec<Charge>,
    /// Organizations whose next emails come due at another time than was known before.
    pub turns: Vec<OrganizationId>,
}

/// What goes out as one email.
pub(super) struct Ready {
    pub item: Item,
    known: Box<Known>,
    /// Further ones of the outbox that it stands for.
    others: Vec<(Item, Box<Known>)>,
    is_gathered: bool,
}

impl Ready {
    fn new(item: Item, known: Box<Known>, is_gathered: bool) -> Self {
        Self { item, known, others: Vec::new(), is_gathered }
    }

    pub fn draft(&self, writer: &Writer) -> std::result::Result<Letter, Ending> {
        let Known { facts, sign_in } = &*self.known;
        if self.others.is_empty() {
            return writer.draft(&self.item.held, facts, sign_in.as_ref());
        }
        let others = self.others.iter().map(|(item, known)| (&item.held, &known.facts));
        writer.draft_gathered(&once((&self.item.held, facts)).chain(others).collect::<Vec<_>>())
    }

    /// The calls that have caused it.
    pub fn traces(&self) -> impl Iterator<Item = TraceParent> {
        once(&self.item).chain(self.others.iter().map(|(item, _)| item)).filter_map(|item| item.held.trace)
    }

    pub fn into_items(self) -> impl Iterator<Item = Item> {
        once(self.item).chain(self.others.into_iter().map(|(item, _)| item))
    }

    fn gathers(&self, held: &Held) -> bool {
        let Held { organization, recipient, .. } = &self.item.held;
        self.is_gathered && *organization == held.organization && recipient.key() == held.recipient.key()
    }
}

impl Batch {
    pub fn new(held: Vec<Held>, turns: Vec<OrganizationId>) -> Self {
        let untried = held.into_iter().map(|held| Item { held, charges: Vec::new() }).collect();
        Self {
            untried,
            ready: VecDeque::new(),
            released: Vec::new(),
            limited: Vec::new(),
            ended: Vec::new(),
            charges: Vec::new(),
            turns,
        }
    }

    pub fn sort(&mut self, judged: Judged, round: &mut Round) {
        let Judged { item, verdict } = judged;
        match verdict {
            Verdict::Send(known) => self.ready.push_back(Ready::new(item, known, false)),
            Verdict::Gather(known) => match self.ready.iter_mut().find(|ready| ready.gathers(&item.held)) {
                Some(ready) => ready.others.push((item, known)),
                None => self.ready.push_back(Ready::new(item, known, true)),
            },
            Verdict::End(state, answer) => self.end_unsent(item, state, answer, round),
            Verdict::Wait(wait) => {
                self.release(item, wait);
                round.waiting += 1;
            }
            Verdict::Limited(wait) => {
                count(item.held.kind, "limited");
                self.limited.push((item.held, wait));
                round.waiting += 1;
            }
            Verdict::Lost => {
                self.charges.extend(item.charges);
                round.lost += 1;
            }
        }
    }

    /// Nothing was sent; it is taken again only where the key of its code is missing.
    pub fn end_unsent(&mut self, item: Item, state: EmailState, answer: Answer, round: &mut Round) {
        let wait = if state == EmailState::Retrying { backoff::KEY_WAIT } else { Duration::ZERO };
        self.end(item, state, answer, wait, round);
    }

    pub fn end(&mut self, item: Item, state: EmailState, answer: Answer, wait: Duration, round: &mut Round) {
        let (number, result) = match state {
            EmailState::Sent => (&mut round.sent, "sent"),
            EmailState::Retrying | EmailState::Queued => (&mut round.retrying, "retried"),
            EmailState::Failed => (&mut round.failed, "failed"),
            EmailState::Dropped => (&mut round.dropped, "dropped"),
        };
        *number += 1;
        count(item.held.kind, result);
        if state != EmailState::Sent {
            self.charges.extend(item.charges);
        }
        let ended = Ended { held: item.held, state, answer, wait };
        log(&ended);
        self.ended.push(ended);
    }

    fn release(&mut self, item: Item, wait: Duration) {
        self.charges.extend(item.charges);
        self.released.push((item.held, wait));
    }

    /// What is ready is judged again, but for what is gathered: that is given back, and gathered anew.
    pub fn put_back(&mut self) {
        for ready in std::mem::take(&mut self.ready) {
            if ready.is_gathered {
                ready.into_items().for_each(|item| self.release(item, Duration::ZERO));
            } else {
                self.untried.push(ready.item);
            }
        }
    }

    /// Gives back whatever was not tried; how many that are.
    pub fn give_up(&mut self) -> usize {
        let ready = self.ready.drain(..).flat_map(Ready::into_items);
        let untried = self.untried.drain(..).chain(ready).collect::<Vec<_>>();
        let count = untried.len();
        for item in untried {
            self.release(item, Duration::ZERO);
        }
        count
    }

    /// Writes down what is decided, if need be several times: what is sent and not settled is sent again.
    pub async fn write_down(&mut self, database: &mut Own) -> Result<()> {
        let mut tries = 1;
        while let Err(error) = database.run(async |c| outbox::settle(c, &self.ended).await).await {
            if tries == SETTLE_TRIES {
                return Err(error);
            }
            sleep(Duration::from_secs(1)).await;
            tries += 1;
        }
        self.turns.extend(self.ended.drain(..).map(|ended| ended.held.organization));
        database.run(async |c| outbox::release(c, &self.released).await).await?;
        database.run(async |c| outbox::put_off(c, &self.limited).await).await?;
        let waiting = self.released.drain(..).chain(self.limited.drain(..));
        self.turns.extend(waiting.map(|(held, _)| held.organization));
        database.run(async |c| outbox::pass_on(c, &mut self.turns).await).await?;
        database.run(async |c| limits::give_back(c, &self.charges).await).await?;
        self.charges.clear();
        Ok(())
    }
}

/// What became of an email that a worker had taken.
fn count(kind: EmailKind, result: &'static str) {
    metrics::counter!("invitations_emails_total", "kind" => kind.as_str(), "result" => result).increment(1);
}

/// Kind, id and answer; never the address, the words or the code.
fn log(ended: &Ended) {
    let Ended { held, state, answer, wait } = ended;
    let (kind, id, attempt) = (held.kind.as_str(), held.id, held.attempt);
    match state {
        EmailState::Sent => debug!(email.kind = kind, email.id = %id, attempt, %answer, "email sent"),
        EmailState::Queued | EmailState::Retrying => {
            let wait_s = wait.as_secs();
            info!(email.kind = kind, email.id = %id, attempt, %answer, wait_s, "email will be tried again");
        }
        EmailState::Failed => warn!(email.kind = kind, email.id = %id, attempt, %answer, "email failed for good"),
        EmailState::Dropped => debug!(email.kind = kind, email.id = %id, attempt, %answer, "email dropped"),
    }
}
