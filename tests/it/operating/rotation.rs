//! A new code key reaches one replica after another: what each does with the emails and the codes of a key that it does
//! not have yet, in every order.

use std::time::{Duration, Instant};

use invitations::dev::mailbox::Script;
use invitations::domain::{CodeKey, InvitationCode, InvitationId};
use invitations::pb::invitation::State;
use invitations::pb::{Delivery, delivery};

use super::keys::{Key, file};
use crate::support::{Database, PATIENCE, Person, Service, Tables, reason, retry_after};

const K1: Key = ("k1", 1);
const K2: Key = ("k2", 2);
/// What replicas have before, between and after the two steps.
const OLD: &[Key] = &[K1];
const BETWEEN: &[Key] = &[K1, K2];
const NEW: &[Key] = &[K2, K1];

/// A deployment whose first replica has these keys and sends no email.
async fn start_with(keys: &[Key]) -> Service {
    let database = Database::create().await;
    let keys = key_file(&database.name, keys);
    let settings = [("code_keys_file", keys.as_str()), ("mail_paused", "true")];
    Service::start_on(database, &settings, Script::accept_all()).await
}

/// The same person at another replica, which has these keys and sends email if it is told to.
async fn at(service: &Service, person: &Person, keys: &[Key], sends: bool) -> Person {
    let keys = key_file(&service.database.name, keys);
    let paused = if sends { "false" } else { "true" };
    let settings = [("code_keys_file", keys.as_str()), ("mail_paused", paused), ("mail_poll_interval_seconds", "1")];
    person.on(&service.replica(&settings).await)
}

fn key_file(database: &str, keys: &[Key]) -> String {
    let ids = keys.iter().map(|(id, _)| *id).collect::<Vec<_>>().join("-");
    let folder = crate::support::scratch(&format!("{database}_{ids}"));
    file(&folder.join("codes"), keys)
}

/// The code of an invitation, as its email has it.
fn code_of(name: &str, (id, byte): Key, generation: i32) -> String {
    let key = CodeKey::new(id.to_owned(), vec![byte; 32]).unwrap();
    let invitation = InvitationId::parse(name.rsplit('/').next().unwrap()).unwrap();
    InvitationCode::derive(&key, invitation, generation).reveal()
}

/// Key and generation of the present code.
async fn code_row(service: &Service, name: &str) -> (String, i32) {
    let row = sqlx::query_as("SELECT code_key_id, generation FROM invitations WHERE invitation = $1::uuid");
    row.bind(name.rsplit('/').next().unwrap()).fetch_one(service.pool()).await.unwrap()
}

async fn execute(service: &Service, statement: &'static str) {
    sqlx::query(statement).execute(service.pool()).await.unwrap();
}

/// What is there; nobody sends an email, so none is due.
async fn tables(service: &Service) -> Tables {
    execute(service, "UPDATE emails SET due_time = now() + interval '1 day' WHERE state = 'QUEUED'").await;
    service.tables().await
}

/// As if the last replica with the second key had ended a while ago.
async fn lose_second_key(service: &Service) {
    execute(service, "UPDATE key_checks SET seen_time = now() - interval '11 minutes' WHERE key_id = 'k2'").await;
}

