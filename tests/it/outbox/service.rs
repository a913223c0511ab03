//! Emails as people and administrators see them, through the whole service.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use invitations::dev::mailbox::{Action, Mailbox, Script, Step};
use invitations::domain::EmailKind;
use invitations::mail::{Round, Timeouts};
use invitations::pb::{self, Invitation, delivery};
use mail_parser::MessageParser;
use sqlx::PgPool;
use sqlx::types::Uuid;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Outbox, identity, meanwhile, round, until};
use crate::support::{PATIENCE, Service, patiently};

/// Kind and recipient of each email that has arrived, in order; checks that its envelope and its headers are those of
/// its row.
async fn arrived(mailbox: &Mailbox, rows: &PgPool) -> Vec<String> {
    let mut arrived = Vec::new();
    for email in mailbox.received() {
        let message = MessageParser::default().parse(&email.message).unwrap();
        let (id, domain) = message.message_id().unwrap().split_once('@').unwrap();
        let row = sqlx::query_as("SELECT kind, recipient FROM emails WHERE email_id = $1");
        let (kind, recipient): (String, String) = row.bind(Uuid::try_parse(id).unwrap()).fetch_one(rows).await.unwrap();

        assert_eq!(email.recipients, [recipient.as_str()], "one recipient, the stored one");
        assert_eq!(email.sender, "invitations@hub.example");
        assert_eq!(domain, "hub.example");
        // for everybody, and for Exchange: no out-of-office replies
        for (header, value) in [("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")] {
            let values = message.headers_raw().filter(|(name, _)| name.eq_ignore_ascii_case(header));
            assert_eq!(values.map(|(_, value)| value.trim()).collect::<Vec<_>>(), [value], "{header}");
        }
        assert_eq!(message.to().unwrap().first().unwrap().address(), Some(recipient.as_str()));
        assert_eq!(message.to().unwrap().iter().count(), 1);
        assert!(message.cc().is_none() && message.bcc().is_none());
        let age = "SELECT extract(epoch FROM now())::int8 - $1";
        let age = sqlx::query_scalar(age).bind(message.date().unwrap().to_timestamp()).fetch_one(rows).await;
        let age: i64 = age.unwrap();
        assert!((0..300).contains(&age), "dated {age} s ago");
        assert!(message.body_text(0).is_some() && message.body_html(0).is_some());
        arrived.push(format!("{kind} {recipient}"));
    }
    arrived
}

/// What has to have arrived so far, and nothing else.
struct Expected<'a> {
    service: &'a Service,
    emails: Vec<String>,
}

impl Expected<'_> {
    /// Waits for these too.
    async fn then(&mut self, emails: &[&str]) {
        self.emails.extend(emails.iter().map(|email| (*email).to_owned()));
        let waiting = timeout(PATIENCE, self.service.mailbox.wait_for(self.emails.len()));
        assert!(waiting.await.is_ok(), "{emails:?} do not come");
        let mut arrived = arrived(&self.service.mailbox, self.service.pool()).await;
        arrived.sort();
        self.emails.sort();
        assert_eq!(arrived, self.emails);
    }

    /// The reminder of that kind waits for that moment; lets it come.
    async fn comes_due(&self, kind: &str, moment: &str) {
        let waits = format!(
            "UPDATE emails e SET due_time = now() FROM invitations i \
              WHERE i.organization = e.organization AND i.invitation = e.invitation \
                AND e.state = 'QUEUED' AND e.kind = $1 AND e.due_time = {moment}"
        );
        let aged = sqlx::query(sqlx::AssertSqlSafe(waits)).bind(kind).execute(self.service.pool()).await.unwrap();
        assert_eq!(aged.rows_affected(), 1, "one {kind} waits for {moment}");
    }
}

