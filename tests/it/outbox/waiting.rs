//! What waits is judged when it is sent: where it goes, and whether anybody wants it still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use invitations::dev::mailbox::{Action, Step};
use invitations::mail::{Round, Worker};
use invitations::pb::{self, Invitation, Policy};
use prost_types::FieldMask;

use super::service::with_idle_mail;
use super::{Outbox, identity, round};
use crate::support::{Person, Service};

/// Everything of the organization that waits, reminders too, is due.
async fn make_due(outbox: &Outbox) {
    outbox
        .execute("UPDATE emails SET due_time = now() WHERE organization = 'acme' AND state IN ('QUEUED', 'RETRYING')")
        .await;
}

/// What was sent and dropped when everything that waits had its turn.
async fn all_goes(outbox: &Outbox, worker: &mut Worker) -> (usize, usize) {
    make_due(outbox).await;
    let Round { sent, dropped, .. } = round(worker).await;
    (sent, dropped)
}

/// State and words of the newest email of that kind.
async fn told(owner: &Person, invitation: &Invitation, kind: pb::delivery::Kind) -> String {
    let shown = owner.get(&invitation.name).await.unwrap();
    let delivery = shown.deliveries.iter().rfind(|delivery| delivery.kind() == kind).unwrap();
    format!("{} {}", delivery.state().as_str_name(), delivery.detail)
}

/// The code in the newest email to an address.
fn code_for(outbox: &Outbox, address: &str) -> String {
    let received = outbox.mailbox.received();
    let theirs = received.iter().filter(|email| email.recipients == [address]);
    theirs.filter_map(|email| identity(email).1).next_back().unwrap()
}

async fn set_notification_email(owner: &Person, address: &str) {
    let organization = pb::Organization {
        name: "organizations/acme".to_owned(),
        notification_email: address.to_owned(),
        ..Default::default()
    };
    let message = pb::UpdateOrganizationRequest {
        organization: Some(organization),
        update_mask: Some(FieldMask { paths: vec!["notification_email".to_owned()] }),
        ..Default::default()
    };
    owner.organizations.clone().update_organization(message).await.unwrap();
}

/// An organization, a test's own outbox, and a worker that goes when it is told to.
async fn start() -> (Service, Person, Outbox, Worker) {
    let service = with_idle_mail().await;
    let owner = service.owner("olga", "acme").await;
    let outbox = Outbox::on(&service.database, |_| Action::Proceed).await;
    let worker = outbox.worker();
    (service, owner, outbox, worker)
}

const POLICY: &str = "DROPPED Not sent: the organization's policy does not want such emails any more.";

#[tokio::test]
async fn no_reminder_goes_out_once_they_are_disabled() {
    use pb::delivery::Kind::{AccessRequestReminder, InvitationReminder, OfferReminder};
    let (service, owner, outbox, mut worker) = start().await;
    let reminders = |reminders_disabled| Policy { reminders_disabled, ..Policy::default() };
    let invited = owner.invite("acme", "ina@example.com").await.unwrap();
    let requested = owner.invite("acme", "anna@example.com").await.unwrap();
    let (_, offered) = service.offered(&owner, "acme", "otto", "READER").await;
    round(&mut worker).await;
    let anna = service.account("anna").await;
    anna.request_access(&code_for(&outbox, "anna@example.com")).await.unwrap();
    round(&mut worker).await;

    owner.set_policy("acme", &["reminders_disabled"], reminders(true)).await;
    round(&mut worker).await;
    let before = outbox.arrived_for().len();
    assert_eq!(all_goes(&outbox, &mut worker).await, (0, 3));
    assert_eq!(outbox.arrived_for().len(), before);
    for (invitation, kind) in
        [(&invited, InvitationReminder), (&requested, AccessRequestReminder), (&offered, OfferReminder)]
    {
        assert_eq!(told(&owner, invitation, kind).await, POLICY);
    }

    // the control: whoever wants them again before they come due gets them
    owner.set_policy("acme", &["reminders_disabled"], reminders(false)).await;
    let invited = owner.invite("acme", "ida@example.com").await.unwrap();
    round(&mut worker).await;
    owner.set_policy("acme", &["reminders_disabled"], reminders(true)).await;
    owner.set_policy("acme", &["reminders_disabled"], reminders(false)).await;
    round(&mut worker).await;
    assert_eq!(all_goes(&outbox, &mut worker).await, (1, 0));
    assert_eq!(told(&owner, &invited, InvitationReminder).await, "SENT The mail server took the email.");
}

