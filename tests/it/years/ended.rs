//! How long ended invitations and their emails are kept, and what is shown of those that have lost their addresses.

use std::time::Duration;

use invitations::dev::mailbox::Script;
use invitations::domain::{Answer, EmailState};
use invitations::pb::{self, Invitation, invitation::State};
use invitations::store::outbox::{self, Ended};
use invitations::store::pool::{self, Purpose};
use tonic::Code;

use super::{Old, Retention, Step, count, days, execute, let_pass, sweep, sweeper, turn, without_addresses};
use crate::support::{PATIENCE, Person, Service, reason};

const ANNOTATIONS: &str = "SELECT count(*) FROM annotations";

/// An invitation in each final state, and one that is open: the person whom it is bound to, if any.
async fn one_of_each(service: &Service, owner: &Person) -> Vec<(Option<Person>, Invitation)> {
    let expired = owner.invite("acme", "Ina@Example.com").await.unwrap();
    service.let_expire(&expired.name).await;
    owner.invite("acme", "ina@example.com").await.unwrap();
    let annotated = pb::CreateInvitationRequest {
        parent: "organizations/acme".to_owned(),
        invitation: Some(Invitation {
            email: "rico@example.com".to_owned(),
            annotations: [("ticket".to_owned(), "OPS-7".to_owned())].into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let revoked = owner.invitations.clone().create_invitation(annotated).await.unwrap().into_inner();
    owner.revoke(&revoked.name).await.unwrap();
    let (rita, rejected) = service.requested(owner, "acme", "rita").await;
    owner.reject(&rejected.name).await.unwrap();
    let (dora, declined) = service.offered(owner, "acme", "dora", "READER").await;
    dora.decline(&declined.name).await.unwrap();
    let (anna, accepted) = service.offered(owner, "acme", "anna", "READER").await;
    anna.accept(&accepted.name).await.unwrap();
    vec![(None, expired), (None, revoked), (Some(rita), rejected), (Some(dora), declined), (Some(anna), accepted)]
}

async fn list(owner: &Person, states: &[State], email: &str) -> Vec<Invitation> {
    let states = states.iter().map(|state| (*state).into()).collect();
    let parent = "organizations/acme".to_owned();
    let message = pb::ListInvitationsRequest { parent, states, email: email.to_owned(), ..Default::default() };
    owner.invitations.clone().list_invitations(message).await.unwrap().into_inner().invitations
}

#[tokio::test]
async fn everything_is_kept_for_ever_unless_a_setting_says_otherwise() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    one_of_each(&service, &owner).await;
    let before = service.tables().await;
    let_pass(service.pool(), 36_500).await;
    let aged = service.tables().await;
    assert_ne!(before, aged);
    sweep(&sweeper(&service, Retention::default()).await).await;
    aged.assert_same(&service.tables().await, "the sweep");

    // the control: with settings it goes, but for what is open
    let kept = Some(days(36_000));
    let retention = Retention { emails: kept, invitations: kept, ..Retention::default() };
    sweep(&sweeper(&service, retention).await).await;
    let states = "SELECT string_agg(state::text, ' ') FROM invitations";
    let states: String = sqlx::query_scalar(states).fetch_one(service.pool()).await.unwrap();
    assert_eq!(states, "INVITED");
    let over = "SELECT count(*) FROM emails WHERE state IN ('SENT', 'FAILED', 'DROPPED')";
    assert_eq!(count(service.pool(), over).await, 0);
    assert_eq!(count(service.pool(), "SELECT count(*) FROM emails").await, 1, "the reminder that waits");
    service.recount().await;
}

#[tokio::test]
async fn each_goes_at_its_age_and_not_a_day_before() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    one_of_each(&service, &owner).await;
    service.tables().await;
    let pool = service.pool();
    let (emails, addresses) = ("SELECT count(*) FROM emails", "SELECT count(*) FROM invitations WHERE email <> ''");
    let (sent, all) = (count(pool, emails).await, count(pool, addresses).await);
    let retention = Retention {
        emails: Some(days(20)),
        addresses: Some(days(30)),
        invitations: Some(days(40)),
        ..Retention::default()
    };
    let sweeper = sweeper(&service, retention).await;
    let invitations = "SELECT count(*) FROM invitations";
    for (passed, emails_left, addresses_left, invitations_left) in
        [(19, sent, all, all), (2, 1, all, all), (8, 1, all, all), (2, 1, 1, all), (8, 1, 1, all), (2, 1, 1, 1)]
    {
        let_pass(pool, passed).await;
        sweep(&sweeper).await;
        let left = (count(pool, emails).await, count(pool, addresses).await, count(pool, invitations).await);
        assert_eq!(left, (emails_left, addresses_left, invitations_left), "{passed} days later");
    }
}

#[tokio::test]
async fn an_invitation_without_addresses_reads_lists_and_answers_as_before() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let ended = one_of_each(&service, &owner).await;
    service.tables().await;
    let_pass(service.pool(), 31).await;
    let mut before = Vec::new();
    for (_, invitation) in &ended {
        before.push(owner.get(&invitation.name).await.unwrap());
    }
    assert_eq!((before[1].annotations.len(), count(service.pool(), ANNOTATIONS).await), (1, 1));
    let listed = list(&owner, &[State::Expired, State::Accepted, State::Declined], "").await;
    assert_eq!((listed.len(), list(&owner, &[], "INA@example.com").await.len()), (3, 2), "the control");
    assert_eq!(turn(&sweeper(&service, without_addresses()).await, Step::Old(Old::Addresses)).await.rows, 5);

    for ((person, invitation), before) in ended.iter().zip(before) {
        let after = owner.get(&invitation.name).await.unwrap();
        assert!(!before.email.is_empty() && !before.deliveries.is_empty());
        let mut erased = Invitation { email: String::new(), account_email: String::new(), ..before };
        erased.annotations.clear();
        assert_eq!(after, erased, "nothing but addresses and annotations has gone");
        assert_eq!(
            reason(owner.resend(&invitation.name, false).await),
            format!("INVITATION_{}", after.state().as_str_name())
        );
        if let Some(person) = person {
            let own = person.get(&invitation.name).await.unwrap();
            assert_eq!((own.state(), own.email.as_str(), own.account_email.as_str()), (after.state(), "", ""));
        }
    }
    assert_eq!(count(service.pool(), ANNOTATIONS).await, 0);
    let again = list(&owner, &[State::Expired, State::Accepted, State::Declined], "").await;
    assert_eq!(again.iter().map(|i| &i.name).collect::<Vec<_>>(), listed.iter().map(|i| &i.name).collect::<Vec<_>>());
    let found = list(&owner, &[], "ina@example.com").await;
    assert_eq!(
        found.iter().map(Invitation::state).collect::<Vec<_>>(),
        [State::Invited],
        "by an address only what has it"
    );
    // a repetition is answered, and the address can be invited anew
    let (anna, accepted) = ended.last().unwrap();
    assert_eq!(anna.as_ref().unwrap().accept(&accepted.name).await.unwrap().state(), State::Accepted);
    assert_eq!(owner.member("acme", "anna").await.unwrap().email, "anna@example.com", "a member keeps the address");
    owner.invite("acme", "rico@example.com").await.unwrap();
    service.recount().await;

    // later it goes itself
    let gone = Retention { invitations: Some(days(20)), ..Retention::default() };
    let sweeper = sweeper(&service, gone).await;
    assert_eq!(turn(&sweeper, Step::Old(Old::Invitations)).await.rows, 5);
    for (person, invitation) in &ended {
        assert_eq!(owner.get(&invitation.name).await.unwrap_err().code(), Code::NotFound);
        if let Some(person) = person {
            assert!(person.get(&invitation.name).await.is_err());
        }
        assert!(!owner.story(&invitation.name).await.is_empty(), "the trail stays");
    }
    service.recount().await;
}

