//! What ends by itself: shown at once, written by whoever comes first, told once, and remembered in time.

use invitations::pb::invitation::State;
use invitations::pb::{self, Invitation, Policy, Role};
use prost_types::Duration;

use crate::support::{PATIENCE, Person, Service, reason, words};

/// An invitation of each kind that can end by itself, by its state: INVITED, OFFERED, PENDING_APPROVAL.
async fn one_of_each(service: &Service, owner: &Person) -> Vec<(Person, Invitation)> {
    owner.ask_for_approval_of("acme", Role::Manager).await;
    let invited = owner.invite("acme", "ina@example.com").await.unwrap();
    service.email_to("ina@example.com", 1).await;
    let offered = service.offered(owner, "acme", "otto", "READER").await;
    service.email_to("otto@example.com", 1).await;
    let pending = service.offered(owner, "acme", "paul", "MANAGER").await;
    vec![(service.account("ina").await, invited), offered, pending]
}

/// What reads show, but for the emails.
async fn shown(owner: &Person, invitations: &[(Person, Invitation)]) -> Vec<Invitation> {
    let mut shown = Vec::new();
    for (_, invitation) in invitations {
        shown.push(Invitation { deliveries: Vec::new(), ..owner.get(&invitation.name).await.unwrap() });
    }
    shown
}

async fn listed(owner: &Person, states: &[State]) -> Vec<Invitation> {
    let states = states.iter().map(|state| (*state).into()).collect();
    let message = pb::ListInvitationsRequest { parent: "organizations/acme".to_owned(), states, ..Default::default() };
    let list = owner.invitations.clone().list_invitations(message).await.unwrap().into_inner().invitations;
    list.into_iter().map(|invitation| Invitation { deliveries: Vec::new(), ..invitation }).collect()
}

async fn own(person: &Person) -> Vec<Invitation> {
    let message = pb::ListAccountInvitationsRequest { parent: "accounts/me".to_owned(), ..Default::default() };
    person.invitations.clone().list_account_invitations(message).await.unwrap().into_inner().invitations
}

#[tokio::test]
async fn nobody_can_tell_from_outside_whether_the_sweep_has_been_there() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let invitations = one_of_each(&service, &owner).await;
    let open = shown(&owner, &invitations).await;
    for (_, invitation) in &invitations {
        service.let_expire(&invitation.name).await;
    }

    let before = service.tables().await;
    let overdue = shown(&owner, &invitations).await;
    for (was, is) in open.iter().zip(&overdue) {
        assert_eq!((is.state(), &is.etag, is.update_time), (State::Expired, &was.etag, is.expire_time));
    }
    let newest_first = overdue.iter().rev().cloned().collect::<Vec<_>>();
    assert_eq!(listed(&owner, &[]).await, newest_first);
    assert_eq!(listed(&owner, &[State::Expired]).await, newest_first);
    assert_eq!(listed(&owner, &[State::Invited, State::Offered, State::PendingApproval]).await, []);
    let (otto, _) = &invitations[1];
    assert_eq!(own(otto).await[0].state(), State::Expired);
    assert_eq!(owner.seats_taken("acme").await, 1);
    assert_eq!(reason(otto.accept(&overdue[1].name).await), "INVITATION_EXPIRED");
    before.assert_same(&service.tables().await, "reading");

    // a replica that sweeps; the last thing that it writes is the email
    service.replica(&[("sweep_interval_seconds", "1")]).await;
    service.email_to("notify@acme.example", 3).await;
    assert_ne!(before, service.tables().await);
    assert_eq!(shown(&owner, &invitations).await, overdue);
    assert_eq!(listed(&owner, &[State::Expired]).await, newest_first);
    assert_eq!(owner.seats_taken("acme").await, 1);
    for (_, invitation) in &invitations {
        // the service itself did it: no actor
        assert_eq!(owner.story(&invitation.name).await.last().unwrap(), "EXPIRED");
    }
    service.recount().await;
}

#[tokio::test]
async fn the_organization_hears_what_expired_unless_it_does_not_want_to() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let first = owner.invite("acme", "ina@example.com").await.unwrap();
    let (_, second) = service.offered(&owner, "acme", "otto", "READER").await;
    service.email_to("ina@example.com", 1).await;
    service.email_to("otto@example.com", 1).await;
    service.let_expire(&first.name).await;
    owner.invite("acme", "ina@example.com").await.unwrap();
    let told = words(&*service.email_to("notify@acme.example", 1).await);
    assert!(told.contains("ina@example.com") && told.contains("expired"), "{told}");
    assert_eq!(
        service.outbox(&first.name).await,
        [
            "ACCOUNT_INVITATION ina@example.com",
            "INVITATION_REMINDER ina@example.com in 144 h dropped",
            "INVITATION_EXPIRED notify@acme.example",
        ]
    );

    let policy = Policy { expiry_notifications_disabled: true, ..Policy::default() };
    owner.set_policy("acme", &["expiry_notifications_disabled"], policy).await;
    service.let_expire(&second.name).await;
    owner.offer("acme", "otto", "otto@example.com", "CONTRIBUTOR").await.unwrap();
    assert_eq!(
        service.outbox(&second.name).await,
        ["ORGANIZATION_INVITATION otto@example.com", "OFFER_REMINDER otto@example.com in 144 h dropped"]
    );
    assert_eq!(owner.story(&second.name).await, ["OFFERED accounts/olga", "EXPIRED"]);
}

