//! Names that are unknown or another organization's, stale etags, and request ids of another request.

use invitations::domain::{CodeKey, InvitationCode, InvitationId};
use invitations::pb::{self, Invitation, Member, Organization, Role};
use prost_types::FieldMask;
use tonic::Code::{Aborted, AlreadyExists, FailedPrecondition, NotFound, PermissionDenied};

use super::fields::refusal;
use super::{Expected, Row, World};
use crate::support::Person;

/// No invitation has it.
const UNKNOWN: &str = "01900000-0000-7000-8000-00000000000a";
const STALE: &str = "a40fb80ad4287819";
/// Everybody below has used it for something else.
const USED: &str = super::forms::ID;

/// Organizations that a stranger and nobody at all is in.
const NOT_THEIRS: [(&str, &str); 2] = [("an unknown organization", "nowhere"), ("a foreign organization", "beta")];

pub(super) async fn rows(world: &World) -> Vec<Row> {
    let used = Used::up(world).await;
    let parts = [of_invitations, of_transitions, of_organizations, of_members, of_accounts, of_mail];
    parts.into_iter().flat_map(|rows| rows(world, &used)).collect()
}

/// People who have used [`USED`], beside olga.
struct Used {
    /// With an offer of acme: for an earlier one.
    nora: Person,
    offered: Invitation,
    /// For her account.
    ruth: Person,
    /// For an access request, with this code.
    rolf: Person,
    code: String,
}

impl Used {
    async fn up(world: &World) -> Self {
        let World { service, olga, moa, .. } = world;
        let create = |email: &str| pb::CreateInvitationRequest {
            parent: "organizations/acme".into(),
            invitation: Some(Invitation { email: email.into(), ..Default::default() }),
            request_id: USED.into(),
            ..Default::default()
        };
        olga.invitations.clone().create_invitation(create("used@example.com")).await.unwrap();
        moa.invitations.clone().create_invitation(create("used-too@example.com")).await.unwrap();
        olga.invite("acme", "rolf@example.com").await.unwrap();
        let code = service.code_to("rolf@example.com", 1).await;
        let rolf = service.account("rolf").await;
        let access = pb::RequestAccessRequest { code: code.clone(), request_id: USED.into() };
        rolf.invitations.clone().request_access(access).await.unwrap();
        let (nora, offered) = service.offered(olga, "acme", "nora", "READER").await;
        let decline =
            pb::DeclineInvitationRequest { name: offered.name, request_id: USED.into(), ..Default::default() };
        nora.invitations.clone().decline_invitation(decline).await.unwrap();
        let offered = olga.offer("acme", "nora", "nora@example.com", "READER").await.unwrap();
        let ruth = service.stranger("ruth", "ruth@example.com");
        let open =
            pb::CreateAccountRequest { account_id: "ruth".into(), request_id: USED.into(), ..Default::default() };
        ruth.accounts.clone().create_account(open).await.unwrap();
        Self { nora, offered, ruth, rolf, code }
    }
}

