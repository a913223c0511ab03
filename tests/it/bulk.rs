//! BatchCreateInvitations: many invitations of one call.

mod breaks;
mod limits;
mod races;
mod repeats;
mod rows;
mod sizes;

use invitations::pb::batch_create_invitations_response::result::Result as Outcome;
use invitations::pb::{self, Invitation};
use prost::Message;
use tonic::Status;

use crate::support::{PATIENCE, Person, Service};

pub fn row(email: &str) -> pb::CreateInvitationRequest {
    let invitation = Some(Invitation { email: email.to_owned(), ..Default::default() });
    pb::CreateInvitationRequest { invitation, ..Default::default() }
}

/// For `acme`.
pub fn batch<'a>(emails: impl IntoIterator<Item = &'a str>) -> pb::BatchCreateInvitationsRequest {
    let parent = "organizations/acme".to_owned();
    pb::BatchCreateInvitationsRequest { parent, requests: emails.into_iter().map(row).collect(), ..Default::default() }
}

/// The same for so many people at one domain.
pub fn many(count: usize, domain: &str) -> pb::BatchCreateInvitationsRequest {
    let emails = (0..count).map(|n| format!("guest-{n}@{domain}")).collect::<Vec<_>>();
    batch(emails.iter().map(String::as_str))
}

pub fn with_id(message: pb::BatchCreateInvitationsRequest, id: &str) -> pb::BatchCreateInvitationsRequest {
    pb::BatchCreateInvitationsRequest { request_id: id.to_owned(), ..message }
}

/// What became of each row, a status as that of a call of its own.
pub async fn create(
    person: &Person,
    message: impl tonic::IntoRequest<pb::BatchCreateInvitationsRequest>,
) -> Result<Vec<Result<Invitation, Status>>, Status> {
    let mut request = message.into_request();
    request.set_timeout(PATIENCE);
    let response = person.invitations.clone().batch_create_invitations(request).await?.into_inner();
    Ok(response.results.into_iter().map(|result| outcome(result.result.expect("one of the two is set"))).collect())
}

fn outcome(outcome: Outcome) -> Result<Invitation, Status> {
    match outcome {
        Outcome::Invitation(invitation) => Ok(invitation),
        Outcome::Status(status) => {
            let details = status.encode_to_vec().into();
            Err(Status::with_details(status.code.into(), status.message, details))
        }
    }
}

/// The names of the invitations; every row has one.
pub fn names(outcomes: &[Result<Invitation, Status>]) -> Vec<String> {
    outcomes.iter().map(|outcome| outcome.as_ref().unwrap().name.clone()).collect()
}

/// Fails unless callers are charged that much once what they have left over is given back.
pub async fn assert_charged(service: &Service, expected: i64) {
    let charged = async { while service.charges().await != expected {} };
    let given_back = tokio::time::timeout(PATIENCE, charged).await;
    assert!(given_back.is_ok(), "{} and not {expected}", service.charges().await);
}

/// How many invitations there are, and for how many addresses.
pub async fn invited(service: &Service) -> (i64, i64) {
    let counted = "SELECT count(*), count(DISTINCT email_key) FROM invitations";
    sqlx::query_as(counted).fetch_one(service.pool()).await.unwrap()
}
