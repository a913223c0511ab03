//! From every state, every transition that does not start there: the reason, and nothing written.

use invitations::pb::{Invitation, Role};
use tonic::Status;

use crate::support::{Person, Service, reason};

/// One line for each state (`late`: its time is over and nobody has closed it), one column for each call: accept and
/// decline by the account, approve, reject, revoke, resend and rotate by an owner who did not make the offer.
///
/// `ok`: it starts there, which other tests try. `no`: INVITATION_NOT_OPEN_FOR_THIS. `unknown`: INVITATION_NOT_FOUND.
/// `final`: the reason of that state. `same`: the same answer again.
const TABLE: &str = "
    state                  accept   decline  approve  reject   revoke   resend   rotate
    INVITED                unknown  unknown  no       no       ok       ok       ok
    INVITED_late           unknown  unknown  final    final    final    final    final
    ACCESS_REQUESTED       no       ok       no       ok       ok       ok       no
    PENDING_APPROVAL       no       ok       ok       no       ok       no       no
    PENDING_APPROVAL_late  final    final    final    final    final    final    final
    OFFERED                ok       ok       no       no       ok       ok       no
    OFFERED_late           final    final    final    final    final    final    final
    ACCEPTED               same     final    final    final    final    final    final
    DECLINED               final    final    final    final    final    final    final
    REJECTED               final    final    final    final    final    final    final
    REVOKED                final    final    final    final    final    final    final
    EXPIRED                final    final    final    final    final    final    final
";

/// An invitation in that state, and the account that it is for.
async fn in_state(service: &Service, owner: &Person, state: &str) -> (Person, String) {
    let username = state.to_lowercase().replace('_', "-");
    let email = format!("{username}@example.com");
    if state.starts_with("INVITED") {
        let invitation = owner.invite("acme", &email).await.unwrap();
        let person = service.account(&username).await;
        if state.ends_with("late") {
            service.let_expire(&invitation.name).await;
        }
        return (person, invitation.name);
    }
    let (person, invitation) = service.requested(owner, "acme", &username).await;
    let name = invitation.name;
    if !["ACCESS_REQUESTED", "REJECTED"].contains(&state) {
        let role = if state.starts_with("PENDING") { "MANAGER" } else { "READER" };
        owner.offer("acme", &username, &email, role).await.unwrap();
    }
    match state {
        "ACCEPTED" => drop(person.accept(&name).await.unwrap()),
        "DECLINED" => drop(person.decline(&name).await.unwrap()),
        "REJECTED" => drop(owner.reject(&name).await.unwrap()),
        "REVOKED" => drop(owner.revoke(&name).await.unwrap()),
        "EXPIRED" => {
            service.let_expire(&name).await;
            // whoever comes next closes what is overdue
            owner.invite("acme", &email).await.unwrap();
        }
        late if late.ends_with("_late") => service.let_expire(&name).await,
        _ => {}
    }
    (person, name)
}

/// The word of the table for what a call was told.
fn word(outcome: Result<Invitation, Status>, state: &str) -> String {
    let word = match reason(outcome).as_str() {
        "INVITATION_NOT_FOUND" => "unknown",
        "INVITATION_NOT_OPEN_FOR_THIS" => "no",
        other => {
            let shown = if state.ends_with("_late") { "EXPIRED" } else { state };
            assert_eq!(other, format!("INVITATION_{shown}"));
            "final"
        }
    };
    word.to_owned()
}

#[tokio::test]
async fn nothing_leaves_a_state_but_by_its_own_transitions() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let second = service.member(&owner, "acme", "ottilie", "OWNER").await;
    owner.ask_for_approval_of("acme", Role::Manager).await;
    let mut lines = TABLE.lines().map(str::trim).filter(|line| !line.is_empty());
    let calls = lines.next().unwrap().split_whitespace().skip(1).collect::<Vec<_>>();
    assert_eq!(lines.clone().count(), 12);
    for line in lines {
        let mut words = line.split_whitespace();
        let state = words.next().unwrap();
        let (person, name) = in_state(&service, &owner, state).await;
        let before = service.tables().await;
        let shown = owner.get(&name).await.unwrap();
        for (call, expected) in calls.iter().zip(words) {
            let outcome = match (*call, expected) {
                (_, "ok") => continue,
                ("accept", "same") => {
                    assert_eq!(person.accept(&name).await.unwrap().etag, shown.etag);
                    continue;
                }
                ("accept", _) => person.accept(&name).await,
                ("decline", _) => person.decline(&name).await,
                ("approve", _) => second.approve(&name).await,
                ("reject", _) => owner.reject(&name).await,
                ("revoke", _) => owner.revoke(&name).await,
                ("resend", _) => owner.resend(&name, false).await,
                ("rotate", _) => owner.resend(&name, true).await,
                (call, _) => panic!("no call {call}"),
            };
            assert_eq!(word(outcome, state), expected, "{call} in {state}");
            if !state.ends_with("_late") {
                before.assert_same(&service.tables().await, &format!("{call} in {state}"));
            }
        }
        // an administrator's call may have closed what was overdue: that is not to be seen from outside
        let now = owner.get(&name).await.unwrap();
        assert_eq!((now.state(), now.etag, now.update_time), (shown.state(), shown.etag, shown.update_time), "{state}");
    }
    service.recount().await;
}
