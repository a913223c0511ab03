//! What the years bring: a backlog, rows that nobody needs any more, people who want to be forgotten.

mod ended;
mod erasure;
mod events;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use invitations::app::{App, Connections, Limits, Old, Retention, Step, Sweeper, Swept};
use invitations::tasks::Tasks;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::races::deployment;
use crate::support::{PATIENCE, Service};

/// A replica that does nothing by itself.
async fn sweeper(service: &Service, retention: Retention) -> Sweeper {
    let connections = Connections::open(&service.database.service_url, 2, 2).unwrap();
    connections.reads.acquire().await.unwrap();
    let app = App::start(connections, deployment(), Limits::default(), Tasks::default(), &Arc::default());
    Sweeper { app, interval: PATIENCE, retention }
}

async fn turn(sweeper: &Sweeper, step: Step) -> Swept {
    sweeper.turn(step, &CancellationToken::new()).await
}

/// A turn of every step, in which nothing fails.
async fn sweep(sweeper: &Sweeper) {
    for step in Step::ALL {
        let swept = turn(sweeper, step).await;
        assert_eq!(swept.failures, 0, "{step:?}");
    }
}

fn days(days: u64) -> Duration {
    Duration::from_hours(24 * days)
}

/// The addresses of invitations go after 30 days, and nothing else.
fn without_addresses() -> Retention {
    Retention { addresses: Some(days(30)), ..Retention::default() }
}

/// Lets that many days pass for all that is over.
async fn let_pass(pool: &PgPool, days: i32) {
    for statement in [
        "UPDATE invitations SET update_time = update_time - make_interval(days => $1) \
          WHERE state NOT IN ('INVITED', 'ACCESS_REQUESTED', 'PENDING_APPROVAL', 'OFFERED')",
        "UPDATE emails SET update_time = update_time - make_interval(days => $1)",
        "UPDATE events SET create_time = create_time - make_interval(days => $1)",
        "UPDATE erasures SET look_time = look_time - make_interval(days => $1)",
    ] {
        sqlx::query(statement).bind(days).execute(pool).await.unwrap();
    }
}

async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

async fn execute(pool: &PgPool, statement: &'static str) {
    sqlx::raw_sql(statement).execute(pool).await.unwrap();
}