#[tokio::test]
async fn what_is_counted_and_suppressed_for_an_address_outlives_it() {
    let service = Service::start_with(&[("emails_per_address_limit", "1")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let operator = service.service("mailer", &["mail.operate"]);
    let message = pb::SuppressEmailRequest { email: "ben@example.com".to_owned(), ..Default::default() };
    operator.mail.clone().suppress_email(message).await.unwrap();
    for email in ["anna@example.com", "ben@example.com"] {
        let invitation = owner.invite("acme", email).await.unwrap();
        service.tables().await;
        owner.revoke(&invitation.name).await.unwrap();
    }
    let_pass(service.pool(), 31).await;
    sweep(&sweeper(&service, without_addresses()).await).await;
    let left = "SELECT count(*) FROM invitations i WHERE i::text LIKE '%@example.com%'";
    assert_eq!(count(service.pool(), left).await, 0);

    let anna = owner.invite("acme", "anna@example.com").await.unwrap();
    let ben = owner.invite("acme", "ben@example.com").await.unwrap();
    let put_off = "SELECT count(*) FROM emails WHERE kind = 'ACCOUNT_INVITATION' AND state = 'QUEUED' AND attempt = 0 \
                   AND due_time > now() + interval '1 minute'";
    let dropped = "ACCOUNT_INVITATION ben@example.com dropped";
    let judged =
        async { while count(service.pool(), put_off).await == 0 || service.outbox(&ben.name).await[0] != dropped {} };
    tokio::time::timeout(PATIENCE, judged).await.expect("one waits, and the other one is dropped");
    assert_eq!(service.mailbox.received().len(), 1);
    // the control: without what is counted it goes out
    execute(service.pool(), "DELETE FROM subject_limits WHERE subject LIKE 'emails/%'").await;
    let due = "UPDATE emails SET due_time = now() WHERE invitation = $1::uuid AND kind = 'ACCOUNT_INVITATION'";
    sqlx::query(due).bind(anna.name.rsplit('/').next().unwrap()).execute(service.pool()).await.unwrap();
    service.email_to("anna@example.com", 2).await;
}

#[tokio::test]
async fn an_attempt_that_ends_after_the_erasure_brings_no_address_back() {
    let service = Service::start_with(&[("mail_paused", "true")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let pool = pool::open(&service.database.service_url, Purpose::Mail, 1).unwrap();
    let mut connection = pool.acquire().await.unwrap();
    for (is_erased, recipient) in [(false, "anna@example.com"), (true, "")] {
        let invitation = owner.invite("acme", "anna@example.com").await.unwrap();
        let held = outbox::claim(&mut connection, None, 16, Duration::from_mins(5)).await.unwrap();
        assert_eq!(held.len(), 1);
        owner.revoke(&invitation.name).await.unwrap();
        if is_erased {
            let_pass(service.pool(), 31).await;
            sweep(&sweeper(&service, without_addresses()).await).await;
        }
        let settled = held.into_iter().map(|held| Ended {
            held,
            state: EmailState::Sent,
            answer: Answer::parse("250 2.0.0 DATA").unwrap(),
            wait: Duration::ZERO,
        });
        outbox::settle(&mut connection, &settled.collect::<Vec<_>>()).await.unwrap();
        let sent =
            "SELECT state::text, recipient FROM emails WHERE invitation = $1::uuid AND kind = 'ACCOUNT_INVITATION'";
        let id = invitation.name.rsplit('/').next().unwrap().to_owned();
        let sent: (String, String) = sqlx::query_as(sent).bind(id).fetch_one(service.pool()).await.unwrap();
        assert_eq!(sent, ("SENT".to_owned(), recipient.to_owned()));
    }
}

/// The release before knows of no annotations: it erases the addresses beside them, and throws away the invitation later.
#[tokio::test]
async fn annotations_that_an_older_version_has_left_go_with_the_invitation() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    one_of_each(&service, &owner).await;
    service.tables().await;
    let_pass(service.pool(), 31).await;
    let older = "UPDATE invitations SET email = '', email_key = '' WHERE state = 'REVOKED'";
    execute(service.pool(), older).await;
    assert_eq!(count(service.pool(), ANNOTATIONS).await, 1, "the control");
    let gone = Retention { invitations: Some(days(20)), ..Retention::default() };
    assert_eq!(turn(&sweeper(&service, gone).await, Step::Old(Old::Invitations)).await.rows, 1);
    assert_eq!(count(service.pool(), ANNOTATIONS).await, 0);
}
