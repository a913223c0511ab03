//! What is looked at from time to time to be measured, as nothing happens that could be counted: the pools of connections,
//! and what of the outbox waits.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{App, Result};
use crate::domain::Unsent;
use crate::store::outbox::{self, Backlog};
use crate::store::pool::Usage;

const POOLS_EVERY: Duration = Duration::from_secs(1);
/// Each replica asks for all organizations.
const OUTBOX_EVERY: Duration = Duration::from_secs(15);
/// Emails that are looked at.
const FIRST: i64 = 10_000;

impl App {
    /// Measures until it is told to stop.
    pub async fn measure(self, stop: CancellationToken) {
        let mut next = Instant::now();
        loop {
            self.measure_pools();
            if next <= Instant::now() {
                let backlog = self.backlog().await;
                // else it is tried again with the pools
                if backlog.is_ok() {
                    next = Instant::now() + OUTBOX_EVERY;
                }
                measure_outbox(backlog);
            }
            if stop.run_until_cancelled(sleep(POOLS_EVERY)).await.is_none() {
                return;
            }
        }
    }

    fn measure_pools(&self) {
        for pool in [&self.reads, &self.writes] {
            let (name, Usage { used, idle, max, pending }) = (pool.name(), pool.usage());
            for (state, count) in [("used", used), ("idle", idle)] {
                metrics::gauge!(
                    "db_client_connection_count",
                    "db_client_connection_pool_name" => name,
                    "db_client_connection_state" => state,
                )
                .set(measured(count));
            }
            metrics::gauge!("db_client_connection_max", "db_client_connection_pool_name" => name).set(measured(max));
            metrics::gauge!("db_client_connection_pending_requests", "db_client_connection_pool_name" => name)
                .set(measured(pending));
        }
    }

    async fn backlog(&self) -> Result<Option<Backlog>> {
        let mut connection = self.reads.acquire().await?;
        Ok(outbox::backlog(&mut connection, FIRST).await?)
    }
}

/// What is not known is no number: the last one would look like a true one.
fn measure_outbox(backlog: Result<Option<Backlog>>) {
    let is_known = backlog.is_ok();
    let backlog = backlog.ok().flatten();
    for unsent in Unsent::ALL {
        let of_it = |backlog: &Backlog| {
            let pending = backlog.pending.iter().filter(|pending| pending.waits_for() == unsent);
            let late = pending.clone().map(|pending| pending.lateness(backlog.now).as_seconds_f64());
            (pending.map(|pending| pending.count).sum::<u64>(), late.fold(0.0, f64::max))
        };
        let (count, late) = backlog.as_ref().map(of_it).unwrap_or_default();
        let known = |value| if is_known { value } else { f64::NAN };
        let state = unsent.as_str();
        metrics::gauge!("invitations_outbox_emails", "state" => state).set(known(measured(count)));
        if unsent.is_late() {
            metrics::gauge!("invitations_outbox_age_seconds", "state" => state).set(known(late));
        }
    }
}

fn measured<N: TryInto<u32>>(count: N) -> f64 {
    count.try_into().map_or(f64::INFINITY, f64::from)
}
