//! What asks less of people waits for another owner: stories of one owner who tries to do without.

use super::edges::{Change, remove, update};
use super::world::{World, at, email, id, service, user};
use crate::domain::{
    Change as Field, Edit, EventKind, Offer, Operation, PolicyEdit, Refusal, Role, Scope, Subject, etag,
};

const DONE: Result<Subject, Refusal> = Ok(Subject::Organization);

/// Olga and Otto own it, and ask for a second person.
fn world() -> World {
    let mut world = World::empty();
    for (name, role) in [("olga", Role::Owner), ("otto", Role::Owner), ("max", Role::Manager)] {
        world.account(name, "github", &[&format!("{name}@acme.example")]);
        world.member(name, role);
    }
    world.account("puppet", "github", &["puppet@one.example"]);
    world.deployment.services = vec![service("robot", &[Scope::OrganizationsAdmin])];
    world.policy().approval_role = Some(Role::Manager);
    world.policy().allowed_email_domains = vec!["acme.example".to_owned()];
    world.now = at(100);
    world
}

/// With Olga as the only owner.
fn alone() -> World {
    let mut world = world();
    world.state().remove_member(&user("otto"));
    world
}

fn edit(policy: PolicyEdit) -> Operation {
    Operation::UpdateOrganization(Box::new(Edit { policy, ..Edit::default() }))
}

fn rule(role: Option<Role>) -> Operation {
    edit(PolicyEdit { approval_role: Some(role), ..PolicyEdit::default() })
}

fn etag_of(world: &mut World) -> String {
    let organization = &world.state().organization;
    etag(organization.create_time, organization.revision)
}

fn approve(world: &mut World, caller: &str) -> Result<Subject, Refusal> {
    let etag = Some(etag_of(world));
    world.decide(caller, Operation::ApproveOrganizationChange { etag })
}

fn withdraw(world: &mut World, caller: &str) -> Result<Subject, Refusal> {
    world.decide(caller, Operation::WithdrawOrganizationChange { etag: None })
}

fn offer_owner(world: &mut World, name: &str) -> Result<Subject, Refusal> {
    let email = email(&format!("{name}@one.example"));
    world
        .decide("olga", Operation::OfferMembership(Offer { id: id(0), username: user(name), email, role: Role::Owner }))
}

fn kinds(world: &mut World) -> Vec<EventKind> {
    world.state().events.iter().map(|event| event.kind.unwrap()).collect()
}

fn sweep(world: &mut World) {
    world.decide_itself(Operation::Expire(Vec::new())).unwrap();
}

#[test]
fn the_rule_holds_until_another_owner_approves() {
    let mut world = world();
    world.decide("olga", rule(None)).unwrap();
    assert!(world.policy().needs_approval(Role::Owner), "the attack: the rule is gone, and a puppet is appointed");
    assert_eq!(world.state().emails.len(), 3, "the notification address and both owners hear of it");
    assert_eq!(approve(&mut world, "olga"), Err(Refusal::SecondPersonRequired));
    assert_eq!(approve(&mut world, "max"), Err(Refusal::RoleRequired(Role::Owner)));
    assert_eq!(approve(&mut world, "robot"), Err(Refusal::PersonRequired));
    let stale = Operation::ApproveOrganizationChange { etag: Some(etag(at(0), 1)) };
    assert_eq!(world.decide("otto", stale), Err(Refusal::EtagMismatch));
    // the control
    assert_eq!(approve(&mut world, "otto"), DONE);
    assert!(!world.policy().needs_approval(Role::Owner));
    assert_eq!(kinds(&mut world), [EventKind::ChangeProposed, EventKind::ChangeApproved]);
    let expected = [Field::new("policy.approval_role", "MANAGER", "")];
    assert!(world.state().events.iter().all(|event| event.changes == expected));
    assert_eq!(approve(&mut world, "otto"), Err(Refusal::NoPendingChange));
}

