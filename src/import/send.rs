//! Sends the rows, batch after batch, and writes down what became of each before the next batch goes.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::batch::{self, MOST_ROWS, Pending};
use super::fault::Fault;
use super::outcome::{self, Answer, Limit, Outcome, Verdict};
use super::progress::Progress;
use super::results::{Entry, Results};
use super::row::ForAllRows;
use super::service::Service;
use super::sheet::{Checked, Rows, Sheet};
use crate::client::v1::batch_create_invitations_response::result::Result as RowOutcome;

/// The wait after a first failure, where the service does not say how long, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How often a row is tried that the service has a fault with.
const MOST_FAULTS: u32 = 3;
/// The service knows a request again for 24 h.
const REMEMBERED: time::Duration = time::Duration::hours(23);
/// The clocks of this machine and of the database differ by less.
const CLOCKS: time::Duration = time::Duration::hours(1);

/// Why the import ends before its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// Somebody asked for it.
    Asked,
    Limit(Limit),
    /// The token is good no more.
    Token,
    /// The service refuses the call as a whole.
    No(String),
    /// The service was away for too long; what the last call said.
    Away(String),
    /// The file was written to meanwhile.
    Changed,
    File(Fault),
    /// The results cannot be written.
    Results(std::io::Error),
    Other(String),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::File(fault)
    }
}

/// How it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) is_dry_run: bool,
    pub(super) batch_rows: usize,
    pub(super) give_up_after: Duration,
}

pub(super) struct Sending<'a> {
    pub(super) sheet: &'a Sheet,
    pub(super) checked: &'a Checked,
    pub(super) all: &'a ForAllRows,
    pub(super) service: &'a mut Service,
    pub(super) results: &'a mut Results,
    pub(super) progress: &'a mut Progress,
    pub(super) stop: &'a CancellationToken,
    pub(super) how: How,
}

/// What changes on the way.
struct Way {
    rows: Rows<File>,
    /// The first rows, in the order of the file, whose last word is not known.
    pending: VecDeque<Pending>,
    /// What is not written down yet.
    entries: Vec<Entry>,
    /// Rows in the next call.
    most: usize,
    backoff: Duration,
    /// When the service did something last.
    heard: Instant,
    /// How often it had a fault with a row.
    faults: HashMap<u64, u32>,
}

