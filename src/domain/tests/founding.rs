//! CreateOrganization: who may, and what the organization begins with.

use uuid::Uuid;

use super::invariants::check_rows;
use super::world::{World, acme, email, service, user};
use crate::domain::{
    Command, DisplayName, EventKind, NewOrganization, Operation, OrganizationId, OrganizationLimits, PolicyEdit,
    Refusal, Request, Role, Scope, Subject,
};

/// No organization yet; `anna` has an account, `robot` may found every one, `local` only acme.
fn world() -> World {
    let mut world = World::empty();
    world.state = None;
    world.account("anna", "github", &["anna@one.example"]);
    world.account("ben", "github", &[]);
    let mut robot = service("robot", &[Scope::OrganizationsAdmin]);
    robot.organizations = None;
    let others = Scope::ALL.into_iter().filter(|scope| *scope != Scope::OrganizationsAdmin).collect::<Vec<_>>();
    world.deployment.services = vec![robot, service("local", &[Scope::OrganizationsAdmin]), service("bare", &others)];
    world
}

fn found(owner: &str) -> NewOrganization {
    NewOrganization {
        display_name: DisplayName::parse("Acme").unwrap(),
        notification_email: email("desk@acme.example"),
        locale: "en".to_owned(),
        policy: PolicyEdit::default(),
        seat_limit: None,
        limits: OrganizationLimits::default(),
        owner: user(owner),
    }
}

fn command(world: &World, caller: &str, slug: &str, found: NewOrganization) -> Command {
    let organization = OrganizationId::parse(slug).unwrap();
    let request = Request::new(Uuid::from_u128(1), [1; 32]);
    let operation = Operation::CreateOrganization(Box::new(found));
    Command::new(organization, Some(world.caller(caller)), Some(request), operation)
}

fn create(world: &mut World, caller: &str, slug: &str, found: NewOrganization) -> Result<Subject, Refusal> {
    let command = command(world, caller, slug, found);
    world.carry_out(&command)
}

#[test]
fn the_founder_is_its_owner_and_takes_a_seat() {
    for caller in ["anna", "robot", "local"] {
        let mut world = world();
        assert_eq!(create(&mut world, caller, "acme", found("anna")), Ok(Subject::Organization), "{caller}");
        let state = world.state();
        check_rows(state).unwrap();
        let members = state.members.values();
        let members = members.map(|member| (member.username.clone(), member.role, member.email.clone()));
        let address = email("anna@one.example");
        assert_eq!(members.collect::<Vec<_>>(), [(user("anna"), Role::Owner, Some(address))]);
        assert_eq!(state.head.seats_taken, 1);
        let events = state.events.iter().map(|event| (event.position, event.kind.unwrap())).collect::<Vec<_>>();
        assert_eq!(events, [(1, EventKind::OrganizationCreated)]);
        assert!(state.emails.is_empty());
    }
}

#[test]
fn whoever_may_not_found_it_is_told_why_and_nothing_is_there() {
    let seats = |seat_limit, owner| NewOrganization { seat_limit: Some(seat_limit), ..found(owner) };
    let scope = Refusal::ScopeRequired(Scope::OrganizationsAdmin);
    let admin = Refusal::ServiceRequired(Scope::OrganizationsAdmin);
    let unknown = Refusal::AccountNotFound("accounts/nobody".to_owned());
    let outside = Refusal::OrganizationNotFound("organizations/other".to_owned());
    let cases = [
        ("anna", "acme", seats(5, "anna"), admin.clone()),
        ("bare", "acme", found("anna"), scope),
        // only services found for somebody else
        ("anna", "acme", found("ben"), admin),
        ("robot", "acme", found("nobody"), unknown),
        ("robot", "acme", seats(0, "anna"), Refusal::SeatsExhausted { limit: 0 }),
        ("local", "other", found("anna"), outside),
    ];
    for (caller, slug, found, refusal) in cases {
        let mut world = world();
        assert_eq!(create(&mut world, caller, slug, found), Err(refusal), "{caller}");
        assert!(world.state.is_none());
    }
}

#[test]
fn accounts_found_only_where_the_deployment_lets_them() {
    let mut world = world();
    world.deployment.accounts_create_organizations = false;
    let answer = create(&mut world, "anna", "acme", found("anna"));
    assert_eq!(answer, Err(Refusal::ServiceRequired(Scope::OrganizationsAdmin)));
    assert_eq!(create(&mut world, "robot", "acme", found("anna")), Ok(Subject::Organization));
}

#[test]
fn a_slug_is_taken_once() {
    let mut world = world();
    create(&mut world, "anna", "acme", found("anna")).unwrap();
    let mut again = command(&world, "robot", "acme", found("anna"));
    assert_eq!(world.carry_out(&again), Err(Refusal::OrganizationExists("organizations/acme".to_owned())));

    again.caller = Some(world.caller("anna"));
    assert_eq!(world.carry_out(&again), Ok(Subject::Organization), "the same request of the same caller");
    again.request = Some(Request::new(Uuid::from_u128(1), [2; 32]));
    assert_eq!(world.carry_out(&again), Err(Refusal::RequestIdReused));
    assert_eq!(world.state().events.len(), 1);
}

#[test]
fn a_service_cannot_tell_a_slug_that_it_does_not_reach_from_a_free_one() {
    let mut world = world();
    create(&mut world, "anna", "acme", found("anna")).unwrap();
    world.deployment.services[1].organizations = Some(Vec::new());
    let taken = create(&mut world, "local", "acme", found("anna"));
    world.state = None;
    let free = create(&mut world, "local", "acme", found("anna"));
    assert_eq!(taken, Err(Refusal::OrganizationNotFound("organizations/acme".to_owned())));
    assert_eq!(taken, free);
}

#[test]
fn of_what_is_not_there_everybody_hears_the_same() {
    let mut world = world();
    let remove = Operation::DeleteMember { member: user("anna"), etag: None };
    let accept = Operation::AcceptInvitation { invitation: super::world::id(0), etag: None };
    for caller in ["anna", "robot", "bare"] {
        let name = format!("organizations/{}/members/anna", acme());
        assert_eq!(world.decide(caller, remove.clone()), Err(Refusal::MemberNotFound(name)));
        let name = super::world::id(0).name(&acme());
        assert_eq!(world.decide(caller, accept.clone()), Err(Refusal::InvitationNotFound(name)));
    }
}
