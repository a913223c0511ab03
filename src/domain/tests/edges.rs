//! Stories that a random walk meets too seldom: rights that ended, policies that changed, and what one batch undoes.

use super::invariants::check_rows;
use super::world::{World, acme, at, code_hash, email, id, service, user};
use crate::domain::{
    Actor, AddressMatch, Annotations, EmailKind, InvitationState as S, Invite, Member, Offer, Operation, Refusal, Role,
    Scope, Service, Subject,
};

/// Something that is changed behind an offer.
pub(super) type Change = fn(&mut World);
/// Of a service's configuration.
type EntryChange = fn(&mut Service);

pub(super) const ANNA: &str = "anna@one.example";

/// Anna is offered READER by an OWNER, who is not the only one.
pub(super) fn world() -> World {
    let mut world = World::empty();
    for (name, role) in [("owner", Role::Owner), ("olga", Role::Owner), ("manager", Role::Manager)] {
        world.account(name, "github", &[]);
        world.member(name, role);
    }
    world.account("anna", "github", &[ANNA, "anna@two.example"]);
    world.deployment.services = vec![service("robot", &[Scope::MembersGrant])];
    world.invitation(0, S::Offered, "anna", ANNA);
    world.now = at(100);
    world
}

pub(super) fn accept(world: &mut World) -> Result<Subject, Refusal> {
    world.decide("anna", Operation::AcceptInvitation { invitation: id(0), etag: None })
}

pub(super) fn update(name: &str, role: Role) -> Operation {
    Operation::UpdateMember { member: user(name), role: Some(role), etag: None }
}

pub(super) fn remove(name: &str) -> Operation {
    Operation::DeleteMember { member: user(name), etag: None }
}

pub(super) fn offered_by(world: &mut World, offerer: Actor, approver: Option<&str>) {
    let mut offer = world.state().invitations[&id(0)].clone();
    offer.offerer = Some(offerer);
    offer.approver = approver.map(|name| Actor::Account(user(name)));
    world.state().put_invitation(offer);
}

#[test]
fn an_offer_dies_with_the_right_of_the_one_who_made_it() {
    let demote: Change = |world| drop(world.decide("olga", update("owner", Role::Contributor)).unwrap());
    let expel: Change = |world| drop(world.decide("olga", remove("owner")).unwrap());
    let delete: Change = |world| drop(world.accounts.remove(&user("owner")));
    for (n, end) in [demote, expel, delete].into_iter().enumerate() {
        let mut world = world();
        end(&mut world);
        assert_eq!(accept(&mut world), Err(Refusal::OfferNotCovered(Role::Reader)), "way {n}");
        assert!(!world.state().members.contains_key(&user("anna")));

        // approved by somebody who lost the right since: the same
        let mut world = self::world();
        offered_by(&mut world, Actor::Account(user("olga")), Some("owner"));
        end(&mut world);
        assert_eq!(accept(&mut world), Err(Refusal::OfferNotCovered(Role::Reader)), "way {n}, of the approver");
    }
    let mut world = world();
    world.decide("olga", update("owner", Role::SecurityManager)).unwrap();
    assert!(accept(&mut world).is_ok(), "a lower role that still grants READER covers it");
}

#[test]
fn nobody_approves_their_own_offer_or_what_is_offered_to_them() {
    let approve = Operation::ApproveOffer { invitation: id(0), etag: None };
    let pending = |offerer: &str| {
        let mut world = world();
        world.invitation(0, S::PendingApproval, "anna", ANNA);
        offered_by(&mut world, Actor::Account(user(offerer)), None);
        world
    };
    let refused = Err(Refusal::SecondPersonRequired);
    assert_eq!(pending("manager").decide("manager", approve.clone()), refused);
    let mut world = pending("manager");
    // no rule makes a member of somebody with an open offer; should it happen, the offer is still not theirs to approve
    world.member("anna", Role::Owner);
    assert_eq!(world.decide("anna", approve.clone()), refused);
    assert!(pending("manager").decide("owner", approve.clone()).is_ok());

    let mut world = pending("manager");
    world.now = at(100);
    world.policy().offer_lifetime = time::Duration::hours(30);
    world.decide("owner", approve).unwrap();
    let offer = &world.state().invitations[&id(0)];
    assert_eq!((offer.state, offer.expire_time), (S::Offered, Some(at(130))));
    assert_eq!(offer.approver, Some(Actor::Account(user("owner"))));
    let emails = world.state().emails.iter().map(|email| (email.kind, email.due_time)).collect::<Vec<_>>();
    assert_eq!(emails, [(EmailKind::OrganizationInvitation, at(100)), (EmailKind::OfferReminder, at(106))]);
}

