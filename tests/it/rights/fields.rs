//! Who reads sees what: the fields that are there, of one invitation, one member and one organization.

use invitations::pb;
use tonic::Status;

use crate::support::{Service, reason};

/// The names of the fields that hold something. All fields of the message have to be named.
macro_rules! shown {
    ($value:expr, $message:ident { $($field:ident),* $(,)? }) => {{
        let empty = pb::$message::default();
        let pb::$message { $($field),* } = $value;
        let fields = [$((stringify!($field), $field != empty.$field)),*];
        fields.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect::<Vec<_>>().join(" ")
    }};
}

fn invitation(outcome: Result<pb::Invitation, Status>) -> String {
    let shown = |value| {
        shown!(
            value,
            Invitation {
                name,
                state,
                email,
                account,
                account_email,
                role,
                inviter,
                offerer,
                approver,
                organization_display_name,
                locale,
                annotations,
                create_time,
                update_time,
                expire_time,
                deliveries,
                further_deliveries,
                etag,
            }
        )
    };
    outcome.map_or_else(|status| reason(Err::<(), _>(status)), shown)
}

fn member(outcome: Result<pb::Member, Status>) -> String {
    let shown = |value| shown!(value, Member { name, account, email, role, inviter, create_time, update_time, etag });
    outcome.map_or_else(|status| reason(Err::<(), _>(status)), shown)
}

fn organization(outcome: Result<pb::Organization, Status>) -> String {
    let shown = |value| {
        shown!(
            value,
            Organization {
                name,
                display_name,
                notification_email,
                locale,
                policy,
                seat_limit,
                seats_taken,
                create_time,
                update_time,
                etag,
                limits,
                pending_change,
                notification_email_verified,
            }
        )
    };
    outcome.map_or_else(|status| reason(Err::<(), _>(status)), shown)
}

/// Reader, then what they see of an invitation, of a member who is somebody else, and of the organization.
const TABLE: [(&str, &str, &str, &str); 8] = [
    ("owner", ALL_OF_INVITATION, ALL_OF_MEMBER, ALL_OF_ORGANIZATION),
    ("security-manager", ALL_OF_INVITATION, ALL_OF_MEMBER, ALL_OF_ORGANIZATION),
    ("contributor", "ROLE_REQUIRED", "name account role", SOME_OF_ORGANIZATION),
    ("reader", "ROLE_REQUIRED", "name account role", SOME_OF_ORGANIZATION),
    ("none", "ROLE_REQUIRED", "ROLE_REQUIRED", SOME_OF_ORGANIZATION),
    ("guest", SOME_OF_INVITATION, "MEMBER_NOT_FOUND", "ORGANIZATION_NOT_FOUND"),
    ("stranger", "INVITATION_NOT_FOUND", "MEMBER_NOT_FOUND", "ORGANIZATION_NOT_FOUND"),
    ("service", ALL_OF_INVITATION, ALL_OF_MEMBER, ALL_OF_ORGANIZATION),
];
const ALL_OF_INVITATION: &str = "name state email account account_email role inviter offerer approver \
                                 organization_display_name locale create_time update_time expire_time deliveries etag";
/// Without `email`: the invited address is not one of theirs.
const SOME_OF_INVITATION: &str =
    "name state account account_email role organization_display_name create_time update_time expire_time etag";
const ALL_OF_MEMBER: &str = "name account email role inviter create_time update_time etag";
const ALL_OF_ORGANIZATION: &str = "name display_name notification_email locale policy seat_limit seats_taken create_time update_time etag limits \
     pending_change notification_email_verified";
const SOME_OF_ORGANIZATION: &str = "name display_name locale create_time update_time etag";

