//! Whether calls can be carried out, as far as Postgres decides that.

use crate::store::connection::Own;
use crate::store::pool::{self, Engine, Writable};
use crate::store::{Error, Result, distribution};

/// With a connection of its own.
#[derive(Debug)]
pub(super) struct Readiness {
    connection: Own,
    /// What the last look found, for the log, which tells when that changes.
    trouble: Option<String>,
}

impl Readiness {
    pub fn new(connection: Own) -> Self {
        Self { connection, trouble: None }
    }

    /// Whether Postgres answers and accepts writes; if it is distributed, also whether every node answers.
    pub async fn look(&mut self) -> bool {
        let trouble = self.ask().await.err().map(|error| error.to_string());
        if trouble != self.trouble {
            if let Some(why) = &trouble {
                tracing::warn!(why, "the database takes no changes");
            } else {
                tracing::info!("the database takes changes again");
            }
            self.trouble = trouble;
        }
        self.trouble.is_none()
    }

    async fn ask(&mut self) -> Result<()> {
        let is_there = self.connection.is_connected();
        let mut writable = self.connection.run(pool::writable).await?;
        // the catalog knows no better than a new session, which counts
        if is_there && writable.now && !writable.anew {
            self.connection.close().await;
            writable = self.connection.run(pool::writable).await?;
        }
        let Writable { now, .. } = writable;
        if !now {
            self.connection.close().await;
            return Err(Error::Unavailable("read-only".to_owned()));
        }
        match self.connection.engine() {
            Engine::Single => Ok(()),
            // a part of the calls needs each node
            Engine::Distributed => self.connection.run(distribution::reach).await,
        }
    }
}