#[tokio::test]
async fn what_the_policy_of_the_moment_forbids_is_not_sent() {
    use pb::delivery::Kind::{AccountInvitation, InvitationExpired, InvitationReminder, OrganizationInvitation};
    let (service, owner, outbox, mut worker) = start().await;
    let reminded = owner.invite("acme", "ina@example.com").await.unwrap();
    round(&mut worker).await;
    let waiting = owner.invite("acme", "ida@example.com").await.unwrap();
    let elsewhere = owner.invite("acme", "eve@elsewhere.example").await.unwrap();
    let (_, offered) = service.offered(&owner, "acme", "otto", "READER").await;
    let overdue = owner.invite("acme", "late@elsewhere.example").await.unwrap();
    service.let_expire(&overdue.name).await;
    owner.invite("acme", "late@elsewhere.example").await.unwrap();
    let policy = Policy {
        blocked_email_domains: vec!["example.com".to_owned()],
        expiry_notifications_disabled: true,
        ..Policy::default()
    };
    owner.set_policy("acme", &["blocked_email_domains", "expiry_notifications_disabled"], policy).await;
    // the two to elsewhere, and what tells of the change
    make_due(&outbox).await;
    round(&mut worker).await;
    for (invitation, kind) in [
        (&reminded, InvitationReminder),
        (&waiting, AccountInvitation),
        (&offered, OrganizationInvitation),
        (&overdue, InvitationExpired),
    ] {
        assert_eq!(told(&owner, invitation, kind).await, POLICY);
    }
    assert!(told(&owner, &elsewhere, AccountInvitation).await.starts_with("SENT"), "the neighbour");
}

#[tokio::test]
async fn what_waits_for_the_organization_goes_to_its_present_address() {
    let (service, owner, outbox, mut worker) = start().await;
    let requested = owner.invite("acme", "anna@example.com").await.unwrap();
    let (otto, offered) = service.offered(&owner, "acme", "otto", "READER").await;
    let (paul, refused) = service.offered(&owner, "acme", "paul", "READER").await;
    let overdue = owner.invite("acme", "late@example.com").await.unwrap();
    round(&mut worker).await;
    let anna = service.account("anna").await;
    anna.request_access(&code_for(&outbox, "anna@example.com")).await.unwrap();
    otto.accept(&offered.name).await.unwrap();
    paul.decline(&refused.name).await.unwrap();
    service.let_expire(&overdue.name).await;
    owner.invite("acme", "late@example.com").await.unwrap();
    let before = outbox.arrived_for().len();

    set_notification_email(&owner, "New@acme.example").await;
    make_due(&outbox).await;
    round(&mut worker).await;
    let mut arrived = outbox.arrived_for().split_off(before);
    arrived.sort();
    let present = ["New@acme.example"; 5];
    let to_people =
        ["late@example.com", "late@example.com", "notify@acme.example", "olga@example.com", "otto@example.com"];
    // requested, its reminder, joined, declined, expired; the change is told where it was before, and the owner
    assert_eq!(arrived, [&present[..], &to_people[..]].concat());
    let gone = "SELECT count(*) FROM emails WHERE recipient = 'notify@acme.example' AND kind <> 'ORGANIZATION_CHANGED'";
    assert_eq!(sqlx::query_scalar::<_, i64>(gone).fetch_one(&outbox.rows).await.unwrap(), 0, "rows say where it went");
    let reminder = told(&owner, &requested, pb::delivery::Kind::AccessRequestReminder).await;
    assert!(reminder.starts_with("SENT"), "{reminder}");
}

#[tokio::test]
async fn what_is_tried_again_goes_to_the_present_address_too() {
    let service = with_idle_mail().await;
    let owner = service.owner("olga", "acme").await;
    let (otto, offered) = service.offered(&owner, "acme", "otto", "READER").await;
    let later = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&later);
    let outbox = Outbox::on(&service.database, move |step| match step {
        Step::Rcpt(_) if flag.load(Ordering::SeqCst) => Action::Reply("450 4.2.0 later"),
        _ => Action::Proceed,
    })
    .await;
    let mut worker = outbox.worker();
    round(&mut worker).await;
    later.store(true, Ordering::SeqCst);
    otto.accept(&offered.name).await.unwrap();
    assert_eq!(round(&mut worker).await.retrying, 2, "ACCESS_GRANTED and MEMBER_JOINED");
    set_notification_email(&owner, "new@acme.example").await;
    later.store(false, Ordering::SeqCst);
    let before = outbox.arrived_for().len();
    make_due(&outbox).await;
    round(&mut worker).await;
    let mut arrived = outbox.arrived_for().split_off(before);
    arrived.sort();
    // the person's own goes where it was written to
    assert_eq!(arrived, ["new@acme.example", "notify@acme.example", "olga@example.com", "otto@example.com"]);
}

