//! InvitationService: decode, ask, encode.

use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::change::Change;
use super::fields::{self, Fields};
use super::page_token::Binding;
use super::{Api, encode, page, status};
use crate::app::{About, Call, InvitationFilter, RequestAccess};
use crate::domain::{
    Caller, Command, FieldFault, InvitationId, InvitationSearch, InvitationState, Method, Offer, Operation,
    OrganizationId,
};
use crate::pb::invitation_service_server::InvitationService;
use crate::pb::{self, Invitation};

#[tonic::async_trait]
impl InvitationService for Api {
    async fn create_invitation(
        &self,
        request: Request<pb::CreateInvitationRequest>,
    ) -> Result<Response<Invitation>, Status> {
        let call = self.changer(Method::CreateInvitation, &request, &request.get_ref().parent).await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        let organization = fields.organization("parent", &message.parent);
        let invite = fields.invite(message.invitation.as_ref());
        let request = fields.request(&message);
        let command = fields.finish(|| {
            let request = request?.filter(|_| !message.validate_only);
            let operation = Operation::CreateInvitation(invite?);
            Some(Command::new(organization?, Some(call.caller.clone()), request, operation))
        });
        let command = command.map_err(status::from_refusal)?;
        if message.validate_only {
            let preview = self.app.preview(&call, command).await.map_err(status::from_error)?;
            return Ok(Response::new(Invitation { name: String::new(), ..encode::invitation(preview) }));
        }
        self.change_invitation(&call, command).await
    }

    async fn batch_create_invitations(
        &self,
        request: Request<pb::BatchCreateInvitationsRequest>,
    ) -> Result<Response<pb::BatchCreateInvitationsResponse>, Status> {
        self.batch_create(request).await
    }

    async fn batch_get_invitations(
        &self,
        request: Request<pb::BatchGetInvitationsRequest>,
    ) -> Result<Response<pb::BatchGetInvitationsResponse>, Status> {
        self.batch_get(request).await
    }

    async fn revoke_invitations(
        &self,
        request: Request<pb::RevokeInvitationsRequest>,
    ) -> Result<Response<pb::RevokeInvitationsResponse>, Status> {
        self.revoke_all(request).await
    }

    async fn get_invitation(&self, request: Request<pb::GetInvitationRequest>) -> Result<Response<Invitation>, Status> {
        let call = self.invitation_reader(Method::GetInvitation, &request, &request.get_ref().name).await?;
        let mut fields = Fields::default();
        let place = fields.invitation("name", &request.get_ref().name);
        let place = fields.finish(|| place).map_err(status::from_refusal)?;
        let view = self.app.invitation(call, place).map_err(status::from_error)?;
        Ok(Response::new(encode::invitation(view)))
    }

    async fn list_invitations(
        &self,
        request: Request<pb::ListInvitationsRequest>,
    ) -> Result<Response<pb::ListInvitationsResponse>, Status> {
        let call = self.reader(Method::ListInvitations, &request, &request.get_ref().parent).await?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let organization = fields.organization("parent", &message.parent);
        let size = fields.page_size(message.page_size);
        let states = states(&mut fields, &message.states);
        let email = fields.optional(!message.email.is_empty(), |fields| fields.email("email", &message.email));
        let search = fields.filter(&message.filter, |all| InvitationSearch::read(all, call.caller.username()));
        let filters = states.as_ref().zip(email.as_ref()).zip(search.as_ref());
        let binding = organization.as_ref().zip(filters).map(|(organization, ((states, email), _))| {
            let states = states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(",");
            let key = email.as_ref().map_or("", |email| email.key());
            // without a filter as the release before makes it
            let filter = Some(message.filter.as_str()).filter(|filter| !filter.is_empty());
            let parts = [organization.as_str(), &states, key].into_iter().chain(filter).collect::<Vec<_>>();
            Binding::new(Method::ListInvitations, &parts)
        });
        let before = fields.page_token(binding.as_ref(), &message.page_token, InvitationId::parse);
        let parsed = fields.finish(|| {
            let search = search?.unwrap_or_default().narrowed(&states?, email?.as_ref());
            let filter = InvitationFilter { search, before: before?, size: size? };
            Some((organization?, binding?, filter))
        });
        let (organization, binding, filter) = parsed.map_err(status::from_refusal)?;
        let page = self.app.invitations(&call, &organization, filter).await.map_err(status::from_error)?;
        let (invitations, next) = page::encode(page, encode::invitation);
        Ok(Response::new(pb::ListInvitationsResponse { invitations, next_page_token: binding.write(next) }))
    }

