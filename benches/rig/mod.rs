//! What the benchmarks share: a database that is filled by SQL, the service as a process of its own, and who calls it.

mod calls;
mod database;
pub mod people;
pub mod pin;
mod service;

pub use calls::{Caller, Method, Scenario, Spread};
pub use database::{Database, ORGANIZATIONS};
pub use people::{People, Token};
pub use service::Service;

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T> = std::result::Result<T, Error>;