#[test]
fn only_what_asks_less_waits_and_a_service_waits_for_nobody() {
    let both = || PolicyEdit {
        approval_role: Some(None),
        reminders: Some(false),
        blocked_email_domains: Some(vec!["bad.example".to_owned()]),
        ..PolicyEdit::default()
    };
    let mut world = world();
    world.decide("olga", edit(both())).unwrap();
    assert!(!world.policy().reminders && world.policy().blocked_email_domains.len() == 1);
    let pending = world.state().organization.pending_change.clone().unwrap();
    assert_eq!(pending.policy.names(), ["approval_role"]);
    assert_eq!(kinds(&mut world), [EventKind::OrganizationUpdated, EventKind::ChangeProposed]);
    // the same once more is nothing, and no approval
    let before = world.state().clone();
    for caller in ["olga", "otto"] {
        world.decide(caller, edit(both())).unwrap();
        assert_eq!(world.state().organization, before.organization);
    }
    assert_eq!(world.state().events, before.events);

    let mut world = self::world();
    world.decide("robot", edit(both())).unwrap();
    assert!(!world.policy().needs_approval(Role::Owner), "the operator's");
    assert_eq!(world.state().organization.pending_change, None);
}

/// Ways of one owner to make themselves a second one.
#[test]
fn nobody_appoints_whom_they_need() {
    let mut world = world();
    world.decide("olga", rule(None)).unwrap();
    world.state().organization.policy.allowed_email_domains.clear();
    // the rule is still there
    assert!(offer_owner(&mut world, "puppet").is_ok());
    let accept = Operation::AcceptInvitation { invitation: id(0), etag: None };
    assert!(world.decide("puppet", accept).is_err(), "it waits for a second person itself");
    assert_eq!(world.decide("olga", update("max", Role::Owner)), Err(Refusal::ApprovalRequired(Role::Owner)));

    // without such a rule an owner appoints others alone, but none that counts for what is older
    let mut world = self::world();
    world.policy().approval_role = None;
    let less = PolicyEdit { allowed_email_domains: Some(Vec::new()), ..PolicyEdit::default() };
    world.decide("olga", edit(less.clone())).unwrap();
    world.decide("olga", update("max", Role::Owner)).unwrap();
    assert_eq!(approve(&mut world, "max"), Err(Refusal::ApproverTooNew), "appointed in the same moment");
    world.now = at(101);
    assert_eq!(approve(&mut world, "max"), Err(Refusal::ApproverTooNew));
    // the control: one who was there
    assert_eq!(approve(&mut world, "otto"), DONE);
}

/// Whoever gets rid of the others waits a day from then on, as if there had never been any.
#[test]
fn to_remove_the_other_owner_is_no_way_around() {
    let ways: [Change; 3] = [
        |world| drop(world.decide("olga", remove("otto")).unwrap()),
        |world| drop(world.decide("olga", update("otto", Role::Reader)).unwrap()),
        |world| drop(world.decide_itself(Operation::Leave(user("otto"))).unwrap()),
    ];
    for (n, way) in ways.into_iter().enumerate() {
        let mut world = world();
        world.decide("olga", rule(None)).unwrap();
        world.now = at(200);
        sweep(&mut world);
        assert!(world.policy().needs_approval(Role::Owner), "two owners wait for each other");
        way(&mut world);
        assert!(world.policy().needs_approval(Role::Owner), "way {n}");
        world.now = at(223);
        sweep(&mut world);
        assert!(world.policy().needs_approval(Role::Owner), "way {n}");
        world.now = at(224);
        sweep(&mut world);
        assert!(!world.policy().needs_approval(Role::Owner), "way {n}");
    }
}