fn of_invitations(world: &World, used: &Used) -> Vec<Row> {
    let World { olga, otto, .. } = world;
    let Used { rolf, code: used_code, .. } = used;
    let mut rows = Vec::new();
    let invite = |organization: &str, request_id: &str, validate_only| pb::CreateInvitationRequest {
        parent: format!("organizations/{organization}"),
        invitation: Some(Invitation { email: "new@example.com".into(), ..Default::default() }),
        request_id: request_id.into(),
        validate_only,
    };
    let offer = |organization: &str, username: &str, email: &str, request_id: &str| pb::OfferMembershipRequest {
        parent: format!("organizations/{organization}"),
        username: username.into(),
        email: email.into(),
        role: Role::Reader.into(),
        request_id: request_id.into(),
    };
    for (what, id) in NOT_THEIRS {
        let reason = "ORGANIZATION_NOT_FOUND";
        for dry in [false, true] {
            rows.push(refusal("CreateInvitation", what, olga, &invite(id, "", dry), NotFound, reason));
            let batch = pb::BatchCreateInvitationsRequest {
                parent: format!("organizations/{id}"),
                requests: vec![invite(id, "", false)],
                validate_only: dry,
                ..Default::default()
            };
            rows.push(refusal("BatchCreateInvitations", what, olga, &batch, NotFound, reason));
        }
        let parent = format!("organizations/{id}");
        let list = pb::ListInvitationsRequest { parent: parent.clone(), ..Default::default() };
        rows.push(refusal("ListInvitations", what, olga, &list, NotFound, reason));
        let names = vec![format!("{parent}/invitations/{UNKNOWN}")];
        let get = pb::BatchGetInvitationsRequest { parent: parent.clone(), names };
        rows.push(refusal("BatchGetInvitations", what, olga, &get, NotFound, reason));
        let filter = "state = INVITED".to_owned();
        for validate_only in [false, true] {
            let all = pb::RevokeInvitationsRequest {
                parent: parent.clone(),
                filter: filter.clone(),
                validate_only,
                ..Default::default()
            };
            rows.push(refusal("RevokeInvitations", what, olga, &all, NotFound, reason));
        }
        let list = pb::ListEventsRequest { parent: parent.clone(), ..Default::default() };
        rows.push(refusal("ListEvents", what, olga, &list, NotFound, reason));
        let watch = pb::WatchEventsRequest { parent, ..Default::default() };
        rows.push(refusal("WatchEvents", what, olga, &watch, NotFound, reason));
        let message = offer(id, "rita", "rita@example.com", "");
        rows.push(refusal("OfferMembership", what, olga, &message, NotFound, reason));
    }
    for (what, username, email) in [
        ("an unknown account", "zoe", "zoe@example.com"),
        ("another's address", "rita", "otto@example.com"),
        ("an unknown address", "rita", "rita@elsewhere.example"),
    ] {
        let message = offer("acme", username, email, "");
        rows.push(refusal("OfferMembership", what, olga, &message, NotFound, "ACCOUNT_EMAIL_NOT_FOUND"));
    }
    let message = invite("acme", USED, false);
    rows.push(refusal("CreateInvitation", "a used id", olga, &message, FailedPrecondition, "REQUEST_ID_REUSED"));
    let message = offer("acme", "rita", "rita@example.com", USED);
    rows.push(refusal("OfferMembership", "a used id", olga, &message, FailedPrecondition, "REQUEST_ID_REUSED"));
    let code = format!(" {used_code}");
    let message = pb::RequestAccessRequest { code, request_id: USED.into() };
    rows.push(refusal("RequestAccess", "a used id", rolf, &message, FailedPrecondition, "REQUEST_ID_REUSED"));
    // of a key that nobody has: well formed, and unknown
    let key = CodeKey::new("other".into(), vec![9; 32]).unwrap();
    let unknown = InvitationCode::derive(&key, InvitationId(uuid::Uuid::nil()), 1).reveal();
    for (what, code) in [("an unknown code", &unknown), ("another's code", used_code)] {
        let message = pb::RequestAccessRequest { code: code.clone(), request_id: String::new() };
        rows.push(refusal("RequestAccess", what, otto, &message, NotFound, "CODE_NOT_FOUND"));
    }
    let all = pb::RevokeInvitationsRequest {
        parent: "organizations/acme".into(),
        filter: "state = INVITED".into(),
        request_id: USED.into(),
        ..Default::default()
    };
    rows.push(refusal("RevokeInvitations", "a used id", olga, &all, FailedPrecondition, "REQUEST_ID_REUSED"));
    let names = vec![world.invited.name.clone(), format!("organizations/acme/invitations/{UNKNOWN}")];
    let get = pb::BatchGetInvitationsRequest { parent: "organizations/acme".into(), names };
    rows.push(refusal("BatchGetInvitations", "one unknown", olga, &get, NotFound, "INVITATION_NOT_FOUND"));
    for parent in ["accounts/rosa", "accounts/nobody-at-all"] {
        let message = pb::ListAccountInvitationsRequest { parent: parent.into(), ..Default::default() };
        rows.push(refusal("ListAccountInvitations", parent, olga, &message, NotFound, "ACCOUNT_NOT_FOUND"));
    }
    rows
}

