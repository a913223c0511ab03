//! The form of each RPC: a good request, and how each of its fields goes bad.

use invitations::pb::{self, Invitation, Member, Organization, Policy, Role};
use prost_types::{Duration, FieldMask};

use super::fields::{
    Form, account, display_name, email, etag, id, invitation, locale, member, numbers, organization, other,
    other_account, page_size, page_token, request_id, required, required_role, role, text, texts, username,
};
use super::{Row, World};
use crate::support::{Person, with_a_typo};

/// A request id that `admin` has used for something else.
pub(super) const ID: &str = "0b7e6c0a-5a3e-4a59-9a4c-0d3c5d1f8f11";
const ETAG: &str = "b40711a88c703975";

pub(super) fn rows(world: &World) -> Vec<Row> {
    let parts = [of_invitations, of_transitions, of_organizations, of_members, of_accounts, of_mail];
    parts.into_iter().flat_map(|rows| rows(world)).collect()
}

fn acme() -> String {
    "organizations/acme".to_owned()
}

#[expect(clippy::too_many_lines, reason = "a form for each request")]
fn of_invitations(world: &World) -> Vec<Row> {
    let World { olga, bare, tokens, invited, .. } = world;
    let form = || (olga.clone(), bare.clone());
    let mut rows = Vec::new();

    let (caller, control) = form();
    let good = pb::CreateInvitationRequest {
        parent: acme(),
        invitation: Some(Invitation { email: "new@example.com".into(), locale: "de".into(), ..Default::default() }),
        request_id: ID.into(),
        validate_only: false,
    };
    let fields = vec![
        organization("parent", |m: &mut pb::CreateInvitationRequest| &mut m.parent),
        required(email("invitation.email", |m| &mut m.invitation.get_or_insert_default().email)),
        locale("invitation.locale", |m| &mut m.invitation.get_or_insert_default().locale),
        // with a name in them: tests/it/flow/annotations.rs
        other(
            "invitation.annotations",
            &[("many", |m: &mut pb::CreateInvitationRequest| {
                let pairs = (0..17).map(|n| (format!("k{n}"), "v".to_owned()));
                m.invitation.get_or_insert_default().annotations = pairs.collect();
            })],
        )
        .told("FIELD_TOO_MANY")
        .and(
            other(
                "invitation.annotations",
                &[("a long key", |m: &mut pb::CreateInvitationRequest| {
                    m.invitation.get_or_insert_default().annotations = [("k".repeat(60_000), "v".to_owned())].into();
                })],
            )
            .told("FIELD_TOO_LONG"),
        ),
        request_id(|m| &mut m.request_id),
    ];
    let form_of = Form { rpc: "CreateInvitation", caller, control, good, fields };
    rows.extend(form_of.rows());
    let mut dry = form_of;
    dry.good.validate_only = true;
    rows.extend(dry.rows());

    let (caller, control) = form();
    let row = pb::CreateInvitationRequest {
        invitation: Some(Invitation { email: "row@example.com".into(), ..Default::default() }),
        ..Default::default()
    };
    let good = pb::BatchCreateInvitationsRequest {
        parent: acme(),
        requests: vec![row],
        request_id: ID.into(),
        validate_only: false,
    };
    // what is wrong with a row is in its status: tests/it/bulk/rows.rs
    let rows_of =
        |path, what, fault, bad: fn(&mut pb::BatchCreateInvitationsRequest)| other(path, &[(what, bad)]).told(fault);
    let fields = vec![
        organization("parent", |m: &mut pb::BatchCreateInvitationsRequest| &mut m.parent),
        required(rows_of("requests", "none", "FIELD_MISSING", |m| m.requests.clear()).and(rows_of(
            "requests",
            "many",
            "FIELD_TOO_MANY",
            |m| m.requests = vec![m.requests[0].clone(); 1001],
        ))),
        request_id(|m| &mut m.request_id),
    ];
    rows.extend(Form { rpc: "BatchCreateInvitations", caller, control, good, fields }.rows());

    let (caller, control) = form();
    let good = pb::GetInvitationRequest { name: invited.name.clone() };
    let fields = vec![invitation("name", |m: &mut pb::GetInvitationRequest| &mut m.name)];
    rows.extend(Form { rpc: "GetInvitation", caller, control, good, fields }.rows());

    let (caller, control) = form();
    let good = pb::BatchGetInvitationsRequest { parent: acme(), names: vec![invited.name.clone()] };
    // one by one: tests/it/lists/named.rs
    let fields = vec![
        organization("parent", |m: &mut pb::BatchGetInvitationsRequest| &mut m.parent),
        required(
            other("names", &[("none", |m: &mut pb::BatchGetInvitationsRequest| m.names = Vec::new())])
                .told("FIELD_MISSING")
                .and(
                    other(
                        "names",
                        &[("many", |m: &mut pb::BatchGetInvitationsRequest| {
                            m.names = vec![m.names[0].clone(); 1001];
                        })],
                    )
                    .told("FIELD_TOO_MANY"),
                ),
        ),
    ];
    rows.extend(Form { rpc: "BatchGetInvitations", caller, control, good, fields }.rows());

    let (caller, control) = form();
    let good = pb::ListInvitationsRequest {
        parent: acme(),
        page_size: 10,
        page_token: tokens.invitations.clone(),
        ..Default::default()
    };
    let foreign = [&tokens.members, &tokens.filtered_invitations, &tokens.events, &tokens.account_invitations];
    let fields = vec![
        organization("parent", |m: &mut pb::ListInvitationsRequest| &mut m.parent),
        page_size(|m| &mut m.page_size),
        other(
            "states",
            &[
                ("unknown", |m: &mut pb::ListInvitationsRequest| m.states = vec![99]),
                ("unspecified", |m| m.states = vec![0]),
                ("negative", |m| m.states = vec![-1]),
            ],
        )
        .told("FIELD_UNKNOWN_VALUE")
        .and(
            other("states", &[("twice", |m: &mut pb::ListInvitationsRequest| m.states = vec![1, 2, 1])])
                .told("FIELD_CONFLICT"),
        )
        .and(
            other("states", &[("many", |m: &mut pb::ListInvitationsRequest| m.states = vec![1; 1000])])
                .told("FIELD_TOO_MANY"),
        ),
        email("email", |m| &mut m.email),
        text(
            "filter",
            |m: &mut pb::ListInvitationsRequest| &mut m.filter,
            "state = INVITED",
            &[
                "INVITED",
                "NOT state = INVITED",
                "state != INVITED",
                "email = *@example.com",
                "has(email)",
                "role = OWNER",
                "state = (INVITED",
                "state = INVITED OR email = anna@example.com",
                "create_time > yesterday",
                "state = INVITED order by create_time",
            ],
        )
        .and(
            texts(
                "filter",
                |m: &mut pb::ListInvitationsRequest| &mut m.filter,
                ["state = OPEN", "deliveries.state:SENT"].map(str::to_owned),
            )
            .told("FIELD_UNKNOWN_VALUE"),
        ),
        page_token(|m| &mut m.page_token, &foreign),
    ];
    rows.extend(Form { rpc: "ListInvitations", caller, control, good, fields }.rows());

    let (caller, control) = (world.otto.clone(), bare.clone());
    let page_token_of = tokens.account_invitations.clone();
    let good =
        pb::ListAccountInvitationsRequest { parent: "accounts/otto".into(), page_size: 10, page_token: page_token_of };
    let fields = vec![
        account("parent", |m: &mut pb::ListAccountInvitationsRequest| &mut m.parent),
        page_size(|m| &mut m.page_size),
        page_token(|m| &mut m.page_token, &[&tokens.memberships, &tokens.invitations]),
    ];
    rows.extend(Form { rpc: "ListAccountInvitations", caller, control, good, fields }.rows());
    rows
}