#[test]
fn what_a_service_offered_counts_while_its_entry_grants_it() {
    let changes: [(&str, EntryChange, bool); 5] = [
        ("none", |_| {}, true),
        ("another subject", |entry| entry.subject = "other".to_owned(), false),
        ("no scope", |entry| entry.scopes = vec![Scope::InvitationsWrite], false),
        ("a lower role", |entry| entry.highest_role = Role::None, false),
        ("elsewhere", |entry| entry.organizations = Some(Vec::new()), false),
    ];
    for (change, apply, counts) in changes {
        let mut world = world();
        let robot = world.deployment.services[0].actor();
        offered_by(&mut world, robot, None);
        apply(&mut world.deployment.services[0]);
        let expected =
            if counts { Ok(Subject::Invitation(id(0))) } else { Err(Refusal::OfferNotCovered(Role::Reader)) };
        assert_eq!(accept(&mut world), expected, "{change}");
    }
}

#[test]
fn policy_is_asked_again_when_an_offer_is_accepted() {
    let changes: [(Change, Refusal); 7] = [
        (|world| world.policy().approval_role = Some(Role::Reader), Refusal::OfferNotCovered(Role::Reader)),
        (
            |world| world.policy().allowed_providers = vec!["entra".to_owned()],
            Refusal::ProviderNotAllowed("github".to_owned()),
        ),
        (
            |world| world.policy().blocked_email_domains = vec!["one.example".to_owned()],
            Refusal::EmailDomainNotAllowed("one.example".to_owned()),
        ),
        (
            |world| world.policy().allowed_email_domains = vec!["two.example".to_owned()],
            Refusal::EmailDomainNotAllowed("one.example".to_owned()),
        ),
        (
            |world| {
                world.policy().allowed_email_domains = vec!["one.example".to_owned()];
                world.account("anna", "github", &["anna@two.example"]);
            },
            Refusal::AddressMismatch,
        ),
        (
            |world| {
                world.policy().address_match = AddressMatch::Require;
                world.account("anna", "github", &["anna@two.example"]);
            },
            Refusal::AddressMismatch,
        ),
        (|world| world.policy().max_attestation_age = Some(time::Duration::hours(1)), Refusal::AttestationTooOld),
    ];
    for (change, refusal) in changes {
        let mut world = world();
        change(&mut world);
        assert_eq!(accept(&mut world), Err(refusal));
    }
    let mut world = self::world();
    world.account("anna", "github", &["anna@two.example"]);
    assert!(accept(&mut world).is_ok(), "without such a policy the account may have moved on");
    let mut world = self::world();
    offered_by(&mut world, Actor::Account(user("olga")), Some("owner"));
    world.policy().approval_role = Some(Role::Reader);
    assert!(accept(&mut world).is_ok(), "a second person has approved it");
}

#[test]
fn the_same_offer_is_the_same_role_under_the_same_address() {
    let offer = |address: &str, role| {
        let (username, email) = (user("anna"), email(address));
        Operation::OfferMembership(Offer { id: id(1), username, email, role })
    };
    let other = || Err(Refusal::AlreadyOffered(id(0).name(&acme())));
    let mut world = world();
    assert_eq!(world.decide("manager", offer("ANNA@one.example", Role::Reader)), Ok(Subject::Invitation(id(0))));
    assert_eq!(world.decide("manager", offer("anna@two.example", Role::Reader)), other());
    assert_eq!(world.decide("manager", offer(ANNA, Role::Contributor)), other());
    assert!(world.state().events.is_empty() && world.state().emails.is_empty());
}

