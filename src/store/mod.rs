//! The only SQL. Functions take a connection and never begin or commit; `app` does.

pub mod accounts;
mod attestations;
pub mod callers;
pub mod changes;
pub mod connection;
pub mod distribution;
pub mod erasures;
pub mod error;
pub mod events;
pub mod invitations;
pub mod key_checks;
pub mod limits;
pub mod load;
pub mod migrations;
pub mod organization_lists;
pub mod organizations;
pub mod outbox;
pub mod owner;
pub mod pool;
pub mod pruning;
pub mod registrations;
pub mod request_ids;
pub mod retention;
pub mod roles;
pub mod search;
pub mod suppressions;
pub mod sweep;
pub mod waits;

mod annotations;
mod columns;
mod live;
mod pending_change;
mod policy;
mod route;
mod rows;
mod source;

pub use error::{Error, Result};

use std::time::Duration;

use sqlx::postgres::types::PgInterval;

use crate::domain::OrganizationId;

/// A span of time as a parameter.
fn interval(duration: Duration) -> PgInterval {
    PgInterval { microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX), ..PgInterval::default() }
}

/// A filter of organizations as a parameter.
fn texts(ids: &[OrganizationId]) -> Vec<String> {
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}
