//! The invitation service of IPMHub.

pub mod app;
pub mod cli;
pub mod config;
#[cfg(feature = "dev")]
pub mod dev;
mod dial;
pub mod domain;
pub mod edge;
mod flood;
pub mod grpc;
pub mod identity;
pub mod mail;
pub mod pb;
pub mod scrape;
pub mod server;
pub mod shutdown;
pub mod store;
pub mod tasks;
pub mod telemetry;
