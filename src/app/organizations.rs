//! Organizations, members and events: what is read.

use super::{App, Page, Result, one_more};
use crate::domain::{
    Action, Caller, Event, Head, InvitationId, Member, Method, Organization, OrganizationId, Refusal, Standing,
    Subject, Username, member_name,
};
use crate::store::organizations::Membership;
use crate::store::{events, organizations};

/// An organization for one reader.
#[derive(Debug)]
pub struct OrganizationView {
    pub organization: Organization,
    pub head: Head,
    /// Whether the reader sees policy, notification address and seats.
    pub sees_settings: bool,
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

impl App {
    /// One organization, for its members and for services.
    pub async fn organization(&self, caller: &Caller, id: &OrganizationId) -> Result<OrganizationView> {
        let (_, standing) = self.admitted(Method::GetOrganization, caller, id, &Subject::Organization).await?;
        let mut connection = self.reads.acquire().await?;
        let found = organizations::get(&mut connection, id).await?;
        let (organization, head) = found.ok_or_else(|| Refusal::OrganizationNotFound(id.name()))?;
        Ok(OrganizationView { organization, head, sees_settings: standing.may(Action::SeeSettings) })
    }

    /// One member; everybody sees themselves.
    pub async fn member(
        &self,
        caller: &Caller,
        organization: &OrganizationId,
        username: &Username,
    ) -> Result<MemberView> {
        let subject = Subject::Member(username.clone());
        let (_, standing) = self.admitted(Method::GetMember, caller, organization, &subject).await?;
        self.read_member(caller, organization, username, &standing).await
    }

    /// The answer to a change, also for a service that may write and not read.
    pub async fn changed_member(
        &self,
        caller: &Caller,
        organization: &OrganizationId,
        username: &Username,
    ) -> Result<MemberView> {
        let (_, standing) = self.standing(caller, organization, &Subject::Member(username.clone())).await?;
        self.read_member(caller, organization, username, &standing).await
    }

    async fn read_member(
        &self,
        caller: &Caller,
        organization: &OrganizationId,
        username: &Username,
        standing: &Standing,
    ) -> Result<MemberView> {
        let mut connection = self.reads.acquire().await?;
        let member = organizations::get_member(&mut connection, organization, username).await?;
        let member = member.ok_or_else(|| Refusal::MemberNotFound(member_name(organization, username)))?;
        Ok(show(organization, member, caller, standing))
    }

    /// A page of an organization's members, by username. A member with the role NONE sees only themselves.
    pub async fn members(
        &self,
        caller: &Caller,
        organization: &OrganizationId,
        after: Option<Username>,
        size: usize,
    ) -> Result<Page<MemberView, Username>> {
        let (_, standing) = self.admitted(Method::ListMembers, caller, organization, &Subject::Organization).await?;
        let first_page = after.is_none();
        let after = after.as_ref().map_or("", Username::as_str);
        let mut connection = self.reads.acquire().await?;
        let members = match caller.username().filter(|_| !standing.may(Action::SeeMembers)) {
            None => organizations::list_members(&mut connection, organization, after, one_more(size)).await?,
            Some(oneself) if first_page => {
                organizations::get_member(&mut connection, organization, oneself).await?.into_iter().collect()
            }
            Some(_) => Vec::new(),
        };
        let page = Page::cut(members, size, |member| member.username.clone());
        let show = |member| show(organization, member, caller, &standing);
        Ok(Page { items: page.items.into_iter().map(show).collect(), next: page.next })
    }

    /// A page of what happened in an organization, or to one of its invitations, oldest first.
    pub async fn events(
        &self,
        caller: &Caller,
        organization: &OrganizationId,
        invitation: Option<InvitationId>,
        after: i64,
        size: usize,
    ) -> Result<Page<Event, i64>> {
        self.admitted(Method::ListEvents, caller, organization, &Subject::Organization).await?;
        let mut connection = self.reads.acquire().await?;
        let limit = one_more(size);
        let found = match invitation {
            None => events::list(&mut connection, organization, after, limit).await?,
            Some(id) => events::list_of_invitation(&mut connection, organization, id, after, limit).await?,
        };
        Ok(Page::cut(found, size, |event| event.position))
    }

    /// A page of an account's memberships, by organization.
    pub async fn memberships(
        &self,
        caller: &Caller,
        username: &Username,
        after: Option<OrganizationId>,
        size: usize,
    ) -> Result<Page<Membership, OrganizationId>> {
        self.account(Method::ListAccountMemberships, caller, username).await?;
        let mut connection = self.reads.acquire().await?;
        let after = after.as_ref().map_or("", OrganizationId::as_str);
        let found =
            organizations::list_memberships(&mut connection, username, caller.organizations(), after, one_more(size))
                .await?;
        Ok(Page::cut(found, size, |membership| membership.organization.clone()))
    }
}

fn show(organization: &OrganizationId, member: Member, caller: &Caller, standing: &Standing) -> MemberView {
    let oneself = caller.username() == Some(&member.username);
    let sees = |action| oneself || standing.may(action);
    MemberView {
        organization: organization.clone(),
        member,
        sees_role: sees(Action::SeeMembers),
        sees_address: sees(Action::SeeMemberAddresses),
    }
}