#[test]
fn the_only_owner_waits_for_a_day() {
    let mut world = alone();
    world.decide("olga", rule(None)).unwrap();
    let pending = world.state().organization.pending_change.clone().unwrap();
    assert_eq!((pending.effective_time, pending.expire_time()), (Some(at(124)), at(268)));
    world.now = at(123);
    sweep(&mut world);
    assert!(world.policy().needs_approval(Role::Owner));
    // what is read does not depend on the sweep
    let read = world.state().organization.clone().at(at(130));
    world.now = at(130);
    sweep(&mut world);
    assert_eq!(world.state().organization, read);
    assert!(!read.policy.needs_approval(Role::Owner) && read.update_time == at(124));
    let event = world.state().events.last().unwrap().clone();
    assert_eq!((event.kind, event.actor), (Some(EventKind::OrganizationUpdated), None));

    // a second owner who comes in between ends that: now there is somebody to ask, if it is proposed anew
    let mut world = alone();
    world.policy().approval_role = None;
    let less = edit(PolicyEdit { allowed_email_domains: Some(Vec::new()), ..PolicyEdit::default() });
    world.decide("olga", less.clone()).unwrap();
    world.now = at(110);
    world.decide("olga", update("max", Role::Owner)).unwrap();
    world.now = at(200);
    sweep(&mut world);
    assert!(!world.policy().allowed_email_domains.is_empty());
    assert_eq!(approve(&mut world, "max"), Err(Refusal::ApproverTooNew));
    withdraw(&mut world, "max").unwrap();
    world.decide("olga", less).unwrap();
    assert_eq!(approve(&mut world, "max"), DONE);
}

#[test]
fn a_change_ends_with_its_time_its_author_and_what_it_is_about() {
    let ends: [(&str, Change, EventKind); 6] = [
        ("its time", |world| world.now = at(268), EventKind::ChangeWithdrawn),
        ("its author", |world| drop(withdraw(world, "olga").unwrap()), EventKind::ChangeWithdrawn),
        ("another owner", |world| drop(withdraw(world, "otto").unwrap()), EventKind::ChangeWithdrawn),
        (
            "the author's role",
            |world| drop(world.decide("otto", update("olga", Role::None)).unwrap()),
            EventKind::ChangeWithdrawn,
        ),
        (
            "a stronger rule",
            |world| drop(world.decide("olga", rule(Some(Role::Reader))).unwrap()),
            EventKind::ChangeWithdrawn,
        ),
        (
            "a service",
            |world| drop(world.decide("robot", rule(Some(Role::Owner))).unwrap()),
            EventKind::ChangeWithdrawn,
        ),
    ];
    for (what, end, kind) in ends {
        let mut world = world();
        world.decide("olga", rule(None)).unwrap();
        end(&mut world);
        sweep(&mut world);
        assert_eq!(world.state().organization.pending_change, None, "{what}");
        assert!(world.policy().needs_approval(Role::Owner), "{what}");
        assert_eq!(kinds(&mut world).last(), Some(&kind), "{what}");
        assert_eq!(approve(&mut world, "otto"), Err(Refusal::NoPendingChange), "{what}");
    }
    // the control: what is about something else leaves it
    let mut world = world();
    world.decide("olga", rule(None)).unwrap();
    world.decide("otto", edit(PolicyEdit { reminders: Some(false), ..PolicyEdit::default() })).unwrap();
    assert_eq!(approve(&mut world, "otto"), DONE);
}

/// Otto has read one change, and approves no other one.
#[test]
fn a_change_that_takes_the_place_of_another_one_is_read_anew() {
    let mut world = world();
    let less = PolicyEdit {
        allowed_email_domains: Some(vec!["acme.example".to_owned(), "b.example".to_owned()]),
        ..PolicyEdit::default()
    };
    world.decide("olga", edit(less)).unwrap();
    let read = Some(etag_of(&mut world));
    world.decide("olga", rule(None)).unwrap();
    let approval = Operation::ApproveOrganizationChange { etag: read };
    assert_eq!(world.decide("otto", approval), Err(Refusal::EtagMismatch));
    assert!(world.policy().needs_approval(Role::Owner));
    // the control
    assert_eq!(approve(&mut world, "otto"), DONE);
    assert_eq!(world.policy().allowed_email_domains, ["acme.example"], "the first one is gone");
}