#[test]
fn a_repeated_accept_restores_no_membership() {
    let mut world = world();
    accept(&mut world).unwrap();
    world.decide("owner", remove("anna")).unwrap();
    let events = world.state().head.event_position;
    assert_eq!(accept(&mut world), Ok(Subject::Invitation(id(0))));
    assert!(!world.state().members.contains_key(&user("anna")));
    assert_eq!(world.state().head.event_position, events);
    let offer = Offer { id: id(1), username: user("anna"), email: email(ANNA), role: Role::Reader };
    assert!(world.decide("owner", Operation::OfferMembership(offer)).is_ok(), "but a new offer is possible at once");
}

#[test]
fn a_rise_needs_what_an_offer_needs_and_a_fall_does_not() {
    let restrict: [(Change, Refusal); 4] = [
        (|world| world.state().head.seat_limit = Some(4), Refusal::SeatsExhausted { limit: 4 }),
        (|world| world.policy().approval_role = Some(Role::Reader), Refusal::ApprovalRequired(Role::Manager)),
        (
            |world| world.policy().allowed_providers = vec!["entra".to_owned()],
            Refusal::ProviderNotAllowed("github".to_owned()),
        ),
        (
            |world| world.policy().blocked_email_domains = vec!["one.example".to_owned()],
            Refusal::EmailDomainNotAllowed("one.example".to_owned()),
        ),
    ];
    for (restrict, refusal) in restrict {
        let mut world = world();
        accept(&mut world).unwrap();
        world.decide("owner", update("anna", Role::None)).unwrap();
        // all of the seats: two owners, a manager, and one more offer
        let taken = Offer { id: id(1), username: user("bert"), email: email("bert@three.example"), role: Role::Reader };
        world.account("bert", "github", &["bert@three.example"]);
        world.decide("owner", Operation::OfferMembership(taken)).unwrap();
        restrict(&mut world);
        assert_eq!(world.decide("owner", update("anna", Role::Manager)), Err(refusal));

        restrict_nothing(&mut world);
        world.decide("owner", update("anna", Role::Manager)).unwrap();
        restrict(&mut world);
        for role in [Role::Contributor, Role::None] {
            assert_eq!(world.decide("owner", update("anna", role)), Ok(Subject::Member(user("anna"))));
        }
        check_rows(world.state()).unwrap();
    }
}

fn restrict_nothing(world: &mut World) {
    *world.policy() = crate::domain::Policy::default();
    world.state().head.seat_limit = None;
}

#[test]
fn a_limit_below_what_is_taken_stops_new_seats_only() {
    let mut world = world();
    world.state().head.seat_limit = Some(1);
    let offer = |role| {
        let (username, email) = (user("bert"), email("bert@one.example"));
        Operation::OfferMembership(Offer { id: id(1), username, email, role })
    };
    world.account("bert", "github", &["bert@one.example"]);
    assert_eq!(world.decide("owner", offer(Role::Reader)), Err(Refusal::SeatsExhausted { limit: 1 }));
    assert!(world.decide("owner", offer(Role::None)).is_ok(), "NONE takes no seat");
    assert!(accept(&mut world).is_ok(), "the offer holds its seat");
    assert!(world.decide("owner", update("anna", Role::Contributor)).is_ok(), "it is the same seat");
    assert_eq!(world.state().head.seats_taken, 4);
    check_rows(world.state()).unwrap();
}

#[test]
fn a_deleted_account_rises_no_more_and_can_still_be_removed() {
    let mut world = world();
    world.accounts.remove(&user("manager"));
    let gone = Refusal::MemberNotFound("organizations/acme/members/manager".to_owned());
    assert_eq!(world.decide("owner", update("manager", Role::Owner)), Err(gone));
    assert!(world.decide("owner", remove("manager")).is_ok());
}

#[test]
fn a_deleted_account_leaves_with_its_invitation() {
    let mut world = world();
    world.accounts.remove(&user("anna"));
    world.decide_itself(Operation::Leave(user("anna"))).unwrap();
    assert_eq!(world.state().invitations[&id(0)].state, S::Revoked);
    assert_eq!(world.state().head.seats_taken, 3);
    let events = world.state().events.len();
    world.decide_itself(Operation::Leave(user("anna"))).unwrap();
    assert_eq!(world.state().events.len(), events, "a second time there is nothing left to do");
}

