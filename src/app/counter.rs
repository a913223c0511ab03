//! Counts for all calls that wait.

use std::iter::repeat_n;

use super::error::{Error, Result};
use super::together::{Turn, Worker};
use crate::store;
use crate::store::connection::Own;
use crate::store::limits::{Asked, Charge, Counted};

/// What is done to the counters.
#[derive(Debug)]
pub(super) enum Count {
    /// So often, or as often as the limit allows.
    Charge(Asked, usize),
    GiveBack(Vec<Charge>),
}

/// With a connection of its own, whose commits wait for no disk.
pub(super) struct Counter(pub Own);

impl Worker for Counter {
    const NAME: &'static str = "charge counter";
    type Task = Count;
    /// One for each time; none of what was given back.
    type Outcome = Vec<Counted>;

    async fn work(&mut self, tasks: Vec<Count>, _turn: &Turn) -> Vec<Result<Vec<Counted>>> {
        let (mut asked, mut returned) = (Vec::new(), Vec::new());
        let times = tasks.iter().map(|task| if let Count::Charge(_, times) = task { *times } else { 0 });
        let times = times.collect::<Vec<_>>();
        for task in tasks {
            match task {
                Count::Charge(one, times) => asked.extend(repeat_n(one, times)),
                Count::GiveBack(mut charges) => returned.append(&mut charges),
            }
        }
        // first what makes room
        if !returned.is_empty() {
            let given_back = self.0.run(async |connection| store::limits::give_back(connection, &returned).await).await;
            if let Err(error) = given_back {
                tracing::warn!(%error, "charges could not be given back, they end with their window");
            }
        }
        self.charge(&asked, &times).await
    }

    async fn end(mut self) {
        self.0.close().await;
    }
}

impl Counter {
    /// One outcome for each of `times`, which says how many of `asked` are its own. A connection that has broken since it
    /// was used last is made anew: what it may have counted twice then ends with its window.
    async fn charge(&mut self, mut asked: &[Asked], times: &[usize]) -> Vec<Result<Vec<Counted>>> {
        let may_be_broken = self.0.is_connected();
        let mut counted = self.try_charge(asked).await;
        if may_be_broken && counted.as_ref().is_err_and(store::Error::breaks_connection) {
            counted = self.try_charge(asked).await;
        }
        match counted {
            Ok(counted) => {
                let mut counted = counted.into_iter();
                times.iter().map(|times| Ok(counted.by_ref().take(*times).collect())).collect()
            }
            // a counter that is locked for long must not keep the others
            Err(store::Error::Locked) if times.len() > 1 => {
                let mut outcomes = Vec::with_capacity(times.len());
                for times in times {
                    let (own, others) = asked.split_at(*times);
                    outcomes.push(self.try_charge(own).await.map_err(Error::from));
                    asked = others;
                }
                outcomes
            }
            Err(error) => {
                let error = Error::from(error);
                times.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    async fn try_charge(&mut self, asked: &[Asked]) -> store::Result<Vec<Counted>> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        self.0.run(async |connection| store::limits::charge(connection, asked).await).await
    }
}
