//! Takeovers: people and services that reach for what is not theirs, from inside and from outside.

use std::collections::BTreeMap;

use invitations::pb::{self, Role, invitation::State};
use prost_types::FieldMask;
use tonic::{Request, Status};

use crate::support::{Person, Service, reason};

const ROLES: [&str; 6] = ["NONE", "READER", "CONTRIBUTOR", "SECURITY_MANAGER", "MANAGER", "OWNER"];

/// A member for each role, called like it, beside the owner `olga`.
async fn with_members(service: &Service) -> (Person, BTreeMap<String, &'static str>) {
    let owner = service.owner("olga", "acme").await;
    let mut members = BTreeMap::new();
    for role in ROLES {
        let name = role.to_lowercase().replace('_', "-");
        service.member(&owner, "acme", &name, role).await;
        members.insert(name, role);
    }
    (owner, members)
}

/// Tries to give every member every role, and then to remove them. `members` follows what succeeds.
async fn grab(caller: &Person, members: &mut BTreeMap<String, &'static str>) -> Vec<(String, &'static str)> {
    let mut done = Vec::new();
    for name in members.keys().cloned().collect::<Vec<_>>() {
        for role in ROLES {
            match caller.set_role("acme", &name, role).await {
                Ok(_) => done.push((name.clone(), members.insert(name.clone(), role).unwrap())),
                refused => assert_eq!(reason(refused), "ROLE_NOT_GRANTABLE", "{role} for {name}"),
            }
        }
        match caller.remove("acme", &name).await {
            Ok(()) => done.push((name.clone(), members.remove(&name).unwrap())),
            refused => assert_eq!(reason(refused), "ROLE_NOT_GRANTABLE", "the removal of {name}"),
        }
    }
    done
}

#[tokio::test]
async fn a_security_manager_takes_nobody_over_and_raises_nobody_above_contributor() {
    let service = Service::start().await;
    let (owner, mut members) = with_members(&service).await;
    let security = service.member(&owner, "acme", "sam", "SECURITY_MANAGER").await;
    let done = grab(&security, &mut members).await;
    let touched = ["NONE", "READER", "CONTRIBUTOR"];
    assert!(done.iter().all(|(_, role)| touched.contains(role)), "{done:?}");
    for (name, role) in [("security-manager", 3), ("manager", 4), ("owner", 5), ("olga", 5)] {
        assert_eq!(owner.member("acme", name).await.unwrap().role().as_str_name(), ROLES[role], "{name}");
    }
    // nor itself, nor a newcomer
    for role in &ROLES[4..] {
        assert_eq!(reason(security.set_role("acme", "sam", role).await), "ROLE_NOT_GRANTABLE");
    }
    service.account("accomplice").await;
    for role in &ROLES[3..] {
        let offer = security.offer("acme", "accomplice", "accomplice@example.com", role).await;
        assert_eq!(reason(offer), "ROLE_NOT_GRANTABLE", "{role}");
    }
    assert_eq!(owner.member("acme", "sam").await.unwrap().role(), Role::SecurityManager);

    // the control: an OWNER who tries the same succeeds everywhere
    let control = Service::start().await;
    let (owner, mut members) = with_members(&control).await;
    grab(&owner, &mut members).await;
    assert!(members.is_empty(), "{members:?}");
    control.recount().await;
    service.recount().await;
}