impl Sending<'_> {
    pub(super) async fn run(&mut self) -> Result<(), Halt> {
        let mut way = Way {
            rows: self.sheet.rows()?,
            pending: VecDeque::new(),
            entries: Vec::new(),
            most: self.how.batch_rows,
            backoff: BACKOFF.0,
            heard: Instant::now(),
            faults: HashMap::new(),
        };
        let result = self.all_of(&mut way).await;
        // what is known is written down, however it ends
        self.write(&mut way)?;
        result
    }

    async fn all_of(&mut self, way: &mut Way) -> Result<(), Halt> {
        let now = OffsetDateTime::now_utc();
        if let Some(last) = self.results.last_written.filter(|last| !self.how.is_dry_run && now - *last > REMEMBERED) {
            self.find_earlier(way, last - CLOCKS).await?;
        }
        loop {
            self.fill(way, self.how.batch_rows)?;
            if way.entries.len() >= MOST_ROWS || way.pending.is_empty() {
                self.write(way)?;
            }
            if self.stop.is_cancelled() {
                return Err(Halt::Asked);
            }
            if way.pending.is_empty() {
                if self.is_at_end(way)? {
                    return Ok(());
                }
                continue;
            }
            if self.sheet.has_changed()? {
                return Err(Halt::Changed);
            }
            self.send(way).await?;
        }
    }

    /// Whether nothing comes any more, where nothing is pending: `fill` also ends early, to have things written.
    fn is_at_end(&mut self, way: &mut Way) -> Result<bool, Halt> {
        self.fill(way, 1)?;
        Ok(way.pending.is_empty() && way.entries.is_empty())
    }

    /// Reads on until so many rows are pending, or there is much to be written down.
    fn fill(&mut self, way: &mut Way, count: usize) -> Result<(), Halt> {
        while way.pending.len() < count && way.entries.len() < MOST_ROWS {
            let Some(row) = way.rows.next(self.all)? else { break };
            let line = row.as_ref().map_or_else(|bad| bad.line, |row| row.line);
            if self.results.done.contains(line) {
                continue;
            }
            let unsent =
                |outcome, message| Answer { outcome, reason: String::new(), message, invitation: String::new() };
            match row {
                Err(bad) => {
                    way.entries.push(Entry {
                        line,
                        email: String::new(),
                        answer: unsent(Outcome::Unreadable, bad.why),
                    });
                }
                Ok(row) => match self.checked.earlier(&row) {
                    Some(earlier) => {
                        let answer = unsent(Outcome::Duplicate, format!("the same address as in line {earlier}"));
                        way.entries.push(Entry { line, email: row.email.typed().to_owned(), answer });
                    }
                    None => way.pending.push_back(Pending::new(row, &self.checked.digest, &self.service.parent)),
                },
            }
        }
        Ok(())
    }

    fn write(&mut self, way: &mut Way) -> Result<(), Halt> {
        if !way.entries.is_empty() {
            way.entries.sort_by_key(|entry| entry.line);
            self.results.append(&way.entries).map_err(Halt::Results)?;
            way.entries.clear();
            self.progress.update(&self.results.counts);
        }
        Ok(())
    }

    /// Sends what fits into one call.
    async fn send(&mut self, way: &mut Way) -> Result<(), Halt> {
        let count = batch::fitting(&way.pending, way.most);
        let requests = way.pending.iter().take(count).map(|row| row.request.clone()).collect();
        let results = match self.service.invite(requests, self.how.is_dry_run).await {
            Ok(results) => results,
            Err(status) => {
                if status.code() == Code::DeadlineExceeded {
                    way.most = count.div_ceil(2);
                }
                return self.on_failure(way, &status).await;
            }
        };
        let (mut limit, mut again) = (None, None);
        let mut kept = VecDeque::new();
        let rest = way.pending.split_off(count);
        for (row, result) in std::mem::replace(&mut way.pending, rest).into_iter().zip(results) {
            let (verdict, status) = match &result.result {
                Some(RowOutcome::Invitation(invitation)) => {
                    (Verdict::Done(outcome::of_invitation(invitation, self.how.is_dry_run)), None)
                }
                Some(RowOutcome::Status(status)) => (outcome::of_row(status), Some(status)),
                None => (Verdict::Again(None), None),
            };
            let verdict = match (verdict, status) {
                (Verdict::Again(_), Some(status)) if way.has_faults(row.line, status.code) => {
                    Verdict::Done(outcome::refused(status))
                }
                (verdict, _) => verdict,
            };
            match verdict {
                Verdict::Done(answer) => way.entries.push(row.done(answer)),
                Verdict::Limit(met) => {
                    limit = limit.or(Some(met));
                    kept.push_back(row);
                }
                Verdict::Again(wait) => {
                    again = Some(wait.max(again.flatten()));
                    kept.push_back(row);
                }
                Verdict::Token => return Err(Halt::Token),
                Verdict::No(why) => return Err(Halt::No(why)),
            }
        }
        kept.append(&mut way.pending);
        way.pending = kept;
        if !way.entries.is_empty() {
            way.heard = Instant::now();
            way.backoff = BACKOFF.0;
        }
        self.write(way)?;
        if let Some(limit) = limit {
            return Err(Halt::Limit(limit));
        }
        match again {
            Some(wait) => self.wait(way, wait, "the service has too much to do").await,
            None => Ok(()),
        }
    }

    async fn on_failure(&mut self, way: &mut Way, status: &Status) -> Result<(), Halt> {
        match outcome::of_call(status) {
            Verdict::Again(wait) => self.wait(way, wait, &outcome::cause(status)).await,
            Verdict::Limit(limit) => Err(Halt::Limit(limit)),
            Verdict::Token => match self.service.renew_token() {
                Ok(true) => Ok(()),
                Ok(false) => Err(Halt::Token),
                Err(why) => Err(Halt::Other(why)),
            },
            Verdict::No(why) => Err(Halt::No(why)),
            Verdict::Done(_) => Ok(()),
        }
    }

    /// Waits as long as the service says, else longer each time.
    async fn wait(&mut self, way: &mut Way, wait: Option<Duration>, why: &str) -> Result<(), Halt> {
        let wait = wait.unwrap_or_else(|| {
            let jittered = way.backoff.mul_f64(rand::random_range(0.8..1.2));
            way.backoff = (way.backoff * 2).min(BACKOFF.1);
            jittered
        });
        if way.heard.elapsed() + wait > self.how.give_up_after {
            return Err(Halt::Away(why.to_owned()));
        }
        self.progress.waits(why, wait);
        match self.stop.run_until_cancelled(sleep(wait)).await {
            Some(()) => Ok(()),
            None => Err(Halt::Asked),
        }
    }

    /// The batch that an earlier run was sending when it broke off may have been carried out. The service knows a repeated
    /// request again for 24 h; later, whom the invitation was declined by, or taken from, would be invited anew. So each of
    /// these rows is looked up: they are among the first that are not done.
    async fn find_earlier(&mut self, way: &mut Way, since: OffsetDateTime) -> Result<(), Halt> {
        self.fill(way, MOST_ROWS)?;
        let suspects = std::mem::take(&mut way.pending);
        let mut rest = suspects.into_iter();
        while let Some(row) = rest.next() {
            let found = loop {
                if self.stop.is_cancelled() {
                    return Err(Halt::Asked);
                }
                match self.service.newest(&row.email).await {
                    Ok(found) => break found,
                    // a service that may only write: the open ones are recognized all the same
                    Err(status) if status.code() == Code::PermissionDenied => {
                        way.pending.push_back(row);
                        way.pending.extend(rest);
                        return Ok(());
                    }
                    Err(status) => self.on_failure(way, &status).await?,
                }
            };
            way.heard = Instant::now();
            match found.filter(|(_, created)| *created >= since) {
                Some((invitation, _)) => {
                    let mut answer = outcome::of_invitation(&invitation, false);
                    answer.outcome = Outcome::AlreadyInvited;
                    way.entries.push(row.done(answer));
                }
                None => way.pending.push_back(row),
            }
        }
        self.write(way)
    }
}

impl Way {
    /// Whether the service has had a fault with this row too often.
    fn has_faults(&mut self, line: u64, code: i32) -> bool {
        if ![Code::Internal, Code::Unknown].contains(&Code::from(code)) {
            return false;
        }
        let count = self.faults.entry(line).or_default();
        *count += 1;
        *count >= MOST_FAULTS
    }
}

impl Pending {
    fn done(self, mut answer: Answer) -> Entry {
        let messages = [answer.message, self.note];
        answer.message = messages.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
        Entry { line: self.line, email: self.email, answer }
    }
}