fn of_transitions(world: &World) -> Vec<Row> {
    let World { olga, moa, otto, bare, invited, pending, offered, requested, code, .. } = world;
    /// A request with nothing but `name`, `etag` and `request_id`.
    macro_rules! transition {
        ($rpc:literal, $message:ident, $caller:expr, $invitation:expr) => {{
            let mut good = pb::$message::default();
            good.name.clone_from(&$invitation.name);
            (good.etag, good.request_id) = (ETAG.into(), ID.into());
            let fields = vec![
                invitation("name", |m: &mut pb::$message| &mut m.name),
                etag("etag", |m| &mut m.etag),
                request_id(|m| &mut m.request_id),
            ];
            Form { rpc: $rpc, caller: Person::clone($caller), control: bare.clone(), good, fields }.rows()
        }};
    }
    let mut rows = transition!("AcceptInvitation", AcceptInvitationRequest, otto, offered);
    rows.extend(transition!("DeclineInvitation", DeclineInvitationRequest, otto, offered));
    rows.extend(transition!("ApproveOffer", ApproveOfferRequest, moa, pending));
    rows.extend(transition!("RejectAccess", RejectAccessRequest, olga, requested));
    rows.extend(transition!("RevokeInvitation", RevokeInvitationRequest, olga, invited));
    let (caller, control) = (olga.clone(), bare.clone());
    let good = pb::RevokeInvitationsRequest {
        parent: acme(),
        filter: "email = \"nobody@example.com\"".into(),
        request_id: ID.into(),
        validate_only: false,
    };
    let bad = [
        "",
        "state",
        "state = ",
        "state = OPEN",
        "foo = bar",
        "state != INVITED",
        "NOT state = INVITED",
        "((((",
        "\0",
        "é",
    ];
    let bad = bad.map(str::to_owned).into_iter().chain(["a".repeat(60_000), "(".repeat(60_000)]);
    let fields = vec![
        organization("parent", |m: &mut pb::RevokeInvitationsRequest| &mut m.parent),
        required(texts("filter", |m| &mut m.filter, bad)),
        request_id(|m| &mut m.request_id),
    ];
    let form_of = Form { rpc: "RevokeInvitations", caller, control, good, fields };
    rows.extend(form_of.rows());
    let mut dry = form_of;
    dry.good.validate_only = true;
    rows.extend(dry.rows());
    rows.extend(transition!("ResendInvitation", ResendInvitationRequest, olga, invited));

    let good = pb::OfferMembershipRequest {
        parent: acme(),
        username: "rita".into(),
        email: "rita@example.com".into(),
        role: Role::Reader.into(),
        request_id: ID.into(),
    };
    let fields = vec![
        organization("parent", |m: &mut pb::OfferMembershipRequest| &mut m.parent),
        other_account("username", |m| &mut m.username),
        required(email("email", |m| &mut m.email)),
        required_role("role", |m| &mut m.role),
        request_id(|m| &mut m.request_id),
    ];
    let (caller, control) = (olga.clone(), bare.clone());
    rows.extend(Form { rpc: "OfferMembership", caller, control, good, fields }.rows());

    let good = pb::RequestAccessRequest { code: code.clone(), request_id: ID.into() };
    let long = [String::new(), "x".repeat(65), format!("{code}{}", " ".repeat(2048)), "x".repeat(60_000)];
    let one_wrong = with_a_typo(code);
    let mistyped = ["\0", "\u{1b}", "\u{663}", "\u{ff11}", "0"].map(|end| format!("{code}{end}"));
    let fields = vec![
        required(
            texts("code", code_of, mistyped.into_iter().chain([one_wrong, "K7QW".into(), "-".into(), "é".into()]))
                .because("CODE_MISTYPED")
                .and(texts("code", code_of, long)),
        ),
        request_id(|m| &mut m.request_id),
    ];
    let (caller, control) = (otto.clone(), bare.clone());
    rows.extend(Form { rpc: "RequestAccess", caller, control, good, fields }.rows());
    rows
}

