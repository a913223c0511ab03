//! `Idempotency-Key` and `If-Match` stand for `request_id` and `etag` of every change.

use invitations::domain::{Method, Scope};
use invitations::pb;
use tonic::client::Grpc;
use tonic::{Request, Status};

use crate::support::{Bytes, Person, Service, bad_fields, reason};

const ID: &str = "0b7e6c0a-5a3e-4a59-9a4c-0d3c5d1f8f11";
const STALE: &str = "a40fb80ad4287819";

/// The path of the etag of what a method changes.
fn etag_of(method: Method) -> Option<&'static str> {
    use Method as M;
    match method {
        M::UpdateOrganization => Some("organization.etag"),
        M::UpdateMember => Some("member.etag"),
        M::CreateInvitation
        | M::BatchCreateInvitations
        | M::RequestAccess
        | M::OfferMembership
        | M::RevokeInvitations
        | M::CreateOrganization
        | M::VerifyNotificationEmail
        | M::CreateAccount
        | M::DeleteAccount
        | M::SuppressEmail
        | M::UnsuppressEmail => None,
        _ => Some("etag"),
    }
}

/// Calls a method with nothing in its message, which is never carried out: what is bad of it.
async fn bad(service: &Service, person: &Person, method: Method, headers: &[(&'static str, &str)]) -> Vec<String> {
    let mut request = Request::new(Vec::new());
    request.metadata_mut().insert("authorization", format!("Bearer {}", person.token).parse().unwrap());
    for (name, value) in headers {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    let mut client = Grpc::new(service.channel.clone());
    client.ready().await.unwrap();
    let refused = client.unary(request, method.path().parse().unwrap(), Bytes).await;
    match refused {
        Err(status) if reason(Err::<(), Status>(status.clone())) == "FIELD_INVALID" => bad_fields(&status),
        other => panic!("{}: {other:?}", method.name()),
    }
}

#[tokio::test]
async fn every_change_takes_the_headers_that_mean_something_to_it_and_refuses_the_others() {
    let service = Service::start().await;
    let scopes = Scope::ALL.map(Scope::as_str);
    let (admin, newcomer) = (service.service("admin", &scopes), service.stranger("nora", "nora@example.com"));
    for method in Method::ALL.iter().copied().filter(|method| !method.is_read()) {
        let person = if method == Method::CreateAccount { &newcomer } else { &admin };
        let more = async |headers: &[(&'static str, &str)]| {
            let without = bad(&service, person, method, &[]).await;
            let with = bad(&service, person, method, headers).await;
            with.iter().filter(|path| !without.contains(path)).cloned().collect::<Vec<_>>()
        };
        let name = method.name();
        assert_eq!(more(&[("idempotency-key", ID)]).await, [""; 0], "{name}");
        assert_eq!(more(&[("idempotency-key", "one")]).await, ["request_id"], "{name}");
        assert_eq!(more(&[("idempotency-key", ID), ("idempotency-key", ID)]).await, ["request_id"], "{name}");
        match etag_of(method) {
            None => assert_eq!(more(&[("if-match", STALE)]).await, ["if-match"], "{name}"),
            Some(path) => {
                assert_eq!(more(&[("if-match", STALE)]).await, [""; 0], "{name}");
                let twice = bad(&service, person, method, &[("if-match", STALE), ("if-match", STALE)]).await;
                assert!(twice.iter().any(|field| field == path), "{name}: {twice:?}");
                let weak = bad(&service, person, method, &[("if-match", "W/\"1\"")]).await;
                assert!(weak.iter().any(|field| field == path), "{name}: {weak:?}");
            }
        }
    }
}

#[tokio::test]
async fn reads_have_no_use_for_the_headers() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let mut get = Request::new(pb::GetOrganizationRequest { name: "organizations/acme".to_owned() });
    for (name, value) in [("idempotency-key", "one"), ("if-match", "*")] {
        get.metadata_mut().insert(name, value.parse().unwrap());
    }
    owner.organizations.clone().get_organization(get).await.unwrap();
}

/// Sends the email of an invitation again, with these headers.
async fn resend(owner: &Person, name: &str, request_id: &str, key: Option<&str>) -> Result<(), Status> {
    let message =
        pb::ResendInvitationRequest { name: name.to_owned(), request_id: request_id.to_owned(), ..Default::default() };
    let mut request = Request::new(message);
    if let Some(key) = key {
        request.metadata_mut().insert("idempotency-key", key.parse().unwrap());
    }
    owner.invitations.clone().resend_invitation(request).await.map(drop)
}

#[tokio::test]
async fn a_change_with_one_key_happens_once() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let name = owner.invite("acme", "anna@example.com").await.unwrap().name;
    let resent = async || owner.events("acme").await.iter().filter(|kind| *kind == "RESENT").count();
    for request in [("", Some(ID)), ("", Some(&format!("\"{ID}\""))), (ID, None), (ID, Some(&ID.to_uppercase()))] {
        resend(&owner, &name, request.0, request.1).await.unwrap();
        assert_eq!(resent().await, 1, "{request:?}");
    }
    let other = uuid::Uuid::new_v4().to_string();
    let refused = resend(&owner, &name, ID, Some(&other)).await;
    assert_eq!(bad_fields(refused.as_ref().unwrap_err()), ["request_id"]);
    assert_eq!(resent().await, 1);
    // the controls: without a key, and with another one
    for (nth, key) in [(2, None), (3, None), (4, Some(other.as_str()))] {
        resend(&owner, &name, "", key).await.unwrap();
        assert_eq!(resent().await, nth, "{key:?}");
    }
    // and it belongs to its request
    let revoke = pb::RevokeInvitationRequest { name, ..Default::default() };
    let mut revoke = Request::new(revoke);
    revoke.metadata_mut().insert("idempotency-key", ID.parse().unwrap());
    let another = owner.invitations.clone().revoke_invitation(revoke).await;
    assert_eq!(reason(another), "REQUEST_ID_REUSED");
}
