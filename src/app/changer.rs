//! Who changes something.

use crate::domain::{Caller, Role};

/// Who changes something, without what was found for the call.
#[derive(Clone, Debug)]
pub(super) struct Changer {
    pub caller: Caller,
    /// In the organization, where the caller is a member.
    pub role: Option<Role>,
    /// Whom limits are counted against.
    pub identity: [u8; 32],
}