#[tokio::test]
async fn a_dead_offer_is_neither_sent_nor_reminded_of() {
    use pb::delivery::Kind::{OfferReminder, OrganizationInvitation};
    let (service, owner, outbox, mut worker) = start().await;
    let max = service.member(&owner, "acme", "max", "MANAGER").await;
    let mia = service.member(&owner, "acme", "mia", "MANAGER").await;
    let gateway = service.service("gateway", &["members.grant"]);
    let (_, reminded) = service.offered(&max, "acme", "anna", "READER").await;
    let (_, living) = service.offered(&mia, "acme", "bert", "READER").await;
    let (_, of_service) = service.offered(&gateway, "acme", "carl", "READER").await;
    round(&mut worker).await;
    let (_, waiting) = service.offered(&max, "acme", "dora", "READER").await;
    owner.set_role("acme", "max", "CONTRIBUTOR").await.unwrap();
    make_due(&outbox).await;
    round(&mut worker).await;
    for (invitation, kind) in [(&reminded, OfferReminder), (&waiting, OrganizationInvitation)] {
        let told = told(&owner, invitation, kind).await;
        assert!(told.starts_with("DROPPED") && told.contains("takes it over"), "{told}");
    }
    assert!(told(&owner, &living, OfferReminder).await.starts_with("SENT"), "the neighbour");
    // this worker knows of no service; the one of `serve` knows those of its configuration
    assert!(told(&owner, &of_service, OfferReminder).await.starts_with("DROPPED"));

    let again = owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    assert_eq!(again.name, reminded.name);
    round(&mut worker).await;
    assert!(told(&owner, &reminded, OrganizationInvitation).await.starts_with("SENT"));
}

#[tokio::test]
async fn nobody_is_reminded_of_an_invitation_to_the_address_of_a_member() {
    use pb::delivery::Kind::{InvitationExpired, InvitationReminder};
    let (service, owner, outbox, mut worker) = start().await;
    owner.invite("acme", "anna@work.example").await.unwrap();
    let own = owner.invite("acme", "anna@example.com").await.unwrap();
    let other = owner.invite("acme", "bert@example.com").await.unwrap();
    round(&mut worker).await;
    let anna = service.account("anna").await;
    // she asks by the one, and is offered her role under the address of the other
    let requested = anna.request_access(&code_for(&outbox, "anna@work.example")).await.unwrap();
    owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    anna.accept(&requested.name).await.unwrap();
    make_due(&outbox).await;
    round(&mut worker).await;
    let member = "DROPPED Not sent: whoever was invited is a member already.";
    assert_eq!(told(&owner, &own, InvitationReminder).await, member);
    assert!(told(&owner, &other, InvitationReminder).await.starts_with("SENT"), "the neighbour");

    for invitation in [&own, &other] {
        service.let_expire(&invitation.name).await;
    }
    // whatever is overdue at a limit is closed by the next change
    let billing = service.service("billing", &["organizations.admin"]);
    set_notification_email(&billing, "new@acme.example").await;
    round(&mut worker).await;
    assert_eq!(told(&owner, &own, InvitationExpired).await, member);
    assert!(told(&owner, &other, InvitationExpired).await.starts_with("SENT"), "the neighbour");
}

#[tokio::test]
async fn what_only_a_newer_version_can_judge_waits_for_it() {
    let outbox = Outbox::start(|_| Action::Proceed).await;
    for organization in ["acme", "beta"] {
        outbox.organization(organization).await;
        outbox.invite(organization, 2).await;
    }
    for statement in [
        "ALTER TYPE invitation_state ADD VALUE 'ON_HOLD'",
        "UPDATE invitations SET state = 'ON_HOLD' WHERE email = '1@acme.example'",
        "UPDATE organizations SET policy = '{\"approval_role\": \"AUDITOR\"}' WHERE organization = 'beta'",
    ] {
        outbox.execute(statement).await;
    }
    let mut worker = outbox.worker();
    for first in [true, false, false] {
        let Round { sent, waiting, .. } = round(&mut worker).await;
        assert_eq!((sent, waiting), (usize::from(first), 3));
        outbox.make_due().await;
    }
    let left = ["1@beta.example QUEUED 0 -", "2@acme.example SENT 1 250", "2@beta.example QUEUED 0 -"];
    assert_eq!(outbox.rows().await, [&["1@acme.example QUEUED 0 -"][..], &left].concat());
    // the control: what is known is judged, and sent
    outbox.execute("UPDATE invitations SET state = 'INVITED'").await;
    outbox.execute("UPDATE organizations SET policy = '{}'").await;
    assert_eq!(round(&mut worker).await.sent, 3);
}