fn code_of(message: &mut pb::RequestAccessRequest) -> &mut String {
    &mut message.code
}

#[expect(clippy::too_many_lines, reason = "two requests of many fields")]
fn of_organizations(world: &World) -> Vec<Row> {
    let World { olga, admin, bare, .. } = world;
    let set = Organization {
        name: acme(),
        display_name: "Acme".into(),
        notification_email: "desk@acme.example".into(),
        locale: "de".into(),
        policy: Some(Policy { reminders_disabled: true, ..Default::default() }),
        seat_limit: Some(7),
        ..Default::default()
    };
    /// The fields of `Organization.limits`, the same for both calls.
    macro_rules! limits {
        ($message:ident) => {{
            type M = pb::$message;
            fn of(m: &mut M) -> &mut pb::OrganizationLimits {
                m.organization.get_or_insert_default().limits.get_or_insert_default()
            }
            [
                other(
                    "organization.limits.invitations_per_day",
                    &[
                        ("negative", |m: &mut M| of(m).invitations_per_day = Some(-1)),
                        ("huge", |m: &mut M| of(m).invitations_per_day = Some(1_000_001)),
                    ],
                )
                .told("FIELD_OUT_OF_RANGE"),
                other(
                    "organization.limits.open_invitations",
                    &[("negative", |m: &mut M| of(m).open_invitations = Some(-1))],
                )
                .told("FIELD_OUT_OF_RANGE"),
            ]
        }};
    }
    /// The fields of `Organization.policy`, the same for both calls.
    macro_rules! policy {
        ($message:ident) => {{
            type M = pb::$message;
            fn policy(m: &mut M) -> &mut Policy {
                m.organization.get_or_insert_default().policy.get_or_insert_default()
            }
            fn duration(seconds: i64, nanos: i32) -> Option<Duration> {
                Some(Duration { seconds, nanos })
            }
            vec![
                other::<M>(
                    "organization.policy.allowed_email_domains",
                    &[
                        ("with an @", |m| policy(m).allowed_email_domains = vec!["@example.com".into()]),
                        ("a wildcard", |m| {
                            policy(m).allowed_email_domains = vec!["example.com".into(), "*.example.com".into()]
                        }),
                        ("empty", |m| policy(m).allowed_email_domains = vec![String::new()]),
                        ("one label", |m| policy(m).allowed_email_domains = vec!["localhost".into()]),
                        ("NUL", |m| policy(m).allowed_email_domains = vec!["exa\0mple.com".into()]),
                    ],
                )
                .and(
                    other(
                        "organization.policy.allowed_email_domains",
                        &[("too many", |m: &mut M| policy(m).allowed_email_domains = vec!["a.example".into(); 101])],
                    )
                    .told("FIELD_TOO_MANY"),
                ),
                other(
                    "organization.policy.blocked_email_domains",
                    &[
                        ("an address", |m| policy(m).blocked_email_domains = vec!["anna@example.com".into()]),
                        ("too long", |m| policy(m).blocked_email_domains = vec![format!("{}.com", "a".repeat(300))]),
                    ],
                )
                .and(
                    other(
                        "organization.policy.blocked_email_domains",
                        &[("too many", |m: &mut M| policy(m).blocked_email_domains = vec!["a.example".into(); 101])],
                    )
                    .told("FIELD_TOO_MANY"),
                ),
                other(
                    "organization.policy.allowed_providers",
                    &[
                        ("empty", |m| policy(m).allowed_providers = vec![String::new()]),
                        ("control characters", |m| policy(m).allowed_providers = vec!["git\u{7}hub".into()]),
                        ("too long", |m| policy(m).allowed_providers = vec!["x".repeat(65)]),
                    ],
                )
                .and(
                    other(
                        "organization.policy.allowed_providers",
                        &[("too many", |m: &mut M| policy(m).allowed_providers = vec!["github".into(); 101])],
                    )
                    .told("FIELD_TOO_MANY"),
                ),
                numbers("organization.policy.address_match", |m| &mut policy(m).address_match, &[99, -1]),
                other(
                    "organization.policy.invitation_lifetime",
                    &[
                        ("short", |m| policy(m).invitation_lifetime = duration(3599, 0)),
                        ("long", |m| policy(m).invitation_lifetime = duration(2_592_001, 0)),
                        ("broken", |m| policy(m).invitation_lifetime = duration(7200, 1)),
                        ("huge", |m| policy(m).invitation_lifetime = duration(i64::MAX, i32::MAX)),
                        ("negative", |m| policy(m).invitation_lifetime = duration(i64::MIN, i32::MIN)),
                    ],
                )
                .told("FIELD_OUT_OF_RANGE"),
                other(
                    "organization.policy.offer_lifetime",
                    &[
                        ("zero", |m| policy(m).offer_lifetime = duration(0, 0)),
                        ("long", |m| policy(m).offer_lifetime = duration(2_592_001, 0)),
                    ],
                )
                .told("FIELD_OUT_OF_RANGE"),
                other(
                    "organization.policy.max_attestation_age",
                    &[
                        ("zero", |m| policy(m).max_attestation_age = duration(0, 0)),
                        ("long", |m| policy(m).max_attestation_age = duration(2_592_001, 0)),
                    ],
                )
                .told("FIELD_OUT_OF_RANGE"),
                role("organization.policy.approval_role", |m| &mut policy(m).approval_role),
            ]
        }};
    }
    let mut rows = Vec::new();

    let good = pb::CreateOrganizationRequest {
        organization_id: "gamma".into(),
        organization: Some(set.clone()),
        owner: "accounts/olga".into(),
        request_id: ID.into(),
    };
    let mut fields = vec![
        // a service may grant a reserved one
        username("organization_id", |m: &mut pb::CreateOrganizationRequest| &mut m.organization_id),
        required(display_name("organization.display_name", |m| {
            &mut m.organization.get_or_insert_default().display_name
        })),
        required(email("organization.notification_email", |m| {
            &mut m.organization.get_or_insert_default().notification_email
        })),
        locale("organization.locale", |m| &mut m.organization.get_or_insert_default().locale),
    ];
    fields.extend(policy!(CreateOrganizationRequest));
    fields.extend([other(
        "organization.seat_limit",
        &[("negative", |m: &mut pb::CreateOrganizationRequest| {
            m.organization.get_or_insert_default().seat_limit = Some(-1);
        })],
    )
    .told("FIELD_OUT_OF_RANGE")]);
    fields.extend(limits!(CreateOrganizationRequest));
    fields.extend([
        other_account("owner", |m: &mut pb::CreateOrganizationRequest| &mut m.owner),
        request_id(|m| &mut m.request_id),
    ]);
    let (caller, control) = (admin.clone(), bare.clone());
    let form = Form { rpc: "CreateOrganization", caller, control, good, fields };
    rows.extend(form.rows());

    let good = pb::UpdateOrganizationRequest {
        organization: Some(Organization { etag: ETAG.into(), ..set }),
        update_mask: None,
        request_id: ID.into(),
    };
    let mut fields = vec![
        organization("organization.name", |m: &mut pb::UpdateOrganizationRequest| {
            &mut m.organization.get_or_insert_default().name
        }),
        other(
            "update_mask",
            &[
                ("unknown", |m: &mut pb::UpdateOrganizationRequest| m.update_mask = mask(&["*", "colour"])),
                ("of another message", |m| m.update_mask = mask(&["organization.display_name"])),
                ("below a name", |m| m.update_mask = mask(&["seats_taken.name"])),
                ("an unknown field of policy", |m| m.update_mask = mask(&["policy.colour"])),
                ("empty", |m| m.update_mask = mask(&[""])),
                ("NUL", |m| m.update_mask = mask(&["display_name\0"])),
                ("long", |m| m.update_mask = mask(&["x".repeat(60_000).as_str()])),
            ],
        )
        .told("FIELD_UNKNOWN_PATH")
        .and(
            other(
                "update_mask",
                &[("of many", |m: &mut pb::UpdateOrganizationRequest| m.update_mask = mask(&["locale"; 101]))],
            )
            .told("FIELD_TOO_MANY"),
        ),
        display_name("organization.display_name", |m| &mut m.organization.get_or_insert_default().display_name),
        email("organization.notification_email", |m| &mut m.organization.get_or_insert_default().notification_email),
        locale("organization.locale", |m| &mut m.organization.get_or_insert_default().locale),
        other(
            "organization.seat_limit",
            &[("negative", |m: &mut pb::UpdateOrganizationRequest| {
                m.organization.get_or_insert_default().seat_limit = Some(-1);
            })],
        )
        .told("FIELD_OUT_OF_RANGE"),
    ];
    fields.extend(limits!(UpdateOrganizationRequest));
    fields.push(etag("organization.etag", |m: &mut pb::UpdateOrganizationRequest| {
        &mut m.organization.get_or_insert_default().etag
    }));
    fields.extend(policy!(UpdateOrganizationRequest));
    fields.push(request_id(|m| &mut m.request_id));
    let (caller, control) = (olga.clone(), bare.clone());
    rows.extend(Form { rpc: "UpdateOrganization", caller, control, good, fields }.rows());

    let good = pb::ApproveOrganizationChangeRequest { name: acme(), etag: ETAG.into(), request_id: ID.into() };
    let fields = vec![
        organization("name", |m: &mut pb::ApproveOrganizationChangeRequest| &mut m.name),
        required(etag("etag", |m| &mut m.etag)),
        request_id(|m| &mut m.request_id),
    ];
    let (caller, control) = (olga.clone(), bare.clone());
    rows.extend(Form { rpc: "ApproveOrganizationChange", caller, control, good, fields }.rows());

    let good = pb::WithdrawOrganizationChangeRequest { name: acme(), etag: ETAG.into(), request_id: ID.into() };
    let fields = vec![
        organization("name", |m: &mut pb::WithdrawOrganizationChangeRequest| &mut m.name),
        etag("etag", |m| &mut m.etag),
        request_id(|m| &mut m.request_id),
    ];
    let (caller, control) = (olga.clone(), bare.clone());
    rows.extend(Form { rpc: "WithdrawOrganizationChange", caller, control, good, fields }.rows());

    let good = pb::GetOrganizationRequest { name: acme() };
    let fields = vec![organization("name", |m: &mut pb::GetOrganizationRequest| &mut m.name)];
    let (caller, control) = (olga.clone(), bare.clone());
    rows.extend(Form { rpc: "GetOrganization", caller, control, good, fields }.rows());

    let good = pb::VerifyNotificationEmailRequest { name: acme(), code: world.code.clone(), request_id: ID.into() };
    let mistyped = ["\0", "\u{1b}", "0"].map(|end| format!("{}{end}", world.code));
    let fields = vec![
        organization("name", |m: &mut pb::VerifyNotificationEmailRequest| &mut m.name),
        required(
            texts("code", address_code_of, mistyped.into_iter().chain([with_a_typo(&world.code), "é".into()]))
                .because("CODE_MISTYPED"),
        ),
        request_id(|m| &mut m.request_id),
    ];
    let (caller, control) = (olga.clone(), bare.clone());
    rows.extend(Form { rpc: "VerifyNotificationEmail", caller, control, good, fields }.rows());
    rows
}

