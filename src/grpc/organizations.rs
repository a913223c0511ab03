//! OrganizationService: decode, ask, encode.

use tonic::{Request, Response, Status};

use super::change::{Asked, Change};
use super::fields::Fields;
use super::page_token::Binding;
use super::watch::Watch;
use super::{Api, encode, organization_fields, page, status, update_mask};
use crate::app::Call;
use crate::domain::{Caller, Command, FieldFault, Method, NewOrganization, Operation, OrganizationId, Username};
use crate::pb::organization_service_server::OrganizationService;
use crate::pb::{self, Member, Organization};

/// What the mask of UpdateMember may name without effect (AIP-134, AIP-203).
const MEMBER_NOT_SET: [&str; 7] = ["name", "account", "email", "inviter", "create_time", "update_time", "etag"];

#[tonic::async_trait]
impl OrganizationService for Api {
    async fn create_organization(
        &self,
        request: Request<pb::CreateOrganizationRequest>,
    ) -> Result<Response<Organization>, Status> {
        let call = self.changer(Method::CreateOrganization, &request, "").await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        let none = Organization::default();
        let input = message.organization.as_ref().unwrap_or(&none);
        let (id, reserved) = (message.organization_id.as_str(), self.app.reserved_names());
        let organization = fields.new_organization("organization_id", id, &call.caller, reserved);
        let display_name = fields.display_name("organization.display_name", &input.display_name);
        let notification_email = fields.email("organization.notification_email", &input.notification_email);
        let locale = fields.locale("organization.locale", &input.locale);
        let policy = organization_fields::policy(&mut fields, input.policy.as_ref(), self.verifier.providers());
        let seat_limit = organization_fields::seat_limit(&mut fields, input);
        let limits = organization_fields::limits(&mut fields, input.limits.as_ref());
        let owner = owner(&mut fields, &message.owner, &call.caller);
        let request = fields.request(&message);
        let command = fields.finish(|| {
            let found = NewOrganization {
                display_name: display_name?,
                notification_email: notification_email?,
                locale: locale?.unwrap_or_else(organization_fields::default_locale),
                policy: policy?,
                seat_limit: seat_limit?,
                limits: limits?,
                owner: owner?,
            };
            let operation = Operation::CreateOrganization(Box::new(found));
            Some(Command::new(organization?, Some(call.caller.clone()), request?, operation))
        });
        let command = command.map_err(status::from_refusal)?;
        let view = self.app.change_organization(&call, command).await.map_err(status::from_error)?;
        Ok(Response::new(encode::organization(view)))
    }

    async fn get_organization(
        &self,
        request: Request<pb::GetOrganizationRequest>,
    ) -> Result<Response<Organization>, Status> {
        let call = self.reader(Method::GetOrganization, &request, &request.get_ref().name).await?;
        let mut fields = Fields::default();
        let organization = fields.organization("name", &request.get_ref().name);
        let organization = fields.finish(|| organization).map_err(status::from_refusal)?;
        let view = self.app.organization(&call, &organization).await.map_err(status::from_error)?;
        Ok(Response::new(encode::organization(view)))
    }

    async fn list_organizations(
        &self,
        request: Request<pb::ListOrganizationsRequest>,
    ) -> Result<Response<pb::ListOrganizationsResponse>, Status> {
        let caller = self.caller(Method::ListOrganizations, &request).await?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let size = fields.page_size(message.page_size);
        let binding = Binding::new(Method::ListOrganizations, &[]);
        let after = fields.page_token(Some(&binding), &message.page_token, OrganizationId::parse);
        let (size, after) = fields.finish(|| size.zip(after)).map_err(status::from_refusal)?;
        let page = self.app.organizations(&caller, after, size).await.map_err(status::from_error)?;
        let (organizations, next) = page::encode(page, encode::organization);
        Ok(Response::new(pb::ListOrganizationsResponse { organizations, next_page_token: binding.write(next) }))
    }

    async fn update_organization(
        &self,
        request: Request<pb::UpdateOrganizationRequest>,
    ) -> Result<Response<Organization>, Status> {
        let name = request.get_ref().organization.as_ref().map_or("", |organization| organization.name.as_str());
        let call = self.changer(Method::UpdateOrganization, &request, name).await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        let none = Organization::default();
        let input = message.organization.as_ref().unwrap_or(&none);
        let organization = fields.organization("organization.name", &input.name);
        let (mask, providers) = (message.update_mask.as_ref(), self.verifier.providers());
        let edit = organization_fields::edit(&mut fields, input, mask, providers);
        let operation = edit.map(|edit| Operation::UpdateOrganization(Box::new(edit)));
        let command = command(fields, &call, organization, &message, operation)?;
        let view = self.app.change_organization(&call, command).await.map_err(status::from_error)?;
        Ok(Response::new(encode::organization(view)))
    }

