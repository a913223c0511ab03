//! How much email an address gets from people it need not know, and that it can have none.

use std::time::Duration;

use invitations::dev::mailbox::Script;
use invitations::domain::{AddressKey, EmailAddress};
use invitations::pb::{self, delivery};

use super::request_id;
use crate::support::{PATIENCE, Person, Service, bad_fields, reason};

const ANNA: &str = "anna@example.com";

async fn suppress(person: &Person, email: &str, request_id: &str) -> Result<(), tonic::Status> {
    let message = pb::SuppressEmailRequest { email: email.to_owned(), request_id: request_id.to_owned() };
    person.mail.clone().suppress_email(message).await.map(tonic::Response::into_inner)
}

async fn unsuppress(person: &Person, email: &str, request_id: &str) -> Result<(), tonic::Status> {
    let message = pb::UnsuppressEmailRequest { email: email.to_owned(), request_id: request_id.to_owned() };
    person.mail.clone().unsuppress_email(message).await.map(tonic::Response::into_inner)
}

/// The first email of an invitation as its inviter sees it: state, attempts, detail.
async fn delivery(owner: &Person, name: &str) -> (delivery::State, i32, String) {
    let deliveries = owner.get(name).await.unwrap().deliveries;
    let first = deliveries.first().expect("each invitation has an email");
    (first.state(), first.attempts, first.detail.clone())
}

