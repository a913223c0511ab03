//! Who is told while nobody has shown whose the notification address is, and what shows it.

use super::edges::world;
use super::world::{World, email, id};
use crate::domain::{Edit, EmailKind, InvitationCode, Operation, Refusal, Role, Subject};

fn set(world: &mut World, address: &str) {
    let edit = Edit { notification_email: Some(email(address)), ..Edit::default() };
    world.state().emails.clear();
    world.decide("owner", Operation::UpdateOrganization(Box::new(edit))).unwrap();
}

fn asked() -> World {
    let mut world = world();
    world.deployment.asks_for_proof = true;
    world.account("olga", "github", &["olga@acme.example"]);
    set(&mut world, "new@acme.example");
    world
}

/// Kind and recipient of what was written.
fn written(world: &mut World) -> Vec<(EmailKind, String)> {
    let emails = world.state().emails.drain(..);
    emails.map(|email| (email.kind, email.recipient.key().to_owned())).collect()
}

fn verify(world: &World, address: &str) -> Operation {
    let organization = &world.state.as_ref().unwrap().organization;
    let generation = organization.missing_proof.as_ref().map_or(1, |proof| proof.generation);
    let code =
        InvitationCode::of_address(world.deployment.code_keys.first(), &organization.id, &email(address), generation);
    Operation::VerifyNotificationEmail { code_hash: code.hash() }
}

#[test]
fn until_it_is_shown_owners_are_told_as_well() {
    let mut world = asked();
    let code = (EmailKind::NotificationEmailCode, "new@acme.example".to_owned());
    assert!(written(&mut world).contains(&code));
    let decline = Operation::DeclineInvitation { invitation: id(0), etag: None };
    let told = |to: &str| (EmailKind::InvitationDeclined, to.to_owned());
    world.decide("anna", decline.clone()).unwrap();
    assert_eq!(written(&mut world), [told("new@acme.example"), told("olga@acme.example")]);
    // the control
    let mut world = asked();
    let right = verify(&world, "new@acme.example");
    assert_eq!(world.decide("olga", right), Ok(Subject::Organization));
    world.state().emails.clear();
    world.decide("anna", decline).unwrap();
    assert_eq!(written(&mut world), [told("new@acme.example")]);
}

#[test]
fn a_code_is_of_one_address_and_one_time() {
    let mut world = asked();
    let wrong = verify(&world, "other@acme.example");
    assert_eq!(world.decide("olga", wrong), Err(Refusal::NotificationCodeNotFound));
    let right = verify(&world, "new@acme.example");
    assert_eq!(world.decide("manager", right.clone()), Err(Refusal::RoleRequired(Role::Owner)));
    world.now += time::Duration::days(7);
    assert_eq!(world.decide("olga", right.clone()), Err(Refusal::NotificationCodeNotFound));
    // set again, it is good again
    set(&mut world, "new@acme.example");
    world.decide("olga", right.clone()).unwrap();
    assert_eq!(world.state().organization.missing_proof, None);
    // and of no use for the next one
    set(&mut world, "next@acme.example");
    assert_eq!(world.decide("olga", right), Err(Refusal::NotificationCodeNotFound));
}

#[test]
fn an_owners_verified_address_needs_no_code() {
    let mut world = asked();
    set(&mut world, "Olga@acme.example");
    assert_eq!(world.state().organization.missing_proof, None);
    assert!(written(&mut world).iter().all(|(kind, _)| *kind == EmailKind::OrganizationChanged));
    // what was not shown is not told of the change
    let mut world = asked();
    set(&mut world, "next@acme.example");
    assert!(!written(&mut world).iter().any(|(_, to)| to == "new@acme.example"));
}
