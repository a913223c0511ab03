//! The invitation service of IPMHub.

pub mod domain;
pub mod pb;