    async fn approve_organization_change(
        &self,
        request: Request<pb::ApproveOrganizationChangeRequest>,
    ) -> Result<Response<Organization>, Status> {
        let call = self.changer(Method::ApproveOrganizationChange, &request, &request.get_ref().name).await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        let organization = fields.organization("name", &message.name);
        let etag = fields.etag("etag", &message.etag);
        if matches!(etag, Some(None)) {
            let rule = "must be the etag of the organization that was read with the change";
            fields.refuse("etag", FieldFault::Missing, rule);
        }
        let operation = etag.map(|etag| Operation::ApproveOrganizationChange { etag });
        let command = command(fields, &call, organization, &message, operation)?;
        let view = self.app.change_organization(&call, command).await.map_err(status::from_error)?;
        Ok(Response::new(encode::organization(view)))
    }

    async fn withdraw_organization_change(
        &self,
        request: Request<pb::WithdrawOrganizationChangeRequest>,
    ) -> Result<Response<Organization>, Status> {
        let call = self.changer(Method::WithdrawOrganizationChange, &request, &request.get_ref().name).await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        let organization = fields.organization("name", &message.name);
        let etag = fields.etag("etag", &message.etag);
        let operation = etag.map(|etag| Operation::WithdrawOrganizationChange { etag });
        let command = command(fields, &call, organization, &message, operation)?;
        let view = self.app.change_organization(&call, command).await.map_err(status::from_error)?;
        Ok(Response::new(encode::organization(view)))
    }

    async fn verify_notification_email(
        &self,
        request: Request<pb::VerifyNotificationEmailRequest>,
    ) -> Result<Response<Organization>, Status> {
        let call = self.changer(Method::VerifyNotificationEmail, &request, &request.get_ref().name).await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        let organization = fields.organization("name", &message.name);
        let code = fields.code("code", &message.code);
        let operation = code.map(|code| Operation::VerifyNotificationEmail { code_hash: code.hash() });
        let command = command(fields, &call, organization, &message, operation)?;
        let view = self.app.verify_notification_email(&call, command).await.map_err(status::from_error)?;
        Ok(Response::new(encode::organization(view)))
    }

    async fn get_member(&self, request: Request<pb::GetMemberRequest>) -> Result<Response<Member>, Status> {
        let call = self.reader(Method::GetMember, &request, &request.get_ref().name).await?;
        let mut fields = Fields::default();
        let member = fields.member("name", &request.get_ref().name, &call.caller);
        let (organization, username) = fields.finish(|| member).map_err(status::from_refusal)?;
        let view = self.app.member(&call, &organization, &username).await.map_err(status::from_error)?;
        Ok(Response::new(encode::member(view)))
    }

    async fn list_members(
        &self,
        request: Request<pb::ListMembersRequest>,
    ) -> Result<Response<pb::ListMembersResponse>, Status> {
        let call = self.reader(Method::ListMembers, &request, &request.get_ref().parent).await?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let organization = fields.organization("parent", &message.parent);
        let size = fields.page_size(message.page_size);
        let binding = organization.as_ref().map(|parent| Binding::new(Method::ListMembers, &[parent.as_str()]));
        let after = fields.page_token(binding.as_ref(), &message.page_token, Username::parse);
        let parsed = fields.finish(|| Some((organization?, size?, binding?, after?)));
        let (organization, size, binding, after) = parsed.map_err(status::from_refusal)?;
        let page = self.app.members(&call, &organization, after, size).await.map_err(status::from_error)?;
        let (members, next) = page::encode(page, encode::member);
        Ok(Response::new(pb::ListMembersResponse { members, next_page_token: binding.write(next) }))
    }

