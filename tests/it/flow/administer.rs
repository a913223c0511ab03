//! What an administrator does with an invitation that is under way: reject, revoke, resend.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use invitations::dev::mailbox::{Action, Script, Step};
use invitations::pb::Role;
use invitations::pb::invitation::State;

use crate::support::{Service, reason, retry_after, words};

#[tokio::test]
async fn a_rejected_request_is_told_to_the_account_and_can_be_followed_by_a_new_invitation() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (_, requested) = service.requested(&owner, "acme", "anna").await;
    let rejected = owner.reject(&requested.name).await.unwrap();
    assert_eq!(rejected.state(), State::Rejected);
    let told = words(&*service.email_to("anna@example.com", 2).await);
    assert!(told.contains("acme"), "{told}");
    assert_eq!(owner.story(&requested.name).await.last().unwrap(), "REJECTED accounts/olga");
    assert_eq!(service.outbox(&requested.name).await.last().unwrap(), "ACCESS_REJECTED anna@example.com");
    assert_ne!(owner.invite("acme", "anna@example.com").await.unwrap().name, requested.name);
    service.recount().await;
}

/// A mail server that puts everything off while the flag is set.
fn putting_off(flag: &Arc<AtomicBool>) -> Script {
    let flag = Arc::clone(flag);
    Script::new(move |step| match step {
        Step::Rcpt(_) if flag.load(Ordering::SeqCst) => Action::Reply("450 4.2.0 later"),
        _ => Action::Proceed,
    })
}

#[tokio::test]
async fn what_is_revoked_sends_nothing_more_and_frees_its_seat() {
    let later = Arc::new(AtomicBool::new(false));
    let service = Service::start_with(&[], putting_off(&later)).await;
    let owner = service.owner("olga", "acme").await;
    owner.ask_for_approval_of("acme", Role::Manager).await;
    let (_, requested) = service.requested(&owner, "acme", "anna").await;
    later.store(true, Ordering::SeqCst);
    let invited = owner.invite("acme", "ina@example.com").await.unwrap();
    let (otto, offered) = service.offered(&owner, "acme", "otto", "READER").await;
    let (_, pending) = service.offered(&owner, "acme", "paul", "MANAGER").await;
    assert_eq!(owner.seats_taken("acme").await, 3);

    for (name, unsent) in [
        (&invited.name, vec!["ACCOUNT_INVITATION ina@example.com", "INVITATION_REMINDER ina@example.com in 144 h"]),
        (&offered.name, vec!["ORGANIZATION_INVITATION otto@example.com", "OFFER_REMINDER otto@example.com in 144 h"]),
        (&pending.name, vec![]),
    ] {
        assert_eq!(owner.revoke(name).await.unwrap().state(), State::Revoked);
        let dropped = unsent.iter().map(|email| format!("{email} dropped")).collect::<Vec<_>>();
        assert_eq!(service.outbox(name).await, dropped);
        assert_eq!(owner.story(name).await.last().unwrap(), "REVOKED accounts/olga");
    }
    let emails = service.outbox(&requested.name).await.len();
    assert_eq!(owner.revoke(&requested.name).await.unwrap().state(), State::Revoked);
    assert_eq!(service.outbox(&requested.name).await.len(), emails);
    assert_eq!(owner.seats_taken("acme").await, 1);
    assert_eq!(reason(otto.accept(&offered.name).await), "INVITATION_REVOKED");
    service.recount().await;
}

#[tokio::test]
async fn the_code_of_a_revoked_invitation_is_dead() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let invited = owner.invite("acme", "anna@example.com").await.unwrap();
    let code = service.code_to("anna@example.com", 1).await;
    owner.revoke(&invited.name).await.unwrap();
    let anna = service.account("anna").await;
    assert_eq!(reason(anna.request_access(&code).await), "CODE_NOT_FOUND");
}

#[tokio::test]
async fn an_invitation_is_sent_again_with_the_same_code() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let invited = owner.invite("acme", "anna@example.com").await.unwrap();
    let code = service.code_to("anna@example.com", 1).await;
    let resent = owner.resend(&invited.name, false).await.unwrap();
    assert_eq!(resent.state(), State::Invited);
    assert_ne!(resent.etag, invited.etag);
    assert!(resent.expire_time.unwrap().seconds >= invited.expire_time.unwrap().seconds);
    assert_ne!(resent.expire_time, invited.expire_time);
    assert_eq!(service.code_to("anna@example.com", 2).await, code);
    assert_eq!(owner.story(&invited.name).await, ["INVITED accounts/olga", "RESENT accounts/olga"]);
    assert_eq!(
        service.outbox(&invited.name).await,
        [
            "ACCOUNT_INVITATION anna@example.com",
            "INVITATION_REMINDER anna@example.com in 144 h dropped",
            "ACCOUNT_INVITATION anna@example.com",
            "INVITATION_REMINDER anna@example.com in 144 h",
        ]
    );
    service.recount().await;
}

