//! Counts for all calls that wait.

use super::error::{Error, Result};
use super::together::{Turn, Worker};
use crate::store;
use crate::store::connection::Own;
use crate::store::limits::{Asked, Charge, Counted};

/// What is done to the counters.
#[derive(Debug)]
pub(super) enum Count {
    Charge(Asked),
    GiveBack(Charge),
}

/// With a connection of its own, whose commits wait for no disk.
pub(super) struct Counter(pub Own);

impl Worker for Counter {
    const NAME: &'static str = "charge counter";
    type Task = Count;
    /// `None`: of a charge that was given back.
    type Outcome = Option<Counted>;

    async fn work(&mut self, tasks: Vec<Count>, _turn: &Turn) -> Vec<Result<Option<Counted>>> {
        let (mut asked, mut returned) = (Vec::new(), Vec::new());
        let is_charge = tasks.iter().map(|task| matches!(task, Count::Charge(_))).collect::<Vec<_>>();
        for task in tasks {
            match task {
                Count::Charge(one) => asked.push(one),
                Count::GiveBack(charge) => returned.push(charge),
            }
        }
        // first what makes room
        if !returned.is_empty() {
            let given_back = self.0.run(async |connection| store::limits::give_back(connection, &returned).await).await;
            if let Err(error) = given_back {
                tracing::warn!(%error, "charges could not be given back, they end with their window");
            }
        }
        let mut counted = self.charge(&asked).await.into_iter();
        is_charge
            .into_iter()
            .map(|is| if is { counted.next().unwrap_or(Err(Error::Fault)) } else { Ok(None) })
            .collect()
    }

    async fn end(mut self) {
        self.0.close().await;
    }
}

impl Counter {
    /// One outcome for each. A connection that has broken since it was used last is made anew: what it may have counted
    /// twice then ends with its window.
    async fn charge(&mut self, asked: &[Asked]) -> Vec<Result<Option<Counted>>> {
        let may_be_broken = self.0.is_connected();
        let mut counted = self.try_charge(asked).await;
        if may_be_broken && counted.as_ref().is_err_and(store::Error::breaks_connection) {
            counted = self.try_charge(asked).await;
        }
        match counted {
            Ok(counted) => counted.into_iter().map(|outcome| Ok(Some(outcome))).collect(),
            // a counter that is locked for long must not keep the others
            Err(store::Error::Locked) if asked.len() > 1 => {
                let mut outcomes = Vec::with_capacity(asked.len());
                for one in asked {
                    let alone = self.try_charge(std::slice::from_ref(one)).await;
                    outcomes.push(alone.map(|mut outcome| outcome.pop()).map_err(Error::from));
                }
                outcomes
            }
            Err(error) => vec![Err(Error::from(error)); asked.len()],
        }
    }

    async fn try_charge(&mut self, asked: &[Asked]) -> store::Result<Vec<Counted>> {
        self.0.run(async |connection| store::limits::charge(connection, asked).await).await
    }
}
