//! Organizations, members and events: what is read.

use std::collections::HashMap;

use super::batch::Shown;
use super::callers::{About, Call};
use super::limits::Guess;
use super::reading::read;
use super::views::{MemberView, OrganizationView};
use super::{App, Error, Page, Result, one_more};
use crate::domain::{
    Action, Caller, Command, Event, InvitationId, Method, OrganizationId, Refusal, Standing, Subject, Username,
    member_name,
};
use crate::store::organizations::Membership;
use crate::store::pool::Engine;
use crate::store::{events, organization_lists, organizations};

/// On one page: the lists of a policy may be long, and all of them are read before the page is cut.
const MOST_ORGANIZATIONS: usize = 50;

impl App {
    /// One organization, for its members and for services.
    pub async fn organization(&self, call: &Call, id: &OrganizationId) -> Result<OrganizationView> {
        let (_, standing) = call.admitted(Method::GetOrganization, id, &Subject::Organization)?;
        let found = read!(self.reads, connection, organizations::get(&mut connection, id))?;
        let (organization, head) = found.ok_or_else(|| Refusal::OrganizationNotFound(id.name()))?;
        Ok(OrganizationView::new(organization, head, &standing))
    }

    /// A page of the organizations that the caller has to do with, by their ids, each as [`Self::organization`] shows it.
    pub async fn organizations(
        &self,
        caller: &Caller,
        after: Option<OrganizationId>,
        size: usize,
    ) -> Result<Page<OrganizationView, OrganizationId>> {
        let size = size.min(MOST_ORGANIZATIONS);
        let (after, limit) = (after.as_ref().map_or("", OrganizationId::as_str), one_more(size));
        let found = match caller {
            Caller::Account(username) => {
                let memberships = read!(
                    self.reads,
                    connection,
                    organizations::list_memberships(&mut connection, username, None, after, limit)
                )?;
                memberships.into_iter().map(|found| (found.organization, Standing::Member(found.role))).collect()
            }
            Caller::Service(service) => {
                let reached = caller.organizations();
                let ids =
                    read!(self.reads, connection, organization_lists::ids(&mut connection, reached, after, limit))?;
                ids.into_iter().map(|id| (id, Standing::Service(service.clone()))).collect::<Vec<_>>()
            }
        };
        let page = Page::cut(found, size, |(id, _)| id.clone());
        let ids = page.items.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
        let engine = self.reads.engine();
        let all = read!(self.reads, connection, organization_lists::get_all(&mut connection, &ids, engine))?;
        let mut all = all.into_iter().map(|found| (found.0.id.clone(), found)).collect::<HashMap<_, _>>();
        let shown = |(id, (_, standing)): (OrganizationId, (OrganizationId, Standing))| {
            let (organization, head) = all.remove(&id)?;
            Some((id, OrganizationView::new(organization, head, &standing)))
        };
        Ok(Page { items: page.items.into_iter().filter_map(shown).collect(), next: page.next })
    }

    /// Founds or edits an organization, and answers with it as it is then.
    pub async fn change_organization(&self, call: &Call, command: Command) -> Result<OrganizationView> {
        let id = command.organization.clone();
        let changer = call.changer();
        if let Some(Shown::Organization(view)) = self.change(command, &changer).await?.shown {
            return Ok(*view);
        }
        let about = About { organization: Some(id.clone()), invitation: None, is_read: true };
        self.organization(&self.call_again(&changer, about).await?, &id).await
    }

    /// Takes the code of a notification address. Wrong ones are counted against the caller, also of one who leaves.
    pub async fn verify_notification_email(&self, call: &Call, command: Command) -> Result<OrganizationView> {
        let changer = call.changer();
        self.finish(move |app| async move {
            let id = command.organization.clone();
            let charge = app.charge_guess(&changer.identity, Guess::NotificationCode, &command).await?;
            let outcome = match app.change(command, &changer).await {
                // nobody has the key any more
                Err(Error::Refused(Refusal::CodeKeyMissing(key))) if !app.is_key_held(&key).await? => {
                    Err(Refusal::NotificationCodeNotFound.into())
                }
                outcome => outcome,
            };
            let decided = app.settle_guess(Guess::NotificationCode, charge, outcome)?;
            if let Some(Shown::Organization(view)) = decided.shown {
                return Ok(*view);
            }
            let about = About { organization: Some(id.clone()), invitation: None, is_read: true };
            app.organization(&app.call_again(&changer, about).await?, &id).await
        })
        .await
    }

