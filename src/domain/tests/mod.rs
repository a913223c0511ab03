//! The rules, tried as the writer asks for them: commands go through [`decide`](super::decide) on one loaded organization.
//!
//! `properties` walks random sequences beside `model`, which holds the contract a second time; `transitions` and
//! `who_may` are tables of every operation, state and caller; the others try what needs a story.

mod edges;
mod founding;
mod invariants;
mod meanwhile;
mod model;
mod model_changes;
mod model_members;
mod model_offers;
mod model_rules;
mod newer;
mod proof;
mod properties;
mod request_ids;
mod second_owner;
mod steps;
mod trace;
mod transitions;
mod transitions_table;
mod who_may;
mod world;
