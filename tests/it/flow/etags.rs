//! A change that was decided upon by what somebody read happens only to that.

use invitations::pb;
use tonic::Request;

use crate::support::{Service, reason};

/// Makes a call with an etag that is not the present one, in its field and as its header.
macro_rules! mismatch {
    ($service:expr, $client:expr, $method:ident, $message:ident { $($field:ident: $value:expr),* }, $etag:expr) => {{
        let good = pb::$message { $($field: $value,)* ..Default::default() };
        let etag: fn(&mut pb::$message) -> &mut String = $etag;
        let (mut in_field, mut as_header) = (Request::new(good.clone()), Request::new(good));
        *etag(in_field.get_mut()) = STALE.to_owned();
        as_header.metadata_mut().insert("if-match", format!("\"{STALE}\"").parse().unwrap());
        let before = $service.tables().await;
        for request in [in_field, as_header] {
            let refused = $client.clone().$method(request).await;
            assert_eq!(refused.as_ref().unwrap_err().code(), tonic::Code::Aborted, stringify!($method));
            assert_eq!(reason(refused), "ETAG_MISMATCH", stringify!($method));
        }
        before.assert_same(&$service.tables().await, stringify!($method));
    }};
}

/// Nothing was changed that often.
const STALE: &str = "a40fb80ad4287819";

#[tokio::test]
async fn a_stale_etag_stops_every_change() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (admin, organizations) = (&owner.invitations, &owner.organizations);
    let invited = owner.invite("acme", "ina@example.com").await.unwrap().name;
    let (anna, offered) = service.offered(&owner, "acme", "anna", "READER").await;
    let (_, requested) = service.requested(&owner, "acme", "rita").await;
    service.member(&owner, "acme", "max", "READER").await;
    let second = service.member(&owner, "acme", "otto", "OWNER").await;
    owner.ask_for_approval_of("acme", pb::Role::Manager).await;
    let (_, pending) = service.offered(&owner, "acme", "paul", "MANAGER").await;
    owner.ask_for_approval_of("acme", pb::Role::Owner).await;

    let (people, others) = (&anna.invitations, &second.organizations);
    let (name, pending, requested) = (offered.name, pending.name, requested.name);
    mismatch!(service, second.invitations, approve_offer, ApproveOfferRequest { name: pending }, |m| &mut m.etag);
    mismatch!(service, people, accept_invitation, AcceptInvitationRequest { name: name.clone() }, |m| &mut m.etag);
    mismatch!(service, people, decline_invitation, DeclineInvitationRequest { name: name.clone() }, |m| &mut m.etag);
    mismatch!(service, admin, reject_access, RejectAccessRequest { name: requested }, |m| &mut m.etag);
    mismatch!(service, admin, revoke_invitation, RevokeInvitationRequest { name: invited.clone() }, |m| &mut m.etag);
    mismatch!(service, admin, resend_invitation, ResendInvitationRequest { name: invited }, |m| &mut m.etag);

    let max = "organizations/acme/members/max".to_owned();
    let member = Some(pb::Member { name: max.clone(), role: pb::Role::None.into(), ..Default::default() });
    mismatch!(service, organizations, update_member, UpdateMemberRequest { member: member }, |m| &mut m
        .member
        .as_mut()
        .unwrap()
        .etag);
    mismatch!(service, organizations, delete_member, DeleteMemberRequest { name: max }, |m| &mut m.etag);
    let acme = "organizations/acme".to_owned();
    let renamed = Some(pb::Organization { name: acme.clone(), display_name: "Acme".to_owned(), ..Default::default() });
    mismatch!(service, organizations, update_organization, UpdateOrganizationRequest { organization: renamed }, |m| {
        &mut m.organization.as_mut().unwrap().etag
    });
    let name_of = || acme.clone();
    mismatch!(
        service,
        others,
        approve_organization_change,
        ApproveOrganizationChangeRequest { name: name_of() },
        |m| &mut m.etag
    );
    mismatch!(
        service,
        others,
        withdraw_organization_change,
        WithdrawOrganizationChangeRequest { name: name_of() },
        |m| &mut m.etag
    );

    // the controls: the etag that was read, which emails on their way do not change
    service.email_to("anna@example.com", 1).await;
    let etag = anna.get(&name).await.unwrap().etag;
    let mut accept = Request::new(pb::AcceptInvitationRequest { name, ..Default::default() });
    accept.metadata_mut().insert("if-match", etag.parse().unwrap());
    anna.invitations.clone().accept_invitation(accept).await.unwrap();
    let etag = second.organization("acme").await.etag;
    let mut approve = Request::new(pb::ApproveOrganizationChangeRequest { name: acme, ..Default::default() });
    approve.metadata_mut().insert("if-match", etag.parse().unwrap());
    others.clone().approve_organization_change(approve).await.unwrap();
}

#[tokio::test]
async fn a_member_who_left_and_came_back_has_another_etag() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let max = service.member(&owner, "acme", "max", "CONTRIBUTOR").await;
    let read = owner.member("acme", "max").await.unwrap();
    owner.remove("acme", "max").await.unwrap();
    let offer = owner.offer("acme", "max", "max@example.com", "MANAGER").await.unwrap();
    max.accept(&offer.name).await.unwrap();
    let message = |etag| pb::DeleteMemberRequest { name: read.name.clone(), etag, ..Default::default() };
    let organizations = &owner.organizations;
    let refused = organizations.clone().delete_member(message(read.etag.clone())).await;
    assert_eq!(reason(refused), "ETAG_MISMATCH");
    // the control
    let now = owner.member("acme", "max").await.unwrap().etag;
    organizations.clone().delete_member(message(now)).await.unwrap();
}
