//! Tries `transitions_table`, cell by cell.

use super::invariants::{check_rows, check_step};
use super::transitions_table::{
    ACCEPT, APPROVE, CALLERS, CREATE, DECLINE, GROUPS, Line, OFFER, OFFER_ANOTHER_ROLE, REJECT, REQUEST, RESEND,
    REVOKE, ROTATE, STATES,
};
use super::world::{World, acme, at, code_hash, email, id, reason, service, user};
use crate::domain::{
    Annotations, Invitation, InvitationState as S, Invite, Member, Offer, Operation, OrganizationId, Refusal, Role,
    Scope, Subject,
};

const ANNA: &str = "anna@one.example";

#[test]
fn every_transition_from_every_state_by_every_caller_ends_as_the_table_says() {
    let (invitation, etag) = (id(0), None);
    let offer = |role| Offer { id: id(7), username: user("anna"), email: email(ANNA), role };
    let resend = |rotate_code| Operation::ResendInvitation { invitation, etag: None, rotate_code, gone_key: None };
    let tables = [
        (
            Operation::CreateInvitation(Invite {
                id: id(7),
                email: email(ANNA),
                locale: None,
                annotations: Annotations::default(),
            }),
            CREATE,
        ),
        (Operation::RequestAccess { invitation, code_hash: code_hash("k1", 0, 1) }, REQUEST),
        (Operation::OfferMembership(offer(Role::Reader)), OFFER),
        (Operation::OfferMembership(offer(Role::Contributor)), OFFER_ANOTHER_ROLE),
        (Operation::ApproveOffer { invitation, etag: etag.clone() }, APPROVE),
        (Operation::AcceptInvitation { invitation, etag: etag.clone() }, ACCEPT),
        (Operation::DeclineInvitation { invitation, etag: etag.clone() }, DECLINE),
        (Operation::RejectAccess { invitation, etag: etag.clone() }, REJECT),
        (Operation::RevokeInvitation { invitation, etag }, REVOKE),
        (resend(false), RESEND),
        (resend(true), ROTATE),
    ];
    let mut wrong = Vec::new();
    for (operation, lines) in tables {
        let mut used = vec![false; lines.len()];
        for (caller, state) in CALLERS.split_whitespace().flat_map(|c| STATES.split_whitespace().map(move |s| (c, s))) {
            let cell = format!("{} from {state} by {caller}", operation.method());
            let fits = |line: &Line| names(line.0, caller) && names(line.1, state);
            let n = lines.iter().position(fits).unwrap_or_else(|| panic!("no line says what becomes of {cell}"));
            used[n] = true;
            let (_, _, outcome, because) = lines[n];
            let found = outcome_of(&operation, state, caller);
            if found != outcome {
                wrong.push(format!("{cell}: {found}, not {outcome}: {because}"));
            }
        }
        let idle = lines.iter().zip(used).filter(|(_, used)| !used).map(|(line, _)| line).collect::<Vec<_>>();
        assert!(idle.is_empty(), "{} never needs {idle:?}", operation.method());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a cell of the table means that caller or state.
fn names(cell: &str, wanted: &str) -> bool {
    cell.split_whitespace().any(|word| match GROUPS.iter().find(|(group, _)| *group == word) {
        Some((_, these)) => these.split_whitespace().any(|one| one == wanted),
        None => word == wanted || word == "any",
    })
}

/// What the code makes of one cell, in the table's words.
fn outcome_of(operation: &Operation, state: &str, caller: &str) -> String {
    let mut world = world(state);
    let before = world.state().clone();
    let answer = world.decide(&username(caller), operation.clone());
    let now = world.now;
    let after = world.state();
    let checked = check_rows(after).and_then(|()| check_step(&before, after, now));
    checked.unwrap_or_else(|error| panic!("{} from {state} by {caller}: {error}", operation.method()));

    let (old, new) = (before.invitations.get(&id(0)), after.invitations.get(&id(0)));
    let shown = old.map(|old| old.state_at(now));
    let is_untouched = new.map(|new| new.state) == shown && new.map(|new| new.revision) == old.map(|old| old.revision);
    match answer {
        Err(_) if !is_untouched || after.invitations.len() != before.invitations.len() => "a change".to_owned(),
        Err(Refusal::InvitationState { name, state }) => {
            assert_eq!((name, Some(state)), (id(0).name(&acme()), shown));
            "its state".to_owned()
        }
        Err(refusal) => reason(&refusal),
        Ok(Subject::Invitation(found)) => {
            let state_of = |invitation: &Invitation| invitation.state.as_str();
            match (found == id(0), is_untouched) {
                (true, true) => "stays".to_owned(),
                (true, false) => format!("becomes {}", new.map_or("", state_of)),
                (false, _) => format!("another is {}", after.invitations.get(&found).map_or("", state_of)),
            }
        }
        Ok(other) => format!("{other:?}"),
    }
}

/// The caller's name in [`world`].
fn username(caller: &str) -> String {
    match caller {
        "bound" => "anna".to_owned(),
        "other" => "bert".to_owned(),
        "deleted" => "dora".to_owned(),
        name => name.to_lowercase().replace('_', "-"),
    }
}

/// The organization with its members and services, and the invitation in that state.
fn world(state: &str) -> World {
    let mut world = World::empty();
    for role in Role::ALL {
        let name = username(role.as_str());
        world.account(&name, "github", &[]);
        world.member(&name, role);
    }
    world.member("dora", Role::Owner);
    world.account("anna", "github", &[ANNA]);
    world.account("bert", "github", &["bert@one.example"]);
    world.account("stranger", "github", &["stranger@one.example"]);
    world.invitation(1, S::AccessRequested, "bert", "bert@one.example");
    let scopes = [
        ("bare", &[][..]),
        ("read", &[Scope::InvitationsRead]),
        ("write", &[Scope::InvitationsWrite]),
        ("grant", &[Scope::MembersGrant]),
        ("admin", &[Scope::OrganizationsAdmin]),
        ("outside", &Scope::ALL),
    ];
    world.deployment.services = scopes.map(|(name, scopes)| service(name, scopes)).to_vec();
    world.deployment.services[5].organizations = OrganizationId::parse("elsewhere").map(|other| vec![other]);

    world.now = at(if state.ends_with("-late") { 168 } else { 100 });
    if let Some(state) = S::parse(state.trim_end_matches("-late")) {
        world.invitation(0, state, "anna", ANNA);
        if state == S::Accepted {
            let (username, role, email) = (user("anna"), Role::Reader, Some(email(ANNA)));
            let (create_time, update_time) = (at(50), at(50));
            let member = Member { username, role, email, inviter: None, create_time, update_time, revision: 1 };
            world.state().put_member(member);
        }
    }
    world
}