/// Waits until no email is due or held.
async fn rest(service: &Service) {
    let busy = "SELECT count(*) FROM emails WHERE state IN ('QUEUED', 'RETRYING') \
                   AND (due_time <= now() OR lease_until IS NOT NULL)";
    let begin = Instant::now();
    while sqlx::query_scalar::<_, i64>(busy).fetch_one(service.pool()).await.unwrap() > 0 {
        assert!(begin.elapsed() < PATIENCE, "nobody takes what is due");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The email of an invitation, once it is in that state; whatever waits is due at once, again and again.
async fn email_in(service: &Service, owner: &Person, name: &str, state: delivery::State) -> Delivery {
    let begin = Instant::now();
    loop {
        // an attempt that is under way counts
        rest(service).await;
        let email = owner.get(name).await.unwrap().deliveries.swap_remove(0);
        if email.state() == state {
            return email;
        }
        assert!(begin.elapsed() < PATIENCE, "{state:?} does not come: {email:?}");
        execute(service, "UPDATE emails SET due_time = now() WHERE state = 'RETRYING' AND lease_until IS NULL").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Makes what waits for its key due, and waits until a replica without the key has put it back.
async fn take_in_vain(service: &Service) {
    execute(service, "UPDATE emails SET due_time = now() WHERE state = 'RETRYING' AND lease_until IS NULL").await;
    rest(service).await;
}

#[tokio::test]
async fn an_email_waits_for_a_replica_that_has_the_key_of_its_code() {
    // whichever of the two is there first
    for first in [OLD, NEW] {
        let service = start_with(first).await;
        let owner = service.owner("olga", "acme").await;
        let new = at(&service, &owner, NEW, false).await;
        let old = at(&service, &owner, OLD, true).await;
        let invited = new.invite("acme", "anna@example.com").await.unwrap().name;
        let waiting = email_in(&service, &old, &invited, delivery::State::Retrying).await;
        assert_eq!((waiting.attempts, waiting.smtp_code), (0, 0));
        assert!(waiting.detail.contains("has not reached every replica"), "{}", waiting.detail);
        // each time that it is taken in vain, it waits on: since the same moment, and without an attempt
        for _ in 0..5 {
            take_in_vain(&service).await;
            assert_eq!(email_in(&service, &old, &invited, delivery::State::Retrying).await, waiting);
        }
        assert!(service.mailbox.received().is_empty());
        // what the old replica makes is sent by it
        let by_old = old.invite("acme", "bert@example.com").await.unwrap().name;
        service.email_to("bert@example.com", 1).await;
        assert_eq!(code_row(&service, &by_old).await, ("k1".to_owned(), 1));

        at(&service, &owner, NEW, true).await;
        let sent = email_in(&service, &old, &invited, delivery::State::Sent).await;
        assert_eq!(sent.attempts, 1);
        let code = service.code_to("anna@example.com", 1).await;
        assert_eq!(code, code_of(&invited, K2, 1));
        let anna = at(&service, &service.account("anna").await, NEW, false).await;
        assert_eq!(anna.request_access(&code).await.unwrap().state(), State::AccessRequested);
    }
}

/// The control: it is the wait that keeps the email.
#[tokio::test]
async fn an_email_whose_key_was_missing_for_an_hour_has_failed() {
    let service = start_with(NEW).await;
    let owner = service.owner("olga", "acme").await;
    let old = at(&service, &owner, OLD, true).await;
    let invited = owner.invite("acme", "anna@example.com").await.unwrap().name;
    email_in(&service, &old, &invited, delivery::State::Retrying).await;
    for (minutes, expected) in [(58, delivery::State::Retrying), (61, delivery::State::Failed)] {
        let aged = "UPDATE emails SET update_time = now() - make_interval(mins => $1), due_time = now() \
                     WHERE kind = 'ACCOUNT_INVITATION' AND lease_until IS NULL";
        sqlx::query(aged).bind(minutes).execute(service.pool()).await.unwrap();
        let email = email_in(&service, &old, &invited, expected).await;
        assert_eq!(email.attempts, i32::from(expected == delivery::State::Failed), "{email:?}");
    }
    let shown = owner.get(&invited).await.unwrap().deliveries.swap_remove(0);
    assert_eq!(shown.detail, "The key of the code was missing for an hour: resend the invitation.");
    // which then goes out, with the same code
    owner.resend(&invited, false).await.unwrap();
    at(&service, &owner, NEW, true).await;
    let begin = Instant::now();
    while service.mailbox.received().is_empty() {
        assert!(begin.elapsed() < PATIENCE, "the email does not come");
        execute(&service, "UPDATE emails SET due_time = now() WHERE state = 'RETRYING' AND lease_until IS NULL").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(service.code_to("anna@example.com", 1).await, code_of(&invited, K2, 1));
}

#[tokio::test]
async fn a_code_of_a_key_that_a_replica_lacks_is_neither_wrong_nor_a_guess() {
    // whichever of the two is there first
    for first in [OLD, NEW] {
        let service = start_with(first).await;
        let owner = service.owner("olga", "acme").await;
        let other = at(&service, &owner, if first == OLD { NEW } else { OLD }, false).await;
        let (old, new) = if first == OLD { (&owner, &other) } else { (&other, &owner) };
        let by_new = new.invite("acme", "anna@example.com").await.unwrap().name;
        let by_old = old.invite("acme", "bert@example.com").await.unwrap().name;
        assert_eq!(code_row(&service, &by_new).await.0, "k2");
        assert_eq!(code_row(&service, &by_old).await.0, "k1");
        let (anna, bert) = (service.account("anna").await, service.account("bert").await);
        let (anna_at_old, anna_at_new) = (at(&service, &anna, OLD, false).await, at(&service, &anna, NEW, false).await);

        let before = tables(&service).await;
        let code = code_of(&by_new, K2, 1);
        // more often than anybody may be wrong
        for _ in 0..12 {
            let refused = anna_at_old.request_access(&code).await;
            assert_eq!(refused.as_ref().unwrap_err().code(), tonic::Code::Unavailable);
            assert!(retry_after(&refused).is_some_and(|wait| !wait.is_zero()));
            assert_eq!(reason(refused), "CODE_KEY_MISSING");
        }
        assert_eq!(service.charges().await, 0);
        before.assert_same(&tables(&service).await, "a code of another replica's key");
        // a wrong one stays wrong, of whichever key: nobody learns what a replica lacks by guessing
        for wrong in [code_of(&by_new, K2, 2), code_of(&by_new, K1, 1), code_of(&by_new, ("k3", 3), 1)] {
            assert_eq!(reason(anna_at_old.request_access(&wrong).await), "CODE_NOT_FOUND");
        }
        assert_eq!(service.charges().await, 3);

        assert_eq!(anna_at_new.request_access(&code).await.unwrap().state(), State::AccessRequested);
        // now it is hers, and nobody else is told of it
        let (bert_at_old, bert_at_new) = (at(&service, &bert, OLD, false).await, at(&service, &bert, NEW, false).await);
        assert_eq!(reason(bert_at_old.request_access(&code).await), "CODE_NOT_FOUND");
        // a code of the key of before is good everywhere
        for bert in [bert_at_new, bert_at_old] {
            bert.request_access(&code_of(&by_old, K1, 1)).await.unwrap();
        }
    }
}

/// The control: what nobody has any more is void, as it was before.
#[tokio::test]
async fn a_code_of_a_key_that_nobody_has_any_more_is_wrong() {
    let service = start_with(NEW).await;
    let owner = service.owner("olga", "acme").await;
    let invited = owner.invite("acme", "anna@example.com").await.unwrap().name;
    let anna = service.account("anna").await;
    let at_old = at(&service, &anna, OLD, false).await;
    let code = code_of(&invited, K2, 1);
    assert_eq!(reason(at_old.request_access(&code).await), "CODE_KEY_MISSING");
    lose_second_key(&service).await;
    assert_eq!(reason(at_old.request_access(&code).await), "CODE_NOT_FOUND");
    assert_eq!(service.charges().await, 1);
}

#[tokio::test]
async fn a_resend_never_goes_back_to_a_key_of_before() {
    let service = start_with(OLD).await;
    let owner = service.owner("olga", "acme").await;
    let new = at(&service, &owner, NEW, false).await;
    let between = at(&service, &owner, BETWEEN, false).await;
    let invited = new.invite("acme", "anna@example.com").await.unwrap().name;

    // the one that lacks the key sends nothing and replaces nothing
    let before = tables(&service).await;
    for rotate in [false, true] {
        let refused = owner.resend(&invited, rotate).await;
        assert!(retry_after(&refused).is_some_and(|wait| !wait.is_zero()));
        assert_eq!(reason(refused), "CODE_KEY_MISSING");
    }
    before.assert_same(&tables(&service).await, "a resend without the key");
    assert_eq!(owner.events("acme").await, ["ORGANIZATION_CREATED", "INVITED"]);
    // the one that knows it keeps it, wherever it stands in the file
    for (nth, (replica, rotate)) in
        [(&new, false), (&between, false), (&new, true), (&between, true)].iter().enumerate()
    {
        replica.resend(&invited, *rotate).await.unwrap();
        let generation = [1, 1, 2, 3][nth];
        assert_eq!(code_row(&service, &invited).await, ("k2".to_owned(), generation), "resend {nth}");
    }
    // and a code of the key of before is replaced by one of the new key, where that is the first
    let earlier = owner.invite("acme", "bert@example.com").await.unwrap().name;
    new.resend(&earlier, false).await.unwrap();
    assert_eq!(code_row(&service, &earlier).await, ("k1".to_owned(), 1));
    new.resend(&earlier, true).await.unwrap();
    assert_eq!(code_row(&service, &earlier).await, ("k2".to_owned(), 2));

    // the control: a replica that takes its first key for the newer one goes back
    execute(&service, "UPDATE key_checks SET create_time = create_time - interval '1 day' WHERE key_id = 'k2'").await;
    let mistaken = at(&service, &owner, BETWEEN, false).await;
    mistaken.resend(&earlier, true).await.unwrap();
    assert_eq!(code_row(&service, &earlier).await, ("k1".to_owned(), 3));
    // and the refusal ends with the last replica that had the key
    lose_second_key(&service).await;
    owner.resend(&invited, false).await.unwrap();
    assert_eq!(code_row(&service, &invited).await, ("k1".to_owned(), 4));
}

#[tokio::test]
async fn each_replica_reports_its_keys_and_no_others() {
    let service = start_with(NEW).await;
    execute(&service, "UPDATE key_checks SET seen_time = now() - interval '1 hour' WHERE kind = 'code'").await;
    let owner = service.owner("olga", "acme").await;
    let reported = async || -> Vec<String> {
        let seen = "SELECT key_id FROM key_checks WHERE kind = 'code' AND seen_time > now() - interval '1 minute'";
        sqlx::query_scalar(seen).fetch_all(service.pool()).await.unwrap()
    };
    at(&service, &owner, OLD, false).await;
    let begin = Instant::now();
    while reported().await.is_empty() {
        assert!(begin.elapsed() < PATIENCE, "no key is reported");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(reported().await, ["k1"]);
}
