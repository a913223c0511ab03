//! Who callers are: issuers that come and go, GitHub itself, and what an account holds of what they say.

mod accounts;
mod attestations;
mod github;
mod issuers;
mod log;
mod peers;
mod rotation;
mod tokens;
mod waves;
