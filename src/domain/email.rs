//! The emails of the conversation: which exist, to whom, and when one is still wanted.

use super::{EmailAddress, InvitationId, InvitationState, Timestamp, TraceParent};

/// What an email says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EmailKind {
    /// To the invited address: the code.
    AccountInvitation,
    /// The same again, a day before the code expires.
    InvitationReminder,
    /// To the notification address: who asks for access.
    AccessRequested,
    /// The same again, when nobody has decided for three days.
    AccessRequestReminder,
    /// To the account: the offer of a role.
    OrganizationInvitation,
    /// The same again, a day before the offer expires.
    OfferReminder,
    /// To the account: it is a member.
    AccessGranted,
    /// To the notification address: who joined.
    MemberJoined,
    /// To the notification address: who declined or withdrew.
    InvitationDeclined,
    /// To the account: the organization said no.
    AccessRejected,
    /// To the notification address: nobody came.
    InvitationExpired,
    /// To the old notification address and every owner: somebody changed what protects the organization.
    OrganizationChanged,
    /// To the notification address: the code that shows that it is theirs.
    NotificationEmailCode,
}

impl EmailKind {
    pub const ALL: [Self; 13] = [
        Self::AccountInvitation,
        Self::InvitationReminder,
        Self::AccessRequested,
        Self::AccessRequestReminder,
        Self::OrganizationInvitation,
        Self::OfferReminder,
        Self::AccessGranted,
        Self::MemberJoined,
        Self::InvitationDeclined,
        Self::AccessRejected,
        Self::InvitationExpired,
        Self::OrganizationChanged,
        Self::NotificationEmailCode,
    ];

    /// The name in the contract and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountInvitation => "ACCOUNT_INVITATION",
            Self::InvitationReminder => "INVITATION_REMINDER",
            Self::AccessRequested => "ACCESS_REQUESTED",
            Self::AccessRequestReminder => "ACCESS_REQUEST_REMINDER",
            Self::OrganizationInvitation => "ORGANIZATION_INVITATION",
            Self::OfferReminder => "OFFER_REMINDER",
            Self::AccessGranted => "ACCESS_GRANTED",
            Self::MemberJoined => "MEMBER_JOINED",
            Self::InvitationDeclined => "INVITATION_DECLINED",
            Self::AccessRejected => "ACCESS_REJECTED",
            Self::InvitationExpired => "INVITATION_EXPIRED",
            Self::OrganizationChanged => "ORGANIZATION_CHANGED",
            Self::NotificationEmailCode => "NOTIFICATION_EMAIL_CODE",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether it waits for its time; a transition takes back the ones that its invitation still has.
    pub fn is_reminder(self) -> bool {
        matches!(self, Self::InvitationReminder | Self::AccessRequestReminder | Self::OfferReminder)
    }

    /// Whether it goes to the organization's notification address: the one that it has when the email is sent.
    pub fn is_to_organization(self) -> bool {
        matches!(
            self,
            Self::AccessRequested
                | Self::AccessRequestReminder
                | Self::MemberJoined
                | Self::InvitationDeclined
                | Self::InvitationExpired
        )
    }

    /// Whether its invitation goes nowhere before it is sent.
    pub fn is_waited_for(self) -> bool {
        !self.is_reminder() && !self.is_to_organization()
    }

    /// Whether it carries the code of its invitation.
    pub fn carries_code(self) -> bool {
        matches!(self, Self::AccountInvitation | Self::InvitationReminder)
    }

    /// Whether the recipient need not know the organization: nobody has asked for what it is about.
    pub fn is_cold(self, is_unsolicited: bool) -> bool {
        match self {
            Self::AccountInvitation | Self::InvitationReminder => true,
            Self::OrganizationInvitation | Self::OfferReminder => is_unsolicited,
            _ => false,
        }
    }

    /// Whether an invitation in that (shown) state still wants it: asked before each attempt to send. Facts are told
    /// for as long as they are true, requests only while they can be answered.
    pub fn is_wanted_in(self, state: InvitationState) -> bool {
        use InvitationState as S;
        match self {
            Self::AccountInvitation | Self::InvitationReminder => state == S::Invited,
            Self::AccessRequested => {
                matches!(state, S::AccessRequested | S::PendingApproval | S::Offered | S::Accepted)
            }
            Self::AccessRequestReminder => state == S::AccessRequested,
            Self::OrganizationInvitation | Self::OfferReminder => state == S::Offered,
            Self::AccessGranted | Self::MemberJoined => state == S::Accepted,
            Self::InvitationDeclined => state == S::Declined,
            Self::AccessRejected => state == S::Rejected,
            Self::InvitationExpired => state == S::Expired,
            Self::OrganizationChanged | Self::NotificationEmailCode => true,
        }
    }
}

/// An email to be written to the outbox. It holds no code and no text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Email {
    pub kind: EmailKind,
    /// `None`: about the organization.
    pub invitation: Option<InvitationId>,
    /// Of the code that it carries; 0 where it carries none.
    pub generation: i32,
    pub recipient: EmailAddress,
    /// Of what goes to the notification address: this one goes to an owner.
    pub is_to_owner: bool,
    pub due_time: Timestamp,
    /// The call that has caused it.
    pub trace: Option<TraceParent>,
}

/// Unsent emails of an invitation that are taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Withdrawal {
    /// Its invitation is over.
    All(InvitationId),
    /// The same, because a member has used the code.
    Settled(InvitationId),
    /// It has moved on.
    Reminders(InvitationId),
    /// They carry a code that is dead.
    Codes(InvitationId),
}

impl Withdrawal {
    pub fn invitation(self) -> InvitationId {
        let (Self::All(id) | Self::Settled(id) | Self::Reminders(id) | Self::Codes(id)) = self;
        id
    }

    /// Whether it takes back emails of that kind.
    pub fn takes(self, kind: EmailKind) -> bool {
        match self {
            Self::All(_) | Self::Settled(_) => true,
            Self::Reminders(_) => kind.is_reminder(),
            Self::Codes(_) => kind.carries_code(),
        }
    }

    /// Whether it takes back that email.
    pub fn covers(self, email: &Email) -> bool {
        email.invitation == Some(self.invitation()) && self.takes(email.kind)
    }
}
