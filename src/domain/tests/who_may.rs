//! Who may do what with which role, as grids: `+` may, `n` hears that it does not exist, `r` ROLE_REQUIRED,
//! `g` ROLE_NOT_GRANTABLE, `s` SCOPE_REQUIRED.

use super::world::{World, acme, email, id, reason, service, user};
use crate::domain::{
    Actor, Annotations, Command, DisplayName, Edit, InvitationState as S, Invite, Member, Offer, Operation,
    OrganizationId, PolicyEdit, Refusal, Role, Scope,
};

/// Offering a role, giving it to a member, taking it away.
const GRANT: &str = "
                    NONE  READER  CONTRIBUTOR  SECURITY_MANAGER  MANAGER  OWNER
stranger            n     n       n            n                 n        n
none                r     r       r            r                 r        r
reader              r     r       r            r                 r        r
contributor         r     r       r            r                 r        r
security-manager    +     +       +            g                 g        g
manager             +     +       +            +                 +        g
owner               +     +       +            +                 +        +
deleted-owner       n     n       n            n                 n        n
service-bare        s     s       s            s                 s        s
service-write       s     s       s            s                 s        s
service-grant       +     +       +            g                 g        g
service-grant-all   +     +       +            +                 +        +
service-outside     n     n       n            n                 n        n
";

/// Approving the offer of a role, which `olga` has made. `p`: PERSON_REQUIRED.
const APPROVE: &str = "
                    NONE  READER  CONTRIBUTOR  SECURITY_MANAGER  MANAGER  OWNER
stranger            n     n       n            n                 n        n
none                r     r       r            r                 r        r
reader              r     r       r            r                 r        r
contributor         r     r       r            r                 r        r
security-manager    +     +       +            g                 g        g
manager             +     +       +            +                 +        g
owner               +     +       +            +                 +        +
deleted-owner       n     n       n            n                 n        n
service-bare        p     p       p            p                 p        p
service-grant-all   p     p       p            p                 p        p
service-outside     n     n       n            n                 n        n
";

/// Revoking and resending the offer of a role.
const HANDLE: &str = "
                    NONE  READER  CONTRIBUTOR  SECURITY_MANAGER  MANAGER  OWNER
stranger            n     n       n            n                 n        n
none                r     r       r            r                 r        r
reader              r     r       r            r                 r        r
contributor         r     r       r            r                 r        r
security-manager    +     +       +            g                 g        g
manager             +     +       +            +                 +        g
owner               +     +       +            +                 +        +
deleted-owner       n     n       n            n                 n        n
service-bare        s     s       s            s                 s        s
service-write       +     +       +            g                 g        g
service-grant       s     s       s            s                 s        s
service-grant-all   s     s       s            s                 s        s
service-outside     n     n       n            n                 n        n
";

const EDIT: &str = "
                    display_name  locale  notification_email  policy  seat_limit  name+policy
stranger            n             n       n                   n       n           n
none                r             r       r                   r       s           r
reader              r             r       r                   r       s           r
contributor         r             r       r                   r       s           r
security-manager    r             r       r                   r       s           r
manager             +             +       r                   r       s           r
owner               +             +       +                   +       s           +
deleted-owner       n             n       n                   n       n           n
service-bare        s             s       s                   s       s           s
service-write       s             s       s                   s       s           s
service-admin       +             +       +                   +       +           +
service-outside     n             n       n                   n       n           n
";

/// Row, column, cell.
fn cells(grid: &'static str) -> Vec<(&'static str, &'static str, &'static str)> {
    let mut lines = grid.trim_matches('\n').lines();
    let columns = lines.next().unwrap().split_whitespace().collect::<Vec<_>>();
    let row = |line: &'static str| {
        let (name, cells) = line.split_once(' ').unwrap();
        let cells = cells.split_whitespace().collect::<Vec<_>>();
        assert_eq!(cells.len(), columns.len(), "{name}");
        columns.iter().zip(cells).map(move |(column, cell)| (name, *column, cell)).collect::<Vec<_>>()
    };
    lines.flat_map(row).collect()
}

fn world() -> World {
    let mut world = World::empty();
    for role in Role::ALL {
        let name = role.as_str().to_lowercase().replace('_', "-");
        world.account(&name, "github", &[]);
        world.member(&name, role);
    }
    world.member("deleted-owner", Role::Owner);
    for name in ["stranger", "target"] {
        world.account(name, "github", &["target@one.example"]);
    }
    let scopes = [
        ("service-bare", Scope::InvitationsRead),
        ("service-write", Scope::InvitationsWrite),
        ("service-grant", Scope::MembersGrant),
        ("service-grant-all", Scope::MembersGrant),
        ("service-admin", Scope::OrganizationsAdmin),
    ];
    world.deployment.services = scopes.map(|(name, scope)| service(name, &[scope])).to_vec();
    world.deployment.services[3].highest_role = Role::Owner;
    let mut outside = service("service-outside", &Scope::ALL);
    outside.organizations = OrganizationId::parse("elsewhere").map(|other| vec![other]);
    world.deployment.services.push(outside);
    world.now += time::Duration::DAY;
    world
}

