//! What a Rust program calls the service with: the feature `client`, which brings nothing of the service itself.
//!
//! ```no_run
//! use invitations::client::{Client, Details, v1};
//!
//! # async fn call(token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("http://127.0.0.1:50051", token)?;
//! let request = v1::GetOrganizationRequest { name: "organizations/acme".to_owned() };
//! match client.organizations().get_organization(request).await {
//!     Ok(answer) => println!("{}", answer.into_inner().display_name),
//!     Err(status) => println!("{:?}", Details::from(&status).reason),
//! }
//! # Ok(())
//! # }
//! ```

mod connection;
mod details;
mod retry;
mod watch;

pub use connection::{Bearer, Calls, Client, ConnectError};
pub use details::{BadField, Details};
pub use retry::{Retry, RetryLayer, RetryPolicy};
pub use watch::Events;

/// The messages and clients of the contract.
pub use crate::pb as v1;
