//! What happens between two steps of the conversation: members who use codes, offers whose maker is gone, and addresses
//! that people give up.

use super::edges::{ANNA, Change, accept, offered_by, remove, update, world};
use super::invariants::check_rows;
use super::world::{NOTIFIED, acme, at, code_hash, email, id, user};
use crate::domain::{
    Actor, AddressMatch, Annotations, EmailKind, EventKind, InvitationState as S, Invite, Offer, Operation, Refusal,
    Role, Subject,
};

fn account(name: &str) -> Actor {
    Actor::Account(user(name))
}

#[test]
fn a_member_who_uses_a_code_settles_the_invitation() {
    let mut world = world();
    world.account("manager", "github", &["second@one.example"]);
    world.account("bert", "github", &["bert@one.example"]);
    let invite =
        Invite { id: id(1), email: email("second@one.example"), locale: None, annotations: Annotations::default() };
    world.decide("olga", Operation::CreateInvitation(invite)).unwrap();
    world.now = at(110);
    let code_hash = code_hash("k1", 1, 1);
    let request = Operation::RequestAccess { invitation: id(1), code_hash };
    let settle = |code_hash| Operation::SettleInvitation { invitation: id(1), code_hash };
    let member = || Err(Refusal::AlreadyMember("organizations/acme/members/manager".to_owned()));

    assert_eq!(world.decide("manager", request.clone()), member());
    for (caller, code_hash) in [("bert", code_hash), ("anna", code_hash), ("manager", [0; 32])] {
        assert_eq!(world.decide(caller, settle(code_hash)), Err(Refusal::CodeNotFound), "{caller}");
    }
    assert_eq!(world.state().invitations[&id(1)].state, S::Invited);

    world.decide("manager", settle(code_hash)).unwrap();
    let settled = world.state().invitations[&id(1)].clone();
    assert_eq!((settled.state, settled.username), (S::Revoked, Some(user("manager"))));
    assert_eq!(settled.account_email, None, "what the account holds is told to nobody");
    let event = world.state().events.last().unwrap().clone();
    assert_eq!(
        (event.kind.unwrap(), event.actor, event.member),
        (EventKind::Revoked, Some(account("manager")), Some(user("manager")))
    );
    let changes = event.changes.iter().map(|change| format!("{} {}", change.field, change.after)).collect::<Vec<_>>();
    assert_eq!(changes, ["state REVOKED", "account accounts/manager"]);
    assert!(world.state().emails.iter().all(|email| email.invitation != Some(id(1))), "nothing of it is sent any more");
    check_rows(world.state()).unwrap();

    assert_eq!(world.decide("manager", request.clone()), member(), "as often as they ask");
    assert_eq!(world.decide("bert", request.clone()), Err(Refusal::CodeNotFound));
    world.decide("olga", remove("manager")).unwrap();
    let over = Refusal::InvitationState { name: id(1).name(&acme()), state: S::Revoked };
    assert_eq!(world.decide("manager", request), Err(over), "a member no more");
}

#[test]
fn an_offer_that_lost_its_cover_is_taken_over_by_whoever_makes_it_again() {
    let again = |role| {
        let (username, email) = (user("anna"), email(ANNA));
        Operation::OfferMembership(Offer { id: id(1), username, email, role })
    };
    let expel: Change = |world| drop(world.decide("olga", remove("owner")).unwrap());
    let restrict: Change = |world| world.policy().approval_role = Some(Role::Reader);
    let of_robot: Change = |world| {
        let robot = world.deployment.services[0].actor();
        offered_by(world, robot, None);
        world.deployment.services[0].highest_role = Role::None;
    };
    let of_approver: Change = |world| {
        offered_by(world, account("olga"), Some("owner"));
        world.decide("olga", remove("owner")).unwrap();
    };
    for (way, change, next) in [
        ("removed", expel, S::Offered),
        ("a younger rule", restrict, S::PendingApproval),
        ("a service's entry", of_robot, S::Offered),
        ("the approver", of_approver, S::Offered),
    ] {
        let mut world = world();
        change(&mut world);
        let seats = world.state().head.seats_taken;
        // it has its seat already
        world.state().head.seat_limit = Some(0);
        let resend = Operation::ResendInvitation { invitation: id(0), etag: None, rotate_code: false, gone_key: None };
        let dead = Err(Refusal::OfferNotCovered(Role::Reader));
        assert_eq!(world.decide("olga", resend), dead, "{way}");
        let other = Err(Refusal::AlreadyOffered(id(0).name(&acme())));
        assert_eq!(world.decide("manager", again(Role::Contributor)), other, "{way}");

        assert_eq!(world.decide("manager", again(Role::Reader)), Ok(Subject::Invitation(id(0))), "{way}");
        let offer = world.state().invitations[&id(0)].clone();
        assert_eq!((offer.state, offer.offerer, offer.approver), (next, Some(account("manager")), None), "{way}");
        assert_eq!((offer.expire_time, offer.send_time), (Some(at(268)), at(100)), "{way}");
        assert_eq!(world.state().head.seats_taken, seats, "{way}");
        let told = world.state().emails.iter().any(|email| email.kind == EmailKind::OrganizationInvitation);
        assert_eq!(told, next == S::Offered, "{way}");
        let events = world.state().events.len();
        world.decide("olga", again(Role::Reader)).unwrap();
        assert_eq!(world.state().events.len(), events, "{way}: now it is covered");
        check_rows(world.state()).unwrap();
    }
}

