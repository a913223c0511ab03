//! The same request again: what was done is answered, nothing is done twice, and nobody learns of others' requests.

use uuid::Uuid;

use super::world::{World, at, code_hash, email, id, service, user};
use crate::domain::{
    Annotations, DisplayName, Edit, InvitationState as S, Invite, Offer, Operation, OrganizationState, Refusal,
    Request, Role, Scope, Subject,
};

const ANNA: &str = "anna@one.example";

fn request(id: u128) -> Request {
    Request::new(Uuid::from_u128(id), [1; 32])
}

fn world() -> World {
    let mut world = World::empty();
    for (name, role) in [("owner", Role::Owner), ("manager", Role::Manager), ("reader", Role::Reader)] {
        world.account(name, "github", &[]);
        world.member(name, role);
    }
    world.account("anna", "github", &[ANNA]);
    world.account("bert", "github", &["bert@one.example"]);
    world.account("stranger", "github", &[]);
    world.deployment.services = vec![service("robot", &[Scope::InvitationsWrite])];
    world.now = at(100);
    world
}

fn invite(row: usize, address: &str) -> Operation {
    Operation::CreateInvitation(Invite {
        id: id(row),
        email: email(address),
        locale: None,
        annotations: Annotations::default(),
    })
}

fn remove(name: &str) -> Operation {
    Operation::DeleteMember { member: user(name), etag: None }
}

fn request_access(row: usize) -> Operation {
    Operation::RequestAccess { invitation: id(row), code_hash: code_hash("k1", row, 1) }
}

/// Everything that would be written.
fn written(state: &OrganizationState) -> impl PartialEq + std::fmt::Debug + use<> {
    let OrganizationState {
        organization,
        head,
        members,
        invitations,
        resends: _,
        events,
        emails,
        withdrawals,
        trace: _,
        transitions,
        counted,
    } = state.clone();
    (organization, head, members, invitations, events, emails, withdrawals, transitions, counted)
}

/// Each operation that a caller can ask for, with one who may.
fn requests() -> Vec<(S, &'static str, Operation)> {
    let (invitation, etag) = (id(0), None);
    let offer = Offer { id: id(7), username: user("anna"), email: email(ANNA), role: Role::Reader };
    let edit = Edit { display_name: DisplayName::parse("Another Name"), ..Edit::default() };
    vec![
        (S::Expired, "manager", invite(7, ANNA)),
        (S::Invited, "anna", request_access(0)),
        (S::AccessRequested, "manager", Operation::OfferMembership(offer)),
        (S::PendingApproval, "manager", Operation::ApproveOffer { invitation, etag: etag.clone() }),
        (S::Offered, "anna", Operation::AcceptInvitation { invitation, etag: etag.clone() }),
        (S::Offered, "anna", Operation::DeclineInvitation { invitation, etag: etag.clone() }),
        (S::AccessRequested, "manager", Operation::RejectAccess { invitation, etag: etag.clone() }),
        (S::Offered, "manager", Operation::RevokeInvitation { invitation, etag: etag.clone() }),
        (
            S::Invited,
            "manager",
            Operation::ResendInvitation { invitation, etag: etag.clone(), rotate_code: true, gone_key: None },
        ),
        (S::Invited, "manager", Operation::UpdateMember { member: user("reader"), role: Some(Role::None), etag }),
        (S::Invited, "manager", remove("reader")),
        (S::Invited, "manager", Operation::UpdateOrganization(Box::new(edit))),
    ]
}

#[test]
fn the_same_request_again_is_answered_and_not_done_again() {
    for (state, caller, operation) in requests() {
        let mut world = world();
        world.invitation(0, state, "anna", ANNA);
        let method = operation.method();
        let first = world.decide_once(caller, request(1), operation.clone());
        assert!(first.is_ok(), "{method}: {first:?}");
        let after = written(world.state());
        // the handler makes another id for what it would create, which is no part of the request
        let again = match operation {
            Operation::CreateInvitation(_) => invite(8, ANNA),
            other => other,
        };
        assert_eq!(world.decide_once(caller, request(1), again), first, "{method}");
        assert!(written(world.state()) == after, "{method} was done twice");
    }
}

#[test]
fn a_request_id_is_for_one_request() {
    for (state, caller, operation) in requests() {
        let mut world = world();
        world.invitation(0, state, "anna", ANNA);
        let method = operation.method();
        world.decide_once(caller, request(1), operation.clone()).unwrap();
        let after = written(world.state());
        let other_body = Request { digest: [2; 32], ..request(1) };
        let answer = world.decide_once(caller, other_body, operation);
        assert_eq!(answer, Err(Refusal::RequestIdReused), "{method} with another body");
        let other_method = if method == "DeleteMember" { invite(8, "new@one.example") } else { remove(caller) };
        let answer = world.decide_once(caller, request(1), other_method);
        assert_eq!(answer, Err(Refusal::RequestIdReused), "another method after {method}");
        assert!(written(world.state()) == after, "{method}");
    }
}

#[test]
fn a_request_id_is_for_one_code() {
    let mut world = world();
    world.invitation(0, S::Invited, "anna", ANNA);
    world.invitation(1, S::Invited, "anna", "other@one.example");
    world.decide_once("anna", request(1), request_access(0)).unwrap();
    let answer = world.decide_once("anna", Request { digest: [2; 32], ..request(1) }, request_access(1));
    assert_eq!(answer, Err(Refusal::RequestIdReused), "the code is right, so she may know");

    let dead = Operation::RequestAccess { invitation: id(1), code_hash: code_hash("k1", 1, 9) };
    let answer = world.decide_once("anna", Request { digest: [3; 32], ..request(1) }, dead);
    assert_eq!(answer, Err(Refusal::CodeNotFound), "a dead code tells nothing, not even that it was one");
}

