//! The rules: pure functions over plain types. No I/O, no clock, no randomness, no sqlx, no tonic.
//!
//! [`decide`] is the one way in for every change of an organization; each operation has its rule in one file.

mod account;
mod address;
mod address_key;
mod administer;
mod answer;
mod caller;
mod code;
mod code_key;
mod command;
mod cover;
mod decide;
mod delivery;
mod deployment;
mod display_name;
mod email;
mod event;
mod expire;
mod fair_share;
mod invitation;
mod invitation_state;
mod invite;
mod membership;
mod method;
mod name;
mod notices;
mod notification_proof;
mod offer;
mod organization;
mod organization_state;
mod pending_change;
mod policy;
mod policy_edit;
mod prolong;
mod refusal;
mod request_access;
mod rights;
mod role;
mod scope;
mod second_owner;
mod settings;
mod smtp_reply;
mod subject;
#[cfg(test)]
mod tests;
mod typed_code;
mod weakening;
mod window;

pub use account::Account;
pub use address::{ADDRESS_RULE, EmailAddress, a_label};
pub use address_key::AddressKey;
pub use caller::{Actor, Caller, Identity, Service};
pub use code::InvitationCode;
pub use code_key::{CodeKey, CodeKeys};
pub use command::{Command, Operation, Remembered, Request};
pub use cover::{Cover, Granter};
pub use decide::decide;
pub use delivery::{Answer, Deliveries, Delivery, EmailState};
pub use deployment::Deployment;
pub use display_name::DisplayName;
pub use email::{Email, EmailKind, Withdrawal};
pub use event::{Change, Event, EventKind};
pub use fair_share::{of_day, room};
pub use invitation::{Invitation, StoredCode, check_etag, etag};
pub use invitation_state::InvitationState;
pub use invite::Invite;
pub use method::Method;
pub use name::{ID_RULE, InvitationId, OrganizationId, Username, member_name};
pub use offer::Offer;
pub use organization::{Head, Member, MissingProof, Organization, OrganizationLimits};
pub use organization_state::{Context, OrganizationState};
pub use pending_change::PendingChange;
pub use policy::{AddressMatch, DEFAULT_LIFETIME, LIFETIMES, Policy};
pub use policy_edit::PolicyEdit;
pub use refusal::{InvalidField, Refusal};
pub use rights::{Action, Admits, Standing};
pub use role::Role;
pub use scope::Scope;
pub use settings::{Edit, LimitsEdit, NewOrganization};
pub use smtp_reply::{SmtpReply, SmtpStep};
pub use subject::Subject;
pub use window::{DAY, Window};

/// A moment, always taken from the database's clock where something is decided by it.
pub type Timestamp = time::OffsetDateTime;
