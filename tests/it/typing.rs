//! What people type and paste: what is right in other words is understood, and nothing else.

mod accounts;
mod addresses;
mod codes;
mod masks;
mod names;
mod providers;
