//! What holds for all organizations of a deployment.

use super::{AddressKey, CodeKeys, Service};

/// What the deployment has decided for all organizations.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub code_keys: CodeKeys,
    /// Under which something is stored about an address without the address.
    pub address_key: AddressKey,
    /// Usernames and slugs that nobody may take, beside the built-in ones.
    pub reserved_names: Vec<String>,
    /// Addresses count for so long after their issuer attested them last.
    pub max_attestation_age: time::Duration,
    /// Whether accounts may found organizations, or only services.
    pub accounts_create_organizations: bool,
    /// Whether somebody has to show that a notification address is theirs before it gets all that there is to tell.
    pub asks_for_proof: bool,
    /// The least time between two emails of an invitation that somebody asks for.
    pub resend_interval: time::Duration,
    /// How often the email of an invitation is sent again in 24 hours; `None`: no limit.
    pub resends_limit: Option<i32>,
    /// Open invitations of one organization that has no limit of its own; `None`: no limit.
    pub open_invitations_limit: Option<i32>,
    /// Invitations of one organization in 24 hours, where it has no limit of its own; `None`: no limit.
    pub daily_invitations_limit: Option<i32>,
    /// The configured services: what one of them offered counts while its entry still grants the role.
    pub services: Vec<Service>,
}