    /// One member; everybody sees themselves.
    pub async fn member(&self, call: &Call, organization: &OrganizationId, username: &Username) -> Result<MemberView> {
        let subject = Subject::Member(username.clone());
        let (_, standing) = call.admitted(Method::GetMember, organization, &subject)?;
        self.read_member(call, organization, username, &standing).await
    }

    /// Gives a member another role, and answers with the member, also to a service that may write and not read.
    pub async fn change_member(&self, call: &Call, command: Command) -> Result<MemberView> {
        let organization = command.organization.clone();
        let changer = call.changer();
        let decided = self.change(command, &changer).await?;
        match (decided.shown, decided.subject) {
            (Some(Shown::Member(view)), _) => Ok(*view),
            (_, Subject::Member(username)) => {
                let about = About { organization: Some(organization.clone()), invitation: None, is_read: true };
                let call = self.call_again(&changer, about).await?;
                let (_, standing) = call.standing(&organization, &Subject::Member(username.clone()))?;
                self.read_member(&call, &organization, &username, &standing).await
            }
            _ => Err(Error::Fault),
        }
    }

    /// Ends a membership.
    pub async fn delete_member(&self, call: &Call, command: Command) -> Result<()> {
        self.change(command, &call.changer()).await.map(drop)
    }

    async fn read_member(
        &self,
        call: &Call,
        organization: &OrganizationId,
        username: &Username,
        standing: &Standing,
    ) -> Result<MemberView> {
        let member = read!(self.reads, connection, organizations::get_member(&mut connection, organization, username))?;
        let member = member.ok_or_else(|| Refusal::MemberNotFound(member_name(organization, username)))?;
        Ok(MemberView::new(organization.clone(), member, &call.caller, standing))
    }

    /// A page of an organization's members, by username. A member with the role NONE sees only themselves.
    pub async fn members(
        &self,
        call: &Call,
        organization: &OrganizationId,
        after: Option<Username>,
        size: usize,
    ) -> Result<Page<MemberView, Username>> {
        let (_, standing) = call.admitted(Method::ListMembers, organization, &Subject::Organization)?;
        let first_page = after.is_none();
        let after = after.as_ref().map_or("", Username::as_str);
        let members = match call.username().filter(|_| !standing.may(Action::SeeMembers)) {
            None => {
                let limit = one_more(size);
                read!(self.reads, connection, organizations::list_members(&mut connection, organization, after, limit))?
            }
            Some(oneself) if first_page => {
                let member =
                    read!(self.reads, connection, organizations::get_member(&mut connection, organization, oneself))?;
                member.into_iter().collect()
            }
            Some(_) => Vec::new(),
        };
        let page = Page::cut(members, size, |member| member.username.clone());
        Ok(page.map(|member| MemberView::new(organization.clone(), member, &call.caller, &standing)))
    }

    /// A page of what happened in an organization, or to one of its invitations, oldest first.
    pub async fn events(
        &self,
        call: &Call,
        organization: &OrganizationId,
        invitation: Option<InvitationId>,
        after: i64,
        size: usize,
    ) -> Result<Page<Event, i64>> {
        call.admitted(Method::ListEvents, organization, &Subject::Organization)?;
        let limit = one_more(size);
        let found = read!(self.reads, connection, async {
            match invitation {
                None => events::list(&mut connection, organization, after, limit).await,
                Some(id) => events::list_of_invitation(&mut connection, organization, id, after, limit).await,
            }
        })?;
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
        let (after, limit) = (after.as_ref().map_or("", OrganizationId::as_str), one_more(size));
        let allowed = caller.organizations();
        let found = read!(self.reads, connection, async {
            match allowed {
                // each is on a node of its own
                Some(allowed) if self.reads.engine() == Engine::Distributed => {
                    let mut found = Vec::new();
                    for one in allowed.chunks(1) {
                        let of_one = organizations::list_memberships(&mut connection, username, Some(one), after, 1);
                        found.extend(of_one.await?);
                    }
                    found.sort_by(|a, b| a.organization.cmp(&b.organization));
                    Ok(found)
                }
                _ => organizations::list_memberships(&mut connection, username, allowed, after, limit).await,
            }
        })?;
        Ok(Page::cut(found, size, |membership| membership.organization.clone()))
    }
}