#[test]
fn what_one_batch_sends_and_takes_back_is_never_sent() {
    let mut world = world();
    let invite =
        Invite { id: id(1), email: email("new@one.example"), locale: None, annotations: Annotations::default() };
    world.decide("manager", Operation::CreateInvitation(invite)).unwrap();
    let kinds = |world: &mut World| world.state().emails.iter().map(|email| email.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&mut world), [EmailKind::AccountInvitation, EmailKind::InvitationReminder]);
    world.decide("manager", Operation::RevokeInvitation { invitation: id(1), etag: None }).unwrap();
    assert_eq!(kinds(&mut world), []);
}

#[test]
fn an_old_code_dies_when_another_one_is_made() {
    let mut world = world();
    world.account("bert", "github", &["bert@one.example"]);
    let invite =
        Invite { id: id(1), email: email("new@one.example"), locale: None, annotations: Annotations::default() };
    world.decide("manager", Operation::CreateInvitation(invite)).unwrap();
    world.now = at(110);
    let rotate = Operation::ResendInvitation { invitation: id(1), etag: None, rotate_code: true, gone_key: None };
    world.decide("manager", rotate).unwrap();
    assert!(world.state().emails.iter().all(|email| email.generation == 2), "the old one is not sent any more");
    let request =
        |generation| Operation::RequestAccess { invitation: id(1), code_hash: code_hash("k1", 1, generation) };
    assert_eq!(world.decide("bert", request(1)), Err(Refusal::CodeNotFound));
    assert_eq!(world.decide("bert", request(2)), Ok(Subject::Invitation(id(1))));
}

#[test]
fn every_owner_and_the_old_address_hear_that_the_notification_address_changed() {
    let mut world = world();
    world.account("owner", "github", &["owner@acme.example"]);
    // one of an address that another owner has, and one who has moved on from the address of the offer
    for (name, address) in [("extra", "OLGA@acme.example"), ("owner", "owner@former.example")] {
        let (username, address) = (user(name), Some(email(address)));
        let (create_time, update_time) = (at(0), at(0));
        let member = Member {
            username,
            role: Role::Owner,
            email: address,
            inviter: None,
            create_time,
            update_time,
            revision: 1,
        };
        world.state().put_member(member);
    }
    world.account("extra", "github", &["extra@acme.example", "olga@acme.example"]);
    world.account("olga", "github", &["olga@acme.example"]);
    let edit = crate::domain::Edit { notification_email: Some(email("new@acme.example")), ..Default::default() };
    world.decide("olga", Operation::UpdateOrganization(Box::new(edit))).unwrap();
    let told = world.state().emails.iter().map(|email| (email.kind, email.recipient.key().to_owned()));
    let mut told = told.collect::<Vec<_>>();
    told.sort_by_key(|(_, to)| to.clone());
    let expected = ["desk@acme.example", "olga@acme.example", "owner@acme.example"];
    assert_eq!(told, expected.map(|to| (EmailKind::OrganizationChanged, to.to_owned())));
}

#[test]
fn all_but_the_answer_to_a_request_is_counted_as_an_invitation() {
    let resend = || Operation::ResendInvitation { invitation: id(1), etag: None, rotate_code: false, gone_key: None };
    let story = |asks: bool| {
        let mut world = world();
        world.account("bert", "github", &["bert@one.example"]);
        let invite =
            Invite { id: id(1), email: email("bert@one.example"), locale: None, annotations: Annotations::default() };
        world.decide("manager", Operation::CreateInvitation(invite)).unwrap();
        if asks {
            let request = Operation::RequestAccess { invitation: id(1), code_hash: code_hash("k1", 1, 1) };
            world.decide("bert", request).unwrap();
            world.now = at(104);
            world.decide("manager", resend()).unwrap();
        }
        let (username, email) = (user("bert"), email("bert@one.example"));
        let offer = Offer { id: id(2), username, email, role: Role::Reader };
        assert_eq!(world.decide("manager", Operation::OfferMembership(offer)), Ok(Subject::Invitation(id(1))));
        world.now = at(108);
        world.decide("manager", resend()).unwrap();
        (world.state().counted, world.state().head.invitations.totals[0])
    };
    assert_eq!(story(true), (3, 3), "of four emails the offer is the answer");
    assert_eq!(story(false), (3, 3), "of three, as an invitation by email before it does not make an offer expected");
}
