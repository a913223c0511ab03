//! Telling what exists from what does not, by answers and by the work that they take.
//!
//! How long the answers take is measured by `cargo bench --bench enumeration`; here it is what takes the time, the
//! statements that Postgres was asked to carry out.

use invitations::domain::{CodeKey, InvitationCode, InvitationId};
use invitations::pb;
use tonic::Status;
use uuid::Uuid;

use super::shown;
use crate::support::{Person, Service, Watched};

/// What somebody gets for a call that is refused, and the statements that were carried out for it.
async fn seen<T>(watched: &Watched, names: &[&str], call: impl Future<Output = Result<T, Status>>) -> Seen {
    let (outcome, statements) = watched.statements(call).await;
    let status = outcome.err().expect("the call is refused");
    Seen { answer: shown(&status, names), statements }
}

/// What a caller can tell, and could tell from the time.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    answer: String,
    statements: Vec<String>,
}

/// Fails where one of them differs from the first.
#[track_caller]
fn assert_alike(all: &[(&str, Seen)]) {
    for (what, seen) in &all[1..] {
        assert_eq!(*seen, all[0].1, "{what} is told from {}", all[0].0);
    }
}

fn code_of(name: &str, purpose_of_the_key: u8) -> String {
    let key = CodeKey::new("test".to_owned(), vec![purpose_of_the_key; 32]).unwrap();
    let id = InvitationId::parse(name.rsplit('/').next().unwrap()).unwrap();
    InvitationCode::derive(&key, id, 1).reveal()
}

