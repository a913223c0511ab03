//! What a newer version has written: nothing is decided by a value that this one does not know, and none of it is lost.

use super::edges::{ANNA, accept, remove, update, world};
use super::world::{World, acme, code_hash, email, id, user};
use crate::domain::{
    Actor, AddressMatch, Annotations, Command, Context, Edit, InvitationState as S, Invite, Member, Offer, Operation,
    Refusal, Role, Subject, decide,
};

/// Something of the world becomes newer.
type Change = fn(&mut World);
type End = fn(&mut World) -> Result<Subject, Refusal>;

fn change_offer(world: &mut World, change: impl FnOnce(&mut crate::domain::Invitation)) {
    let mut offer = world.state().invitations[&id(0)].clone();
    change(&mut offer);
    world.state().put_invitation(offer);
}

fn member_becomes(world: &mut World, name: &str, role: Role) {
    let member = world.state().members[&user(name)].clone();
    world.state().put_member(Member { role, ..member });
}

fn offer(name: &str, role: Role) -> Operation {
    Operation::OfferMembership(Offer {
        id: id(7),
        username: user(name),
        email: email(&format!("{name}@one.example")),
        role,
    })
}

fn of_offer(what: &str) -> Operation {
    let (invitation, etag) = (id(0), None);
    match what {
        "revoke" => Operation::RevokeInvitation { invitation, etag },
        "reject" => Operation::RejectAccess { invitation, etag },
        "approve" => Operation::ApproveOffer { invitation, etag },
        "decline" => Operation::DeclineInvitation { invitation, etag },
        "accept" => Operation::AcceptInvitation { invitation, etag },
        "request" => Operation::RequestAccess { invitation, code_hash: code_hash("k1", 0, 1) },
        _ => Operation::ResendInvitation { invitation, etag, rotate_code: false, gone_key: None },
    }
}

/// Each is refused with [`Refusal::NewerVersionNeeded`], changes nothing, and is no matter where nothing is newer.
#[test]
fn what_depends_on_a_newer_value_is_refused_and_changes_nothing() {
    let state: Change = |world| change_offer(world, |offer| offer.state = S::Newer);
    let role: Change = |world| change_offer(world, |offer| offer.role = Some(Role::Newer));
    let offerer: Change = |world| change_offer(world, |offer| offer.offerer = Some(Actor::stored("groups/staff")));
    let offerers_role: Change = |world| member_becomes(world, "owner", Role::Newer);
    let members_role: Change = |world| member_becomes(world, "olga", Role::Newer);
    let approval: Change = |world| world.policy().approval_role = Some(Role::Newer);
    let matching: Change = |world| world.policy().address_match = AddressMatch::Newer;
    let invite = || {
        Operation::CreateInvitation(Invite {
            id: id(9),
            email: email("new@one.example"),
            locale: None,
            annotations: Annotations::default(),
        })
    };
    let policy_edit = || {
        let policy = crate::domain::PolicyEdit { reminders: Some(false), ..Default::default() };
        Operation::UpdateOrganization(Box::new(Edit { policy, ..Default::default() }))
    };
    let cases: &[(&str, Change, &str, Operation)] = &[
        ("state", state, "manager", of_offer("revoke")),
        ("state", state, "manager", of_offer("resend")),
        ("state", state, "manager", of_offer("reject")),
        ("state", state, "anna", of_offer("accept")),
        ("state", state, "anna", of_offer("decline")),
        ("state", state, "anna", of_offer("request")),
        ("state", state, "bert", of_offer("request")),
        ("role", role, "manager", of_offer("revoke")),
        ("role", role, "manager", of_offer("resend")),
        ("role", role, "anna", of_offer("accept")),
        ("offerer", offerer, "anna", of_offer("accept")),
        ("offerer's role", offerers_role, "anna", of_offer("accept")),
        ("caller's role", members_role, "olga", invite()),
        ("caller's role", members_role, "olga", policy_edit()),
        ("caller's role", members_role, "olga", remove("manager")),
        ("member's role", members_role, "owner", update("olga", Role::Reader)),
        ("member's role", members_role, "olga", update("olga", Role::None)),
        ("member's role", members_role, "owner", remove("olga")),
        ("approval role", approval, "anna", of_offer("accept")),
        ("approval role", approval, "manager", offer("bert", Role::Reader)),
        ("approval role", approval, "manager", invite()),
        ("approval role", approval, "owner", update("carl", Role::Reader)),
        ("approval role", approval, "owner", policy_edit()),
        ("address match", matching, "anna", of_offer("accept")),
        ("address match", matching, "manager", invite()),
    ];
    for (what, change, caller, operation) in cases {
        let people = || {
            let mut world = world();
            world.account("bert", "github", &["bert@one.example"]);
            world.account("carl", "github", &[]);
            world.member("carl", Role::None);
            world
        };
        let mut newer = people();
        change(&mut newer);
        let before = newer.state().clone();
        let refused = newer.decide(caller, operation.clone());
        assert_eq!(refused, Err(Refusal::NewerVersionNeeded), "{what}: {operation:?}");
        assert_eq!(format!("{:?}", newer.state()), format!("{before:?}"), "{what}: {operation:?}");
        // the control: it is the newer value that is in the way
        let known = people().decide(caller, operation.clone());
        assert_ne!(known, Err(Refusal::NewerVersionNeeded), "{what}: {operation:?}");
    }
}

