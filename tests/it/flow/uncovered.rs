//! Offers that have lost what they rest on: nobody sends them again, and the next inviter takes them over.

use invitations::pb::invitation::State;
use invitations::pb::{self, Role};

use crate::support::{Service, named, reason};

#[tokio::test]
async fn an_offer_whose_maker_is_gone_is_taken_over_by_the_next_one() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    for (n, end) in ["removed", "lowered", "deleted"].into_iter().enumerate() {
        let (manager, username) = (format!("max-{n}"), format!("anna-{n}"));
        let max = service.member(&owner, "acme", &manager, "MANAGER").await;
        let (anna, first) = service.offered(&max, "acme", &username, "CONTRIBUTOR").await;
        let email = format!("{username}@example.com");
        service.email_to(&email, 1).await;
        match end {
            "removed" => owner.remove("acme", &manager).await.unwrap(),
            "lowered" => drop(owner.set_role("acme", &manager, "READER").await.unwrap()),
            _ => {
                let message = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
                max.accounts.clone().delete_account(message).await.unwrap();
            }
        }
        let seats = owner.seats_taken("acme").await;
        let before = service.tables().await;
        for _ in 0..2 {
            let refused = owner.resend(&first.name, false).await;
            assert_eq!(named(&refused, "role"), "CONTRIBUTOR");
            assert_eq!(reason(refused), "OFFER_NOT_COVERED", "{end}");
        }
        assert_eq!(reason(owner.offer("acme", &username, &email, "READER").await), "ALREADY_OFFERED");
        before.assert_same(&service.tables().await, end);

        let again = owner.offer("acme", &username, &email, "CONTRIBUTOR").await.unwrap();
        assert_eq!((again.name.as_str(), again.state()), (first.name.as_str(), State::Offered), "{end}");
        assert_eq!((first.offerer, again.offerer.as_str()), (format!("accounts/{manager}"), "accounts/olga"));
        assert_ne!((again.expire_time, again.etag), (first.expire_time, first.etag));
        service.email_to(&email, 2).await;
        let story = [format!("OFFERED accounts/{manager}"), "OFFERED accounts/olga".to_owned()];
        assert_eq!(owner.story(&first.name).await, story);
        let [invitation, reminder] =
            [format!("ORGANIZATION_INVITATION {email}"), format!("OFFER_REMINDER {email} in 144 h")];
        let emails = [invitation.clone(), format!("{reminder} dropped"), invitation, reminder];
        assert_eq!(service.outbox(&first.name).await, emails);
        assert_eq!(owner.seats_taken("acme").await, seats, "it is the same seat");

        owner.resend(&first.name, false).await.unwrap();
        anna.accept(&first.name).await.unwrap();
        assert_eq!(owner.member("acme", &username).await.unwrap().inviter, "accounts/olga");
    }
    service.recount().await;
}

#[tokio::test]
async fn an_offer_without_the_second_person_that_it_needs_waits_for_one() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let second = service.member(&owner, "acme", "otto", "OWNER").await;
    let max = service.member(&owner, "acme", "max", "MANAGER").await;
    let (anna, older) = service.offered(&owner, "acme", "anna", "MANAGER").await;
    owner.ask_for_approval_of("acme", Role::Manager).await;
    let (bert, approved) = service.offered(&owner, "acme", "bert", "MANAGER").await;
    max.approve(&approved.name).await.unwrap();
    let (_, pending) = service.offered(&max, "acme", "carl", "MANAGER").await;
    owner.set_role("acme", "max", "SECURITY_MANAGER").await.unwrap();

    // older than the rule; approved by one who lost the right; waiting, by one who lost it
    for (person, offer, username) in [(&anna, &older, "anna"), (&bert, &approved, "bert")] {
        assert_eq!(reason(owner.resend(&offer.name, false).await), "OFFER_NOT_COVERED");
        assert_eq!(reason(person.accept(&offer.name).await), "OFFER_NOT_COVERED");
        let again = owner.offer("acme", username, &format!("{username}@example.com"), "MANAGER").await.unwrap();
        assert_eq!((again.name.as_str(), again.state()), (offer.name.as_str(), State::PendingApproval));
        assert_eq!((again.offerer.as_str(), again.approver.as_str()), ("accounts/olga", ""));
        assert_eq!(reason(owner.approve(&offer.name).await), "SECOND_PERSON_REQUIRED");
        second.approve(&offer.name).await.unwrap();
        person.accept(&offer.name).await.unwrap();
    }
    assert_eq!(reason(owner.approve(&pending.name).await), "OFFER_NOT_COVERED");
    let again = owner.offer("acme", "carl", "carl@example.com", "MANAGER").await.unwrap();
    assert_eq!((again.name.as_str(), again.offerer.as_str()), (pending.name.as_str(), "accounts/olga"));
    assert_eq!(second.approve(&pending.name).await.unwrap().state(), State::Offered);
    service.recount().await;
}

#[tokio::test]
async fn nobody_takes_over_what_they_may_not_offer_or_what_still_counts() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let max = service.member(&owner, "acme", "max", "MANAGER").await;
    let mia = service.member(&owner, "acme", "mia", "MANAGER").await;
    let sam = service.member(&owner, "acme", "sam", "SECURITY_MANAGER").await;
    let (_, offered) = service.offered(&max, "acme", "anna", "MANAGER").await;
    service.email_to("anna@example.com", 1).await;
    let before = service.tables().await;
    let same = mia.offer("acme", "anna", "anna@example.com", "MANAGER").await.unwrap();
    assert_eq!((same.etag, same.offerer.as_str()), (offered.etag, "accounts/max"), "it still counts");
    before.assert_same(&service.tables().await, "the same offer by somebody else");

    owner.remove("acme", "max").await.unwrap();
    let before = service.tables().await;
    assert_eq!(reason(sam.offer("acme", "anna", "anna@example.com", "MANAGER").await), "ROLE_NOT_GRANTABLE");
    assert_eq!(reason(sam.resend(&offered.name, false).await), "ROLE_NOT_GRANTABLE");
    before.assert_same(&service.tables().await, "an offer of somebody who may not");

    // what a service offered counts as long as its entry says so, and is sent
    let gateway = service.service("gateway", &["members.grant"]);
    service.offered(&gateway, "acme", "gina", "READER").await;
    service.email_to("gina@example.com", 1).await;

    // the one who made it may make it again, once they have the right again
    let back = owner.offer("acme", "max", "max@example.com", "MANAGER").await.unwrap();
    max.accept(&back.name).await.unwrap();
    mia.resend(&offered.name, false).await.unwrap();
}
