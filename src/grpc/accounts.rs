//! AccountService: decode, ask, encode.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::authenticate::Authenticated;
use super::fields::{Fields, is_me};
use super::page_token::Binding;
use super::{Api, encode, page, status};
use crate::app::{About, DeleteAccount, NewAccount};
use crate::domain::{Method, OrganizationId, Refusal};
use crate::pb::account_service_server::AccountService;
use crate::pb::{self, Account};

#[tonic::async_trait]
impl AccountService for Api {
    async fn create_account(&self, request: Request<pb::CreateAccountRequest>) -> Result<Response<Account>, Status> {
        let Authenticated::Person { identity, .. } =
            self.authenticate(Method::CreateAccount, &request, About::NOTHING).await?
        else {
            return Err(status::from_refusal(Refusal::PersonRequired));
        };
        let mut fields = Fields::default();
        let message = fields.change(request);
        let reserved = self.app.reserved_names();
        let username = fields.new_username("account_id", &message.account_id, reserved);
        let name = message.account.as_ref().map_or("", |account| account.display_name.as_str());
        let emails = identity.emails.clone().unwrap_or_default();
        let display_name = fields.optional(!name.is_empty(), |fields| {
            fields.display_name_of("account.display_name", name, &emails, reserved)
        });
        let request = fields.request(&message);
        let new = fields.finish(|| {
            let (username, display_name, request) = (username?, display_name?, request?);
            Some(NewAccount { identity: Arc::unwrap_or_clone(identity), username, display_name, request })
        });
        let new = new.map_err(status::from_refusal)?;
        let account = self.app.create_account(new).await.map_err(status::from_error)?;
        Ok(Response::new(encode::account(&account)))
    }

    async fn get_account(&self, request: Request<pb::GetAccountRequest>) -> Result<Response<Account>, Status> {
        let caller = self.caller(Method::GetAccount, &request).await?;
        let mut fields = Fields::default();
        let username = fields.account("name", &request.get_ref().name, &caller);
        let username = fields.finish(|| username).map_err(status::from_refusal)?;
        let account = self.app.account(Method::GetAccount, &caller, &username).await.map_err(status::from_error)?;
        Ok(Response::new(encode::account(&account)))
    }

    async fn delete_account(&self, request: Request<pb::DeleteAccountRequest>) -> Result<Response<()>, Status> {
        let authenticated = self.authenticate(Method::DeleteAccount, &request, About::NOTHING).await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        // whoever has no account any more may still repeat the call, so `me` stays open here
        let username = fields.optional(!is_me(&message.name), |fields| fields.other_account("name", &message.name));
        let request = fields.request(&message);
        let (username, request) = fields.finish(|| username.zip(request)).map_err(status::from_refusal)?;
        let (issuer, subject, caller) = match authenticated {
            Authenticated::Person { identity, call } => {
                (identity.issuer.clone(), identity.subject.clone(), call.map(|call| call.caller))
            }
            Authenticated::Service { service, call } => {
                (service.issuer.clone(), vec![service.subject.clone()], Some(call.caller))
            }
        };
        let delete = DeleteAccount { issuer, subject, caller, username, request };
        self.app.delete_account(delete).await.map_err(status::from_error)?;
        Ok(Response::new(()))
    }

    async fn list_account_memberships(
        &self,
        request: Request<pb::ListAccountMembershipsRequest>,
    ) -> Result<Response<pb::ListAccountMembershipsResponse>, Status> {
        let caller = self.caller(Method::ListAccountMemberships, &request).await?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let account = fields.account("parent", &message.parent, &caller);
        let size = fields.page_size(message.page_size);
        let binding = account.as_ref().map(|account| Binding::new(Method::ListAccountMemberships, &[account.as_str()]));
        let after = fields.page_token(binding.as_ref(), &message.page_token, OrganizationId::parse);
        let parsed = fields.finish(|| Some((account?, size?, binding?, after?)));
        let (account, size, binding, after) = parsed.map_err(status::from_refusal)?;
        let page = self.app.memberships(&caller, &account, after, size).await.map_err(status::from_error)?;
        let (memberships, next) = page::encode(page, |membership| encode::membership(&membership));
        Ok(Response::new(pb::ListAccountMembershipsResponse { memberships, next_page_token: binding.write(next) }))
    }
}