#[tokio::test]
async fn what_is_overdue_stands_in_nobodys_way() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let expired = async |name: &str, why: &str| {
        assert_eq!(owner.story(name).await.last().unwrap(), "EXPIRED", "{why}");
        service.recount().await;
    };

    let first = owner.invite("acme", "anna@example.com").await.unwrap();
    service.let_expire(&first.name).await;
    let second = owner.invite("acme", "anna@example.com").await.unwrap();
    expired(&first.name, "closed by CreateInvitation").await;

    service.let_expire(&second.name).await;
    let (anna, third) = service.offered(&owner, "acme", "anna", "READER").await;
    assert_ne!(third.name, second.name);
    expired(&second.name, "closed by OfferMembership for the address").await;

    service.let_expire(&third.name).await;
    let fourth = owner.offer("acme", "anna", "anna@example.com", "CONTRIBUTOR").await.unwrap();
    assert_ne!(fourth.name, third.name);
    expired(&third.name, "closed by OfferMembership for the account").await;
    assert_eq!(owner.seats_taken("acme").await, 2);

    service.let_expire(&fourth.name).await;
    let fifth = owner.invite("acme", "anna@work.example").await.unwrap();
    let code = service.code_to("anna@work.example", 1).await;
    assert_eq!(anna.request_access(&code).await.unwrap().name, fifth.name);
    expired(&fourth.name, "closed by RequestAccess").await;
    assert_eq!(owner.seats_taken("acme").await, 1);
}

#[tokio::test]
async fn the_code_of_an_expired_invitation_is_unknown() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let invited = owner.invite("acme", "anna@example.com").await.unwrap();
    let code = service.code_to("anna@example.com", 1).await;
    service.let_expire(&invited.name).await;
    let anna = service.account("anna").await;
    let before = service.tables().await;
    assert_eq!(reason(anna.request_access(&code).await), "CODE_NOT_FOUND");
    before.assert_same(&service.tables().await, "an expired code");
    // the control: the next invitation has a code that works
    owner.invite("acme", "anna@example.com").await.unwrap();
    let code = service.code_to("anna@example.com", 2).await;
    assert_eq!(anna.request_access(&code).await.unwrap().state(), State::AccessRequested);
}

/// Makes the reminder of an invitation due, and not an earlier one that has arrived and is still held.
async fn remind(service: &Service, invitation: &str) {
    let id = invitation.rsplit('/').next().unwrap();
    let due = "UPDATE emails SET due_time = now() \
                WHERE invitation = $1::uuid AND state = 'QUEUED' AND kind LIKE '%_REMINDER' AND lease_until IS NULL";
    let reminders = sqlx::query(due).bind(id).execute(service.pool()).await.unwrap();
    assert_eq!(reminders.rows_affected(), 1);
}

#[tokio::test]
async fn people_are_reminded_of_what_waits_for_them() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let invited = owner.invite("acme", "anna@example.com").await.unwrap();
    let code = service.code_to("anna@example.com", 1).await;
    remind(&service, &invited.name).await;
    assert_eq!(service.code_to("anna@example.com", 2).await, code);

    let anna = service.account("anna").await;
    anna.request_access(&code).await.unwrap();
    service.email_to("notify@acme.example", 1).await;
    remind(&service, &invited.name).await;
    let again = words(&*service.email_to("notify@acme.example", 2).await);
    assert!(again.contains("anna@example.com"), "{again}");

    owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    service.email_to("anna@example.com", 3).await;
    remind(&service, &invited.name).await;
    let again = words(&*service.email_to("anna@example.com", 4).await);
    assert!(again.contains("anna") && again.contains("acme"), "{again}");
    assert_eq!(
        service.outbox(&invited.name).await.iter().map(|email| email.split(' ').next().unwrap()).collect::<Vec<_>>(),
        [
            "ACCOUNT_INVITATION",
            "INVITATION_REMINDER",
            "ACCESS_REQUESTED",
            "ACCESS_REQUEST_REMINDER",
            "ORGANIZATION_INVITATION",
            "OFFER_REMINDER",
        ]
    );
}

