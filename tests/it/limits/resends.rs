//! How often the email of one invitation is sent again in 24 hours.

use futures_util::future::join_all;
use invitations::pb;

use super::{Limited, assert_limited, request_id};
use crate::support::named;

const LIMIT: usize = 3;

#[tokio::test]
async fn an_invitation_is_sent_again_only_so_often_a_day_whoever_asks() {
    let limited = Limited::start(&[("resends_per_invitation_limit", "3")]).await;
    let service = &limited.service;
    let olga = service.owner("olga", "acme").await;
    let mia = service.member(&olga, "acme", "mia", "MANAGER").await;
    let one = olga.invite("acme", "one@example.com").await.unwrap();
    let message = |rotate_code| pb::ResendInvitationRequest {
        name: one.name.clone(),
        rotate_code,
        request_id: request_id(),
        ..Default::default()
    };
    let third = message(false);
    mia.on(&limited.second).invitations.clone().resend_invitation(message(true)).await.unwrap();
    olga.invitations.clone().resend_invitation(message(false)).await.unwrap();
    let last = olga.invitations.clone().resend_invitation(third.clone()).await.unwrap().into_inner();

    let before = service.tables().await;
    for person in [&olga, &mia.on(&limited.second)] {
        for rotate_code in [false, true] {
            let refused = person.resend(&one.name, rotate_code).await;
            assert_eq!(named(&refused, "limit"), "3");
            assert_limited(refused, "TOO_MANY_RESENDS");
        }
    }
    // a repetition is answered all the same
    let again = olga.invitations.clone().resend_invitation(third).await.unwrap().into_inner();
    assert_eq!((again.etag, again.expire_time), (last.etag, last.expire_time));
    before.assert_same(&service.tables().await, "a resend too many");

    // each invitation has its own, and after a day there is one more for each that is older
    let two = olga.invite("acme", "two@example.com").await.unwrap();
    olga.resend(&two.name, false).await.unwrap();
    sqlx::query(
        "UPDATE events SET create_time = create_time - interval '1 day' WHERE position = \
           (SELECT min(position) FROM events WHERE kind = 'CODE_ROTATED')",
    )
    .execute(service.pool())
    .await
    .unwrap();
    olga.resend(&one.name, false).await.unwrap();
    assert_limited(olga.resend(&one.name, false).await, "TOO_MANY_RESENDS");

    // without the limit: the control
    olga.on(&limited.unlimited).resend(&one.name, false).await.unwrap();
}

#[tokio::test]
async fn resends_at_once_are_no_way_around_their_limit() {
    let limited = Limited::start(&[("resends_per_invitation_limit", "3")]).await;
    let olga = limited.service.owner("olga", "acme").await;
    let one = olga.invite("acme", "one@example.com").await.unwrap();
    let both = limited.in_turn(&olga, 20).collect::<Vec<_>>();
    let outcomes = join_all(both.iter().map(async |person| person.resend(&one.name, false).await)).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), LIMIT);
    outcomes.into_iter().filter(Result::is_err).for_each(|refused| assert_limited(refused, "TOO_MANY_RESENDS"));
}
