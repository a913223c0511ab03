//! What a call is about.

use super::{InvitationId, OrganizationId, Username, member_name};

/// What a command was about, so that the answer can be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    Organization,
    Invitation(InvitationId),
    Member(Username),
}

impl Subject {
    /// The resource name.
    pub fn name(&self, organization: &OrganizationId) -> String {
        match self {
            Self::Organization => organization.name(),
            Self::Invitation(id) => id.name(organization),
            Self::Member(username) => member_name(organization, username),
        }
    }

    /// Reads [`Self::name`].
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.splitn(4, '/').skip(2);
        match (parts.next(), parts.next()) {
            (None, _) => Some(Self::Organization),
            (Some("invitations"), Some(id)) => InvitationId::parse(id).map(Self::Invitation),
            (Some("members"), Some(id)) => Username::parse(id).map(Self::Member),
            _ => None,
        }
    }
}