fn of_transitions(world: &World, used: &Used) -> Vec<Row> {
    let World { olga, moa, invited, pending, requested, foreign, .. } = world;
    let Used { nora, offered, .. } = used;
    let acme = format!("organizations/acme/invitations/{UNKNOWN}");
    let nowhere = acme.replace("acme", "nowhere");
    let moved = foreign.name.replace("beta", "acme");
    let names = [
        ("an unknown invitation", &acme),
        ("of an unknown organization", &nowhere),
        ("a foreign invitation", &foreign.name),
        ("a foreign invitation under one's own organization", &moved),
    ];
    let mut rows = Vec::new();
    for (what, name) in names {
        let message = pb::GetInvitationRequest { name: name.clone() };
        rows.push(refusal("GetInvitation", what, olga, &message, NotFound, "INVITATION_NOT_FOUND"));
    }
    macro_rules! transition {
        ($rpc:literal, $message:ident, $caller:expr, $right:expr) => {
            for (what, name) in names {
                let message = pb::$message { name: name.clone(), ..Default::default() };
                rows.push(refusal($rpc, what, $caller, &message, NotFound, "INVITATION_NOT_FOUND"));
            }
            let good = pb::$message { name: $right.name.clone(), ..Default::default() };
            let stale = pb::$message { etag: STALE.into(), ..good.clone() };
            rows.push(refusal($rpc, "a stale etag", $caller, &stale, Aborted, "ETAG_MISMATCH"));
            let reused = pb::$message { request_id: USED.into(), ..good };
            rows.push(refusal($rpc, "a used id", $caller, &reused, FailedPrecondition, "REQUEST_ID_REUSED"));
        };
    }
    // of what is not there an owner hears as much as from GetInvitation
    for (what, name) in names {
        let accept = pb::AcceptInvitationRequest { name: name.clone(), ..Default::default() };
        rows.push(refusal("AcceptInvitation", what, olga, &accept, NotFound, "INVITATION_NOT_FOUND"));
        let decline = pb::DeclineInvitationRequest { name: name.clone(), ..Default::default() };
        rows.push(refusal("DeclineInvitation", what, olga, &decline, NotFound, "INVITATION_NOT_FOUND"));
    }
    transition!("AcceptInvitation", AcceptInvitationRequest, nora, offered);
    transition!("DeclineInvitation", DeclineInvitationRequest, nora, offered);
    transition!("ApproveOffer", ApproveOfferRequest, moa, pending);
    transition!("RejectAccess", RejectAccessRequest, olga, requested);
    transition!("RevokeInvitation", RevokeInvitationRequest, olga, invited);
    transition!("ResendInvitation", ResendInvitationRequest, olga, invited);
    rows
}

fn of_organizations(world: &World, used: &Used) -> Vec<Row> {
    let World { olga, admin, .. } = world;
    let organization = || Organization {
        display_name: "Gamma".into(),
        notification_email: "desk@gamma.example".into(),
        ..Default::default()
    };
    let create = |organization_id: &str, owner: &str, request_id: &str| pb::CreateOrganizationRequest {
        organization_id: organization_id.into(),
        organization: Some(organization()),
        owner: owner.into(),
        request_id: request_id.into(),
    };
    let update = |id: &str, etag: &str, request_id: &str| pb::UpdateOrganizationRequest {
        organization: Some(Organization { name: format!("organizations/{id}"), etag: etag.into(), ..organization() }),
        update_mask: Some(FieldMask { paths: vec!["display_name".into()] }),
        request_id: request_id.into(),
    };
    let mut rows = Vec::new();
    for (what, id) in NOT_THEIRS {
        let message = pb::GetOrganizationRequest { name: format!("organizations/{id}") };
        rows.push(refusal("GetOrganization", what, olga, &message, NotFound, "ORGANIZATION_NOT_FOUND"));
        let name = format!("organizations/{id}");
        let message =
            pb::ApproveOrganizationChangeRequest { name: name.clone(), etag: STALE.into(), ..Default::default() };
        rows.push(refusal("ApproveOrganizationChange", what, olga, &message, NotFound, "ORGANIZATION_NOT_FOUND"));
        let message = pb::WithdrawOrganizationChangeRequest { name, ..Default::default() };
        rows.push(refusal("WithdrawOrganizationChange", what, olga, &message, NotFound, "ORGANIZATION_NOT_FOUND"));
        let message = update(id, "", "");
        rows.push(refusal("UpdateOrganization", what, olga, &message, NotFound, "ORGANIZATION_NOT_FOUND"));
        let code = used.code.clone();
        let name = format!("organizations/{id}");
        let message = pb::VerifyNotificationEmailRequest { name, code, ..Default::default() };
        rows.push(refusal("VerifyNotificationEmail", what, olga, &message, NotFound, "ORGANIZATION_NOT_FOUND"));
    }
    let message = update("acme", STALE, "");
    rows.push(refusal("UpdateOrganization", "a stale etag", olga, &message, Aborted, "ETAG_MISMATCH"));
    let message = update("acme", "", USED);
    rows.push(refusal("UpdateOrganization", "a used id", olga, &message, FailedPrecondition, "REQUEST_ID_REUSED"));

    let (name, none) = ("organizations/acme".to_owned(), "NO_PENDING_CHANGE");
    let message = pb::ApproveOrganizationChangeRequest { name: name.clone(), etag: STALE.into(), ..Default::default() };
    rows.push(refusal("ApproveOrganizationChange", "nothing", olga, &message, FailedPrecondition, none));
    let message = pb::WithdrawOrganizationChangeRequest { name, ..Default::default() };
    rows.push(refusal("WithdrawOrganizationChange", "nothing", olga, &message, FailedPrecondition, none));

    let message = create("beta", "", "");
    rows.push(refusal("CreateOrganization", "a taken slug", olga, &message, AlreadyExists, "ORGANIZATION_EXISTS"));
    let message = create("acme", "", USED);
    rows.push(refusal("CreateOrganization", "a used id", olga, &message, FailedPrecondition, "REQUEST_ID_REUSED"));
    let message = create("gamma", "accounts/zoe", "");
    rows.push(refusal("CreateOrganization", "an unknown owner", admin, &message, NotFound, "ACCOUNT_NOT_FOUND"));
    // who owns it is the caller's account or named by a service, which counts among the bad fields
    let mut message = create("gamma", "accounts/olga", "1");
    message.organization = None;
    let mut row = refusal("CreateOrganization", "an owner from an account", olga, &message, NotFound, "");
    let paths = vec!["organization.display_name", "organization.notification_email", "owner", "request_id"];
    row.expected = Expected::Fields("FIELD_INVALID", paths);
    rows.push(row);
    rows
}