    async fn list_account_invitations(
        &self,
        request: Request<pb::ListAccountInvitationsRequest>,
    ) -> Result<Response<pb::ListAccountInvitationsResponse>, Status> {
        let caller = self.caller(Method::ListAccountInvitations, &request).await?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let account = fields.account("parent", &message.parent, &caller);
        let size = fields.page_size(message.page_size);
        let binding = account.as_ref().map(|account| Binding::new(Method::ListAccountInvitations, &[account.as_str()]));
        let before = fields.page_token(binding.as_ref(), &message.page_token, |cursor| {
            let (id, organization) = cursor.split_once('/')?;
            Some((OrganizationId::parse(organization)?, InvitationId::parse(id)?))
        });
        let parsed = fields.finish(|| Some((account?, size?, binding?, before?)));
        let (account, size, binding, before) = parsed.map_err(status::from_refusal)?;
        let page = self.app.account_invitations(&caller, &account, before, size).await.map_err(status::from_error)?;
        let (invitations, next) = page::encode(page, encode::invitation);
        let next_page_token = binding.write(next.map(|(organization, id)| format!("{id}/{organization}")));
        Ok(Response::new(pb::ListAccountInvitationsResponse { invitations, next_page_token }))
    }

    async fn request_access(&self, request: Request<pb::RequestAccessRequest>) -> Result<Response<Invitation>, Status> {
        let call = self.call(Method::RequestAccess, &request, About::NOTHING).await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        let code = fields.code("code", &message.code);
        let request = fields.request(&message);
        let (code, request) = fields.finish(|| code.zip(request)).map_err(status::from_refusal)?;
        let access = RequestAccess { call, code, request };
        let view = self.app.request_access(access).await.map_err(status::from_error)?;
        Ok(Response::new(encode::invitation(view)))
    }

    async fn offer_membership(
        &self,
        request: Request<pb::OfferMembershipRequest>,
    ) -> Result<Response<Invitation>, Status> {
        let call = self.changer(Method::OfferMembership, &request, &request.get_ref().parent).await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        let organization = fields.organization("parent", &message.parent);
        let username = fields.other_account("username", &message.username);
        let email = fields.email("email", &message.email);
        let role = fields.role("role", message.role);
        let request = fields.request(&message);
        let command = fields.finish(|| {
            let offer = Offer { id: InvitationId(Uuid::now_v7()), username: username?, email: email?, role: role? };
            let operation = Operation::OfferMembership(offer);
            let caller = Some(call.caller.clone());
            Some(Command::new(organization?, caller, request?, operation))
        });
        let command = command.map_err(status::from_refusal)?;
        let view = self.app.offer(&call, command).await.map_err(status::from_error)?;
        Ok(Response::new(encode::invitation(view)))
    }

    async fn approve_offer(&self, request: Request<pb::ApproveOfferRequest>) -> Result<Response<Invitation>, Status> {
        let call = self.changer(Method::ApproveOffer, &request, &request.get_ref().name).await?;
        let approve = |invitation, etag| Operation::ApproveOffer { invitation, etag };
        let command = transition(request, |m| (&m.name, &m.etag), &call.caller, approve)?;
        self.change_invitation(&call, command).await
    }

    async fn reject_access(&self, request: Request<pb::RejectAccessRequest>) -> Result<Response<Invitation>, Status> {
        let call = self.changer(Method::RejectAccess, &request, &request.get_ref().name).await?;
        let reject = |invitation, etag| Operation::RejectAccess { invitation, etag };
        let command = transition(request, |m| (&m.name, &m.etag), &call.caller, reject)?;
        self.change_invitation(&call, command).await
    }

