//! Two replicas on one organization: what is counted, what is unique, and who may what.

use invitations::pb::invitation::State;

use super::{Replicas, at_once, count};
use crate::support::reason;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_invitations_for_one_address_one_wins() {
    let replicas = Replicas::start().await;
    let owner = replicas.service.owner("olga", "acme").await;
    let callers = replicas.spread(&owner, 6);
    for round in 0..10 {
        // the same address, however it is written
        let spellings = [format!("Guest-{round}@example.com"), format!("guest-{round}@EXAMPLE.com")];
        let calls = callers.iter().enumerate().map(|(n, owner)| owner.invite("acme", &spellings[n / 2 % 2]));
        let (made, refused): (Vec<_>, Vec<_>) = at_once(calls).await.into_iter().partition(Result::is_ok);
        assert_eq!((made.len(), refused.len()), (1, 5));
        assert!(refused.into_iter().all(|refused| reason(refused) == "OPEN_INVITATION_EXISTS"));
    }
    assert_eq!(count(replicas.service.pool(), "SELECT count(*) FROM invitations").await, 10);
    replicas.service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overdue_invitation_is_closed_once_by_whoever_comes_first() {
    let replicas = Replicas::start().await;
    let service = &replicas.service;
    let owner = service.owner("olga", "acme").await;
    let callers = replicas.spread(&owner, 6);
    for round in 0..10 {
        let email = format!("guest-{round}@example.com");
        let old = owner.invite("acme", &email).await.unwrap();
        service.let_expire(&old.name).await;
        let (made, refused): (Vec<_>, Vec<_>) = at_once(callers.iter().map(|owner| owner.invite("acme", &email)))
            .await
            .into_iter()
            .partition(Result::is_ok);
        assert_eq!((made.len(), refused.len()), (1, 5));
        assert!(refused.into_iter().all(|refused| reason(refused) == "OPEN_INVITATION_EXISTS"));
        assert_eq!(owner.get(&old.name).await.unwrap().state(), State::Expired);
    }
    assert_eq!(count(service.pool(), "SELECT count(*) FROM events WHERE kind = 'EXPIRED'").await, 10);
    assert_eq!(count(service.pool(), "SELECT count(*) FROM emails WHERE kind = 'INVITATION_EXPIRED'").await, 10);
    service.recount().await;
}

#[tokio::test]
async fn an_overdue_offer_makes_room_for_an_older_invitation_of_the_same_account() {
    let replicas = Replicas::start().await;
    let service = &replicas.service;
    let owner = service.owner("olga", "acme").await;
    let anna = service.account("anna").await;

    // the invitation is older than the offer, so its row comes first
    let invited = owner.invite("acme", "anna@work.example").await.unwrap();
    let code = service.code_to("anna@work.example", 1).await;
    let offered = owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    assert_ne!(offered.name, invited.name);
    service.let_expire(&offered.name).await;
    let requested = anna.request_access(&code).await.unwrap();
    assert_eq!((requested.state(), requested.name), (State::AccessRequested, invited.name));
    assert_eq!(owner.get(&offered.name).await.unwrap().state(), State::Expired);
    service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_offers_as_there_are_seats_succeed() {
    let replicas = Replicas::start().await;
    let service = &replicas.service;
    let owner = service.owner("olga", "acme").await;
    let names = (0..12).map(|n| format!("guest-{n}")).collect::<Vec<_>>();
    for name in &names {
        service.account(name).await;
    }
    for left in [5, 1, 0, 3] {
        sqlx::query("UPDATE organization_heads SET seat_limit = seats_taken + $1")
            .bind(left)
            .execute(service.pool())
            .await
            .unwrap();
        let callers = replicas.spread(&owner, names.len());
        let offers = callers
            .iter()
            .zip(&names)
            .map(async |(owner, name)| owner.offer("acme", name, &format!("{name}@example.com"), "READER").await);
        let (made, refused): (Vec<_>, Vec<_>) = at_once(offers).await.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), usize::try_from(left).unwrap());
        assert!(refused.into_iter().all(|refused| reason(refused) == "SEATS_EXHAUSTED"));
        let revoked = at_once(made.into_iter().map(async |offer| owner.revoke(&offer.unwrap().name).await)).await;
        assert!(revoked.iter().all(Result::is_ok));
        service.recount().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_owners_who_turn_on_each_other_leave_one() {
    let replicas = Replicas::start().await;
    let service = &replicas.service;
    let olga = service.owner("olga", "acme").await;
    let oscar = service.member(&olga, "acme", "oscar", "OWNER").await;
    let oscar_elsewhere = oscar.on(&replicas.second);
    for round in 0..20 {
        let (against_oscar, against_olga) = match round % 3 {
            0 => tokio::join!(async { olga.set_role("acme", "oscar", "NONE").await.map(drop) }, async {
                oscar_elsewhere.set_role("acme", "olga", "NONE").await.map(drop)
            },),
            1 => tokio::join!(olga.remove("acme", "oscar"), oscar_elsewhere.remove("acme", "olga")),
            // and two who both lay it down
            _ => tokio::join!(olga.remove("acme", "olga"), oscar_elsewhere.remove("acme", "oscar")),
        };
        assert_eq!(count(service.pool(), "SELECT count(*) FROM members WHERE role = 'OWNER'").await, 1);
        let outcomes = [against_oscar, against_olga];
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        // whoever is left makes up for it
        let olga_is_left =
            count(service.pool(), "SELECT count(*) FROM members WHERE username = 'olga' AND role = 'OWNER'");
        let (left, gone, name) =
            if olga_is_left.await == 1 { (&olga, &oscar, "oscar") } else { (&oscar, &olga, "olga") };
        if left.member("acme", name).await.is_ok() {
            left.set_role("acme", name, "OWNER").await.unwrap();
        } else {
            let offer = left.offer("acme", name, &format!("{name}@example.com"), "OWNER").await.unwrap();
            gone.accept(&offer.name).await.unwrap();
        }
        service.recount().await;
    }
}