#[tokio::test]
async fn there_is_no_reminder_where_there_is_no_time_or_no_wish_for_one() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let lifetimes = |seconds| Policy {
        invitation_lifetime: Some(Duration { seconds, nanos: 0 }),
        offer_lifetime: Some(Duration { seconds, nanos: 0 }),
        ..Policy::default()
    };
    let paths = ["invitation_lifetime", "offer_lifetime"];
    owner.set_policy("acme", &paths, lifetimes(24 * 3600)).await;
    let invited = owner.invite("acme", "ina@example.com").await.unwrap();
    assert_eq!(invited.expire_time.unwrap().seconds - invited.create_time.unwrap().seconds, 24 * 3600);
    assert_eq!(service.outbox(&invited.name).await, ["ACCOUNT_INVITATION ina@example.com"]);
    let (_, offered) = service.offered(&owner, "acme", "otto", "READER").await;
    assert_eq!(service.outbox(&offered.name).await, ["ORGANIZATION_INVITATION otto@example.com"]);

    owner.set_policy("acme", &paths, lifetimes(30 * 24 * 3600)).await;
    let (_, long) = service.offered(&owner, "acme", "lena", "READER").await;
    assert_eq!(service.outbox(&long.name).await[1], "OFFER_REMINDER lena@example.com in 696 h");
    owner.set_policy("acme", &["reminders_disabled"], Policy { reminders_disabled: true, ..Policy::default() }).await;
    let (_, requested) = service.requested(&owner, "acme", "rita").await;
    assert_eq!(
        service.outbox(&requested.name).await,
        ["ACCOUNT_INVITATION rita@example.com", "ACCESS_REQUESTED notify@acme.example"]
    );
}

#[tokio::test]
async fn an_organization_that_cannot_be_swept_holds_up_no_other() {
    let service = Service::start().await;
    service.owner("olga", "acme").await;
    let rosa = service.owner("rosa", "beta").await;
    let invited = rosa.invite("beta", "ina@example.com").await.unwrap();
    service.email_to("ina@example.com", 1).await;
    service.let_expire(&invited.name).await;
    for statement in [
        "INSERT INTO invitations (organization, invitation, state, email, email_key, inviter, code_hash, code_key_id, \
                                  generation, expire_time, send_time) \
         SELECT 'acme', gen_random_uuid(), 'INVITED', a, a, 'accounts/olga', sha256(a::bytea), 'test', 1, \
                now() - interval '1 day', now() FROM generate_series(1, 1200) n, concat(n, '@acme.example') a",
        "ALTER TABLE events ADD CONSTRAINT events_poison CHECK (organization <> 'acme' OR kind <> 'EXPIRED')",
    ] {
        sqlx::query(statement).execute(service.pool()).await.unwrap();
    }
    // the control: those that cannot be closed fill more than one round, and come first
    let first = "SELECT count(*) FILTER (WHERE organization = 'acme') FROM (SELECT organization FROM invitations \
                 WHERE state = 'INVITED' AND expire_time <= now() ORDER BY expire_time LIMIT 500) round";
    assert_eq!(sqlx::query_scalar::<_, i64>(first).fetch_one(service.pool()).await.unwrap(), 500);

    service.replica(&[("sweep_interval_seconds", "1")]).await;
    let told = words(&*service.email_to("notify@beta.example", 1).await);
    assert!(told.contains("ina@example.com") && told.contains("expired"), "{told}");
    let left = "SELECT count(*) FROM invitations WHERE organization = 'acme' AND state = 'INVITED'";
    let left: i64 = sqlx::query_scalar(left).fetch_one(service.pool()).await.unwrap();
    assert_eq!(left, 1200, "what was made to fail has failed");
}

#[tokio::test]
async fn request_ids_are_kept_for_a_day_and_not_for_ever() {
    let service = Service::start().await;
    service.owner("olga", "acme").await;
    // more than one statement takes
    for statement in [
        "INSERT INTO request_ids (organization, caller, request_id, method, digest, resource, create_time) \
         SELECT o, c, gen_random_uuid(), 'CreateInvitation', '', '', now() - make_interval(hours => h) \
           FROM generate_series(1, 200) n, unnest(ARRAY['acme', 'beta']) o, unnest(ARRAY['accounts/olga', 'services/ci/x']) c, \
                unnest(ARRAY[23, 25]) h",
        "INSERT INTO account_request_ids (identity, request_id, method, digest, resource, create_time) \
         SELECT sha256('olga'), gen_random_uuid(), 'CreateAccount', '', '', now() - make_interval(hours => h) \
           FROM unnest(ARRAY[23, 25]) h",
    ] {
        sqlx::query(statement).execute(service.pool()).await.unwrap();
    }
    let of_hours = async |hours: i32| -> i64 {
        let kept = "SELECT (SELECT count(*) FROM request_ids WHERE create_time < now() - make_interval(hours => $1)) \
                         + (SELECT count(*) FROM account_request_ids WHERE create_time < now() - make_interval(hours => $1))";
        sqlx::query_scalar(kept).bind(hours).fetch_one(service.pool()).await.unwrap()
    };
    assert_eq!((of_hours(24).await, of_hours(22).await), (801, 1602), "the control: they are there");
    service.replica(&[("sweep_interval_seconds", "1")]).await;
    let swept = async { while of_hours(24).await > 0 {} };
    tokio::time::timeout(PATIENCE, swept).await.expect("the sweep comes");
    assert_eq!(of_hours(22).await, 801);
}