/// What somebody may hear who lost a race: never that something went wrong in the service.
const OF_LOSERS: [&str; 8] = [
    "OK",
    "LAST_OWNER",
    "ROLE_REQUIRED",
    "MEMBER_NOT_FOUND",
    "ORGANIZATION_NOT_FOUND",
    "ACCOUNT_REQUIRED",
    "ROLE_NOT_GRANTABLE",
    "DATABASE_UNAVAILABLE",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_owners_who_demote_remove_and_delete_at_once_one_stays() {
    let service = Service::start().await;
    let rosa = service.owner("rosa", "acme").await;
    for round in 0..8 {
        let names = [format!("olga-{round}"), format!("oscar-{round}")];
        let [olga, oscar] = [
            service.member(&rosa, "acme", &names[0], "OWNER").await,
            service.member(&rosa, "acme", &names[1], "OWNER").await,
        ];
        rosa.set_role("acme", "rosa", "MANAGER").await.unwrap();
        let delete = async |person: &Person| {
            let message = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
            person.accounts.clone().delete_account(message).await.map(drop)
        };
        let demote = async |person: &Person, whom: &str| person.set_role("acme", whom, "NONE").await.map(drop);
        let outcomes = tokio::join!(
            demote(&olga, &names[1]),
            oscar.remove("acme", &names[0]),
            delete(&olga),
            demote(&oscar, &names[0]),
            olga.remove("acme", &names[1]),
            delete(&oscar),
        );
        for outcome in <[_; 6]>::from(outcomes) {
            let answer = outcome.map_or_else(|status| reason(Err::<(), _>(status)), |()| "OK".to_owned());
            assert!(OF_LOSERS.contains(&answer.as_str()), "round {round}: {answer}");
        }
        let owners: Vec<String> =
            sqlx::query_scalar("SELECT username FROM members WHERE organization = 'acme' AND role = 'OWNER'")
                .fetch_all(service.pool())
                .await
                .unwrap();
        assert_eq!(owners.len(), 1, "round {round}: {owners:?}");
        service.recount().await;
        // whoever is left gives it back
        let left = if owners[0] == names[0] { &olga } else { &oscar };
        left.set_role("acme", "rosa", "OWNER").await.unwrap();
        rosa.remove("acme", &owners[0]).await.unwrap();
    }
}

/// The control of the one above: who looks first and writes then, without the lock, leaves nobody.
#[tokio::test]
async fn without_the_lock_two_owners_remove_each_other() {
    let service = Service::start().await;
    let olga = service.owner("olga", "acme").await;
    service.member(&olga, "acme", "oscar", "OWNER").await;
    let mut transactions = [service.pool().begin().await.unwrap(), service.pool().begin().await.unwrap()];
    for (transaction, other) in transactions.iter_mut().zip(["oscar", "olga"]) {
        let owners: i64 = sqlx::query_scalar("SELECT count(*) FROM members WHERE role = 'OWNER'")
            .fetch_one(&mut **transaction)
            .await
            .unwrap();
        assert_eq!(owners, 2, "each sees that another one would stay");
        let delete = "DELETE FROM members WHERE username = $1";
        sqlx::query(delete).bind(other).execute(&mut **transaction).await.unwrap();
    }
    for transaction in transactions {
        transaction.commit().await.unwrap();
    }
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM members").fetch_one(service.pool()).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_manager_reaches_neither_policy_nor_notification_address_nor_seats() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let manager = service.member(&owner, "acme", "max", "MANAGER").await;
    let policy = pb::Policy { approval_role: Role::Owner.into(), reminders_disabled: true, ..Default::default() };
    let evil = pb::Organization {
        name: "organizations/acme".to_owned(),
        display_name: "Acme".to_owned(),
        notification_email: "evil@example.net".to_owned(),
        policy: Some(policy),
        seat_limit: Some(1),
        ..Default::default()
    };
    let update = async |person: &Person, paths: &[&str]| {
        let mask = FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        let message = pb::UpdateOrganizationRequest {
            organization: Some(evil.clone()),
            update_mask: Some(mask),
            ..Default::default()
        };
        person.organizations.clone().update_organization(message).await.map(drop)
    };
    let before = service.tables().await;
    for paths in [
        &["notification_email"][..],
        &["policy"],
        &["policy.approval_role"],
        &["policy.reminders_disabled"],
        &["policy.blocked_email_domains"],
        &["display_name", "policy.offer_lifetime"],
        &["display_name", "notification_email"],
        &["*"],
        &[],
    ] {
        assert_eq!(reason(update(&manager, paths).await), "ROLE_REQUIRED", "{paths:?}");
    }
    for person in [&manager, &owner] {
        assert_eq!(reason(update(person, &["seat_limit"]).await), "SCOPE_REQUIRED");
        assert_eq!(reason(update(person, &["display_name", "seat_limit"]).await), "SCOPE_REQUIRED");
    }
    before.assert_same(&service.tables().await, "a manager");
    // the control
    update(&manager, &["display_name"]).await.unwrap();
    update(&owner, &["policy", "notification_email"]).await.unwrap();
    update(&service.service("billing", &["organizations.admin"]), &["seat_limit"]).await.unwrap();
}

fn invite(email: &str, n: u128) -> pb::CreateInvitationRequest {
    pb::CreateInvitationRequest {
        parent: "organizations/acme".to_owned(),
        invitation: Some(pb::Invitation { email: email.to_owned(), ..Default::default() }),
        request_id: uuid::Uuid::from_u128(n).to_string(),
        ..Default::default()
    }
}

fn offer_again(n: u128) -> pb::OfferMembershipRequest {
    pb::OfferMembershipRequest {
        parent: "organizations/acme".to_owned(),
        username: "anna".to_owned(),
        email: "anna@example.com".to_owned(),
        role: Role::Reader.into(),
        request_id: uuid::Uuid::from_u128(n).to_string(),
    }
}

#[tokio::test]
async fn a_demoted_inviter_gets_nothing_out_of_old_request_ids() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let manager = service.member(&owner, "acme", "max", "MANAGER").await;
    service.account("anna").await;
    let stranger = service.account("eve").await;
    let mut calls = manager.invitations.clone();
    let invited = calls.create_invitation(invite("ina@example.com", 1)).await.unwrap().into_inner();
    let offered = calls.offer_membership(offer_again(2)).await.unwrap().into_inner();
    let revoke = pb::RevokeInvitationRequest {
        name: offered.name.clone(),
        request_id: uuid::Uuid::from_u128(3).to_string(),
        ..Default::default()
    };
    calls.revoke_invitation(revoke.clone()).await.unwrap();
    owner.set_role("acme", "max", "READER").await.unwrap();

    let before = service.tables().await;
    // they hear how it went, and see less than before
    let seen = calls.create_invitation(invite("ina@example.com", 1)).await.unwrap().into_inner();
    assert_eq!((seen.name, seen.email, seen.inviter), (invited.name, String::new(), String::new()));
    assert!(seen.deliveries.is_empty());
    let seen = calls.offer_membership(offer_again(2)).await.unwrap().into_inner();
    assert_eq!((seen.state(), seen.offerer.as_str()), (State::Revoked, ""), "the offer does not come back");
    assert_eq!((seen.account.as_str(), seen.account_email.as_str(), seen.role), ("", "", 0));
    calls.revoke_invitation(revoke.clone()).await.unwrap();
    // the same ids for anything else, and other ids
    assert_eq!(reason(calls.create_invitation(invite("eve@example.com", 1)).await), "REQUEST_ID_REUSED");
    assert_eq!(reason(calls.offer_membership(offer_again(1)).await), "REQUEST_ID_REUSED");
    assert_eq!(reason(calls.create_invitation(invite("eve@example.com", 4)).await), "ROLE_REQUIRED");
    assert_eq!(reason(calls.offer_membership(offer_again(5)).await), "ROLE_REQUIRED");
    // somebody else's ids are no way in either
    let refused = stranger.invitations.clone().create_invitation(invite("ina@example.com", 1)).await;
    assert_eq!(reason(refused), "ORGANIZATION_NOT_FOUND");
    before.assert_same(&service.tables().await, "an inviter of before");
    owner.remove("acme", "max").await.unwrap();
    assert_eq!(reason(calls.create_invitation(invite("ina@example.com", 1)).await), "ORGANIZATION_NOT_FOUND");
    assert_eq!(reason(calls.revoke_invitation(revoke).await), "INVITATION_NOT_FOUND");
    // the control: who is an inviter again invites again
    let again = owner.offer("acme", "max", "max@example.com", "MANAGER").await.unwrap();
    manager.accept(&again.name).await.unwrap();
    calls.create_invitation(invite("eve@example.com", 6)).await.unwrap();
    service.recount().await;
}

