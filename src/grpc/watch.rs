//! WatchEvents: decode, take a place, and send what happens for as long as the caller may see it.

mod initial;
mod messages;
mod stream;

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tonic::{Request, Response, Status};

use self::messages::Messages;
use self::stream::Watching;
use super::deadline::Deadline;
use super::fields::Fields;
use super::resume_token::Stream;
use super::watches::Wire;
use super::{Api, status, telemetry};
use crate::app::Call;
use crate::domain::{Caller, EventFilter, FieldFault, Method, OrganizationId};
use crate::pb;

/// What WatchEvents answers with.
pub(super) type Watch = Messages;

impl Api {
    pub(super) async fn watch(&self, request: Request<pb::WatchEventsRequest>) -> Result<Response<Watch>, Status> {
        let call = self.reader(Method::WatchEvents, &request, &request.get_ref().parent).await?;
        let (metadata, extensions, message) = request.into_parts();
        let mut fields = Fields::default();
        let organization = fields.organization("parent", &message.parent);
        let filter = fields.filter(&message.filter, |restrictions| {
            let read = |organization| EventFilter::read(restrictions, organization);
            organization.as_ref().map_or(Ok(EventFilter::default()), read)
        });
        let place = fields.optional(!message.resume_token.is_empty(), |fields| {
            let stream = organization.as_ref().map(|organization| Stream { organization, filter: &message.filter });
            fields.resume_token(stream.as_ref(), &message.resume_token)
        });
        if message.send_initial && !message.resume_token.is_empty() {
            fields.refuse("send_initial", FieldFault::Conflict, "must not be set together with resume_token");
        }
        let parsed = fields.finish(|| Some((organization?, filter?.unwrap_or_default(), place?)));
        let (organization, filter, place) = parsed.map_err(status::from_refusal)?;
        self.app.check_watcher(&call, &organization).map_err(status::from_error)?;

        let wire = extensions.get::<Wire>().ok_or_else(status::internal)?;
        let place_of_stream = self.watches.enter(who(&call, &organization), wire).map_err(status::from_error)?;
        let pulse = Arc::clone(&place_of_stream.pulse);
        let follower = self.app.follow(organization.clone(), place).await.map_err(status::from_error)?;
        let watching = Watching {
            api: self.clone(),
            place: place_of_stream,
            headers: authorization(metadata.as_ref()),
            organization,
            parent: message.parent,
            filter,
            filter_text: message.filter,
            follower,
            deadline: Deadline::end_of_stream(&extensions),
        };
        let (initial, beat) = (message.send_initial.then_some(call), self.watches.settings().checkpoint / 3);
        Ok(Response::new(Messages::new(pulse, beat, |out| telemetry::carried_on(watching.run(initial, out)))))
    }
}

/// Whose stream it is, as with calls: a person's, or a service's for one organization.
fn who(call: &Call, organization: &OrganizationId) -> super::watches::Who {
    let organization = matches!(call.caller, Caller::Service(_)).then(|| organization.clone());
    (call.caller.actor().to_string(), organization)
}

/// What is needed to ask again who calls.
fn authorization(headers: &HeaderMap) -> HeaderMap {
    headers.get(AUTHORIZATION).map(|value| (AUTHORIZATION, value.clone())).into_iter().collect()
}