fn address_code_of(message: &mut pb::VerifyNotificationEmailRequest) -> &mut String {
    &mut message.code
}

#[expect(clippy::unnecessary_wraps, reason = "as the field wants it")]
fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

fn of_members(world: &World) -> Vec<Row> {
    let World { olga, bare, tokens, requested, .. } = world;
    let form = || (olga.clone(), bare.clone());
    let max = || "organizations/acme/members/max".to_owned();
    let mut rows = Vec::new();

    let (caller, control) = form();
    let good = pb::GetMemberRequest { name: max() };
    let fields = vec![member("name", |m: &mut pb::GetMemberRequest| &mut m.name)];
    rows.extend(Form { rpc: "GetMember", caller, control, good, fields }.rows());

    let (caller, control) = form();
    let good = pb::ListOrganizationsRequest { page_size: 10, page_token: tokens.organizations.clone() };
    let fields = vec![
        page_size(|m: &mut pb::ListOrganizationsRequest| &mut m.page_size),
        page_token(|m| &mut m.page_token, &[&tokens.members, &tokens.memberships]),
    ];
    rows.extend(Form { rpc: "ListOrganizations", caller, control, good, fields }.rows());

    let (caller, control) = form();
    let good = pb::ListMembersRequest { parent: acme(), page_size: 10, page_token: tokens.members.clone() };
    let fields = vec![
        organization("parent", |m: &mut pb::ListMembersRequest| &mut m.parent),
        page_size(|m| &mut m.page_size),
        page_token(|m| &mut m.page_token, &[&tokens.foreign_members, &tokens.memberships, &tokens.events]),
    ];
    rows.extend(Form { rpc: "ListMembers", caller, control, good, fields }.rows());

    let (caller, control) = form();
    let good = pb::UpdateMemberRequest {
        member: Some(Member { name: max(), role: Role::None.into(), etag: ETAG.into(), ..Default::default() }),
        update_mask: None,
        request_id: ID.into(),
    };
    let fields = vec![
        member("member.name", |m: &mut pb::UpdateMemberRequest| &mut m.member.get_or_insert_default().name),
        required_role("member.role", |m| &mut m.member.get_or_insert_default().role),
        etag("member.etag", |m| &mut m.member.get_or_insert_default().etag),
        other(
            "update_mask",
            &[
                ("another field", |m: &mut pb::UpdateMemberRequest| m.update_mask = mask(&["role", "colour"])),
                ("empty", |m| m.update_mask = mask(&[""])),
                ("NUL", |m| m.update_mask = mask(&["role\0"])),
            ],
        )
        .told("FIELD_UNKNOWN_PATH"),
        request_id(|m| &mut m.request_id),
    ];
    rows.extend(Form { rpc: "UpdateMember", caller, control, good, fields }.rows());

    let (caller, control) = form();
    let good = pb::DeleteMemberRequest { name: max(), etag: ETAG.into(), request_id: ID.into() };
    let fields = vec![
        member("name", |m: &mut pb::DeleteMemberRequest| &mut m.name),
        etag("etag", |m| &mut m.etag),
        request_id(|m| &mut m.request_id),
    ];
    rows.extend(Form { rpc: "DeleteMember", caller, control, good, fields }.rows());

    let (caller, control) = form();
    let page_token_of = tokens.invitation_events.clone();
    let invitation_of = requested.name.clone();
    let good =
        pb::ListEventsRequest { parent: acme(), invitation: invitation_of, page_size: 10, page_token: page_token_of };
    let good_name = &requested.name;
    let malformed = ["invitations/1", "organizations/acme", &good_name.to_uppercase(), &world.foreign.name];
    let fields = vec![
        organization("parent", |m: &mut pb::ListEventsRequest| &mut m.parent),
        page_size(|m| &mut m.page_size),
        text("invitation", |m| &mut m.invitation, good_name, &malformed),
        page_token(|m| &mut m.page_token, &[&tokens.events, &tokens.members, &tokens.invitations]),
    ];
    rows.extend(Form { rpc: "ListEvents", caller, control, good, fields }.rows());

    let (caller, control) = form();
    let good = pb::WatchEventsRequest { parent: acme(), filter: "kind = INVITED".into(), ..Default::default() };
    let filters = [
        "kind",
        "kind = NOTHING",
        "state = INVITED",
        "kind = INVITED OR actor = \"accounts/ada\"",
        "NOT kind = INVITED",
    ];
    let tokens = ["x", "/////", "AAAA=", "AAAAAAAAAABhbm5h", &tokens.events, &tokens.members];
    let fields = vec![
        organization("parent", |m: &mut pb::WatchEventsRequest| &mut m.parent),
        texts("filter", |m| &mut m.filter, filters.map(str::to_owned)),
        text("resume_token", |m: &mut pb::WatchEventsRequest| &mut m.resume_token, "AAAAAAAAAABhbm5h", &tokens)
            .because("RESUME_TOKEN_INVALID"),
    ];
    rows.extend(Form { rpc: "WatchEvents", caller, control, good, fields }.rows());
    rows
}