fn code_of<T>(answer: &Result<T, Refusal>) -> String {
    match answer {
        Ok(_) => "+".to_owned(),
        Err(Refusal::OrganizationNotFound(_) | Refusal::InvitationNotFound(_) | Refusal::MemberNotFound(_)) => {
            "n".to_owned()
        }
        Err(Refusal::RoleRequired(_)) => "r".to_owned(),
        Err(Refusal::RoleNotGrantable(_)) => "g".to_owned(),
        Err(Refusal::ScopeRequired(_) | Refusal::ServiceRequired(_)) => "s".to_owned(),
        Err(Refusal::PersonRequired) => "p".to_owned(),
        Err(other) => reason(other),
    }
}

/// Asks each cell in a world of its own, which `prepare` has given what the column needs.
fn check(grid: &'static str, prepare: impl Fn(&mut World, &str) -> Operation) {
    for (caller, column, expected) in cells(grid) {
        let mut world = world();
        let operation = prepare(&mut world, column);
        let method = operation.method();
        let answer = world.decide(caller, operation);
        assert_eq!(code_of(&answer), expected, "{method} of {column} by {caller}");
    }
}

fn role(column: &str) -> Role {
    Role::parse(column).unwrap()
}

#[test]
fn a_role_is_offered_by_those_who_may_grant_it() {
    check(GRANT, |_, column| {
        let (username, email) = (user("target"), email("target@one.example"));
        Operation::OfferMembership(Offer { id: id(0), username, email, role: role(column) })
    });
}

#[test]
fn a_member_is_removed_by_those_who_may_grant_its_role() {
    check(GRANT, |world, column| {
        world.member("target", role(column));
        Operation::DeleteMember { member: user("target"), etag: None }
    });
}

#[test]
fn the_present_and_the_new_role_are_both_within_what_one_may_grant() {
    let may_grant = |caller: &str, role: Role| {
        cells(GRANT).into_iter().find(|(row, column, _)| *row == caller && *column == role.as_str()).unwrap().2
    };
    for (caller, new, _) in cells(GRANT) {
        for present in Role::ALL {
            let mut world = world();
            world.member("target", present);
            let operation = Operation::UpdateMember { member: user("target"), role: Some(role(new)), etag: None };
            let answer = world.decide(caller, operation);
            let first = [role(new), present].map(|role| may_grant(caller, role)).into_iter().find(|cell| *cell != "+");
            assert_eq!(code_of(&answer), first.unwrap_or("+"), "{present:?} to {new} by {caller}");
        }
    }
}

#[test]
fn an_offer_is_approved_by_those_who_could_make_it() {
    check(APPROVE, |world, column| {
        world.account("olga", "github", &[]);
        world.member("olga", Role::Owner);
        world.invitation(0, S::PendingApproval, "target", "target@one.example");
        let mut offer = world.state().invitations[&id(0)].clone();
        offer.role = Some(role(column));
        offer.offerer = Some(Actor::Account(user("olga")));
        world.state().put_invitation(offer);
        Operation::ApproveOffer { invitation: id(0), etag: None }
    });
}

#[test]
fn an_offer_is_revoked_and_resent_by_those_who_may_grant_its_role() {
    for state in [S::Offered, S::PendingApproval] {
        let offered = |world: &mut World, column: &str| {
            world.invitation(0, state, "target", "target@one.example");
            let mut offer = world.state().invitations[&id(0)].clone();
            offer.role = Some(role(column));
            world.state().put_invitation(offer);
        };
        check(HANDLE, |world, column| {
            offered(world, column);
            Operation::RevokeInvitation { invitation: id(0), etag: None }
        });
        if state == S::Offered {
            check(HANDLE, |world, column| {
                offered(world, column);
                Operation::ResendInvitation { invitation: id(0), etag: None, rotate_code: false, gone_key: None }
            });
        }
    }
}

