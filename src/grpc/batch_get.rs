//! BatchGetInvitations: decode, ask, encode.

use tonic::{Request, Response, Status};

use super::fields::Fields;
use super::{Api, encode, status};
use crate::domain::{FieldFault, InvitationId, Method, OrganizationId};
use crate::pb;

/// The most names of one request.
const MOST: usize = 1000;
/// So many bad ones are told: all of them would be too long for an answer.
const TOLD: usize = 20;

impl Api {
    pub(super) async fn batch_get(
        &self,
        request: Request<pb::BatchGetInvitationsRequest>,
    ) -> Result<Response<pb::BatchGetInvitationsResponse>, Status> {
        let call = self.reader(Method::BatchGetInvitations, &request, &request.get_ref().parent).await?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let organization = fields.organization("parent", &message.parent);
        let ids = ids(&mut fields, organization.as_ref(), &message.names);
        let (organization, ids) = fields.finish(|| organization.zip(ids)).map_err(status::from_refusal)?;
        let views = self.app.invitations_named(&call, &organization, &ids).await.map_err(status::from_error)?;
        let invitations = views.into_iter().map(encode::invitation).collect();
        Ok(Response::new(pb::BatchGetInvitationsResponse { invitations }))
    }
}

/// The invitations of these names, all of the organization where its own name is good.
fn ids(fields: &mut Fields, organization: Option<&OrganizationId>, names: &[String]) -> Option<Vec<InvitationId>> {
    let fault = match names.len() {
        0 => Some(FieldFault::Missing),
        count if count > MOST => Some(FieldFault::TooMany),
        _ => None,
    };
    if let Some(fault) = fault {
        fields.refuse("names", fault, "must be 1 to 1,000 names");
        return None;
    }
    let mut ids = Vec::with_capacity(names.len());
    let mut bad = 0;
    for (nth, name) in names.iter().enumerate() {
        let path = format!("names[{nth}]");
        match fields.invitation(&path, name) {
            Some((of, id)) if organization.is_none_or(|organization| *organization == of) => ids.push(id),
            found => {
                if found.is_some() {
                    fields.refuse(&path, FieldFault::Conflict, "must be an invitation of parent");
                }
                bad += 1;
                if bad == TOLD {
                    break;
                }
            }
        }
    }
    (bad == 0).then_some(ids)
}