#[tokio::test]
async fn a_rotated_code_kills_the_old_one() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let invited = owner.invite("acme", "anna@example.com").await.unwrap();
    let old = service.code_to("anna@example.com", 1).await;
    owner.resend(&invited.name, true).await.unwrap();
    let new = service.code_to("anna@example.com", 2).await;
    assert_ne!(new, old);
    assert_eq!(owner.story(&invited.name).await.last().unwrap(), "CODE_ROTATED accounts/olga");
    let anna = service.account("anna").await;
    assert_eq!(reason(anna.request_access(&old).await), "CODE_NOT_FOUND");
    assert_eq!(anna.request_access(&new).await.unwrap().state(), State::AccessRequested);
    assert_eq!(reason(anna.request_access(&old).await), "CODE_NOT_FOUND");
}

#[tokio::test]
async fn requests_and_offers_are_told_again() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (_, requested) = service.requested(&owner, "acme", "anna").await;
    let resent = owner.resend(&requested.name, false).await.unwrap();
    assert_eq!((resent.state(), resent.expire_time), (State::AccessRequested, None));
    let again = words(&*service.email_to("notify@acme.example", 2).await);
    assert!(again.contains("anna"), "{again}");
    assert_eq!(
        service.outbox(&requested.name).await[2..],
        [
            "ACCESS_REQUESTED notify@acme.example",
            "ACCESS_REQUEST_REMINDER notify@acme.example in 72 h dropped",
            "ACCESS_REQUESTED notify@acme.example",
            "ACCESS_REQUEST_REMINDER notify@acme.example in 72 h",
        ]
    );

    let (_, offered) = service.offered(&owner, "acme", "otto", "READER").await;
    let resent = owner.resend(&offered.name, false).await.unwrap();
    assert_eq!(resent.state(), State::Offered);
    assert_ne!(resent.expire_time, offered.expire_time);
    service.email_to("otto@example.com", 2).await;
    assert_eq!(owner.story(&offered.name).await, ["OFFERED accounts/olga", "RESENT accounts/olga"]);
    service.recount().await;
}

#[tokio::test]
async fn two_emails_of_an_invitation_keep_their_distance() {
    let service = Service::start_with(&[("resend_interval_seconds", "60")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let invited = owner.invite("acme", "anna@example.com").await.unwrap();
    let before = service.tables().await;
    for rotate_code in [false, true] {
        let refused = owner.resend(&invited.name, rotate_code).await;
        assert!(retry_after(&refused).is_some_and(|wait| (1..=60).contains(&wait.as_secs())));
        assert_eq!(reason(refused), "RESENT_TOO_SOON");
    }
    before.assert_same(&service.tables().await, "a hasty resend");
    let aged = "UPDATE invitations SET send_time = send_time - interval '60 seconds'";
    sqlx::query(aged).execute(service.pool()).await.unwrap();
    owner.resend(&invited.name, false).await.unwrap();
}

#[tokio::test]
async fn an_offer_is_handled_only_by_those_who_could_make_it() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let security = service.member(&owner, "acme", "sam", "SECURITY_MANAGER").await;
    let (_, manager) = service.offered(&owner, "acme", "max", "MANAGER").await;
    let (_, reader) = service.offered(&owner, "acme", "rita", "READER").await;
    let before = service.tables().await;
    assert_eq!(reason(security.revoke(&manager.name).await), "ROLE_NOT_GRANTABLE");
    assert_eq!(reason(security.resend(&manager.name, false).await), "ROLE_NOT_GRANTABLE");
    let gateway = service.service("gateway", &["invitations.write", "invitations.read"]);
    assert_eq!(reason(gateway.revoke(&manager.name).await), "ROLE_NOT_GRANTABLE");
    before.assert_same(&service.tables().await, "an offer beyond the caller's reach");
    security.resend(&reader.name, false).await.unwrap();
    assert_eq!(gateway.revoke(&reader.name).await.unwrap().state(), State::Revoked);
}