/// One code for each way in which a code can be bad.
async fn bad_codes(service: &Service, owner: &Person) -> Vec<(&'static str, String)> {
    let invite = async |name: &str| owner.invite("acme", &format!("{name}@example.com")).await.unwrap().name;
    let mut codes = vec![("an unknown code", code_of(&format!("invitations/{}", Uuid::now_v7()), 7))];

    let expired = invite("expired").await;
    service.let_expire(&expired).await;
    codes.push(("an expired code", code_of(&expired, 7)));
    let revoked = invite("revoked").await;
    owner.revoke(&revoked).await.unwrap();
    codes.push(("a revoked code", code_of(&revoked, 7)));
    let rotated = invite("rotated").await;
    owner.resend(&rotated, true).await.unwrap();
    codes.push(("a code that was rotated away", code_of(&rotated, 7)));
    let retired = invite("retired").await;
    let id = retired.rsplit('/').next().unwrap();
    let retire = sqlx::query("UPDATE invitations SET code_key_id = 'retired' WHERE invitation = $1::uuid").bind(id);
    assert_eq!(retire.execute(service.pool()).await.unwrap().rows_affected(), 1);
    codes.push(("a code whose key was taken out", code_of(&retired, 7)));
    let foreign = invite("foreign").await;
    codes.push(("a code of another key", code_of(&foreign, 8)));

    let (_, bound) = service.requested(owner, "acme", "bound").await;
    codes.push(("a code that is bound", code_of(&bound.name, 7)));
    let (_, offered) = service.requested(owner, "acme", "offered").await;
    owner.offer("acme", "offered", "offered@example.com", "READER").await.unwrap();
    codes.push(("a code whose account has an offer", code_of(&offered.name, 7)));
    let (accepted_by, accepted) = service.requested(owner, "acme", "accepted").await;
    owner.offer("acme", "accepted", "accepted@example.com", "READER").await.unwrap();
    accepted_by.accept(&accepted.name).await.unwrap();
    codes.push(("a code whose account is a member", code_of(&accepted.name, 7)));
    let (declined_by, declined) = service.requested(owner, "acme", "declined").await;
    declined_by.decline(&declined.name).await.unwrap();
    codes.push(("a code whose account has declined", code_of(&declined.name, 7)));
    let (_, rejected) = service.requested(owner, "acme", "rejected").await;
    owner.reject(&rejected.name).await.unwrap();
    codes.push(("a code whose account was rejected", code_of(&rejected.name, 7)));
    codes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_exists_is_told_from_what_does_not_by_nobody_outside() {
    let watched = &Watched::start(&[("wrong_codes_limit", "1000")]).await;
    let service = &watched.service;
    super::warm_up(service).await;
    let owner = service.owner("olga", "acme").await;
    let mallory = service.account("mallory").await;

    let codes = bad_codes(service, &owner).await;
    assert!(codes.len() > 9);
    // from here on only calls ask Postgres for anything
    service.tables().await;
    let mut all = Vec::new();
    for (what, code) in &codes {
        all.push((*what, seen(watched, &[], mallory.request_access(code)).await));
    }
    assert_alike(&all);
    // control: all that a live code needs is looked at
    let statements = &all[0].1.statements;
    assert!(statements.len() > 3 && statements.iter().any(|s| s.contains("code_key_id")), "{statements:#?}");
    // a typing error costs nothing but the look at who calls
    let mistyped = seen(watched, &[], mallory.request_access("0000-0000-0000-0000-0000-0000-0001")).await;
    assert_eq!(mistyped.statements.len(), 1, "{mistyped:?}");
    // the organization's own people are told no more and take no other way
    let own = seen(watched, &[], owner.request_access(&codes[1].1)).await;
    let unknown = seen(watched, &[], owner.request_access(&codes[0].1)).await;
    assert_alike(&[("an unknown code", unknown), ("an expired code", own)]);

    Box::pin(objects(watched, &owner, &mallory)).await;
}

/// Each call of a stranger for something that is there, and for something that is not.
async fn objects(watched: &Watched, owner: &Person, mallory: &Person) {
    let there = watched.service.requested(owner, "acme", "anna").await.1.name;
    watched.service.account("bert").await;
    watched.service.tables().await;
    let id = there.rsplit('/').next().unwrap().to_owned();
    let missing = Uuid::now_v7().to_string();
    let alike = [
        ("an organization", "acme", "acne", [id.as_str(), &id], ["anna", "anna"]),
        ("an invitation", "acme", "acme", [&id, &missing], ["anna", "anna"]),
        ("a member", "acme", "acme", [&id, &id], ["anna", "enno"]),
    ];
    let mut pairs = 0;
    for (what, organization, no_organization, ids, usernames) in alike {
        let there = Box::pin(calls(watched, mallory, organization, ids[0], usernames[0])).await;
        let not_there = Box::pin(calls(watched, mallory, no_organization, ids[1], usernames[1])).await;
        for ((call, there), (_, not_there)) in there.into_iter().zip(not_there) {
            assert!(!there.statements.is_empty());
            assert_eq!(there, not_there, "{call} tells {what} that is there from one that is not");
            pairs += 1;
        }
    }
    let accounts = [accounts(watched, mallory, "bert").await, accounts(watched, mallory, "gert").await];
    assert_eq!(accounts[0], accounts[1], "an account that is there is told from one that is not");
    assert!(pairs > 50);

    // control: who may see a thing is told, by another answer and, where it takes more than one statement, by more work
    let (shown, _) = watched.statements(owner.get(&there)).await;
    assert!(shown.is_ok());
    let list = pb::ListInvitationsRequest { parent: "organizations/acme".to_owned(), ..Default::default() };
    let refused = seen(watched, &[], mallory.invitations.clone().list_invitations(list.clone())).await;
    let (shown, statements) = watched.statements(owner.invitations.clone().list_invitations(list)).await;
    assert!(shown.is_ok() && statements != refused.statements);
    let missing = format!("organizations/acme/invitations/{missing}");
    assert!(owner.get(&missing).await.is_err());
}

/// What a caller sees of every call that names an organization, something in it, or what happened to it.
async fn calls(
    watched: &Watched,
    who: &Person,
    organization: &str,
    id: &str,
    username: &str,
) -> Vec<(&'static str, Seen)> {
    let parent = format!("organizations/{organization}");
    let (name, member) = (format!("{parent}/invitations/{id}"), format!("{parent}/members/{username}"));
    let names = [parent.as_str(), &name, &member, organization, id, username];
    let mut all = Vec::new();
    macro_rules! see {
        ($client:ident . $method:ident, $message:expr) => {
            all.push((stringify!($method), seen(watched, &names, who.$client.clone().$method($message)).await))
        };
    }
    see!(organizations.get_organization, pb::GetOrganizationRequest { name: parent.clone() });
    let edited = pb::Organization { name: parent.clone(), display_name: "Evil".to_owned(), ..Default::default() };
    see!(
        organizations.update_organization,
        pb::UpdateOrganizationRequest { organization: Some(edited), ..Default::default() }
    );
    see!(organizations.list_members, pb::ListMembersRequest { parent: parent.clone(), ..Default::default() });
    see!(organizations.list_events, pb::ListEventsRequest { parent: parent.clone(), ..Default::default() });
    let of_one = pb::ListEventsRequest { parent: parent.clone(), invitation: name.clone(), ..Default::default() };
    see!(organizations.list_events, of_one);
    see!(organizations.get_member, pb::GetMemberRequest { name: member.clone() });
    let promoted = pb::Member { name: member.clone(), role: pb::Role::Owner.into(), ..Default::default() };
    see!(organizations.update_member, pb::UpdateMemberRequest { member: Some(promoted), ..Default::default() });
    see!(organizations.delete_member, pb::DeleteMemberRequest { name: member.clone(), ..Default::default() });

    let invited = pb::Invitation { email: "new@example.com".to_owned(), ..Default::default() };
    let request_id = Uuid::new_v4().to_string();
    let create = |request_id, validate_only| pb::CreateInvitationRequest {
        parent: parent.clone(),
        invitation: Some(invited.clone()),
        request_id,
        validate_only,
    };
    see!(invitations.create_invitation, create(String::new(), false));
    see!(invitations.create_invitation, create(request_id.clone(), false));
    see!(invitations.create_invitation, create(String::new(), true));
    see!(invitations.list_invitations, pb::ListInvitationsRequest { parent: parent.clone(), ..Default::default() });
    let offer = pb::OfferMembershipRequest {
        parent: parent.clone(),
        username: username.to_owned(),
        email: "anna@example.com".to_owned(),
        role: pb::Role::Reader.into(),
        ..Default::default()
    };
    see!(invitations.offer_membership, offer);
    see!(invitations.get_invitation, pb::GetInvitationRequest { name: name.clone() });
    see!(invitations.accept_invitation, pb::AcceptInvitationRequest { name: name.clone(), ..Default::default() });
    see!(invitations.decline_invitation, pb::DeclineInvitationRequest { name: name.clone(), ..Default::default() });
    let again = pb::AcceptInvitationRequest { name: name.clone(), request_id, ..Default::default() };
    see!(invitations.accept_invitation, again);
    see!(invitations.reject_access, pb::RejectAccessRequest { name: name.clone(), ..Default::default() });
    see!(invitations.revoke_invitation, pb::RevokeInvitationRequest { name: name.clone(), ..Default::default() });
    see!(invitations.resend_invitation, pb::ResendInvitationRequest { name: name.clone(), ..Default::default() });
    all
}

/// The same of every call that names an account.
async fn accounts(watched: &Watched, who: &Person, username: &str) -> Vec<Seen> {
    let name = format!("accounts/{username}");
    let names = [name.as_str(), username];
    let get = pb::GetAccountRequest { name: name.clone() };
    let invitations = pb::ListAccountInvitationsRequest { parent: name.clone(), ..Default::default() };
    let memberships = pb::ListAccountMembershipsRequest { parent: name.clone(), ..Default::default() };
    let delete = pb::DeleteAccountRequest { name: name.clone(), ..Default::default() };
    vec![
        seen(watched, &names, who.accounts.clone().get_account(get)).await,
        seen(watched, &names, who.invitations.clone().list_account_invitations(invitations)).await,
        seen(watched, &names, who.accounts.clone().list_account_memberships(memberships)).await,
        seen(watched, &names, who.accounts.clone().delete_account(delete)).await,
    ]
}