#[test]
fn whoever_lost_the_right_since_still_hears_what_became_of_the_request() {
    let mut world = world();
    let first = world.decide_once("manager", request(1), invite(0, ANNA)).unwrap();
    let demote = Operation::UpdateMember { member: user("manager"), role: Some(Role::Reader), etag: None };
    world.decide("owner", demote).unwrap();
    assert_eq!(world.decide_once("manager", request(1), invite(8, ANNA)), Ok(first));
    let answer = world.decide_once("manager", request(2), invite(8, "new@one.example"));
    assert_eq!(answer, Err(Refusal::RoleRequired(Role::SecurityManager)), "but nothing new is done");
}

#[test]
fn whoever_was_removed_since_is_a_stranger() {
    let mut world = world();
    world.decide_once("manager", request(1), invite(0, ANNA)).unwrap();
    world.decide("owner", remove("manager")).unwrap();
    let answer = world.decide_once("manager", request(1), invite(8, ANNA));
    assert_eq!(answer, Err(Refusal::OrganizationNotFound("organizations/acme".to_owned())));
}

#[test]
fn a_deleted_account_hears_nothing() {
    let mut world = world();
    world.decide_once("manager", request(1), invite(0, ANNA)).unwrap();
    world.accounts.remove(&user("manager"));
    let answer = world.decide_once("manager", request(1), invite(8, ANNA));
    assert_eq!(answer, Err(Refusal::OrganizationNotFound("organizations/acme".to_owned())));
}

#[test]
fn a_service_that_no_longer_reaches_the_organization_hears_nothing() {
    let mut world = world();
    world.decide_once("robot", request(1), invite(0, ANNA)).unwrap();
    world.deployment.services[0].organizations = Some(Vec::new());
    let answer = world.decide_once("robot", request(1), invite(8, ANNA));
    assert_eq!(answer, Err(Refusal::OrganizationNotFound("organizations/acme".to_owned())));
}

#[test]
fn whoever_removed_themselves_may_ask_again_whether_it_worked() {
    let mut world = world();
    let gone = world.decide_once("reader", request(1), remove("reader")).unwrap();
    assert_eq!(world.decide_once("reader", request(1), remove("reader")), Ok(gone));
    let answer = world.decide_once("reader", request(2), remove("reader"));
    assert_eq!(answer, Err(Refusal::MemberNotFound("organizations/acme/members/reader".to_owned())));
}

#[test]
fn the_bound_account_hears_what_became_of_its_request_however_it_ended() {
    let mut world = world();
    world.invitation(0, S::Invited, "anna", ANNA);
    world.decide_once("anna", request(1), request_access(0)).unwrap();
    world.decide("owner", Operation::RejectAccess { invitation: id(0), etag: None }).unwrap();
    assert_eq!(world.decide_once("anna", request(1), request_access(0)), Ok(Subject::Invitation(id(0))));
    let answer = world.decide_once("anna", request(2), request_access(0));
    assert!(matches!(answer, Err(Refusal::InvitationState { state: S::Rejected, .. })), "{answer:?}");
}

#[test]
fn each_caller_has_request_ids_of_its_own() {
    let mut world = world();
    let first = world.decide_once("manager", request(1), invite(0, ANNA)).unwrap();
    let other = world.decide_once("owner", request(1), invite(1, "new@one.example")).unwrap();
    assert_eq!((first, other), (Subject::Invitation(id(0)), Subject::Invitation(id(1))));
}

#[test]
fn a_stranger_learns_nothing_from_the_request_id_of_somebody_else() {
    let mut world = world();
    world.invitation(0, S::Offered, "anna", ANNA);
    let accept = Operation::AcceptInvitation { invitation: id(0), etag: None };
    world.decide_once("anna", request(1), accept.clone()).unwrap();
    let unknown = || Err(Refusal::InvitationNotFound(id(0).name(&super::world::acme())));
    assert_eq!(world.decide_once("stranger", request(1), accept.clone()), unknown());
    // and would not, were the memory ever shared between callers
    world.share_memory("anna", "stranger");
    assert_eq!(world.decide_once("stranger", request(1), accept), unknown());
}

#[test]
fn a_refused_request_is_tried_again() {
    let mut world = world();
    world.decide("owner", invite(0, ANNA)).unwrap();
    let refused = world.decide_once("manager", request(1), invite(1, ANNA));
    assert!(matches!(refused, Err(Refusal::OpenInvitationExists(_))));
    world.decide("owner", Operation::RevokeInvitation { invitation: id(0), etag: None }).unwrap();
    assert_eq!(world.decide_once("manager", request(1), invite(1, ANNA)), Ok(Subject::Invitation(id(1))));
}

#[test]
fn each_part_of_a_request_has_an_id_of_its_own_and_its_events_that_of_the_whole() {
    let whole = request(1);
    let parts = (0..1000).map(|n| whole.part(n)).collect::<Vec<_>>();
    let ids = parts.iter().map(|part| part.id).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(ids.len(), 1000);
    assert!(!ids.contains(&whole.id) && parts.iter().all(|part| part.digest == whole.digest));
    assert_eq!(whole.part(3), parts[3]);
    assert_ne!(request(2).part(3).id, parts[3].id);

    let mut world = world();
    world.decide_once("manager", parts[3].clone(), invite(1, ANNA)).unwrap();
    let event = world.state().events.last().unwrap();
    assert_eq!(event.request_id, Some(whole.id));
}