    async fn revoke_invitation(
        &self,
        request: Request<pb::RevokeInvitationRequest>,
    ) -> Result<Response<Invitation>, Status> {
        let call = self.changer(Method::RevokeInvitation, &request, &request.get_ref().name).await?;
        let revoke = |invitation, etag| Operation::RevokeInvitation { invitation, etag };
        let command = transition(request, |m| (&m.name, &m.etag), &call.caller, revoke)?;
        self.change_invitation(&call, command).await
    }

    async fn resend_invitation(
        &self,
        request: Request<pb::ResendInvitationRequest>,
    ) -> Result<Response<Invitation>, Status> {
        let call = self.changer(Method::ResendInvitation, &request, &request.get_ref().name).await?;
        let rotate_code = request.get_ref().rotate_code;
        let resend = |invitation, etag| Operation::ResendInvitation { invitation, etag, rotate_code, gone_key: None };
        let command = transition(request, |m| (&m.name, &m.etag), &call.caller, resend)?;
        self.change_invitation(&call, command).await
    }

    async fn accept_invitation(
        &self,
        request: Request<pb::AcceptInvitationRequest>,
    ) -> Result<Response<Invitation>, Status> {
        let call = self.changer(Method::AcceptInvitation, &request, &request.get_ref().name).await?;
        let accept = |invitation, etag| Operation::AcceptInvitation { invitation, etag };
        let command = transition(request, |m| (&m.name, &m.etag), &call.caller, accept)?;
        self.change_invitation(&call, command).await
    }

    async fn decline_invitation(
        &self,
        request: Request<pb::DeclineInvitationRequest>,
    ) -> Result<Response<Invitation>, Status> {
        let call = self.changer(Method::DeclineInvitation, &request, &request.get_ref().name).await?;
        let decline = |invitation, etag| Operation::DeclineInvitation { invitation, etag };
        let command = transition(request, |m| (&m.name, &m.etag), &call.caller, decline)?;
        self.change_invitation(&call, command).await
    }
}

impl Api {
    /// Carries out a change and answers with the invitation as it is then.
    async fn change_invitation(&self, call: &Call, command: Command) -> Result<Response<Invitation>, Status> {
        let view = self.app.change_invitation(call, command).await.map_err(status::from_error)?;
        Ok(Response::new(encode::invitation(view)))
    }
}

/// The states of a filter, each at most once, in one order, so that a page token fits however they are listed.
fn states(fields: &mut Fields, given: &[i32]) -> Option<Vec<InvitationState>> {
    let mut refused = |fault| {
        fields.refuse("states", fault, "must hold known states, each at most once");
        None
    };
    if !fields::is_short(given) {
        return refused(FieldFault::TooMany);
    }
    let known = |state: &i32| InvitationState::parse(pb::invitation::State::try_from(*state).ok()?.as_str_name());
    let Some(mut states) = given.iter().map(known).collect::<Option<Vec<_>>>() else {
        return refused(FieldFault::UnknownValue);
    };
    states.sort_unstable();
    states.dedup();
    if states.len() != given.len() {
        return refused(FieldFault::Conflict);
    }
    Some(states)
}

/// The command of a request that has nothing but a name, an etag and a request id.
fn transition<M: Change>(
    request: Request<M>,
    parts: fn(&M) -> (&str, &str),
    caller: &Caller,
    operation: impl FnOnce(InvitationId, Option<String>) -> Operation,
) -> Result<Command, Status> {
    let mut fields = Fields::default();
    let message = fields.change(request);
    let (name, etag) = parts(&message);
    let place = fields.invitation("name", name);
    let etag = fields.etag("etag", etag);
    let request = fields.request(&message);
    let command = fields.finish(|| {
        let (organization, invitation) = place?;
        let operation = operation(invitation, etag?);
        Some(Command::new(organization, Some(caller.clone()), request?, operation))
    });
    command.map_err(status::from_refusal)
}