fn of_members(world: &World, _: &Used) -> Vec<Row> {
    let World { olga, bare, foreign, .. } = world;
    let update = |name: &str, etag: &str, request_id: &str| pb::UpdateMemberRequest {
        member: Some(Member { name: name.into(), role: Role::None.into(), etag: etag.into(), ..Default::default() }),
        update_mask: None,
        request_id: request_id.into(),
    };
    let mut rows = Vec::new();
    for (what, name) in [
        ("an unknown member", "organizations/acme/members/zoe"),
        ("of an unknown organization", "organizations/nowhere/members/max"),
        ("a foreign member", "organizations/beta/members/mia"),
        ("a foreign member under one's own organization", "organizations/acme/members/mia"),
    ] {
        let message = pb::GetMemberRequest { name: name.into() };
        rows.push(refusal("GetMember", what, olga, &message, NotFound, "MEMBER_NOT_FOUND"));
        rows.push(refusal("UpdateMember", what, olga, &update(name, "", ""), NotFound, "MEMBER_NOT_FOUND"));
        let message = pb::DeleteMemberRequest { name: name.into(), ..Default::default() };
        rows.push(refusal("DeleteMember", what, olga, &message, NotFound, "MEMBER_NOT_FOUND"));
    }
    let list = pb::ListOrganizationsRequest::default();
    rows.push(refusal("ListOrganizations", "without a scope", bare, &list, PermissionDenied, "SCOPE_REQUIRED"));
    for (what, id) in NOT_THEIRS {
        let message = pb::ListMembersRequest { parent: format!("organizations/{id}"), ..Default::default() };
        rows.push(refusal("ListMembers", what, olga, &message, NotFound, "ORGANIZATION_NOT_FOUND"));
    }
    let max = "organizations/acme/members/max";
    rows.push(refusal("UpdateMember", "a stale etag", olga, &update(max, STALE, ""), Aborted, "ETAG_MISMATCH"));
    let message = update(max, "", USED);
    rows.push(refusal("UpdateMember", "a used id", olga, &message, FailedPrecondition, "REQUEST_ID_REUSED"));
    let delete = pb::DeleteMemberRequest { name: max.into(), ..Default::default() };
    let stale = pb::DeleteMemberRequest { etag: STALE.into(), ..delete.clone() };
    rows.push(refusal("DeleteMember", "a stale etag", olga, &stale, Aborted, "ETAG_MISMATCH"));
    let reused = pb::DeleteMemberRequest { request_id: USED.into(), ..delete };
    rows.push(refusal("DeleteMember", "a used id", olga, &reused, FailedPrecondition, "REQUEST_ID_REUSED"));

    let (parent, invitation) = ("organizations/acme".into(), foreign.name.clone());
    let message = pb::ListEventsRequest { parent, invitation, ..Default::default() };
    let mut row = refusal("ListEvents", "a foreign invitation", olga, &message, NotFound, "");
    row.expected = Expected::Fields("FIELD_INVALID", vec!["invitation"]);
    rows.push(row);
    rows
}