#[tokio::test]
async fn a_manager_who_has_no_access_any_more_hears_nothing_about_members() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let manager = service.member(&owner, "acme", "max", "MANAGER").await;
    service.member(&owner, "acme", "anna", "READER").await;
    let member = pb::Member {
        name: "organizations/acme/members/anna".to_owned(),
        role: pb::Role::Contributor.into(),
        ..Default::default()
    };
    let request_id = uuid::Uuid::from_u128(1).to_string();
    let update = pb::UpdateMemberRequest { member: Some(member), request_id, ..Default::default() };
    let mut calls = manager.organizations;
    // the control: a manager sees it
    let seen = calls.update_member(update.clone()).await.unwrap().into_inner();
    assert_eq!((seen.role(), seen.email.as_str()), (pb::Role::Contributor, "anna@example.com"));
    owner.set_role("acme", "max", "NONE").await.unwrap();
    owner.set_role("acme", "anna", "SECURITY_MANAGER").await.unwrap();
    let heard = calls.update_member(update.clone()).await.unwrap().into_inner();
    let name = update.member.unwrap().name;
    assert_eq!(heard, pb::Member { name, account: "accounts/anna".to_owned(), ..Default::default() });
}

#[tokio::test]
async fn a_removed_member_who_repeats_accept_stays_out() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (anna, offered) = service.offered(&owner, "acme", "anna", "CONTRIBUTOR").await;
    let accept = pb::AcceptInvitationRequest {
        name: offered.name.clone(),
        request_id: uuid::Uuid::from_u128(1).to_string(),
        ..Default::default()
    };
    anna.invitations.clone().accept_invitation(accept.clone()).await.unwrap();
    owner.remove("acme", "anna").await.unwrap();

    let before = service.tables().await;
    for repeated in [
        accept.clone(),
        pb::AcceptInvitationRequest { request_id: uuid::Uuid::from_u128(2).to_string(), ..accept.clone() },
        pb::AcceptInvitationRequest { request_id: String::new(), ..accept },
    ] {
        let answer = anna.invitations.clone().accept_invitation(repeated).await.unwrap().into_inner();
        assert_eq!(answer.state(), State::Accepted);
        assert_eq!(reason(owner.member("acme", "anna").await), "MEMBER_NOT_FOUND");
        let seen = pb::GetOrganizationRequest { name: "organizations/acme".to_owned() };
        assert_eq!(reason(anna.organizations.clone().get_organization(seen).await), "ORGANIZATION_NOT_FOUND");
    }
    before.assert_same(&service.tables().await, "a repeated accept");
    // the control: a new offer lets them in again
    let again = owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    anna.accept(&again.name).await.unwrap();
    assert_eq!(owner.member("acme", "anna").await.unwrap().role(), Role::Reader);
    service.recount().await;
}