#[tokio::test]
async fn every_kind_of_email_is_sent_when_its_moment_comes() {
    let service = Service::start_with(&[("unverified_notifications_limit", "1")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let mut expected = Expected { service: &service, emails: Vec::new() };

    expected.then(&["NOTIFICATION_EMAIL_CODE notify@acme.example"]).await;
    let code = service.code_to("notify@acme.example", 1).await;
    let message =
        pb::VerifyNotificationEmailRequest { name: "organizations/acme".to_owned(), code, ..Default::default() };
    owner.organizations.clone().verify_notification_email(message).await.unwrap();

    let name = owner.invite("acme", "Anna@Bücher.example").await.unwrap().name;
    expected.then(&["ACCOUNT_INVITATION Anna@xn--bcher-kva.example"]).await;
    expected.comes_due("INVITATION_REMINDER", "i.expire_time - interval '24 hours'").await;
    expected.then(&["INVITATION_REMINDER Anna@xn--bcher-kva.example"]).await;
    let anna = service.account("anna").await;
    anna.request_access(&service.code_to("Anna@xn--bcher-kva.example", 2).await).await.unwrap();
    expected.then(&["ACCESS_REQUESTED notify@acme.example"]).await;
    expected.comes_due("ACCESS_REQUEST_REMINDER", "i.update_time + interval '3 days'").await;
    expected.then(&["ACCESS_REQUEST_REMINDER notify@acme.example"]).await;
    owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    expected.then(&["ORGANIZATION_INVITATION anna@example.com"]).await;
    expected.comes_due("OFFER_REMINDER", "i.expire_time - interval '24 hours'").await;
    expected.then(&["OFFER_REMINDER anna@example.com"]).await;
    anna.accept(&name).await.unwrap();
    expected.then(&["ACCESS_GRANTED anna@example.com", "MEMBER_JOINED notify@acme.example"]).await;

    let ben = service.account("ben").await;
    let name = owner.offer("acme", "ben", "ben@example.com", "READER").await.unwrap().name;
    expected.then(&["ORGANIZATION_INVITATION ben@example.com"]).await;
    ben.decline(&name).await.unwrap();
    expected.then(&["INVITATION_DECLINED notify@acme.example"]).await;

    let carl = service.account("carl").await;
    let name = owner.invite("acme", "carl@example.com").await.unwrap().name;
    expected.then(&["ACCOUNT_INVITATION carl@example.com"]).await;
    carl.request_access(&service.code_to("carl@example.com", 1).await).await.unwrap();
    expected.then(&["ACCESS_REQUESTED notify@acme.example"]).await;
    owner.reject(&name).await.unwrap();
    expected.then(&["ACCESS_REJECTED carl@example.com"]).await;

    let name = owner.invite("acme", "dora@example.com").await.unwrap().name;
    expected.then(&["ACCOUNT_INVITATION dora@example.com"]).await;
    service.let_expire(&name).await;
    owner.invite("acme", "dora@example.com").await.unwrap();
    expected.then(&["INVITATION_EXPIRED notify@acme.example", "ACCOUNT_INVITATION dora@example.com"]).await;

    let organization = pb::Organization {
        name: "organizations/acme".to_owned(),
        notification_email: "new@acme.example".to_owned(),
        ..Default::default()
    };
    let message = pb::UpdateOrganizationRequest { organization: Some(organization), ..Default::default() };
    owner.organizations.clone().update_organization(message).await.unwrap();
    let told = ["ORGANIZATION_CHANGED notify@acme.example", "ORGANIZATION_CHANGED olga@example.com"];
    expected.then(&[told[0], told[1], "NOTIFICATION_EMAIL_CODE new@acme.example"]).await;

    // of all reminders only those are left whose invitation is as it was; what a worker holds may have been sent
    let due = "UPDATE emails SET due_time = now() WHERE state = 'QUEUED' AND lease_until IS NULL";
    sqlx::query(due).execute(service.pool()).await.unwrap();
    expected.then(&["INVITATION_REMINDER dora@example.com"]).await;
    let kinds = expected.emails.iter().filter_map(|email| email.split(' ').next()).collect::<BTreeSet<_>>();
    assert_eq!(kinds, EmailKind::ALL.map(EmailKind::as_str).into(), "each kind is sent");
    service.stop().await;
}

#[tokio::test]
async fn an_email_goes_out_when_it_is_written_and_not_when_somebody_looks() {
    let service = Service::start_with(&[("mail_poll_interval_seconds", "3600")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    for name in ["anna", "ben", "carl", "dora"] {
        let address = format!("{name}@example.com");
        patiently(async || owner.invite("acme", &address).await).await.unwrap();
        service.email_to(&address, 1).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn replicas_share_the_emails() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let second = owner.on(&service.replica(&[]).await);
    for number in 0..15 {
        let (a, b) = (format!("a{number}@example.com"), format!("b{number}@example.com"));
        let (a, b) = tokio::join!(owner.invite("acme", &a), second.invite("acme", &b));
        a.unwrap();
        b.unwrap();
    }
    let all = timeout(PATIENCE, service.mailbox.wait_for(30)).await.unwrap();
    assert_eq!(all.iter().map(|email| &email.recipients).collect::<BTreeSet<_>>().len(), 30);
    until(async || {
        let left = "SELECT count(*) FROM emails WHERE kind = 'ACCOUNT_INVITATION' AND state <> 'SENT'";
        sqlx::query_scalar::<_, i64>(left).fetch_one(service.pool()).await.unwrap() == 0
    })
    .await;
    assert_eq!(service.mailbox.received().len(), 30, "each came once");
    service.stop().await;
}

/// Each delivery as an administrator sees it.
fn deliveries(invitation: &Invitation) -> Vec<String> {
    let show = |d: &pb::Delivery| {
        let (kind, state) = (d.kind().as_str_name(), d.state().as_str_name());
        format!("{kind} {state} {} {} {}", d.attempts, d.smtp_code, d.detail).trim_end().to_owned()
    };
    invitation.deliveries.iter().map(show).collect()
}

#[tokio::test]
async fn an_invitation_shows_what_became_of_its_emails_in_our_words() {
    let service = Service::start_with(
        &[],
        Script::new(|step| match step {
            Step::Stored(email) if email.recipients == ["full@example.com"] => {
                Action::Reply("552 5.2.2 <full@example.com> canary")
            }
            Step::Stored(email) if email.recipients == ["slow@example.com"] => {
                Action::Reply("451 4.3.0 <slow@example.com> canary")
            }
            _ => Action::Proceed,
        }),
    )
    .await;
    let owner = service.owner("olga", "acme").await;
    let waiting = "INVITATION_REMINDER QUEUED 0 0";
    for (address, outcome) in [
        ("anna@example.com", "SENT 1 250 The mail server took the email."),
        ("full@example.com", "FAILED 1 552 The mailbox is full."),
        ("slow@example.com", "RETRYING 1 451 The mail server put the email off to a later time."),
    ] {
        let invited = owner.invite("acme", address).await.unwrap();
        // kept, and yet refused: the mail server's answer could quote all of it
        let code = service.code_to(address, 1).await;
        until(async || {
            let tried = "SELECT answer IS NOT NULL FROM emails WHERE recipient = $1 AND kind = 'ACCOUNT_INVITATION'";
            sqlx::query_scalar(tried).bind(address).fetch_one(service.pool()).await.unwrap()
        })
        .await;
        let shown = owner.get(&invited.name).await.unwrap();
        assert_eq!(deliveries(&shown), [format!("ACCOUNT_INVITATION {outcome}"), waiting.to_owned()]);
        assert_eq!((shown.etag, shown.update_time), (invited.etag, invited.update_time));
        let rows = "SELECT string_agg(e::text, ' ') FROM emails e";
        let rows: String = sqlx::query_scalar(rows).fetch_one(service.pool()).await.unwrap();
        assert!(!rows.contains("canary") && !rows.contains(&code) && !rows.contains(&code.replace('-', "")), "{rows}");
        let parent = "organizations/acme".to_owned();
        let message = pb::ListInvitationsRequest { parent, email: address.to_owned(), ..Default::default() };
        let listed = owner.invitations.clone().list_invitations(message).await.unwrap().into_inner().invitations;
        assert_eq!(deliveries(&listed[0]), [format!("ACCOUNT_INVITATION {outcome}"), waiting.to_owned()]);
    }

    let anna = service.account("anna").await;
    let name = anna.request_access(&service.code_to("anna@example.com", 1).await).await.unwrap().name;
    assert!(anna.get(&name).await.unwrap().deliveries.is_empty(), "they are the administrators' business");
    let shown = owner.get(&name).await.unwrap();
    let states = shown.deliveries.iter().map(|d| (d.kind(), d.state())).collect::<Vec<_>>();
    assert!(states.contains(&(delivery::Kind::InvitationReminder, delivery::State::Dropped)), "{states:?}");
    service.stop().await;
}

#[tokio::test]
async fn nothing_is_lost_while_the_mail_server_is_down() {
    let is_down = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&is_down);
    let refused = Arc::new(Notify::new());
    let signal = Arc::clone(&refused);
    let script = Script::new(move |step| match step {
        Step::Connect if switch.load(Ordering::SeqCst) => {
            signal.notify_one();
            Action::Drop
        }
        _ => Action::Proceed,
    });
    let service = Service::start_with(&[], script).await;
    let owner = service.owner("olga", "acme").await;
    let people = ["anna", "ben", "carl", "dora", "emil", "fred"].map(|name| format!("{name}@example.com"));
    for (number, address) in people.iter().enumerate() {
        owner.invite("acme", address).await.unwrap();
        if number == 0 {
            timeout(PATIENCE, refused.notified()).await.unwrap();
        }
    }
    let first = owner.get(&owner.invite("acme", "gina@example.com").await.unwrap().name).await.unwrap();
    assert_eq!(first.state(), pb::invitation::State::Invited, "no caller hears of it");
    until(async || {
        let tried = "SELECT count(*) FROM emails WHERE state = 'RETRYING' AND answer = 'CONNECTION'";
        sqlx::query_scalar::<_, i64>(tried).fetch_one(service.pool()).await.unwrap() > 0
    })
    .await;
    assert!(service.mailbox.received().is_empty(), "control: it was down");

    is_down.store(false, Ordering::SeqCst);
    let retry = "UPDATE emails SET due_time = now() WHERE state = 'RETRYING' AND lease_until IS NULL";
    sqlx::query(retry).execute(service.pool()).await.unwrap();
    for address in &people {
        service.email_to(address, 1).await;
    }
    let anna = service.account("anna").await;
    anna.request_access(&service.code_to("anna@example.com", 1).await).await.unwrap();
    service.stop().await;
}

/// A service whose only mail worker waits for an answer that never comes, so that a test has the outbox for itself.
pub(super) async fn with_idle_mail() -> Service {
    let busy = Arc::new(Notify::new());
    let signal = Arc::clone(&busy);
    let script = Script::new(move |step| match step {
        Step::Message(_) => {
            signal.notify_one();
            Action::Stall
        }
        _ => Action::Proceed,
    });
    let service = Service::start_with(&[("mail_workers", "1")], script).await;
    let decoy = service.owner("decoy", "decoy").await;
    decoy.invite("decoy", "bait@example.com").await.unwrap();
    timeout(PATIENCE, busy.notified()).await.unwrap();
    service
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_between_lease_and_attempt_is_not_sent() {
    let service = with_idle_mail().await;
    let owner = service.owner("olga", "acme").await;
    for (round, fresh) in [Duration::ZERO, Duration::from_hours(1)].into_iter().enumerate() {
        let people = ["anna", "ben", "carl"].map(|name| format!("{name}{round}@example.com"));
        let mut names = Vec::new();
        for address in &people {
            names.push(owner.invite("acme", address).await.unwrap().name);
        }
        let (admin, revoked, first) = (owner.clone(), names.clone(), people[0].clone());
        let outbox = Outbox::on(&service.database, move |step| {
            if let Step::Message(email) = step
                && email.recipients == [first.as_str()]
            {
                // the one that is on its way, and one that waits behind it
                for name in &revoked[..2] {
                    meanwhile(admin.revoke(name)).unwrap();
                }
            }
            Action::Proceed
        })
        .await;
        let mut worker = outbox.worker_with(Timeouts { fresh, ..Timeouts::default() });
        let ended = super::round(&mut worker).await;
        if round == 1 {
            let all = Round { claimed: 3, sent: 3, ..Round::default() };
            assert_eq!(ended, all, "control: by what was known when they were leased, all are sent");
            break;
        }
        assert_eq!(ended, Round { claimed: 3, sent: 2, lost: 1, ..Round::default() });
        assert_eq!(outbox.arrived_for(), [people[0].as_str(), people[2].as_str()]);
        let mut shown = Vec::new();
        for name in &names {
            shown.push(deliveries(&owner.get(name).await.unwrap()).remove(0));
        }
        assert_eq!(
            shown,
            [
                // it was sent, whatever was decided meanwhile
                "ACCOUNT_INVITATION SENT 1 250 The mail server took the email.",
                "ACCOUNT_INVITATION DROPPED 1 0 Not sent: the invitation had moved on.",
                "ACCOUNT_INVITATION SENT 1 250 The mail server took the email.",
            ]
        );
    }
}

#[tokio::test]
async fn what_has_moved_on_before_its_email_was_sent_is_dropped() {
    let service = with_idle_mail().await;
    let owner = service.owner("olga", "acme").await;
    let outbox = Outbox::on(&service.database, |_| Action::Proceed).await;
    let moved_on = "Not sent: the invitation had moved on.";

    let revoked = owner.invite("acme", "anna@example.com").await.unwrap().name;
    owner.revoke(&revoked).await.unwrap();
    let expired = owner.invite("acme", "ben@example.com").await.unwrap().name;
    service.let_expire(&expired).await;
    let rotated = owner.invite("acme", "carl@example.com").await.unwrap().name;
    owner.resend(&rotated, true).await.unwrap();
    service.account("dora").await;
    let offered = owner.invite("acme", "dora@example.com").await.unwrap().name;
    owner.offer("acme", "dora", "dora@example.com", "READER").await.unwrap();

    // the revoked one and the one with the old code were taken back at once, the others are seen when their turn comes
    let ended = round(&mut outbox.worker()).await;
    assert_eq!(ended, Round { claimed: 4, sent: 2, dropped: 2, ..Round::default() });
    let mut sent = arrived(&outbox.mailbox, &outbox.rows).await;
    sent.sort();
    assert_eq!(sent, ["ACCOUNT_INVITATION carl@example.com", "ORGANIZATION_INVITATION dora@example.com"]);
    for (name, attempts) in [(revoked, 0), (expired, 1), (rotated, 0), (offered, 1)] {
        let first = deliveries(&owner.get(&name).await.unwrap()).remove(0);
        assert_eq!(first, format!("ACCOUNT_INVITATION DROPPED {attempts} 0 {moved_on}"));
    }
}

#[tokio::test]
async fn a_resent_email_carries_the_same_code_unless_it_is_rotated() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let name = owner.invite("acme", "anna@example.com").await.unwrap().name;
    let first = identity(&*service.email_to("anna@example.com", 1).await);
    owner.resend(&name, false).await.unwrap();
    let again = identity(&*service.email_to("anna@example.com", 2).await);
    owner.resend(&name, true).await.unwrap();
    let rotated = identity(&*service.email_to("anna@example.com", 3).await);
    assert_eq!(again.1, first.1);
    assert_ne!(again.0, first.0, "another email, which no mail program takes for the first one");
    assert!(rotated.1.is_some() && rotated.1 != first.1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_code_takes_back_every_unsent_email_with_the_old_one() {
    let service = with_idle_mail().await;
    let owner = service.owner("olga", "acme").await;
    let name = owner.invite("acme", "anna@example.com").await.unwrap().name;
    owner.resend(&name, false).await.unwrap();
    let (admin, rotated, tries) = (owner.clone(), name.clone(), std::sync::atomic::AtomicUsize::new(0));
    let outbox = Outbox::on(&service.database, move |step| match step {
        Step::Message(_) => match tries.fetch_add(1, Ordering::SeqCst) {
            // the first one is to be tried again; while the second one is on its way the code is rotated
            0 => Action::Reply("451 4.2.0 try again"),
            1 => {
                meanwhile(admin.resend(&rotated, true)).unwrap();
                Action::Reply("451 4.2.0 try again")
            }
            _ => Action::Proceed,
        },
        _ => Action::Proceed,
    })
    .await;
    let mut worker = outbox.worker();
    assert_eq!(round(&mut worker).await.claimed, 2);
    let old = "SELECT count(*) FROM emails WHERE invitation IS NOT NULL AND recipient = 'anna@example.com' AND generation = 1 \
                  AND state IN ('QUEUED', 'RETRYING')";
    let waiting: i64 = sqlx::query_scalar(old).fetch_one(&outbox.rows).await.unwrap();
    assert_eq!(waiting, 0, "neither the one to be tried again nor the one on its way nor a reminder");

    outbox.make_due().await;
    round(&mut worker).await;
    outbox.make_due().await;
    round(&mut worker).await;
    let received = outbox.mailbox.received();
    let hers = received.iter().filter(|email| email.recipients == ["anna@example.com"]);
    let codes = hers.filter_map(|email| identity(email).1).collect::<BTreeSet<_>>();
    assert_eq!(codes.len(), 1, "only the new code was ever sent");
    let anna = service.account("anna").await;
    anna.request_access(codes.first().unwrap()).await.unwrap();
}
