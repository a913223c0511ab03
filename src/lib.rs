//! The invitation service of IPMHub.

#[cfg(feature = "server")]
pub mod admin;
#[cfg(feature = "server")]
pub mod app;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "dev")]
pub mod dev;
#[cfg(feature = "server")]
mod dial;
#[cfg(feature = "server")]
pub mod domain;
#[cfg(feature = "server")]
pub mod edge;
#[cfg(feature = "server")]
mod flood;
#[cfg(feature = "server")]
pub mod grpc;
#[cfg(feature = "server")]
pub mod identity;
#[cfg(feature = "import")]
pub mod import;
#[cfg(feature = "server")]
pub mod mail;
pub mod pb;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod shutdown;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod tasks;
#[cfg(feature = "server")]
pub mod telemetry;
#[cfg(feature = "server")]
pub mod traces;