#[test]
fn oneself_one_may_lower_or_remove_and_nothing_else() {
    for present in Role::ALL {
        let name = present.as_str().to_lowercase().replace('_', "-");
        for new in Role::ALL {
            // another OWNER is there, so the organization keeps one
            let answer =
                world().decide(&name, Operation::UpdateMember { member: user(&name), role: Some(new), etag: None });
            let expected = if new <= present { "+" } else { "g" };
            assert_eq!(code_of(&answer), expected, "{present:?} to {new:?}");
        }
        let answer = world().decide(&name, Operation::DeleteMember { member: user(&name), etag: None });
        assert_eq!(code_of(&answer), "+", "{present:?} leaves");
    }
}

#[test]
fn somebody_without_the_right_learns_nothing_of_who_is_a_member() {
    for caller in ["stranger", "none", "reader", "contributor", "deleted-owner", "service-bare", "service-outside"] {
        let answers = ["manager", "nobody"].map(|name| {
            let member = || user(name);
            let update = Operation::UpdateMember { member: member(), role: Some(Role::None), etag: None };
            let delete = Operation::DeleteMember { member: member(), etag: None };
            [update, delete].map(|operation| code_of(&world().decide(caller, operation)))
        });
        assert_eq!(answers[0], answers[1], "{caller}");
    }
}

#[test]
fn settings_are_changed_by_whom_they_concern() {
    check(EDIT, |_, column| {
        let policy = PolicyEdit { reminders: Some(false), ..PolicyEdit::default() };
        let name = DisplayName::parse("Another Name");
        let edit = match column {
            "display_name" => Edit { display_name: name, ..Edit::default() },
            "locale" => Edit { locale: Some("de".to_owned()), ..Edit::default() },
            "notification_email" => Edit { notification_email: Some(email("new@acme.example")), ..Edit::default() },
            "policy" => Edit { policy, ..Edit::default() },
            "seat_limit" => Edit { seat_limit: Some(Some(3)), ..Edit::default() },
            _ => Edit { display_name: name, policy, ..Edit::default() },
        };
        Operation::UpdateOrganization(Box::new(edit))
    });
}

#[test]
fn an_owner_stays_whatever_the_way_out() {
    let ways = [
        ("owner", Operation::UpdateMember { member: user("owner"), role: Some(Role::Manager), etag: None }),
        ("owner", Operation::DeleteMember { member: user("owner"), etag: None }),
        ("service-grant-all", Operation::UpdateMember { member: user("owner"), role: Some(Role::None), etag: None }),
        ("service-grant-all", Operation::DeleteMember { member: user("owner"), etag: None }),
    ];
    for (caller, way) in ways {
        let mut world = world();
        world.state().remove_member(&user("deleted-owner"));
        let method = way.method();
        let answer = world.decide(caller, way);
        assert_eq!(answer, Err(Refusal::LastOwner("organizations/acme".to_owned())), "{method} by {caller}");
    }
    let mut world = world();
    world.state().remove_member(&user("deleted-owner"));
    let answer = world.decide_itself(Operation::Leave(user("owner")));
    assert_eq!(answer, Err(Refusal::LastOwner("organizations/acme".to_owned())));
    let is_owner = |member: &Member| member.role == Role::Owner;
    assert_eq!(world.state().members.values().filter(|member| is_owner(member)).count(), 1);
}

#[test]
fn only_those_with_the_right_wait_for_the_lock_without_a_look() {
    let create = || {
        Operation::CreateInvitation(Invite {
            id: id(0),
            email: email("a@one.example"),
            locale: None,
            annotations: Annotations::default(),
        })
    };
    let offer = |role| {
        let (username, email) = (user("target"), email("target@one.example"));
        Operation::OfferMembership(Offer { id: id(0), username, email, role })
    };
    let accept = || Operation::AcceptInvitation { invitation: id(0), etag: None };
    let edit = || Operation::UpdateOrganization(Box::default());
    let cases = [
        ("owner", create(), true),
        ("security-manager", create(), true),
        ("contributor", create(), false),
        ("stranger", create(), false),
        ("service-write", create(), true),
        ("service-grant", create(), false),
        ("service-bare", create(), false),
        ("service-outside", create(), false),
        ("service-grant", offer(Role::Reader), true),
        ("service-grant-all", offer(Role::Owner), true),
        ("service-write", offer(Role::Reader), false),
        ("service-admin", edit(), true),
        ("service-write", edit(), false),
        // what people answer for themselves
        ("owner", accept(), false),
        ("service-write", accept(), false),
    ];
    for (name, operation, expected) in cases {
        let mut world = world();
        let caller = world.caller(name);
        let role = caller.username().and_then(|username| world.state().members.get(username)).map(|member| member.role);
        let method = operation.method();
        let command = Command::new(acme(), Some(caller), None, operation);
        assert_eq!(command.is_trusted(role), expected, "{method} by {name}");
    }
}