    async fn update_member(&self, request: Request<pb::UpdateMemberRequest>) -> Result<Response<Member>, Status> {
        let name = request.get_ref().member.as_ref().map_or("", |member| member.name.as_str());
        let call = self.changer(Method::UpdateMember, &request, name).await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        let none = Member::default();
        let input = message.member.as_ref().unwrap_or(&none);
        let member = fields.member("member.name", &input.name, &call.caller);
        let paths = message.update_mask.as_ref().map(|mask| mask.paths.as_slice()).unwrap_or_default();
        let is_named = paths.is_empty() || paths.iter().any(|path| path == "role" || path == "*");
        let role = fields.optional(is_named, |fields| fields.role("member.role", input.role));
        let etag = fields.etag("member.etag", &input.etag);
        let is_path = |path: &str| path == "role" || path == "*" || MEMBER_NOT_SET.contains(&path);
        update_mask::check(&mut fields, paths, "role or *", is_path);
        let request = fields.request(&message);
        let command = fields.finish(|| {
            let (organization, member) = member?;
            let operation = Operation::UpdateMember { member, role: role?, etag: etag? };
            Some(Command::new(organization, Some(call.caller.clone()), request?, operation))
        });
        let command = command.map_err(status::from_refusal)?;
        let view = self.app.change_member(&call, command).await.map_err(status::from_error)?;
        Ok(Response::new(encode::member(view)))
    }

    async fn delete_member(&self, request: Request<pb::DeleteMemberRequest>) -> Result<Response<()>, Status> {
        let call = self.changer(Method::DeleteMember, &request, &request.get_ref().name).await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        let member = fields.member("name", &message.name, &call.caller);
        let etag = fields.etag("etag", &message.etag);
        let request = fields.request(&message);
        let command = fields.finish(|| {
            let (organization, member) = member?;
            let operation = Operation::DeleteMember { member, etag: etag? };
            Some(Command::new(organization, Some(call.caller.clone()), request?, operation))
        });
        let command = command.map_err(status::from_refusal)?;
        self.app.delete_member(&call, command).await.map_err(status::from_error)?;
        Ok(Response::new(()))
    }

    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        let call = self.reader(Method::ListEvents, &request, &request.get_ref().parent).await?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let organization = fields.organization("parent", &message.parent);
        let size = fields.page_size(message.page_size);
        let invitation = fields.optional(!message.invitation.is_empty(), |fields| {
            let (of, id) = fields.invitation("invitation", &message.invitation)?;
            if organization.as_ref().is_some_and(|organization| *organization != of) {
                let rule = "must be an invitation of the organization in parent";
                fields.refuse("invitation", FieldFault::Conflict, rule);
                return None;
            }
            Some(id)
        });
        let binding = organization.as_ref().zip(invitation.as_ref());
        let binding =
            binding.map(|(parent, _)| Binding::new(Method::ListEvents, &[parent.as_str(), &message.invitation]));
        let position = |cursor: &str| cursor.parse::<i64>().ok().filter(|position| *position > 0);
        let after = fields.page_token(binding.as_ref(), &message.page_token, position);
        let parsed = fields.finish(|| Some((organization?, size?, binding?, invitation?, after?.unwrap_or_default())));
        let (organization, size, binding, invitation, after) = parsed.map_err(status::from_refusal)?;
        let page = self.app.events(&call, &organization, invitation, after, size).await.map_err(status::from_error)?;
        let (events, next) = page::encode(page, |event| encode::event(&organization, event));
        Ok(Response::new(pb::ListEventsResponse { events, next_page_token: binding.write(next) }))
    }

    type WatchEventsStream = Watch;

    async fn watch_events(&self, request: Request<pb::WatchEventsRequest>) -> Result<Response<Watch>, Status> {
        self.watch(request).await
    }
}

/// What a request asks of an organization, unless a field is bad. The request id is read last.
fn command<M: Change>(
    mut fields: Fields,
    call: &Call,
    organization: Option<OrganizationId>,
    message: &Asked<M>,
    operation: Option<Operation>,
) -> Result<Command, Status> {
    let request = fields.request(message);
    let command = fields.finish(|| {
        let caller = Some(call.caller.clone());
        Some(Command::new(organization?, caller, request?, operation?))
    });
    command.map_err(status::from_refusal)
}

/// The account that becomes the first owner: the caller itself, or whom a service names.
fn owner(fields: &mut Fields, named: &str, caller: &Caller) -> Option<Username> {
    match caller {
        Caller::Account(username) if named.is_empty() => Some(username.clone()),
        Caller::Account(_) => {
            let rule = "must not be set: the calling account becomes the owner";
            fields.refuse("owner", FieldFault::NotAllowed, rule);
            None
        }
        Caller::Service(_) => fields.other_account("owner", named),
    }
}
