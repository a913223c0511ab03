//! What a reader or the maker of a change gets to see, before it is encoded.

use crate::domain::{
    Account, Action, Caller, Deliveries, DisplayName, Head, Invitation, InvitationState, Member, Method, Organization,
    OrganizationId, Standing, Subject, Timestamp,
};

/// An invitation for one reader.
#[derive(Debug)]
pub struct InvitationView {
    pub organization: OrganizationId,
    pub organization_display_name: DisplayName,
    pub invitation: Invitation,
    /// What the reader is shown: EXPIRED from the moment on.
    pub state: InvitationState,
    pub update_time: Timestamp,
    pub audience: Audience,
}

impl InvitationView {
    pub(super) fn new(
        organization: OrganizationId,
        organization_display_name: DisplayName,
        invitation: Invitation,
        now: Timestamp,
        audience: Audience,
    ) -> Self {
        let state = invitation.state_at(now);
        let overdue = invitation.expire_time.filter(|_| invitation.is_overdue(now));
        let update_time = overdue.unwrap_or(invitation.update_time);
        Self { organization, organization_display_name, invitation, state, update_time, audience }
    }
}

/// Who reads, which decides what is shown.
#[derive(Debug)]
pub enum Audience {
    /// Inviters and services see everything, with the newest emails.
    Inviter(Deliveries),
    /// The bound account sees what is about itself; the invited address only where it is one of its own.
    Invitee { sees_email: bool },
    /// Who has changed it and may not read it, or not any more, is told that it worked and nothing about anybody.
    Changer,
}

impl Audience {
    /// Of an invitation, for the caller with that standing. `None`: it does not exist for them, unless they have just
    /// changed it.
    pub(super) fn of(
        caller: &Caller,
        standing: Option<&Standing>,
        invitation: &Invitation,
        deliveries: impl FnOnce() -> Deliveries,
        is_own_email: bool,
    ) -> Option<Self> {
        let subject = Subject::Invitation(invitation.id);
        let is_reader =
            standing.is_some_and(|standing| standing.check_call(Method::GetInvitation, caller, &subject).is_ok());
        let is_bound = caller.username().is_some() && invitation.username.as_ref() == caller.username();
        match (is_reader, is_bound) {
            (true, _) => Some(Self::Inviter(deliveries())),
            (false, true) => Some(Self::Invitee { sees_email: is_own_email }),
            (false, false) => None,
        }
    }

    /// Of the account that an invitation is bound to.
    pub(super) fn invitee(account: &Account, invitation: &Invitation) -> Self {
        Self::Invitee { sees_email: account.holds(&invitation.email) }
    }
}

/// An organization for one reader.
#[derive(Debug)]
pub struct OrganizationView {
    pub organization: Organization,
    pub head: Head,
    /// Whether the reader sees policy, notification address and seats.
    pub sees_settings: bool,
}

impl OrganizationView {
    pub(super) fn new(organization: Organization, head: Head, standing: &Standing) -> Self {
        Self { organization, head, sees_settings: standing.may(Action::SeeSettings) }
    }
}

/// A member for one reader.
#[derive(Debug)]
pub struct MemberView {
    pub organization: OrganizationId,
    pub member: Member,
    /// Whether the reader sees more than the name: not one who has changed it and may not read.
    pub sees_role: bool,
    /// Whether the reader sees the address and who offered.
    pub sees_address: bool,
}

impl MemberView {
    pub(super) fn new(organization: OrganizationId, member: Member, caller: &Caller, standing: &Standing) -> Self {
        let oneself = caller.username() == Some(&member.username);
        let sees = |action| oneself || standing.may(action);
        let (sees_role, sees_address) = (sees(Action::SeeMembers), sees(Action::SeeMemberAddresses));
        Self { organization, member, sees_role, sees_address }
    }
}
