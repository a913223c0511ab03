//! The rights that the configuration gives to services.

/// What a service may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    InvitationsRead,
    InvitationsWrite,
    MembersGrant,
    OrganizationsAdmin,
    AccountsRead,
    AccountsAdmin,
    MailOperate,
    MailReport,
}

impl Scope {
    pub const ALL: [Self; 8] = [
        Self::InvitationsRead,
        Self::InvitationsWrite,
        Self::MembersGrant,
        Self::OrganizationsAdmin,
        Self::AccountsRead,
        Self::AccountsAdmin,
        Self::MailOperate,
        Self::MailReport,
    ];

    /// The name in tokens and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvitationsRead => "invitations.read",
            Self::InvitationsWrite => "invitations.write",
            Self::MembersGrant => "members.grant",
            Self::OrganizationsAdmin => "organizations.admin",
            Self::AccountsRead => "accounts.read",
            Self::AccountsAdmin => "accounts.admin",
            Self::MailOperate => "mail.operate",
            Self::MailReport => "mail.report",
        }
    }

    /// Whether it acts on every organization that an account or an address has to do with, so that no list of
    /// organizations can hold it. With [`Self::AccountsRead`], an account exists where one of the list knows it.
    pub fn is_of_all_organizations(self) -> bool {
        matches!(self, Self::AccountsAdmin | Self::MailOperate)
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}
