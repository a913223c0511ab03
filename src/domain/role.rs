//! IPMHub's roles and what each may grant.

/// A member's role, in ascending order. None can be added at run time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// One that a newer version has written. Has and gives no right here: what it stands for is not known.
    Newer,
    /// In the organization, without access; takes no seat.
    None,
    /// Views packages and workspaces.
    Reader,
    /// Changes packages and workspaces.
    Contributor,
    /// Manages users' roles, sees no packages.
    SecurityManager,
    /// Everything but owners.
    Manager,
    /// Everything.
    Owner,
}

impl Role {
    /// Those that this version knows.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Reader, Self::Contributor, Self::SecurityManager, Self::Manager, Self::Owner];

    /// The name in the contract, the configuration and the database; empty for what a newer version has written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Newer => "",
            Self::None => "NONE",
            Self::Reader => "READER",
            Self::Contributor => "CONTRIBUTOR",
            Self::SecurityManager => "SECURITY_MANAGER",
            Self::Manager => "MANAGER",
            Self::Owner => "OWNER",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Reads a row.
    pub fn stored(text: &str) -> Self {
        Self::parse(text).unwrap_or(Self::Newer)
    }

    /// Whether a member with this role invites, offers, rejects, revokes and resends.
    pub fn may_invite(self) -> bool {
        self >= Self::SecurityManager
    }

    /// Whether a member with this role may give `granted` to somebody or take it away.
    pub fn may_grant(self, granted: Self) -> bool {
        match self {
            _ if granted == Self::Newer => false,
            Self::Newer | Self::None | Self::Reader | Self::Contributor => false,
            Self::SecurityManager => granted <= Self::Contributor,
            Self::Manager => granted < Self::Owner,
            Self::Owner => true,
        }
    }

    /// How many seats a member with this role takes: the contract has one role that takes none.
    pub fn seats(self) -> i32 {
        i32::from(self != Self::None)
    }
}

#[cfg(test)]
mod tests {
    use super::Role::{self, *};

    #[test]
    fn each_role_grants_what_the_table_says() {
        let grants = |role: Role| Role::ALL.into_iter().filter(|granted| role.may_grant(*granted)).collect::<Vec<_>>();
        assert_eq!(grants(None), []);
        assert_eq!(grants(Reader), []);
        assert_eq!(grants(Contributor), []);
        assert_eq!(grants(SecurityManager), [None, Reader, Contributor]);
        assert_eq!(grants(Manager), [None, Reader, Contributor, SecurityManager, Manager]);
        assert_eq!(grants(Owner), Role::ALL);
    }

    #[test]
    fn whoever_grants_also_invites() {
        for role in Role::ALL {
            assert_eq!(role.may_invite(), Role::ALL.into_iter().any(|granted| role.may_grant(granted)));
        }
    }

    #[test]
    fn a_role_of_a_newer_version_has_and_gives_no_right() {
        assert_eq!((Role::stored("AUDITOR"), Role::stored("OWNER")), (Newer, Owner));
        assert!(!Newer.may_invite() && Role::ALL.into_iter().all(|known| known > Newer));
        assert!(Role::ALL.into_iter().all(|known| !Newer.may_grant(known) && !known.may_grant(Newer)));
    }
}
