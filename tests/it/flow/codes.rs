//! What is typed instead of a code, and what it costs whoever types it.

use invitations::dev::mailbox::Script;
use invitations::domain::{CodeKey, InvitationCode, InvitationId};
use invitations::pb::invitation::State;

use crate::support::{Person, Service, reason, retry_after, with_a_typo};

/// Well formed, of no invitation.
fn unknown_code(n: u128) -> String {
    let key = CodeKey::new("elsewhere".to_owned(), vec![9; 32]).unwrap();
    InvitationCode::derive(&key, InvitationId(uuid::Uuid::from_u128(n)), 1).reveal()
}

async fn invited(service: &Service) -> (Person, Person, String) {
    let owner = service.owner("olga", "acme").await;
    owner.invite("acme", "anna@example.com").await.unwrap();
    let anna = service.account("anna").await;
    let code = service.code_to("anna@example.com", 1).await;
    (owner, anna, code)
}

/// Guesses until it is too often; returns how often that was.
async fn guess_until_refused(service: &Service, person: &Person) -> i64 {
    let mut guesses = 0_i64;
    loop {
        match reason(person.request_access(&unknown_code(u128::try_from(guesses).unwrap())).await).as_str() {
            "CODE_NOT_FOUND" => guesses += 1,
            refused => {
                assert_eq!(refused, "TOO_MANY_WRONG_CODES");
                break;
            }
        }
    }
    let charged = service.charges().await;
    assert_eq!((guesses, charged), (10, 10));
    charged
}

#[tokio::test]
async fn a_code_may_be_typed_sloppily() {
    let service = Service::start().await;
    let (_, anna, code) = invited(&service).await;
    let sloppy = code.to_lowercase().replace('-', " - ").replace('0', "o").replace('1', "L");
    assert_eq!(anna.request_access(&format!(" {sloppy} ")).await.unwrap().state(), State::AccessRequested);
    assert_eq!(anna.request_access(&code.replace('-', "")).await.unwrap().state(), State::AccessRequested);
}

#[tokio::test]
async fn a_typo_is_told_as_one_and_costs_nothing() {
    let service = Service::start().await;
    let (_, anna, code) = invited(&service).await;
    let before = service.tables().await;
    for typed in [with_a_typo(&code), code[..code.len() - 1].to_owned(), format!("{code}0"), "U".to_owned()] {
        for _ in 0..4 {
            assert_eq!(reason(anna.request_access(&typed).await), "CODE_MISTYPED");
        }
    }
    assert_eq!(service.charges().await, 0);
    before.assert_same(&service.tables().await, "a typo");
    anna.request_access(&code).await.unwrap();
}

#[tokio::test]
async fn ten_wrong_codes_make_their_sender_wait_and_nobody_else() {
    let service = Service::start().await;
    let (owner, anna, code) = invited(&service).await;
    let before = service.tables().await;
    let charged = guess_until_refused(&service, &anna).await;
    // right ones wait as well, else the limit would slow no search down
    for typed in [unknown_code(99), code.clone()] {
        let refused = anna.request_access(&typed).await;
        let wait = retry_after(&refused).expect("the caller is told how long to wait");
        assert!(!wait.is_zero() && wait.as_secs() <= 16 * 60, "{wait:?}");
        assert_eq!(reason(refused), "TOO_MANY_WRONG_CODES");
    }
    assert_eq!(service.charges().await, charged);
    before.assert_same(&service.tables().await, "a wrong code");
    assert_eq!(reason(anna.request_access(&with_a_typo(&code)).await), "CODE_MISTYPED");

    owner.invite("acme", "bob@example.com").await.unwrap();
    let bob = service.account("bob").await;
    bob.request_access(&service.code_to("bob@example.com", 1).await).await.unwrap();

    service.let_limits_pass(16).await;
    assert_eq!(anna.request_access(&code).await.unwrap().state(), State::AccessRequested);
}

#[tokio::test]
async fn without_the_limit_wrong_codes_are_only_wrong() {
    let service = Service::start_with(&[("wrong_codes_limit", "0")], Script::accept_all()).await;
    let (_, anna, code) = invited(&service).await;
    for n in 0..12 {
        assert_eq!(reason(anna.request_access(&unknown_code(n)).await), "CODE_NOT_FOUND");
    }
    assert_eq!(anna.request_access(&code).await.unwrap().state(), State::AccessRequested);
}

#[tokio::test]
async fn a_repeated_request_is_answered_whatever_was_guessed_since() {
    let service = Service::start().await;
    let (_, anna, code) = invited(&service).await;
    let request_id = uuid::Uuid::new_v4().to_string();
    let message = invitations::pb::RequestAccessRequest { code, request_id };
    let first = anna.invitations.clone().request_access(message.clone()).await.unwrap().into_inner();
    let charged = guess_until_refused(&service, &anna).await;
    let again = anna.invitations.clone().request_access(message).await.unwrap().into_inner();
    assert_eq!(again, first);
    assert_eq!(service.charges().await, charged);
}