#[tokio::test]
async fn each_reader_sees_the_fields_that_are_theirs_and_no_others() {
    let service = Service::start().await;
    let owner = service.owner("owner", "acme").await;
    let second = service.member(&owner, "acme", "second", "OWNER").await;
    for (name, role) in [
        ("security-manager", "SECURITY_MANAGER"),
        ("contributor", "CONTRIBUTOR"),
        ("reader", "READER"),
        ("none", "NONE"),
        ("target", "READER"),
    ] {
        service.member(&owner, "acme", name, role).await;
    }
    service.account("stranger").await;
    let billing = service.service("billing", &["organizations.admin"]);
    let limited = pb::Organization {
        name: "organizations/acme".to_owned(),
        seat_limit: Some(50),
        limits: Some(pb::OrganizationLimits { open_invitations: Some(50), ..Default::default() }),
        ..Default::default()
    };
    let message = pb::UpdateOrganizationRequest { organization: Some(limited), ..Default::default() };
    billing.organizations.clone().update_organization(message).await.unwrap();

    // an invitation in which every field is set: invited under another address, offered, approved
    owner.ask_for_approval_of("acme", pb::Role::Reader).await;
    let input =
        pb::Invitation { email: "guest@work.example".to_owned(), locale: "en-GB".to_owned(), ..Default::default() };
    let message = pb::CreateInvitationRequest {
        parent: "organizations/acme".to_owned(),
        invitation: Some(input),
        ..Default::default()
    };
    let name = owner.invitations.clone().create_invitation(message).await.unwrap().into_inner().name;
    let guest = service.account("guest").await;
    guest.request_access(&service.code_to("guest@work.example", 1).await).await.unwrap();
    owner.offer("acme", "guest", "guest@example.com", "READER").await.unwrap();
    second.approve(&name).await.unwrap();
    // and an organization in which a change waits
    owner.ask_for_approval_of("acme", pb::Role::Unspecified).await;

    for (reader, of_invitation, of_member, of_organization) in TABLE {
        let person = match reader {
            "service" => service.service("reporting", &["invitations.read"]),
            name => service.stranger(name, &format!("{name}@example.com")),
        };
        assert_eq!(invitation(person.get(&name).await), of_invitation, "the invitation for {reader}");
        assert_eq!(member(person.member("acme", "target").await), of_member, "the member for {reader}");
        let message = pb::GetOrganizationRequest { name: "organizations/acme".to_owned() };
        let seen = person.organizations.clone().get_organization(message).await.map(tonic::Response::into_inner);
        assert_eq!(organization(seen), of_organization, "the organization for {reader}");
        // lists show the same
        let listed = person.organizations.clone().list_organizations(pb::ListOrganizationsRequest::default()).await;
        let listed = listed.unwrap().into_inner().organizations.into_iter().find(|found| found.name.ends_with("/acme"));
        let is_there = of_organization != "ORGANIZATION_NOT_FOUND";
        assert_eq!(
            listed.map(|found| organization(Ok(found))),
            is_there.then(|| of_organization.to_owned()),
            "{reader}"
        );
        let message = pb::ListMembersRequest { parent: "organizations/acme".to_owned(), ..Default::default() };
        let listed = person.organizations.clone().list_members(message).await.map(tonic::Response::into_inner);
        let listed = listed.map(|page| page.members.into_iter().find(|member| member.name.ends_with("/target")));
        match listed {
            Ok(target) => assert_eq!(
                target.map(|target| member(Ok(target))),
                Some(of_member.to_owned()).filter(|_| reader != "none")
            ),
            Err(status) => assert_eq!(reason(Err::<(), _>(status)), "ORGANIZATION_NOT_FOUND", "{reader}"),
        }
    }
    // everybody sees themselves
    for name in ["reader", "none"] {
        let person = service.stranger(name, &format!("{name}@example.com"));
        assert_eq!(member(person.member("acme", name).await), ALL_OF_MEMBER, "{name}");
    }
    // the invitee's own list, and the invited address once it is theirs
    let mine = service.signed_in_later("guest", 10, "guest@work.example");
    assert_eq!(invitation(mine.get(&name).await), SOME_OF_INVITATION.replace("state", "state email"));
    let message = pb::ListAccountInvitationsRequest { parent: "accounts/me".to_owned(), ..Default::default() };
    let mut listed = mine.invitations.clone().list_account_invitations(message).await.unwrap().into_inner();
    assert_eq!(invitation(Ok(listed.invitations.remove(0))), SOME_OF_INVITATION.replace("state", "state email"));
}
