//! What makes a call safe to repeat or to prepare: request ids, `validate_only`.

use invitations::dev::mailbox::Script;
use invitations::pb::invitation::State;
use invitations::pb::{self, Invitation};
use prost_types::FieldMask;

use crate::support::{Service, reason};

/// Makes a call twice with one request id: the same answer, and nothing written, charged or sent. Then once more with
/// another request.
macro_rules! repeat {
    ($service:expr, $client:expr, $method:ident, $message:expr, { $($field:ident: $other:expr),+ }) => {{
        let mut message = $message;
        message.request_id = uuid::Uuid::new_v4().to_string();
        let first = $client.clone().$method(message.clone()).await.unwrap().into_inner();
        let (before, charges) = ($service.tables().await, $service.charges().await);
        let again = $client.clone().$method(message.clone()).await.unwrap().into_inner();
        assert_eq!(without_emails(&again), without_emails(&first), stringify!($method));
        before.assert_same(&$service.tables().await, concat!(stringify!($method), " again"));
        // the same UUID (RFC 9562)
        message.request_id = message.request_id.to_uppercase();
        let capitals = $client.clone().$method(message.clone()).await.unwrap().into_inner();
        assert_eq!(without_emails(&capitals), without_emails(&first), concat!(stringify!($method), " in capitals"));
        before.assert_same(&$service.tables().await, concat!(stringify!($method), " in capitals"));
        // and the same by its header
        let mut headed = tonic::Request::new(message.clone());
        headed.get_mut().request_id.clear();
        headed.metadata_mut().insert("idempotency-key", message.request_id.parse().unwrap());
        let headed = $client.clone().$method(headed).await.unwrap().into_inner();
        assert_eq!(without_emails(&headed), without_emails(&first), concat!(stringify!($method), " by header"));
        before.assert_same(&$service.tables().await, concat!(stringify!($method), " by header"));
        $(message.$field = $other;)+
        assert_eq!(reason($client.clone().$method(message).await), "REQUEST_ID_REUSED", stringify!($method));
        before.assert_same(&$service.tables().await, concat!(stringify!($method), " with another request"));
        assert_eq!($service.charges().await, charges);
        first
    }};
}

/// An answer, but for what becomes of emails meanwhile.
fn without_emails<T: std::fmt::Debug>(answer: &T) -> String {
    let text = format!("{answer:?}");
    match text.split_once("deliveries: [") {
        Some((head, tail)) => format!("{head}{}", &tail[tail.rfind("], etag").unwrap()..]),
        None => text,
    }
}

fn stale() -> String {
    "a40fb80ad4287819".to_owned()
}

#[tokio::test]
async fn every_change_of_an_invitation_happens_once_for_one_request_id() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let anna = service.account("anna").await;
    let parent = "organizations/acme".to_owned();
    let other = "organizations/acme/invitations/01900000-0000-7000-8000-000000000000".to_owned();
    let (people, admin) = (&anna.invitations, &owner.invitations);

    let invitation = Some(Invitation { email: "anna@example.com".to_owned(), ..Default::default() });
    let create = pb::CreateInvitationRequest { parent: parent.clone(), invitation, ..Default::default() };
    let name = repeat!(service, admin, create_invitation, create, { invitation: None.or(Some(Invitation {
        email: "bob@example.com".to_owned(), ..Default::default()
    })) })
    .name;
    let resend = pb::ResendInvitationRequest { name: name.clone(), ..Default::default() };
    repeat!(service, admin, resend_invitation, resend, { rotate_code: true });
    let code = service.code_to("anna@example.com", 2).await;
    let request = pb::RequestAccessRequest { code: code.clone(), ..Default::default() };
    repeat!(service, people, request_access, request, { code: code.to_lowercase() });
    let offer = pb::OfferMembershipRequest {
        parent: parent.clone(),
        username: "anna".to_owned(),
        email: "anna@example.com".to_owned(),
        role: pb::Role::Reader.into(),
        ..Default::default()
    };
    repeat!(service, admin, offer_membership, offer, { role: pb::Role::Manager.into() });
    let accept = pb::AcceptInvitationRequest { name: name.clone(), ..Default::default() };
    let accepted = repeat!(service, people, accept_invitation, accept, { etag: stale() });
    assert_eq!(accepted.state(), State::Accepted);

    let second = service.member(&owner, "acme", "otto", "OWNER").await;
    owner.ask_for_approval_of("acme", pb::Role::Manager).await;
    let (_, pending) = service.offered(&owner, "acme", "paul", "MANAGER").await;
    let approve = pb::ApproveOfferRequest { name: pending.name, ..Default::default() };
    repeat!(service, &second.invitations, approve_offer, approve, { etag: stale() });

    let (dora, offered) = service.offered(&owner, "acme", "dora", "READER").await;
    let decline = pb::DeclineInvitationRequest { name: offered.name, ..Default::default() };
    repeat!(service, &dora.invitations, decline_invitation, decline, { etag: stale() });
    let (_, requested) = service.requested(&owner, "acme", "rita").await;
    let reject = pb::RejectAccessRequest { name: requested.name, ..Default::default() };
    repeat!(service, admin, reject_access, reject, { name: other.clone() });
    let invited = owner.invite("acme", "ina@example.com").await.unwrap();
    let revoke = pb::RevokeInvitationRequest { name: invited.name, ..Default::default() };
    repeat!(service, admin, revoke_invitation, revoke, { name: other.clone() });
    service.recount().await;
}

