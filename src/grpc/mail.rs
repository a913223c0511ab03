//! MailService: decode, ask.

use tonic::{Request, Response, Status};

use super::fields::Fields;
use super::{Api, status};
use crate::app::Suppression;
use crate::domain::Method;
use crate::pb;
use crate::pb::mail_service_server::MailService;

#[tonic::async_trait]
impl MailService for Api {
    async fn suppress_email(&self, request: Request<pb::SuppressEmailRequest>) -> Result<Response<()>, Status> {
        let caller = self.caller(Method::SuppressEmail, &request).await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        let email = fields.email("email", &message.email);
        let request = fields.request(&message);
        let (email, request) = fields.finish(|| email.zip(request)).map_err(status::from_refusal)?;
        let suppression = Suppression { caller, email, is_wanted: true, request };
        self.app.suppress(suppression).await.map_err(status::from_error)?;
        Ok(Response::new(()))
    }

    async fn unsuppress_email(&self, request: Request<pb::UnsuppressEmailRequest>) -> Result<Response<()>, Status> {
        let caller = self.caller(Method::UnsuppressEmail, &request).await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        let email = fields.email("email", &message.email);
        let request = fields.request(&message);
        let (email, request) = fields.finish(|| email.zip(request)).map_err(status::from_refusal)?;
        let suppression = Suppression { caller, email, is_wanted: false, request };
        self.app.suppress(suppression).await.map_err(status::from_error)?;
        Ok(Response::new(()))
    }
}
