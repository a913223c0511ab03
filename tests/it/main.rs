//! Everything that can be observed, tried over gRPC against the real service on a real Postgres.

#![cfg(feature = "dev")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admin;
mod attack;
mod bad_input;
mod bulk;
mod config;
mod dev;
mod distributed;
mod expiry;
mod faults;
mod flow;
mod identity;
mod import;
mod leavers;
mod limits;
mod lists;
mod mail_servers;
mod metrics;
mod migrate;
mod newer;
mod operating;
mod outbox;
mod own_postgres;
mod plans;
mod pool;
mod program;
mod races;
mod rights;
mod rollout;
mod start;
mod statements;
mod stopping;
mod support;
mod traces;
mod trail;
mod transport;
mod typing;
mod upgrade;
mod watch;
mod years;
