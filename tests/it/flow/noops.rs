//! What changes nothing leaves nothing: no event, no email, and no request id that would have to be kept.

use invitations::pb::{self, Role};
use prost_types::FieldMask;
use uuid::Uuid;

use crate::support::Service;

/// Makes a call that changes nothing, twice with one request id and once with another one: the same answer each time,
/// and not one row.
macro_rules! nothing {
    ($service:expr, $client:expr, $method:ident, $message:expr) => {{
        let mut message = $message;
        let (before, charges) = ($service.tables().await, $service.charges().await);
        message.request_id = Uuid::new_v4().to_string();
        let first = $client.clone().$method(message.clone()).await.unwrap().into_inner();
        assert_eq!($client.clone().$method(message.clone()).await.unwrap().into_inner(), first, stringify!($method));
        message.request_id = Uuid::new_v4().to_string();
        assert_eq!($client.clone().$method(message.clone()).await.unwrap().into_inner(), first, stringify!($method));
        before.assert_same(&$service.tables().await, stringify!($method));
        assert_eq!($service.charges().await, charges, stringify!($method));
    }};
}

#[expect(clippy::unnecessary_wraps, reason = "as the field wants it")]
fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

async fn request_ids(service: &Service) -> i64 {
    let query = "SELECT (SELECT count(*) FROM request_ids) + (SELECT count(*) FROM account_request_ids)";
    sqlx::query_scalar(query).fetch_one(service.pool()).await.unwrap()
}

#[tokio::test]
async fn what_changes_nothing_leaves_nothing_in_an_organization() {
    let service = Service::start().await;
    let olga = service.owner("olga", "acme").await;
    service.member(&olga, "acme", "max", "READER").await;
    let acme = pb::Organization { name: "organizations/acme".to_owned(), ..Default::default() };
    let acme = pb::Organization { display_name: "Acme".to_owned(), ..acme };
    let rename = pb::UpdateOrganizationRequest { organization: Some(acme.clone()), ..Default::default() };
    let rename = pb::UpdateOrganizationRequest { update_mask: mask(&["display_name"]), ..rename };
    let policy = pb::UpdateOrganizationRequest { update_mask: mask(&["policy"]), ..rename.clone() };
    let other = pb::UpdateOrganizationRequest { update_mask: mask(&["etag"]), ..rename.clone() };
    let max =
        pb::Member { name: format!("{}/members/max", acme.name), role: Role::Reader.into(), ..Default::default() };
    let role = pb::UpdateMemberRequest { member: Some(max), ..Default::default() };
    let unnamed = pb::UpdateMemberRequest { update_mask: mask(&["create_time"]), ..role.clone() };

    // a change keeps its request id: the control
    let before = request_ids(&service).await;
    let first = pb::UpdateOrganizationRequest { request_id: Uuid::new_v4().to_string(), ..rename.clone() };
    olga.organizations.clone().update_organization(first).await.unwrap();
    assert_eq!(request_ids(&service).await, before + 1);

    for message in [rename, policy, other] {
        nothing!(service, &olga.organizations, update_organization, message);
    }
    for message in [role, unnamed] {
        nothing!(service, &olga.organizations, update_member, message);
    }
}

#[tokio::test]
async fn what_changes_nothing_leaves_nothing_on_the_way_of_an_invitation() {
    let service = Service::start().await;
    let olga = service.owner("olga", "acme").await;
    let invited = olga.invite("acme", "anna@example.com").await.unwrap();
    let (anna, code) = (service.account("anna").await, service.code_to("anna@example.com", 1).await);
    anna.request_access(&code).await.unwrap();
    let ask = pb::RequestAccessRequest { code, request_id: String::new() };
    nothing!(service, &anna.invitations, request_access, ask);

    olga.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    service.email_to("anna@example.com", 2).await;
    let offer = pb::OfferMembershipRequest {
        parent: "organizations/acme".to_owned(),
        username: "anna".to_owned(),
        email: "anna@example.com".to_owned(),
        role: Role::Reader.into(),
        ..Default::default()
    };
    nothing!(service, &olga.invitations, offer_membership, offer);

    anna.accept(&invited.name).await.unwrap();
    let accept = pb::AcceptInvitationRequest { name: invited.name, ..Default::default() };
    nothing!(service, &anna.invitations, accept_invitation, accept);
}

#[tokio::test]
async fn what_changes_nothing_leaves_nothing_of_a_suppression() {
    let service = Service::start().await;
    let operator = service.service("operator", &["mail.operate"]);
    let email = || "anna@example.com".to_owned();
    let suppress = pb::SuppressEmailRequest { email: email(), request_id: Uuid::new_v4().to_string() };
    let unsuppress = pb::UnsuppressEmailRequest { email: email(), ..Default::default() };
    nothing!(service, &operator.mail, unsuppress_email, unsuppress);
    operator.mail.clone().suppress_email(suppress.clone()).await.unwrap();
    assert_eq!(request_ids(&service).await, 1);
    nothing!(service, &operator.mail, suppress_email, suppress);
}
