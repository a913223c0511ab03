//! One person's way into one organization.

use sha2::{Digest, Sha256};

use super::{
    Actor, Annotations, EmailAddress, InvitationId, InvitationState, OrganizationId, Refusal, Role, Timestamp, Username,
};

/// The code of an invitation, as far as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredCode {
    pub hash: [u8; 32],
    pub key_id: String,
    /// 1, 2, …: which code of this invitation it is.
    pub generation: i32,
}

impl std::fmt::Debug for StoredCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredCode").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// An invitation as its row holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invitation {
    pub id: InvitationId,
    /// As written; [`Self::state_at`] is what anybody is shown.
    pub state: InvitationState,
    /// The address that was invited first. Never changes.
    pub email: EmailAddress,
    /// The account that asked or was offered a role, or the member who used the code.
    pub username: Option<Username>,
    /// The address of that account which the organization deals with; `None` for a member who used the code.
    pub account_email: Option<EmailAddress>,
    pub role: Option<Role>,
    /// `None`: it began with an offer.
    pub inviter: Option<Actor>,
    pub offerer: Option<Actor>,
    pub approver: Option<Actor>,
    /// BCP 47; `None`: the organization's.
    pub locale: Option<String>,
    /// The inviting platform's own references. Never changes.
    pub annotations: Annotations,
    pub code: Option<StoredCode>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    /// `None` while an access request waits.
    pub expire_time: Option<Timestamp>,
    /// When its last email was asked for, for the time between two of them.
    pub send_time: Timestamp,
    /// When the account asked for access; `None`: it has not.
    pub request_time: Option<Timestamp>,
    /// Raised by each change but the sweep's; the etag.
    pub revision: i32,
}

impl Invitation {
    /// Whether that is the hash of its present code.
    pub fn has_code(&self, hash: &[u8; 32]) -> bool {
        self.code.as_ref().is_some_and(|code| code.hash == *hash)
    }

    /// Refuses where nobody here knows what may be done with it.
    pub fn check_known(&self) -> Result<(), Refusal> {
        if self.state == InvitationState::Newer { Err(Refusal::NewerVersionNeeded) } else { Ok(()) }
    }

    /// Whether its time has passed and the sweep has not been here yet.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.state.is_open() && self.expire_time.is_some_and(|end| end <= now)
    }

    /// Whether nobody has asked for it: what the account gets about it comes out of the blue, also where an invitation by
    /// email went before.
    pub fn is_unsolicited(&self) -> bool {
        self.request_time.is_none()
    }

    /// Whether it ended because a member used its code. What else that account holds is told to nobody, so no address
    /// stands beside its name.
    pub fn is_settled(&self) -> bool {
        self.state == InvitationState::Revoked && self.username.is_some() && self.account_email.is_none()
    }

    /// The state that anybody is shown: EXPIRED from the moment on.
    pub fn state_at(&self, now: Timestamp) -> InvitationState {
        if self.is_overdue(now) { InvitationState::Expired } else { self.state }
    }

    /// Whether it can still go somewhere.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state_at(now).is_open()
    }

    /// How many seats it holds.
    pub fn seats(&self) -> i32 {
        if self.state.is_offer() { self.role.map_or(0, Role::seats) } else { 0 }
    }

    pub fn etag(&self) -> String {
        etag(self.create_time, self.revision)
    }

    /// The refusal of a transition that its present state does not allow.
    pub fn refuse(&self, organization: &OrganizationId, now: Timestamp) -> Refusal {
        Refusal::InvitationState { name: self.id.name(organization), state: self.state_at(now) }
    }
}

/// The token of a revision of what was created then: a member who left and came back has none of the etags of before.
/// Letters and digits need no escape in JSON, in a shell, in a URL and in a header; and as it is no number, nobody counts
/// with it.
pub fn etag(create_time: Timestamp, revision: i32) -> String {
    // as precise as it is stored
    let microseconds = create_time.unix_timestamp_nanos().div_euclid(1_000);
    let digest = Sha256::new().chain_update(microseconds.to_be_bytes()).chain_update(revision.to_be_bytes()).finalize();
    format!("{:016x}", u64::from_be_bytes(std::array::from_fn(|n| digest[n])))
}

/// An update that names an etag must name the present one.
pub fn check_etag(given: Option<&str>, create_time: Timestamp, revision: i32) -> Result<(), Refusal> {
    match given {
        Some(given) if given != etag(create_time, revision) => Err(Refusal::EtagMismatch),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_etag_is_a_token_of_one_revision_of_one_resource() {
        let created = datetime!(2026-11-30 12:00:00.000_001 UTC);
        let tags = (0..10_000).map(|revision| etag(created, revision)).collect::<std::collections::HashSet<_>>();
        assert_eq!(tags.len(), 10_000);
        assert!(tags.iter().all(|tag| tag.len() == 16 && tag.bytes().all(|byte| byte.is_ascii_alphanumeric())));
        assert_eq!(check_etag(Some(&etag(created, 7)), created, 7), Ok(()));
        assert_eq!(check_etag(None, created, 7), Ok(()));
        let later = created + time::Duration::MICROSECOND;
        for other in [&etag(created, 6), &etag(created, 8), &etag(later, 7), "7", "W/\"7\""] {
            assert_eq!(check_etag(Some(other), created, 7), Err(Refusal::EtagMismatch), "{other}");
        }
    }
}
