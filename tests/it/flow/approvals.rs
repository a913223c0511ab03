//! The two-person rule: who approves an offer, what that does, and whose rights it rests on.

use invitations::pb::Role;
use invitations::pb::invitation::State;

use crate::support::{Service, reason, words};

#[tokio::test]
async fn an_approved_offer_is_an_offer_like_any_other() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let second = service.member(&owner, "acme", "otto", "OWNER").await;
    owner.ask_for_approval_of("acme", Role::Manager).await;
    let (anna, pending) = service.offered(&owner, "acme", "anna", "MANAGER").await;
    assert_eq!((pending.state(), pending.approver.as_str()), (State::PendingApproval, ""));
    let seats = owner.seats_taken("acme").await;

    let approved = second.approve(&pending.name).await.unwrap();
    assert_eq!((approved.state(), approved.role()), (State::Offered, Role::Manager));
    assert_eq!((approved.offerer.as_str(), approved.approver.as_str()), ("accounts/olga", "accounts/otto"));
    assert_ne!((approved.etag, approved.expire_time), (pending.etag, pending.expire_time));
    assert_eq!(owner.seats_taken("acme").await, seats, "the seat was taken with the offer");
    assert_eq!(owner.story(&pending.name).await, ["OFFERED accounts/olga", "APPROVED accounts/otto"]);
    assert_eq!(
        service.outbox(&pending.name).await,
        ["ORGANIZATION_INVITATION anna@example.com", "OFFER_REMINDER anna@example.com in 144 h"]
    );
    let told = words(&*service.email_to("anna@example.com", 1).await);
    assert!(told.contains("Manager"), "{told}");
    let seen = anna.get(&pending.name).await.unwrap();
    assert_eq!((seen.offerer.as_str(), seen.approver.as_str()), ("", ""), "the invitee sees neither");
    assert_eq!(anna.accept(&pending.name).await.unwrap().state(), State::Accepted);
    assert_eq!(owner.member("acme", "anna").await.unwrap().role(), Role::Manager);
    service.recount().await;
}

#[tokio::test]
async fn only_another_inviter_who_may_grant_the_role_approves() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let second = service.member(&owner, "acme", "otto", "OWNER").await;
    let manager = service.member(&owner, "acme", "max", "MANAGER").await;
    let security = service.member(&owner, "acme", "sam", "SECURITY_MANAGER").await;
    let reader = service.member(&owner, "acme", "rita", "READER").await;
    owner.ask_for_approval_of("acme", Role::SecurityManager).await;
    let (anna, pending) = service.offered(&manager, "acme", "anna", "MANAGER").await;
    let stranger = service.owner("rosa", "rival").await;
    let robot = service.service("robot", &["invitations.read", "invitations.write", "members.grant"]);

    let before = service.tables().await;
    for (caller, expected) in [
        (&anna, "INVITATION_NOT_FOUND"),
        (&stranger, "INVITATION_NOT_FOUND"),
        (&reader, "ROLE_REQUIRED"),
        (&security, "ROLE_NOT_GRANTABLE"),
        (&robot, "PERSON_REQUIRED"),
        (&manager, "SECOND_PERSON_REQUIRED"),
    ] {
        assert_eq!(reason(caller.approve(&pending.name).await), expected);
    }
    before.assert_same(&service.tables().await, "an approval that nobody may give");
    // the control
    assert_eq!(second.approve(&pending.name).await.unwrap().state(), State::Offered);
}

#[tokio::test]
async fn an_offer_that_is_older_than_the_rule_needs_a_second_person_too() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let second = service.member(&owner, "acme", "otto", "OWNER").await;
    let (anna, offer) = service.offered(&owner, "acme", "anna", "MANAGER").await;
    owner.ask_for_approval_of("acme", Role::Manager).await;
    assert_eq!(reason(anna.accept(&offer.name).await), "OFFER_NOT_COVERED");
    // what the reason advises
    owner.revoke(&offer.name).await.unwrap();
    let anew = owner.offer("acme", "anna", "anna@example.com", "MANAGER").await.unwrap();
    second.approve(&anew.name).await.unwrap();
    anna.accept(&anew.name).await.unwrap();
    // the control: a role below the rule
    let (bert, offer) = service.offered(&owner, "acme", "bert", "CONTRIBUTOR").await;
    bert.accept(&offer.name).await.unwrap();
    service.recount().await;
}

#[tokio::test]
async fn an_approved_offer_counts_only_while_both_may_grant_the_role() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    for (n, (offerer, approver, loses)) in
        [("max", "mia", "max"), ("max", "mia", "mia"), ("max", "mia", "")].into_iter().enumerate()
    {
        let organization = format!("acme-{n}");
        owner.create_organization(&organization).await.unwrap();
        let join = async |username: &str| {
            let person = match n {
                0 => service.account(username).await,
                _ => service.stranger(username, &format!("{username}@example.com")),
            };
            let email = format!("{username}@example.com");
            let offer = owner.offer(&organization, username, &email, "MANAGER").await.unwrap();
            person.accept(&offer.name).await.unwrap();
            person
        };
        let (offerer, approver) = (join(offerer).await, join(approver).await);
        owner.ask_for_approval_of(&organization, Role::Contributor).await;
        let username = format!("anna-{n}");
        let (anna, pending) = service.offered(&offerer, &organization, &username, "CONTRIBUTOR").await;
        approver.approve(&pending.name).await.unwrap();
        if loses.is_empty() {
            anna.accept(&pending.name).await.unwrap();
        } else {
            owner.set_role(&organization, loses, "READER").await.unwrap();
            assert_eq!(reason(anna.accept(&pending.name).await), "OFFER_NOT_COVERED", "{loses}");
        }
    }
    service.recount().await;
}