#[test]
fn nothing_is_approved_that_rests_on_a_right_that_is_gone() {
    let approve = Operation::ApproveOffer { invitation: id(0), etag: None };
    let mut world = world();
    world.invitation(0, S::PendingApproval, "anna", ANNA);
    offered_by(&mut world, account("manager"), None);
    world.decide("olga", update("manager", Role::Reader)).unwrap();
    assert_eq!(world.decide("owner", approve.clone()), Err(Refusal::OfferNotCovered(Role::Reader)));
    assert!(world.state().emails.is_empty());
    world.decide("olga", update("manager", Role::SecurityManager)).unwrap();
    assert!(world.decide("owner", approve).is_ok(), "a lower role that still grants READER covers it");
}

#[test]
fn an_address_that_was_given_up_is_known_only_where_it_was_told() {
    let offer = |name: &str, address: &str| {
        let (username, email) = (user(name), email(address));
        Operation::OfferMembership(Offer { id: id(1), username, email, role: Role::Reader })
    };
    let unknown = || Err(Refusal::AccountEmailNotFound);
    for state in [S::AccessRequested, S::Offered, S::PendingApproval] {
        let mut world = world();
        world.invitation(0, state, "anna", ANNA);
        world.account("anna", "github", &["anna@two.example"]);
        world.account("bert", "github", &["bert@one.example"]);
        let changed = Err(Refusal::AccountEmailChanged(id(0).name(&acme())));
        assert_eq!(world.decide("manager", offer("anna", "ANNA@one.example")), changed, "{state:?}");
        assert_eq!(world.decide("manager", offer("anna", "anna@three.example")), unknown());
        assert_eq!(world.decide("manager", offer("bert", ANNA)), unknown());
        // what is over tells nothing any more
        world.decide("olga", Operation::RevokeInvitation { invitation: id(0), etag: None }).unwrap();
        assert_eq!(world.decide("manager", offer("anna", ANNA)), unknown());
    }
    let mut world = world();
    accept(&mut world).unwrap();
    world.account("anna", "github", &["anna@two.example"]);
    let member = Err(Refusal::AlreadyMember("organizations/acme/members/anna".to_owned()));
    assert_eq!(world.decide("manager", offer("anna", ANNA)), member, "the address of the membership");
    assert_eq!(world.decide("manager", offer("anna", "anna@three.example")), unknown());
}

#[test]
fn who_asks_again_asks_under_the_present_address() {
    let request = Operation::RequestAccess { invitation: id(0), code_hash: code_hash("k1", 0, 1) };
    let moved = |emails: &[&str]| {
        let mut world = world();
        world.invitation(0, S::AccessRequested, "anna", ANNA);
        world.account("anna", "github", emails);
        world
    };
    let mut same = moved(&["anna@two.example", ANNA]);
    same.decide("anna", request.clone()).unwrap();
    assert!(same.state().events.is_empty() && same.state().emails.is_empty(), "it is held all the same");

    let mut world = moved(&["anna@two.example"]);
    world.decide("anna", request.clone()).unwrap();
    let asked = world.state().invitations[&id(0)].clone();
    assert_eq!(asked.account_email, Some(email("anna@two.example")));
    assert_eq!((asked.state, asked.expire_time, asked.revision), (S::AccessRequested, None, 4));
    let changes = world.state().events[0].changes.iter().map(|change| change.field.clone()).collect::<Vec<_>>();
    assert_eq!(changes, ["state", "account_email"]);
    let told = world.state().emails.iter().map(|email| (email.kind, email.recipient.typed().to_owned()));
    let desk = NOTIFIED.to_owned();
    let expected = [(EmailKind::AccessRequested, desk.clone()), (EmailKind::AccessRequestReminder, desk)];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    // once more within the time between two emails
    world.account("anna", "github", &["anna@three.example"]);
    world.now = at(101);
    let soon = Refusal::ResentTooSoon { wait: time::Duration::hours(1) };
    assert_eq!(world.decide("anna", request.clone()), Err(soon));

    let mut world = moved(&[]);
    assert_eq!(world.decide("anna", request.clone()), Err(Refusal::EmailNotVerified));
    let mut world = moved(&["anna@two.example"]);
    world.policy().address_match = AddressMatch::Require;
    assert_eq!(world.decide("anna", request), Err(Refusal::AddressMismatch));
}
