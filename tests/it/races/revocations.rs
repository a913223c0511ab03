//! RevokeInvitations beside those who answer, and twice at once.

use std::collections::BTreeSet;

use futures_util::future::{Either, join_all};
use invitations::pb::invitation::State;
use uuid::Uuid;

use super::{Replicas, at_once};
use crate::flow::revocations::{How, revoke_all};
use crate::support::reason;

/// How many people have an offer.
const OFFERS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_is_either_accepted_or_taken_back() {
    let replicas = Replicas::start_with(&[("mail_paused", "true")]).await;
    let service = &replicas.service;
    let owner = service.owner("olga", "acme").await;
    let offers =
        join_all((0..OFFERS).map(async |n| service.offered(&owner, "acme", &format!("otto{n}"), "READER").await));
    let offers = offers.await;
    let filter = "offerer = \"accounts/olga\"";
    let revoke = async |how: How| Either::Left(revoke_all(&owner.on(&replicas.second), filter, &how).await.unwrap().0);
    let accept = async |n: usize| {
        let (guest, offer) = &offers[n];
        Either::Right((offer.name.clone(), guest.accept(&offer.name).await))
    };
    let calls = (0..=OFFERS).map(async |n| if n == OFFERS { revoke(How::default()).await } else { accept(n).await });
    let (mut accepted, mut told) = (BTreeSet::new(), Vec::new());
    for outcome in at_once(calls).await {
        match outcome {
            Either::Left(rows) => told = rows,
            Either::Right((name, Ok(_))) => drop(accepted.insert(name)),
            Either::Right((_, refused)) => assert_eq!(reason(refused), "INVITATION_REVOKED"),
        }
    }
    for (name, outcome) in &told {
        match outcome {
            Ok(_) => assert!(!accepted.contains(name), "{name} was accepted and taken back"),
            Err(status) => assert_eq!(reason(Err::<(), _>(status.clone())), "INVITATION_ACCEPTED"),
        }
    }
    for (_, offer) in &offers {
        let state = owner.get(&offer.name).await.unwrap().state();
        let is_accepted = accepted.contains(&offer.name);
        assert_eq!(state, if is_accepted { State::Accepted } else { State::Revoked });
    }
    service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_take_each_invitation_back_once() {
    let replicas = Replicas::start_with(&[("mail_paused", "true")]).await;
    let service = &replicas.service;
    let owner = service.owner("olga", "acme").await;
    // one request twice, and then two requests: the control
    for is_one in [true, false] {
        let mut invited = BTreeSet::new();
        for n in 0..20 {
            invited.insert(owner.invite("acme", &format!("anna{n}@example.com")).await.unwrap().name);
        }
        let id = Uuid::new_v4();
        let calls = replicas.spread(&owner, 4).into_iter().map(async |owner| {
            let id = if is_one { id } else { Uuid::new_v4() };
            revoke_all(&owner, "state = INVITED", &How { request_id: id.to_string(), validate_only: false })
                .await
                .unwrap()
        });
        let (mut taken_back, mut refused) = (BTreeSet::new(), 0);
        for (told, _) in at_once(calls).await {
            let names = told.iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
            assert_eq!(names.len(), told.len(), "each once in one answer");
            refused += told.iter().filter(|(_, outcome)| outcome.is_err()).count();
            taken_back.extend(told.into_iter().filter(|(_, outcome)| outcome.is_ok()).map(|(name, _)| name));
        }
        assert_eq!(taken_back, invited);
        assert!(!is_one || refused == 0, "one request was refused what it had done itself");
        let twice = "SELECT count(*) FROM (SELECT invitation FROM events WHERE kind = 'REVOKED' GROUP BY 1 HAVING count(*) > 1) t";
        let twice: i64 = sqlx::query_scalar(twice).fetch_one(service.pool()).await.unwrap();
        assert_eq!(twice, 0);
    }
    service.recount().await;
}
