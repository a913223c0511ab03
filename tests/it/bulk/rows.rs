//! One outcome for each row: that of a call of its own.

use invitations::pb::invitation::State;
use invitations::pb::{self, Invitation};
use tonic::{Code, Status};

use super::{batch, create, invited, many, names, row};
use crate::support::{Service, bad_fields, named, reason, violations};

/// Rows that are refused for themselves, each beside the field that is bad.
fn bad_rows() -> Vec<(pb::CreateInvitationRequest, &'static str)> {
    let good = || row("good@example.com");
    let with = |change: fn(&mut Invitation)| {
        let mut row = good();
        change(row.invitation.as_mut().unwrap());
        row
    };
    vec![
        (pb::CreateInvitationRequest::default(), "invitation.email"),
        (row("nobody"), "invitation.email"),
        (with(|invitation| "x".clone_into(&mut invitation.locale)), "invitation.locale"),
        (
            with(|i| drop(i.annotations.insert("ticket".to_owned(), String::new()))),
            "invitation.annotations[\"ticket\"]",
        ),
        (pb::CreateInvitationRequest { request_id: "1".to_owned(), ..good() }, "request_id"),
        (pb::CreateInvitationRequest { parent: "organizations/beta".to_owned(), ..good() }, "parent"),
        (pb::CreateInvitationRequest { validate_only: true, ..good() }, "validate_only"),
    ]
}

/// As a caller reads it, without the paths of the fields.
fn shown(status: &Status) -> String {
    use tonic_types::StatusExt;
    let details = status.get_error_details();
    let fields = violations(status).into_iter().map(|bad| format!("{} {}", bad.reason, bad.description));
    let fields = fields.collect::<Vec<_>>();
    let (info, retry) = (details.error_info(), details.retry_info());
    format!("{:?} {fields:?} {info:?} {retry:?}", status.code())
}

#[tokio::test]
async fn each_row_ends_as_a_call_of_its_own_and_stands_alone() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    service.member(&owner, "acme", "mia", "READER").await;
    owner.invite("acme", "open@example.com").await.unwrap();
    let policy = pb::Policy { blocked_email_domains: vec!["rival.example".to_owned()], ..Default::default() };
    owner.set_policy("acme", &["blocked_email_domains"], policy).await;

    let (bad, fields): (Vec<_>, Vec<_>) = bad_rows().into_iter().unzip();
    let refused = ["open@example.com", "mia@example.com", "anna@rival.example"].map(row);
    let good = ["anna@example.com", "bert@example.com"].map(row);
    let requests = [&good[..1], &bad, &refused, &good[1..]].concat();
    let message = pb::BatchCreateInvitationsRequest { requests: requests.clone(), ..batch([]) };
    let outcomes = create(&owner, message).await.unwrap();
    assert_eq!(outcomes.len(), requests.len());

    let [first, .., last] = &outcomes[..] else { panic!("{outcomes:?}") };
    for (made, email) in [(first, "anna@example.com"), (last, "bert@example.com")] {
        let made = made.as_ref().unwrap();
        assert_eq!(
            (made.email.as_str(), made.state(), made.inviter.as_str()),
            (email, State::Invited, "accounts/olga")
        );
        let read = owner.get(&made.name).await.unwrap();
        assert_eq!(
            Invitation { deliveries: Vec::new(), ..read },
            Invitation { deliveries: Vec::new(), ..made.clone() }
        );
        service.code_to(email, 1).await;
    }
    for (n, field) in (1..).zip(fields) {
        let status = outcomes[n].as_ref().unwrap_err();
        assert_eq!(bad_fields(status), [format!("requests[{n}].{field}")]);
        assert_eq!(reason(outcomes[n].clone()), "FIELD_INVALID");
    }
    // the control: the same one by one; what only a row may not have is no call's
    for (outcome, row) in outcomes.iter().zip(requests).skip(1).take(4 + 1 + 2 + 3) {
        if row.validate_only || row.parent == "organizations/beta" {
            continue;
        }
        let alone = pb::CreateInvitationRequest { parent: "organizations/acme".to_owned(), ..row };
        let alone = owner.invitations.clone().create_invitation(alone).await.unwrap_err();
        assert_eq!(shown(outcome.as_ref().unwrap_err()), shown(&alone));
    }
    assert_eq!(owner.events("acme").await.iter().filter(|kind| *kind == "INVITED").count(), 3);
    service.recount().await;
}

