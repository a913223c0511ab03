//! RevokeInvitations: decode, ask, encode.

use tonic::{Request, Response, Status};

use super::deadline::Deadline;
use super::fields::Fields;
use super::{Api, encode, status};
use crate::app::{self, InvitationView};
use crate::domain::{FieldFault, InvitationId, InvitationSearch, Method, OrganizationId, Username};
use crate::pb::revoke_invitations_response::result::Result as Outcome;
use crate::pb::{self, revoke_invitations_response as response};

impl Api {
    pub(super) async fn revoke_all(
        &self,
        request: Request<pb::RevokeInvitationsRequest>,
    ) -> Result<Response<pb::RevokeInvitationsResponse>, Status> {
        let until = Deadline::patience(request.extensions());
        let call = self.reader(Method::RevokeInvitations, &request, &request.get_ref().parent).await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        let organization = fields.organization("parent", &message.parent);
        let search = search(&mut fields, &message.filter, call.caller.username());
        let request = fields.request(&message);
        let parsed = fields.finish(|| Some((organization?, search?, request?)));
        let (organization, search, request) = parsed.map_err(status::from_refusal)?;
        let revocations = if message.validate_only {
            self.app.preview_revocations(&call, &organization, search).await
        } else {
            self.app.revoke_invitations(&call, &organization, search, request, until).await
        };
        let app::Revocations { outcomes, has_more } = revocations.map_err(status::from_error)?;
        let results = outcomes.into_iter().map(|(id, outcome)| result(&organization, id, outcome)).collect();
        Ok(Response::new(pb::RevokeInvitationsResponse { results, has_more }))
    }
}

/// Without a filter, all would be taken back: whoever wants that says so, such as by the time.
fn search(fields: &mut Fields, filter: &str, me: Option<&Username>) -> Option<InvitationSearch> {
    if filter.trim().is_empty() {
        fields.refuse("filter", FieldFault::Missing, "must say which of the open invitations");
        return None;
    }
    fields.filter(filter, |restrictions| InvitationSearch::read(restrictions, me))?
}

fn result(organization: &OrganizationId, id: InvitationId, outcome: app::Result<InvitationView>) -> response::Result {
    let result = match outcome {
        // no answer has room for the emails of a thousand
        Ok(view) => Outcome::Invitation(pb::Invitation {
            deliveries: Vec::new(),
            further_deliveries: 0,
            ..encode::invitation(view)
        }),
        Err(error) => Outcome::Status(status::of_part(error, "")),
    };
    response::Result { name: id.name(organization), result: Some(result) }
}
