//! Decides what waits on what is there at one moment, and writes nothing: one statement for up to 32 commands.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;

use super::batch::{Batch, Decided};
use super::error::{Error, Result};
use super::together::{Turn, Worker};
use crate::domain::{Command, Deployment, Refusal};
use crate::store;
use crate::store::connection::Own;
use crate::store::pool::Engine;

/// The most that one statement loads. Each command is tried on a copy of what was loaded of its organization, so where
/// all are for one organization, time and memory grow with the square of this.
const TOGETHER: usize = 32;

/// With a connection of its own.
pub(super) struct DryRuns {
    pub connection: Own,
    pub deployment: Arc<Deployment>,
}

/// What would become of a command.
pub(super) struct DryRun {
    pub outcome: std::result::Result<Decided, Refusal>,
    /// Whether it would change anything; a repetition does not.
    pub is_change: bool,
}

impl Worker for DryRuns {
    const NAME: &'static str = "dry runs";
    type Task = Command;
    type Outcome = DryRun;

    /// The rows of one organization are on one node of a distributed database.
    fn goes_with(&self, first: &Command, other: &Command) -> bool {
        self.connection.engine() == Engine::Single || first.organization == other.organization
    }

    async fn work(&mut self, commands: Vec<Command>, _turn: &Turn) -> Vec<Result<DryRun>> {
        let mut outcomes = Vec::with_capacity(commands.len());
        for commands in commands.chunks(TOGETHER) {
            outcomes.extend(self.try_out_each(commands).await);
        }
        outcomes
    }

    async fn end(mut self) {
        self.connection.close().await;
    }
}

impl DryRuns {
    /// The one whose decision panics must not fail its neighbours.
    async fn try_out_each(&mut self, commands: &[Command]) -> Vec<Result<DryRun>> {
        if let Some(tried) = self.without_panic(commands).await {
            return tried;
        }
        let mut outcomes = Vec::with_capacity(commands.len());
        for command in commands.chunks(1) {
            let tried = self.without_panic(command).await;
            outcomes.extend(tried.unwrap_or_else(|| vec![Err(Error::Fault)]));
        }
        outcomes
    }

    /// `None`: a decision has panicked, which ends neither the worker nor its connection.
    async fn without_panic(&mut self, commands: &[Command]) -> Option<Vec<Result<DryRun>>> {
        AssertUnwindSafe(self.try_out(commands)).catch_unwind().await.ok()
    }

    async fn try_out(&mut self, commands: &[Command]) -> Vec<Result<DryRun>> {
        let may_be_broken = self.connection.is_connected();
        let mut loaded = self.load(commands).await;
        if may_be_broken && loaded.as_ref().is_err_and(store::Error::breaks_connection) {
            loaded = self.load(commands).await;
        }
        let deployment = &self.deployment;
        match loaded {
            Ok(mut batch) => {
                let dry_run = |command| {
                    let (outcome, is_change) = batch.try_out(command, deployment);
                    Ok(DryRun { outcome, is_change })
                };
                commands.iter().map(dry_run).collect()
            }
            Err(error) => {
                let error = Error::from(error);
                commands.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    async fn load(&mut self, commands: &[Command]) -> store::Result<Batch> {
        let Self { connection, deployment } = self;
        let engine = connection.engine();
        connection.run(async |connection| Batch::load(connection, commands, deployment, engine).await).await
    }
}
