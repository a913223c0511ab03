//! Everything that `invitations dev` starts beside the service itself.

pub mod issuer;
pub mod mailbox;
pub mod postgres;