fn of_accounts(world: &World, used: &Used) -> Vec<Row> {
    let World { olga, nobody, admin, bare, .. } = world;
    let Used { ruth, .. } = used;
    let create = |account_id: &str, request_id: &str| pb::CreateAccountRequest {
        account_id: account_id.into(),
        request_id: request_id.into(),
        ..Default::default()
    };
    let delete =
        |name: &str, request_id: &str| pb::DeleteAccountRequest { name: name.into(), request_id: request_id.into() };
    let mut rows = Vec::new();
    for name in ["accounts/rosa", "accounts/nobody-at-all"] {
        let message = pb::GetAccountRequest { name: name.into() };
        rows.push(refusal("GetAccount", name, olga, &message, NotFound, "ACCOUNT_NOT_FOUND"));
        rows.push(refusal("DeleteAccount", name, olga, &delete(name, ""), NotFound, "ACCOUNT_NOT_FOUND"));
        let message = pb::ListAccountMembershipsRequest { parent: name.into(), ..Default::default() };
        rows.push(refusal("ListAccountMemberships", name, olga, &message, NotFound, "ACCOUNT_NOT_FOUND"));
    }
    let unknown = delete("accounts/nobody-at-all", "");
    rows.push(refusal("DeleteAccount", "an unknown one, by a service", admin, &unknown, NotFound, "ACCOUNT_NOT_FOUND"));
    let own = delete("accounts/me", "");
    rows.push(refusal("DeleteAccount", "the last owner's", olga, &own, FailedPrecondition, "LAST_OWNER"));
    rows.push(refusal("DeleteAccount", "without one", nobody, &own, FailedPrecondition, "ACCOUNT_REQUIRED"));
    rows.push(refusal("DeleteAccount", "a service's own", bare, &own, PermissionDenied, "PERSON_REQUIRED"));
    let message = delete("accounts/me", USED);
    rows.push(refusal("DeleteAccount", "a used id", ruth, &message, FailedPrecondition, "REQUEST_ID_REUSED"));
    rows.push(refusal("CreateAccount", "a taken name", nobody, &create("olga", ""), AlreadyExists, "USERNAME_TAKEN"));
    rows.push(refusal("CreateAccount", "a second one", olga, &create("olga-two", ""), AlreadyExists, "ACCOUNT_EXISTS"));
    rows.push(refusal(
        "CreateAccount",
        "by a service",
        admin,
        &create("robot", ""),
        PermissionDenied,
        "PERSON_REQUIRED",
    ));
    let message = create("ruth-two", USED);
    rows.push(refusal("CreateAccount", "a used id", ruth, &message, FailedPrecondition, "REQUEST_ID_REUSED"));
    rows
}

fn of_mail(world: &World, _: &Used) -> Vec<Row> {
    let World { olga, admin, bare, .. } = world;
    let (email, request_id) = (String::from("anna@example.com"), String::from(USED));
    let suppress = pb::SuppressEmailRequest { email: email.clone(), request_id: request_id.clone() };
    let unsuppress = pb::UnsuppressEmailRequest { email, request_id };
    let mut rows = Vec::new();
    for (what, caller) in [("by an owner", olga), ("without the scope", bare)] {
        rows.push(refusal("SuppressEmail", what, caller, &suppress, PermissionDenied, "SCOPE_REQUIRED"));
        rows.push(refusal("UnsuppressEmail", what, caller, &unsuppress, PermissionDenied, "SCOPE_REQUIRED"));
    }
    let reused = (FailedPrecondition, "REQUEST_ID_REUSED");
    rows.push(refusal("SuppressEmail", "a used id", admin, &suppress, reused.0, reused.1));
    rows.push(refusal("UnsuppressEmail", "a used id", admin, &unsuppress, reused.0, reused.1));
    rows
}
