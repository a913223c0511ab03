//! Each row counts as one call.

use invitations::dev::mailbox::Script;
use invitations::pb;

use super::{assert_charged, batch, create, invited, many, with_id};
use crate::support::{Service, reason, retry_after};

#[tokio::test]
async fn rows_beyond_the_callers_limit_are_refused_and_those_before_are_not() {
    let service = Service::start_with(&[("invitations_per_caller_limit", "5")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    owner.invite("acme", "open@example.com").await.unwrap();
    let id = uuid::Uuid::new_v4().to_string();
    let emails = [
        "a@x.example",
        "open@example.com",
        "nobody",
        "b@x.example",
        "a@x.example",
        "c@x.example",
        "d@x.example",
        "e@x.example",
    ];
    let message = with_id(batch(emails), &id);
    let outcomes = create(&owner, message.clone()).await.unwrap();
    let made = outcomes.iter().map(Result::is_ok).collect::<Vec<_>>();
    // what comes to nothing takes nobody's place
    assert_eq!(made, [true, false, false, true, false, true, true, false]);
    assert_eq!(reason(outcomes[1].clone()), "OPEN_INVITATION_EXISTS");
    assert_eq!(reason(outcomes[7].clone()), "TOO_MANY_INVITATIONS");
    assert!(retry_after(&outcomes[7]).is_some_and(|wait| wait.as_secs() > 60 * 60));
    assert_charged(&service, 5).await;
    // at the limit a repetition is answered all the same, and nothing is charged for it
    let again = create(&owner, message.clone()).await.unwrap();
    assert_eq!(again.iter().map(Result::is_ok).collect::<Vec<_>>(), made);
    assert_charged(&service, 5).await;
    // the control: without the limit all good rows are invited
    let unlimited = owner.on(&service.replica(&[]).await);
    assert!(create(&unlimited, message).await.unwrap()[7].is_ok());
    assert_eq!(invited(&service).await, (6, 6));
}

#[tokio::test]
async fn a_dry_run_is_charged_as_if_it_were_none() {
    let service = Service::start_with(&[("invitations_per_caller_limit", "5")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let dry = |count| pb::BatchCreateInvitationsRequest { validate_only: true, ..many(count, "example.com") };
    let outcomes = create(&owner, dry(3)).await.unwrap();
    assert!(outcomes.iter().all(Result::is_ok));
    assert_charged(&service, 3).await;
    let outcomes = create(&owner, dry(4)).await.unwrap();
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false, false]);
    assert_eq!(reason(outcomes[3].clone()), "TOO_MANY_INVITATIONS");
    // so it is no way to look for invitations without an end
    assert_charged(&service, 5).await;
    assert_eq!(invited(&service).await, (0, 0));
}

#[tokio::test]
async fn an_organizations_limits_count_row_by_row() {
    for (limit, of_it) in [
        ("invitations_per_organization_limit", "TOO_MANY_ORGANIZATION_INVITATIONS"),
        ("open_invitations_limit", "TOO_MANY_OPEN_INVITATIONS"),
    ] {
        let service =
            Service::start_with(&[(limit, "150"), ("invitations_per_caller_limit", "1000")], Script::accept_all())
                .await;
        let owner = service.owner("olga", "acme").await;
        let outcomes = create(&owner, many(220, "example.com")).await.unwrap();
        for (n, outcome) in outcomes.into_iter().enumerate() {
            if n < 150 {
                outcome.unwrap();
            } else {
                assert_eq!(reason(outcome), of_it);
            }
        }
        // what was charged to the caller for the others is given back
        assert_charged(&service, 150).await;
        assert_eq!(invited(&service).await, (150, 150));
        service.recount().await;
    }
}