/// What ends without anybody's right keeps the role as it is.
#[test]
fn an_offer_of_a_newer_role_can_end_and_keeps_its_role() {
    let expire = |world: &mut World| {
        world.now = super::world::at(200);
        world.decide_itself(Operation::Expire(vec![id(0)]))
    };
    let ends: [(S, End); 3] = [
        (S::Declined, |world| world.decide("anna", of_offer("decline"))),
        (S::Expired, expire),
        (S::Revoked, |world| world.decide_itself(Operation::Leave(user("anna")))),
    ];
    for (ended, end) in ends {
        let mut world = world();
        change_offer(&mut world, |offer| offer.role = Some(Role::Newer));
        let seats = world.state().head.seats_taken;
        end(&mut world).unwrap();
        let offer = &world.state().invitations[&id(0)];
        assert_eq!((offer.state, offer.role), (ended, Some(Role::Newer)));
        assert_eq!(world.state().head.seats_taken, seats - 1);
    }
}

#[test]
fn what_newer_things_stand_beside_goes_on() {
    let mut world = world();
    change_offer(&mut world, |offer| offer.state = S::Newer);
    member_becomes(&mut world, "olga", Role::Newer);
    world.account("bert", "github", &["bert@one.example"]);
    world.decide("manager", offer("bert", Role::Reader)).unwrap();
    let rename = Edit { locale: Some("de".to_owned()), ..Default::default() };
    world.decide("owner", Operation::UpdateOrganization(Box::new(rename))).unwrap();
    // the person may leave, whatever their role is
    assert_eq!(world.decide("olga", remove("olga")), Ok(Subject::Member(user("olga"))));
    assert_eq!(accept(&mut world), Err(Refusal::NewerVersionNeeded));
    assert_eq!(world.state().id(), &acme());
    assert_eq!(world.state().invitations[&id(0)].email, email(ANNA));
}

#[test]
fn a_request_that_a_newer_version_has_carried_out_is_not_carried_out_again() {
    let remembered = |resource: &str| crate::domain::Remembered {
        method: "OfferMembership".to_owned(),
        digest: vec![7; 32],
        resource: resource.to_owned(),
    };
    let offer_again = |resource: &str| {
        let mut world = world();
        world.account("bert", "github", &["bert@one.example"]);
        let request = Some(crate::domain::Request::new(uuid::Uuid::from_u128(1), [7; 32]));
        let caller = Some(world.caller("manager"));
        let command = Command::new(acme(), caller, request, offer("bert", Role::Reader));
        let World { state, accounts, deployment, now, .. } = &mut world;
        let context = Context { now: *now, accounts, deployment };
        decide(state, &context, &command, Some(&remembered(resource)))
    };
    assert_eq!(offer_again("organizations/acme/holds/1"), Err(Refusal::NewerVersionNeeded));
    // the control
    let known = format!("organizations/acme/invitations/{}", id(3));
    assert_eq!(offer_again(&known), Ok(Subject::Invitation(id(3))));
}