fn of_accounts(world: &World) -> Vec<Row> {
    let World { olga, nobody, bare, tokens, .. } = world;
    let form = || (olga.clone(), bare.clone());
    let own = || "accounts/olga".to_owned();
    let mut rows = Vec::new();

    let (caller, control) = (nobody.clone(), olga.clone());
    let account_of = Some(pb::Account { display_name: "Anna".into(), ..Default::default() });
    let good = pb::CreateAccountRequest { account_id: "anna".into(), account: account_of, request_id: ID.into() };
    let fields = vec![
        id("account_id", |m: &mut pb::CreateAccountRequest| &mut m.account_id),
        display_name("account.display_name", |m| &mut m.account.get_or_insert_default().display_name),
        request_id(|m| &mut m.request_id),
    ];
    rows.extend(Form { rpc: "CreateAccount", caller, control, good, fields }.rows());

    let (caller, control) = form();
    let fields = vec![account("name", |m: &mut pb::GetAccountRequest| &mut m.name)];
    let good = pb::GetAccountRequest { name: own() };
    rows.extend(Form { rpc: "GetAccount", caller, control, good, fields }.rows());

    let (caller, control) = form();
    let good = pb::DeleteAccountRequest { name: own(), request_id: ID.into() };
    let fields =
        vec![account("name", |m: &mut pb::DeleteAccountRequest| &mut m.name), request_id(|m| &mut m.request_id)];
    rows.extend(Form { rpc: "DeleteAccount", caller, control, good, fields }.rows());

    let (caller, control) = form();
    let good =
        pb::ListAccountMembershipsRequest { parent: own(), page_size: 10, page_token: tokens.memberships.clone() };
    let fields = vec![
        account("parent", |m: &mut pb::ListAccountMembershipsRequest| &mut m.parent),
        page_size(|m| &mut m.page_size),
        page_token(|m| &mut m.page_token, &[&tokens.account_invitations, &tokens.members]),
    ];
    rows.extend(Form { rpc: "ListAccountMemberships", caller, control, good, fields }.rows());
    rows
}

fn of_mail(world: &World) -> Vec<Row> {
    // only services get as far as the fields, so the control is an id that is used up
    let form = || (world.admin.clone(), world.admin.clone());
    let mut rows = Vec::new();

    let (caller, control) = form();
    let good = pb::SuppressEmailRequest { email: "anna@example.com".into(), request_id: ID.into() };
    let fields = vec![
        required(email("email", |m: &mut pb::SuppressEmailRequest| &mut m.email)),
        request_id(|m| &mut m.request_id),
    ];
    rows.extend(Form { rpc: "SuppressEmail", caller, control, good, fields }.rows());

    let (caller, control) = form();
    let good = pb::UnsuppressEmailRequest { email: "anna@example.com".into(), request_id: ID.into() };
    let fields = vec![
        required(email("email", |m: &mut pb::UnsuppressEmailRequest| &mut m.email)),
        request_id(|m| &mut m.request_id),
    ];
    rows.extend(Form { rpc: "UnsuppressEmail", caller, control, good, fields }.rows());
    rows
}
