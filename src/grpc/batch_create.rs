//! BatchCreateInvitations: decode, ask, encode.

use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::deadline::Deadline;
use super::fields::Fields;
use super::{Api, encode, status};
use crate::app;
use crate::domain::{
    self, Caller, Command, FieldFault, InvitationId, Invite, Method, Operation, OrganizationId, Refusal,
};
use crate::pb::batch_create_invitations_response::result::Result as Outcome;
use crate::pb::{self, batch_create_invitations_response as response};

/// The most rows of one request.
const MOST: usize = 1000;

/// What the rows of one request have in common.
struct Whole<'a> {
    parent: &'a str,
    organization: OrganizationId,
    caller: &'a Caller,
    request: Option<domain::Request>,
    /// Whether the request has an id of its own, with or without an effect.
    has_id: bool,
    validate_only: bool,
}

impl Api {
    pub(super) async fn batch_create(
        &self,
        request: Request<pb::BatchCreateInvitationsRequest>,
    ) -> Result<Response<pb::BatchCreateInvitationsResponse>, Status> {
        let until = Deadline::patience(request.extensions());
        let call = self.reader(Method::BatchCreateInvitations, &request, &request.get_ref().parent).await?;
        let mut fields = Fields::default();
        let message = fields.change(request);
        let organization = fields.organization("parent", &message.parent);
        let count = message.requests.len();
        if !(1..=MOST).contains(&count) {
            let fault = if count == 0 { FieldFault::Missing } else { FieldFault::TooMany };
            fields.refuse("requests", fault, "must be 1 to 1,000 rows");
        }
        let request = fields.request(&message);
        let (organization, request) = fields.finish(|| organization.zip(request)).map_err(status::from_refusal)?;
        let whole = Whole {
            parent: &message.parent,
            organization,
            caller: &call.caller,
            has_id: request.is_some(),
            request: request.filter(|_| !message.validate_only),
            validate_only: message.validate_only,
        };
        let rows = message.requests.iter().enumerate().map(|(n, row)| whole.row(n, row)).collect::<Vec<_>>();
        let outcomes = if whole.validate_only {
            self.app.preview_invitations(&call, &whole.organization, rows).await
        } else {
            self.app.create_invitations(&call, &whole.organization, rows, until).await
        };
        let outcomes = outcomes.map_err(status::from_error)?.into_iter().enumerate();
        let results = outcomes.map(|(n, outcome)| result(n, outcome, whole.validate_only)).collect();
        Ok(Response::new(pb::BatchCreateInvitationsResponse { results }))
    }
}

impl Whole<'_> {
    /// One row: what CreateInvitation takes, but for what the request says for all of them.
    fn row(&self, n: usize, row: &pb::CreateInvitationRequest) -> Result<Command, Refusal> {
        let mut fields = Fields::default();
        if !row.parent.is_empty() && row.parent != self.parent {
            fields.refuse("parent", FieldFault::Conflict, "must be the parent of the batch, or empty");
        }
        if row.validate_only {
            fields.refuse("validate_only", FieldFault::NotAllowed, "must not be set: it is for the whole batch");
        }
        let invite = fields.invite(row.invitation.as_ref());
        let request = self.request(&mut fields, n, row);
        fields.finish(|| {
            let (organization, caller) = (self.organization.clone(), Some(self.caller.clone()));
            Some(Command::new(organization, caller, request?, Operation::CreateInvitation(invite?)))
        })
    }

    /// A row with an id of its own is the same request as a call of CreateInvitation with all that it says.
    #[expect(
        clippy::option_option,
        reason = "the outer one says that the field is good, the inner one that it is given"
    )]
    fn request(
        &self,
        fields: &mut Fields,
        n: usize,
        row: &pb::CreateInvitationRequest,
    ) -> Option<Option<domain::Request>> {
        if row.request_id.is_empty() {
            return Some(self.request.as_ref().map(|request| request.part(n as u128)));
        }
        if self.has_id {
            fields.refuse("request_id", FieldFault::NotAllowed, "must be empty where the batch has one");
            return None;
        }
        let alone = pb::CreateInvitationRequest { parent: self.parent.to_owned(), ..row.clone() };
        let request = fields.request_of(&alone)?;
        Some(request.filter(|_| !self.validate_only))
    }
}

impl Fields {
    /// Whom CreateInvitation is to invite, alone or as a row of a batch.
    pub(super) fn invite(&mut self, input: Option<&pb::Invitation>) -> Option<Invite> {
        let none = pb::Invitation::default();
        let input = input.unwrap_or(&none);
        let email = self.email("invitation.email", &input.email);
        let locale = self.locale("invitation.locale", &input.locale);
        let annotations = self.annotations("invitation.annotations", &input.annotations);
        Some(Invite { id: InvitationId(Uuid::now_v7()), email: email?, locale: locale?, annotations: annotations? })
    }
}

fn result(n: usize, outcome: app::Result<app::InvitationView>, is_preview: bool) -> response::Result {
    let result = match outcome {
        Ok(view) if is_preview => {
            Outcome::Invitation(pb::Invitation { name: String::new(), ..encode::invitation(view) })
        }
        Ok(view) => Outcome::Invitation(encode::invitation(view)),
        Err(error) => Outcome::Status(status::of_part(error, &format!("requests[{n}]"))),
    };
    response::Result { result: Some(result) }
}