/// Says that it is Anna in every header that a gateway might use.
fn disguised<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    for header in ["x-forwarded-user", "x-user", "x-remote-user", "on-behalf-of", "x-goog-authenticated-user-id"] {
        request.metadata_mut().insert(header, "accounts/anna".parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_service_acts_for_nobody_and_offers_nothing_above_its_role() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let scopes = invitations::domain::Scope::ALL.map(invitations::domain::Scope::as_str);
    // called like the person
    let robot = service.service("anna", &scopes);
    let (anna, offered) = service.offered(&owner, "acme", "anna", "READER").await;
    owner.ask_for_approval_of("acme", Role::Manager).await;
    let (_, pending) = service.offered(&owner, "acme", "bert", "MANAGER").await;
    let (_, requested) = service.requested(&owner, "acme", "cleo").await;
    let code = service.code_to("cleo@example.com", 1).await;

    let before = service.tables().await;
    let mut calls = robot.invitations.clone();
    let name = offered.name.clone();
    let outcomes: [(&str, Result<(), Status>); 5] = [
        ("RequestAccess", {
            let message = pb::RequestAccessRequest { code, ..Default::default() };
            calls.request_access(disguised(message)).await.map(drop)
        }),
        ("AcceptInvitation", {
            let message = pb::AcceptInvitationRequest { name: name.clone(), ..Default::default() };
            calls.accept_invitation(disguised(message)).await.map(drop)
        }),
        ("DeclineInvitation", {
            let message = pb::DeclineInvitationRequest { name, ..Default::default() };
            calls.decline_invitation(disguised(message)).await.map(drop)
        }),
        ("ApproveOffer", {
            let message = pb::ApproveOfferRequest { name: pending.name, ..Default::default() };
            calls.approve_offer(disguised(message)).await.map(drop)
        }),
        ("CreateAccount", {
            let message = pb::CreateAccountRequest { account_id: "robot".to_owned(), ..Default::default() };
            robot.accounts.clone().create_account(disguised(message)).await.map(drop)
        }),
    ];
    for (rpc, outcome) in outcomes {
        assert_eq!(reason(outcome), "PERSON_REQUIRED", "{rpc}");
    }
    let delete = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
    assert_eq!(reason(robot.accounts.clone().delete_account(disguised(delete)).await), "PERSON_REQUIRED");
    for role in &ROLES[3..] {
        assert_eq!(reason(robot.offer("acme", "cleo", "cleo@example.com", role).await), "ROLE_NOT_GRANTABLE", "{role}");
        assert_eq!(reason(robot.set_role("acme", "olga", role).await), "ROLE_NOT_GRANTABLE", "{role}");
    }
    assert_eq!(reason(robot.remove("acme", "olga").await), "ROLE_NOT_GRANTABLE");
    before.assert_same(&service.tables().await, "a service");
    // the control: up to its role, and the person
    let offer = robot.offer("acme", "cleo", "cleo@example.com", "CONTRIBUTOR").await.unwrap();
    assert_eq!((offer.state(), offer.name), (State::Offered, requested.name));
    anna.accept(&offered.name).await.unwrap();
}