/// Waits until the first email of an invitation is as it should be.
async fn until_delivery(owner: &Person, name: &str, state: delivery::State) -> (delivery::State, i32, String) {
    let waiting = async {
        loop {
            let delivery = delivery(owner, name).await;
            if delivery.0 == state {
                return delivery;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the email comes to that")
}

/// Waits until as many emails wait for their addresses: due later, held by nobody.
async fn until_waiting(service: &Service, count: i64) {
    let waiting = async || -> i64 {
        let query = "SELECT count(*) FROM emails WHERE state IN ('QUEUED', 'RETRYING') AND kind NOT LIKE '%_REMINDER' \
                        AND due_time > now() AND lease_until IS NULL";
        sqlx::query_scalar(query).fetch_one(service.pool()).await.unwrap()
    };
    let reached = async {
        while waiting().await != count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect("the emails wait");
}

/// Waits until no email is due or held.
async fn until_decided(service: &Service) {
    drop(service.tables().await);
}

/// Makes what waits due now, but for what a worker holds: it may have been sent.
async fn make_due(service: &Service) {
    let query = "UPDATE emails SET due_time = now() WHERE state IN ('QUEUED', 'RETRYING') AND kind NOT LIKE '%_REMINDER' \
                    AND lease_until IS NULL";
    sqlx::query(query).execute(service.pool()).await.unwrap();
}

fn to(service: &Service, address: &str) -> usize {
    service.mailbox.received().iter().filter(|email| email.recipients == [address]).count()
}

#[tokio::test]
async fn an_address_gets_only_so_many_emails_a_day_and_whoever_invites_sees_that_one_waits() {
    let settings = [("emails_per_address_limit", "2")];
    let service = Service::start_with(&settings, Script::accept_all()).await;
    let second = service.replica(&settings).await;
    let mut names = Vec::new();
    for (n, organization) in ["acme", "beta", "gamma"].into_iter().enumerate() {
        let owner = service.owner(&format!("olga{n}"), organization).await;
        let owner = if n == 1 { owner.on(&second) } else { owner };
        // one address, however it is spelt
        let invited = owner.invite(organization, ["anna@example.com", "Anna@Example.com", ANNA][n]).await.unwrap();
        if n < 2 {
            until_delivery(&owner, &invited.name, delivery::State::Sent).await;
        }
        names.push((owner, invited.name));
    }
    until_waiting(&service, 1).await;
    let (owner, name) = &names[2];
    // nobody has tried it, and so again and again
    for _ in 0..2 {
        assert_eq!(delivery(owner, name).await, (delivery::State::Queued, 0, WAITS.to_owned()));
        assert!(waits(owner, name).await);
        let untouched =
            "SELECT count(*) FROM emails WHERE update_time = create_time AND state = 'QUEUED' AND attempt = 0";
        let untouched: i64 = sqlx::query_scalar(untouched).fetch_one(service.pool()).await.unwrap();
        // and the reminders of all three
        assert_eq!(untouched, 4);
        make_due(&service).await;
        until_waiting(&service, 1).await;
    }
    let count = || service.mailbox.received().len();
    assert_eq!(count(), 2);

    // what an account has asked for, and what other people get, is not held up
    owner.invite("gamma", "bob@example.com").await.unwrap();
    service.email_to("bob@example.com", 1).await;

    service.let_limits_pass(48 * 60).await;
    make_due(&service).await;
    assert_eq!(until_delivery(owner, name, delivery::State::Sent).await.1, 1);
    assert!(!waits(owner, name).await);
    assert_eq!(to(&service, ANNA), 2);
}

const WAITS: &str = "Waits for the recipient's limit of unsolicited emails in a day; it is sent as soon as there is room, \
                     and the invitation ends later by that.";

/// Whether the first email of an invitation waits for its recipient.
async fn waits(owner: &Person, name: &str) -> bool {
    let deliveries = owner.get(name).await.unwrap().deliveries;
    deliveries.first().unwrap().waits_for() == delivery::WaitsFor::RecipientLimit
}

#[tokio::test]
async fn one_organization_does_not_take_the_day_of_an_address() {
    for per_organization in ["3", "0"] {
        let settings =
            [("emails_per_address_limit", "10"), ("emails_per_organization_and_address_limit", per_organization)];
        let service = Service::start_with(&settings, Script::accept_all()).await;
        let attacker = service.owner("eve", "flood").await;
        let invited = attacker.invite("flood", ANNA).await.unwrap();
        for _ in 0..10 {
            attacker.resend(&invited.name, false).await.unwrap();
            until_decided(&service).await;
        }
        let of_attacker = to(&service, ANNA);
        let bystander = service.owner("olga", "acme").await;
        let name = bystander.invite("acme", ANNA).await.unwrap().name;
        until_decided(&service).await;
        if per_organization == "3" {
            assert_eq!(of_attacker, 3);
            until_delivery(&bystander, &name, delivery::State::Sent).await;
        } else {
            // the control: all that the day of this address has
            assert!((6..=10).contains(&of_attacker), "{of_attacker}");
            assert!(waits(&bystander, &name).await, "control: nothing is left for others");
        }
    }
}

#[tokio::test]
async fn an_email_that_waits_costs_nothing_of_the_lifetime() {
    let settings = [("emails_per_address_limit", "1")];
    let service = Service::start_with(&settings, Script::accept_all()).await;
    let (first, second) = (service.owner("eve", "first").await, service.owner("olga", "acme").await);
    let sent = first.invite("first", ANNA).await.unwrap();
    until_delivery(&first, &sent.name, delivery::State::Sent).await;
    let waiting = second.invite("acme", ANNA).await.unwrap();
    until_waiting(&service, 1).await;
    // the control: without the sweep it ends while nobody has read the email
    assert_eq!(second.get(&waiting.name).await.unwrap().expire_time, waiting.expire_time);

    service.replica(&[("emails_per_address_limit", "1"), ("sweep_interval_seconds", "1")]).await;
    let end_of_wait = "SELECT extract(epoch FROM due_time)::int8 FROM emails WHERE answer = 'RECIPIENT_LIMIT'";
    let end_of_wait: i64 = sqlx::query_scalar(end_of_wait).fetch_one(service.pool()).await.unwrap();
    let prolonged = async {
        while second.get(&waiting.name).await.unwrap().expire_time == waiting.expire_time {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, prolonged).await.expect("it is prolonged");
    let shown = second.get(&waiting.name).await.unwrap();
    let lifetime = 7 * 86_400;
    let end = shown.expire_time.unwrap().seconds;
    assert!((end_of_wait + lifetime - end).abs() <= 1, "{end} is not a lifetime after {end_of_wait}");
    assert_eq!((shown.etag, shown.update_time), (waiting.etag, waiting.update_time));
    assert_eq!(second.events("acme").await, ["ORGANIZATION_CREATED", "INVITED", "PROLONGED"]);
    // its reminder moves with it
    let reminder = "SELECT extract(epoch FROM due_time)::int8 FROM emails WHERE kind = 'INVITATION_REMINDER' \
                       AND organization = 'acme' AND state = 'QUEUED'";
    let reminder: i64 = sqlx::query_scalar(reminder).fetch_one(service.pool()).await.unwrap();
    assert!((end - 86_400 - reminder).abs() <= 1);
    // and what was sent at once stays as it was
    assert_eq!(first.get(&sent.name).await.unwrap().expire_time, sent.expire_time);
    assert_eq!(first.events("first").await, ["ORGANIZATION_CREATED", "INVITED"]);
}

#[tokio::test]
async fn without_the_limit_nothing_waits() {
    let service = Service::start().await;
    for n in 0..3 {
        let organization = format!("acme{n}");
        let owner = service.owner(&format!("olga{n}"), &organization).await;
        owner.invite(&organization, ANNA).await.unwrap();
    }
    service.email_to(ANNA, 3).await;
    assert_eq!(service.charges().await, 0);
}

#[tokio::test]
async fn only_cold_mail_is_counted_and_suppressed() {
    let service = Service::start_with(&[("emails_per_address_limit", "1")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let (anna, requested) = service.requested(&owner, "acme", "anna").await;
    let operator = service.service("operator", &["mail.operate"]);
    suppress(&operator, ANNA, "").await.unwrap();
    // the answer to her request, and that she has access
    let offered = owner.offer("acme", "anna", ANNA, "READER").await.unwrap();
    assert_eq!(offered.name, requested.name);
    service.email_to(ANNA, 2).await;
    anna.accept(&offered.name).await.unwrap();
    service.email_to(ANNA, 3).await;

    // an offer out of the blue is cold: the account has asked for nothing
    owner.create_organization("beta").await.unwrap();
    let cold = owner.offer("beta", "anna", ANNA, "READER").await.unwrap();
    until_delivery(&owner, &cold.name, delivery::State::Dropped).await;
    unsuppress(&operator, ANNA, "").await.unwrap();
    owner.resend(&cold.name, false).await.unwrap();
    until_waiting(&service, 1).await;
    assert_eq!(to(&service, ANNA), 3);
}

#[tokio::test]
async fn an_invitation_by_email_does_not_make_the_offer_after_it_expected() {
    let service = Service::start_with(&[("emails_per_address_limit", "1")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let operator = service.service("operator", &["mail.operate"]);
    service.account("anna").await;
    suppress(&operator, ANNA, "").await.unwrap();
    let invited = owner.invite("acme", ANNA).await.unwrap();
    let offered = owner.offer("acme", "anna", ANNA, "READER").await.unwrap();
    assert_eq!(offered.name, invited.name);
    owner.resend(&offered.name, false).await.unwrap();
    until_decided(&service).await;
    assert_eq!(to(&service, ANNA), 0);

    unsuppress(&operator, ANNA, "").await.unwrap();
    for _ in 0..2 {
        owner.resend(&offered.name, false).await.unwrap();
        until_decided(&service).await;
    }
    until_waiting(&service, 1).await;
    assert_eq!(to(&service, ANNA), 1);
}

#[tokio::test]
async fn the_migration_knows_from_the_trail_who_had_asked_before() {
    const BACKFILL: &str = include_str!("../../../migrations/0036_invitations_request_time_known.sql");
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (_, asked) = service.requested(&owner, "acme", "anna").await;
    owner.offer("acme", "anna", ANNA, "READER").await.unwrap();
    // the same names in another organization, and one who was bound without asking
    owner.create_organization("beta").await.unwrap();
    owner.offer("beta", "anna", ANNA, "READER").await.unwrap();
    owner.invite("acme", "bob@example.com").await.unwrap();
    service.offered(&owner, "acme", "bob", "READER").await;
    let times = async || -> Vec<(String, bool)> {
        sqlx::query_as(
            "SELECT organization || '/invitations/' || invitation, request_time = (SELECT create_time FROM events e \
                     WHERE e.invitation = i.invitation AND kind = 'ACCESS_REQUESTED') \
               FROM invitations i WHERE request_time IS NOT NULL",
        )
        .fetch_all(service.pool())
        .await
        .unwrap()
    };
    let written = times().await;
    assert_eq!(written, [(asked.name.trim_start_matches("organizations/").to_owned(), true)]);
    sqlx::query("UPDATE invitations SET request_time = NULL").execute(service.pool()).await.unwrap();
    assert_eq!(times().await, []);
    sqlx::raw_sql(BACKFILL).execute(service.pool()).await.unwrap();
    assert_eq!(times().await, written);
}

#[tokio::test]
async fn a_suppressed_address_gets_nothing_until_that_is_taken_back() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let operator = service.service("operator", &["mail.operate"]);
    suppress(&operator, "Anna@Example.com", "").await.unwrap();
    // again: it stays so
    suppress(&operator, ANNA, "").await.unwrap();
    let invited = owner.invite("acme", ANNA).await.unwrap();
    let (_, _, detail) = until_delivery(&owner, &invited.name, delivery::State::Dropped).await;
    assert_eq!(detail, "Not sent: the recipient does not want such emails.");
    owner.invite("acme", "bob@example.com").await.unwrap();
    service.email_to("bob@example.com", 1).await;
    assert_eq!(to(&service, ANNA), 0);

    unsuppress(&operator, ANNA, "").await.unwrap();
    unsuppress(&operator, ANNA, "").await.unwrap();
    owner.resend(&invited.name, false).await.unwrap();
    service.email_to(ANNA, 1).await;
}

/// Another name of a mailbox, by which an attacker would write to it once more: tags and, at Google, dots.
const OTHER_NAMES: [(&str, &str); 4] = [
    ("anna@example.com", "anna+1@example.com"),
    ("anna+1@example.com", "Anna+2@EXAMPLE.com"),
    ("anna.b@gmail.com", "an.nab+x@googlemail.com"),
    ("annab@googlemail.com", "a.n.n.a.b@gmail.com"),
];

#[tokio::test]
async fn a_suppressed_mailbox_gets_nothing_under_another_name() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let operator = service.service("operator", &["mail.operate"]);
    for (suppressed, other) in OTHER_NAMES {
        suppress(&operator, suppressed, "").await.unwrap();
        let invited = owner.invite("acme", other).await.unwrap();
        until_delivery(&owner, &invited.name, delivery::State::Dropped).await;
        assert_eq!(to(&service, other), 0, "{other}");
        // the control: by the other name it is taken back, too
        unsuppress(&operator, other, "").await.unwrap();
        owner.resend(&invited.name, false).await.unwrap();
        service.email_to(&EmailAddress::parse(other).unwrap().wire(), 1).await;
        owner.revoke(&invited.name).await.unwrap();
    }
}

#[tokio::test]
async fn what_an_earlier_release_has_suppressed_stays_suppressed() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let operator = service.service("operator", &["mail.operate"]);
    suppress(&operator, "anna@example.com", "").await.unwrap();
    // as that release would have written it: the address itself, not its mailbox
    let [_, hash] =
        AddressKey::new(vec![5; 32]).unwrap().suppressions(&EmailAddress::parse("anna+1@example.com").unwrap());
    let query = "UPDATE email_suppressions SET address_hash = $1";
    sqlx::query(query).bind(hash).execute(service.pool()).await.unwrap();
    let invited = owner.invite("acme", "anna+1@example.com").await.unwrap();
    until_delivery(&owner, &invited.name, delivery::State::Dropped).await;
    // the control: it says nothing about the others
    owner.invite("acme", "anna+2@example.com").await.unwrap();
    service.email_to("anna+2@example.com", 1).await;
    unsuppress(&operator, "anna+1@example.com", "").await.unwrap();
    owner.resend(&invited.name, false).await.unwrap();
    service.email_to("anna+1@example.com", 1).await;
}

#[tokio::test]
async fn a_mailbox_is_counted_once_and_each_of_its_names_is_invited() {
    let service = Service::start_with(&[("emails_per_address_limit", "2")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    for name in ["v@example.com", "v+0@example.com", "v+1@example.com", "V+2@example.com"] {
        owner.invite("acme", name).await.unwrap();
    }
    // the control: dots are part of a name where Google is not
    owner.invite("acme", "v.v@example.com").await.unwrap();
    owner.invite("acme", "vv@example.com").await.unwrap();
    service.mailbox.wait_for(4).await;
    until_waiting(&service, 2).await;
    assert_eq!(service.mailbox.received().len(), 4);
}

#[tokio::test]
async fn nothing_that_is_stored_tells_a_suppressed_address() {
    let service = Service::start_with(&[("emails_per_address_limit", "9")], Script::accept_all()).await;
    let operator = service.service("operator", &["mail.operate"]);
    let message = pb::SuppressEmailRequest { email: ANNA.to_owned(), request_id: request_id() };
    operator.mail.clone().suppress_email(message.clone()).await.unwrap();
    let plain: Vec<Vec<u8>> = [ANNA.as_bytes().to_vec(), prost::Message::encode_to_vec(&message)]
        .into_iter()
        .flat_map(|text| {
            use sha2::{Digest, Sha256};
            let method = Sha256::new().chain_update("SuppressEmail").chain_update([0]).chain_update(&text).finalize();
            [Sha256::digest(&text).to_vec(), method.to_vec()]
        })
        .collect();
    for query in ["SELECT address_hash FROM email_suppressions", "SELECT digest FROM account_request_ids"] {
        let stored: Vec<Vec<u8>> = sqlx::query_scalar(query).fetch_all(service.pool()).await.unwrap();
        assert_eq!(stored.len(), 1);
        assert!(stored.iter().all(|hash| hash.len() == 32 && !plain.contains(hash)), "{query}");
    }
}

#[tokio::test]
async fn only_services_that_operate_mail_suppress_and_a_repetition_changes_nothing() {
    let service = Service::start().await;
    let olga = service.owner("olga", "acme").await;
    let operator = service.service("operator", &["mail.operate"]);
    let reporter = service.service("reporter", &["mail.report", "organizations.admin"]);
    let before = service.tables().await;
    for person in [&olga, &reporter] {
        assert_eq!(reason(suppress(person, ANNA, "").await), "SCOPE_REQUIRED");
        assert_eq!(reason(unsuppress(person, ANNA, &request_id()).await), "SCOPE_REQUIRED");
    }
    let nobody = service.stranger("nobody", "nobody@example.com");
    assert_eq!(reason(suppress(&nobody, ANNA, "").await), "ACCOUNT_REQUIRED");
    let refused = suppress(&operator, "nobody", "1").await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["email", "request_id"]);
    before.assert_same(&service.tables().await, "a refused suppression");

    let (first, second) = (request_id(), request_id());
    suppress(&operator, ANNA, &first).await.unwrap();
    unsuppress(&operator, ANNA, &second).await.unwrap();
    suppress(&operator, ANNA, &first).await.unwrap();
    let suppressed: i64 =
        sqlx::query_scalar("SELECT count(*) FROM email_suppressions").fetch_one(service.pool()).await.unwrap();
    assert_eq!(suppressed, 0, "the repetition must not suppress anew");
    assert_eq!(reason(suppress(&operator, "bob@example.com", &first).await), "REQUEST_ID_REUSED");
    assert_eq!(reason(unsuppress(&operator, ANNA, &first).await), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn what_a_mail_server_refuses_is_given_back() {
    use invitations::dev::mailbox::{Action, Step};
    let refuse = Script::new(|step: Step<'_>| match step {
        Step::Rcpt(_) => Action::Reply("550 5.1.1 no such mailbox"),
        _ => Action::Proceed,
    });
    let service = Service::start_with(&[("emails_per_address_limit", "1")], refuse).await;
    let owner = service.owner("olga", "acme").await;
    let invited = owner.invite("acme", ANNA).await.unwrap();
    until_delivery(&owner, &invited.name, delivery::State::Failed).await;
    let given_back = async { while service.charges().await != 0 {} };
    tokio::time::timeout(PATIENCE, given_back).await.expect("what was not sent is given back");
}