#[tokio::test]
async fn a_row_for_the_address_of_an_earlier_one_is_a_duplicate_and_sends_nothing() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let typed = ["anna@example.com", "bert@example.com", "Anna@EXAMPLE.com", "anna@example.com", "anna+x@example.com"];
    let outcomes = create(&owner, batch(typed)).await.unwrap();
    for n in [2, 3] {
        assert_eq!(named(&outcomes[n], "row"), "0");
        assert_eq!(outcomes[n].as_ref().unwrap_err().code(), Code::AlreadyExists);
        assert_eq!(reason(outcomes[n].clone()), "DUPLICATE_IN_BATCH");
    }
    // another tag is another address, as for a call of its own
    assert!([0, 1, 4].iter().all(|n| outcomes[*n].is_ok()), "{outcomes:?}");
    assert_eq!(invited(&service).await, (3, 3));
    // the control: in two batches it is open already
    let again = create(&owner, batch(["anna@example.com"])).await.unwrap();
    assert_eq!(reason(again.into_iter().next().unwrap()), "OPEN_INVITATION_EXISTS");
}

#[tokio::test]
async fn what_is_wrong_with_the_whole_refuses_all_of_it() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let parent = pb::BatchCreateInvitationsRequest { parent: "acme".to_owned(), ..many(1, "example.com") };
    let id = super::with_id(many(1, "example.com"), "1");
    for (message, field) in
        [(parent, "parent"), (batch([]), "requests"), (many(1001, "x.example"), "requests"), (id, "request_id")]
    {
        let status = create(&owner, message).await.unwrap_err();
        assert_eq!(bad_fields(&status), [field]);
    }
    let stranger = service.owner("rival", "rival").await;
    assert_eq!(reason(create(&stranger, many(2, "example.com")).await), "ORGANIZATION_NOT_FOUND");
    // also where no row is good
    assert_eq!(reason(create(&stranger, batch(["nobody"])).await), "ORGANIZATION_NOT_FOUND");
    assert_eq!(invited(&service).await, (0, 0));
}

#[tokio::test]
async fn a_thousand_rows_are_invited_in_their_order() {
    let service =
        Service::start_with(&[("mail_paused", "true")], invitations::dev::mailbox::Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let outcomes = create(&owner, many(1000, "example.com")).await.unwrap();
    let names = names(&outcomes);
    assert!(names.is_sorted());
    for (n, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.as_ref().unwrap().email, format!("guest-{n}@example.com"));
    }
    let ordered: Vec<String> = sqlx::query_scalar(
        "SELECT 'organizations/acme/invitations/' || invitation FROM events WHERE kind = 'INVITED' ORDER BY position",
    )
    .fetch_all(service.pool())
    .await
    .unwrap();
    assert_eq!(ordered, names);
    service.recount().await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_become_of_each_row_and_writes_nothing() {
    let service =
        Service::start_with(&[("open_invitations_limit", "3")], invitations::dev::mailbox::Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    owner.invite("acme", "open@example.com").await.unwrap();
    let message =
        batch(["open@example.com", "a@example.com", "nobody", "b@example.com", "a@example.com", "c@example.com"]);
    let dry = pb::BatchCreateInvitationsRequest { validate_only: true, ..message.clone() };
    let before = service.tables().await;
    let would = create(&owner, dry).await.unwrap();
    before.assert_same(&service.tables().await, "a dry run");
    for n in [1, 3] {
        let invitation = would[n].as_ref().unwrap();
        assert_eq!((invitation.name.as_str(), invitation.deliveries.len()), ("", 0));
    }
    let reasons = |outcomes: &[Result<Invitation, Status>]| {
        let reasons = outcomes.iter().map(|outcome| outcome.as_ref().map(|_| ()).map_err(Clone::clone));
        reasons.map(|outcome| if outcome.is_ok() { "made".to_owned() } else { reason(outcome) }).collect::<Vec<_>>()
    };
    let expected = [
        "OPEN_INVITATION_EXISTS",
        "made",
        "FIELD_INVALID",
        "made",
        "DUPLICATE_IN_BATCH",
        // those before it count, though they were not made
        "TOO_MANY_OPEN_INVITATIONS",
    ];
    assert_eq!(reasons(&would), expected);
    // the control: the same for real
    assert_eq!(reasons(&create(&owner, message).await.unwrap()), expected);
    assert_eq!(invited(&service).await, (3, 3));
}