#[tokio::test]
async fn every_other_change_happens_once_for_one_request_id() {
    let settings = [("unverified_notifications_limit", "1")];
    let service = Service::start_with(&settings, Script::accept_all()).await;
    let olga = service.stranger("olga", "olga@example.com");
    let account = pb::CreateAccountRequest { account_id: "olga".to_owned(), ..Default::default() };
    repeat!(service, &olga.accounts, create_account, account, { account_id: "olga-two".to_owned() });
    let organization = pb::Organization {
        display_name: "Acme".to_owned(),
        notification_email: "notify@acme.example".to_owned(),
        ..Default::default()
    };
    let create = pb::CreateOrganizationRequest {
        organization_id: "acme".to_owned(),
        organization: Some(organization.clone()),
        ..Default::default()
    };
    let renamed = Some(pb::Organization { display_name: "Acme Two".to_owned(), ..organization.clone() });
    let acme = repeat!(service, &olga.organizations, create_organization, create, { organization: renamed });

    let edit = pb::Organization { display_name: "Acme Inc.".to_owned(), ..acme.clone() };
    let update = pb::UpdateOrganizationRequest {
        organization: Some(edit),
        update_mask: Some(FieldMask { paths: vec!["display_name".to_owned()] }),
        ..Default::default()
    };
    repeat!(service, &olga.organizations, update_organization, update, { update_mask: None });
    let code = service.code_to("notify@acme.example", 1).await;
    let verify = pb::VerifyNotificationEmailRequest { name: acme.name.clone(), code, ..Default::default() };
    service.owner("rosa", "beta").await;
    let other = service.code_to("notify@beta.example", 1).await;
    repeat!(service, &olga.organizations, verify_notification_email, verify, { code: other });
    let otto = service.member(&olga, "acme", "otto", "OWNER").await;
    for role in [pb::Role::Owner, pb::Role::Unspecified] {
        olga.ask_for_approval_of("acme", role).await;
    }
    let withdraw = pb::WithdrawOrganizationChangeRequest { name: acme.name.clone(), ..Default::default() };
    repeat!(service, &otto.organizations, withdraw_organization_change, withdraw, { etag: stale() });
    olga.ask_for_approval_of("acme", pb::Role::Unspecified).await;
    let etag = otto.organization("acme").await.etag;
    let approve = pb::ApproveOrganizationChangeRequest { name: acme.name.clone(), etag, ..Default::default() };
    repeat!(service, &otto.organizations, approve_organization_change, approve, { etag: stale() });
    service.member(&olga, "acme", "max", "READER").await;
    let max =
        pb::Member { name: format!("{}/members/max", acme.name), role: pb::Role::None.into(), ..Default::default() };
    let update = pb::UpdateMemberRequest { member: Some(max.clone()), ..Default::default() };
    let higher = Some(pb::Member { role: pb::Role::Reader.into(), ..max.clone() });
    repeat!(service, &olga.organizations, update_member, update, { member: higher });
    let delete = pb::DeleteMemberRequest { name: max.name.clone(), ..Default::default() };
    repeat!(service, &olga.organizations, delete_member, delete, { etag: stale() });

    // whoever has left, or has no account any more, may still ask whether it worked
    let rita = service.member(&olga, "acme", "rita", "READER").await;
    let leave = pb::DeleteMemberRequest { name: format!("{}/members/me", acme.name), ..Default::default() };
    repeat!(service, &rita.organizations, delete_member, leave, { etag: stale() });
    let delete = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
    repeat!(service, &rita.accounts, delete_account, delete, { name: "accounts/rita".to_owned() });
    service.recount().await;
}

#[tokio::test]
async fn a_validation_checks_everything_and_writes_nothing() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let reader = service.member(&owner, "acme", "rita", "READER").await;
    let taken = owner.invite("acme", "taken@example.com").await.unwrap();
    let overdue = owner.invite("acme", "late@example.com").await.unwrap();
    service.email_to("late@example.com", 1).await;
    service.let_expire(&overdue.name).await;
    let validate = |email: &str| pb::CreateInvitationRequest {
        parent: "organizations/acme".to_owned(),
        invitation: Some(Invitation { email: email.to_owned(), locale: "de".to_owned(), ..Default::default() }),
        request_id: uuid::Uuid::new_v4().to_string(),
        validate_only: true,
    };
    let before = service.tables().await;
    for email in ["Anna@Example.com", "late@example.com"] {
        let message = validate(email);
        let preview = owner.invitations.clone().create_invitation(message.clone()).await.unwrap().into_inner();
        assert_eq!((preview.name.as_str(), preview.email.as_str()), ("", email));
        assert_eq!((preview.state(), preview.locale.as_str()), (State::Invited, "de"));
        assert_eq!((preview.inviter.as_str(), preview.deliveries.len()), ("accounts/olga", 0));
        assert!(preview.expire_time.is_some());
    }
    for (caller, email, refusal) in [
        (&owner, "taken@example.com", "OPEN_INVITATION_EXISTS"),
        (&owner, "rita@example.com", "ALREADY_MEMBER"),
        (&owner, "nobody", "FIELD_INVALID"),
        (&reader, "anna@example.com", "ROLE_REQUIRED"),
    ] {
        let refused = caller.invitations.clone().create_invitation(validate(email)).await;
        assert_eq!(reason(refused), refusal);
    }
    before.assert_same(&service.tables().await, "a validation");

    // the control: the same request, meant; its request id was not used up
    let message = pb::CreateInvitationRequest { validate_only: false, ..validate("Anna@Example.com") };
    owner.invitations.clone().create_invitation(message).await.unwrap();
    assert_ne!(before, service.tables().await);
    assert_eq!(owner.get(&taken.name).await.unwrap().state(), State::Invited);
}
