//! Codes that are guessed, changed, made with other keys, or used by the wrong person.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use futures_util::StreamExt;
use futures_util::stream::iter;
use hmac::{Hmac, KeyInit, Mac};
use invitations::dev::mailbox::Script;
use invitations::domain::{CodeKey, InvitationCode, InvitationId};
use invitations::pb;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use sha2::Sha256;
use tonic::Status;

use super::{AT_ONCE, mail_is_sent, shown, warm_up};
use crate::support::{Person, Service, reason};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The 26 characters that count, as numbers.
type Payload = [u8; 26];

/// With the check characters that belong to them: whoever guesses knows how to make them.
fn written(payload: Payload) -> String {
    let remainder = payload.iter().fold(0, |sum, symbol| (sum * 32 + u32::from(*symbol)) % 1021);
    let symbols = payload.into_iter().map(u32::from).chain([remainder / 32, remainder % 32]);
    symbols.map(|symbol| char::from(ALPHABET[symbol as usize])).collect()
}

fn read(code: &str) -> Payload {
    let symbols = code.bytes().filter(|byte| *byte != b'-').take(26);
    let value = |byte| u8::try_from(ALPHABET.iter().position(|symbol| *symbol == byte).unwrap()).unwrap();
    symbols.map(value).collect::<Vec<_>>().try_into().unwrap()
}

/// The code of an invitation under the key of the tests, or another one.
fn code_of(name: &str, generation: i32, secret: u8) -> String {
    let key = CodeKey::new("test".to_owned(), vec![secret; 32]).unwrap();
    InvitationCode::derive(&key, id_of(name), generation).reveal()
}

fn id_of(name: &str) -> InvitationId {
    InvitationId::parse(name.rsplit('/').next().unwrap()).unwrap()
}

/// What the right key would make for something else than invitations.
fn of_another_purpose(name: &str, purpose: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    mac.update(purpose);
    mac.update(id_of(name).0.as_bytes());
    mac.update(&1_i32.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let bits = digest.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect::<Vec<_>>();
    let symbol = |n: usize| bits[n * 5..n * 5 + 5].iter().fold(0, |sum, bit| sum << 1 | bit);
    written(std::array::from_fn(symbol))
}

/// What is wrong with a code, and with which answer it is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fault {
    Typed,
    Wrong,
}

/// 10,000 codes that are not among the given ones but as near to them as can be.
fn mutated(names: &[String], rng: &mut StdRng) -> Vec<(Fault, String)> {
    let mut codes = Vec::new();
    for n in 0..10_000 {
        let name = &names[rng.random_range(0..names.len())];
        let right = code_of(name, 1, 7);
        let mut payload = read(&right);
        let mut letters = written(payload).into_bytes();
        let at = rng.random_range(0..28);
        codes.push(match n % 10 {
            // one letter, typed wrongly
            0 => {
                let value = ALPHABET.iter().position(|symbol| *symbol == letters[at]).unwrap();
                letters[at] = ALPHABET[(value + rng.random_range(1..32)) % 32];
                (Fault::Typed, String::from_utf8(letters).unwrap())
            }
            // cut off, or with something after it
            1 => {
                letters.truncate(rng.random_range(1..28));
                letters.extend(vec![b'0'; if at < 4 { 28 } else { 0 }]);
                (Fault::Typed, String::from_utf8(letters).unwrap())
            }
            // one bit, with the check characters made anew
            2 | 3 => {
                payload[at % 26] ^= 1 << rng.random_range(0..5);
                (Fault::Wrong, written(payload))
            }
            4 => {
                payload[0] ^= 1;
                for _ in 0..rng.random_range(1..=26) {
                    payload[rng.random_range(1..26)] ^= rng.random_range(1..32);
                }
                (Fault::Wrong, written(payload))
            }
            5 => (Fault::Wrong, code_of(name, rng.random_range(2..1000), 7)),
            6 => (Fault::Wrong, code_of(name, 0, 7)),
            7 => (Fault::Wrong, code_of(name, 1, rng.random_range(8..=255))),
            8 => {
                let purpose =
                    [&b"\x01invitation-cod"[..], b"\x02invitation-code", b"\x01reset-password", b""][n / 10 % 4];
                (Fault::Wrong, of_another_purpose(name, purpose))
            }
            _ => (Fault::Wrong, written(std::array::from_fn(|_| (rng.next_u32() % 32) as u8))),
        });
    }
    codes
}

/// What each caller gets for each code, many at a time.
async fn tried<'a, T>(
    tries: impl IntoIterator<Item = (T, &'a Person, &'a str)>,
) -> Vec<(T, Result<pb::Invitation, Status>)> {
    let call = async |(kind, person, code): (T, &Person, &str)| (kind, person.request_access(code).await);
    iter(tries).map(call).buffer_unordered(AT_ONCE).collect().await
}

/// That many invitations of an organization, by name.
async fn invited(owner: &Person, organization: &str, count: usize) -> Vec<String> {
    let invite = async |n| owner.invite(organization, &format!("guest-{n}@example.com")).await.unwrap().name;
    iter(0..count).map(invite).buffer_unordered(AT_ONCE).collect().await
}

/// All are refused for that reason, in the same words.
fn all_refused<T: Debug>(answers: impl IntoIterator<Item = Result<T, Status>>, why: &str) -> usize {
    let mut words = BTreeSet::new();
    let mut count = 0;
    for answer in answers {
        count += 1;
        let status = answer.expect_err("the code is refused");
        words.insert(shown(&status, &[]));
        assert_eq!(reason(Err::<(), _>(status)), why);
    }
    assert_eq!(words.len(), 1, "{words:#?}");
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_mutated_code_opens_anything_and_all_get_one_answer() {
    let service = Service::start_with(&[("wrong_codes_limit", "0")], Script::accept_all()).await;
    warm_up(&service).await;
    let owner = service.owner("olga", "acme").await;
    let mut names = invited(&owner, "acme", 40).await;
    let other = service.owner("otto", "umbrella").await;
    let bound = service.requested(&other, "umbrella", "ben").await.1;
    names.push(bound.name);
    let mallory = service.account("mallory").await;
    let codes = mutated(&names, &mut StdRng::seed_from_u64(1));
    mail_is_sent(&service).await;
    let before = service.tables().await;

    let mut answers = BTreeMap::<_, Vec<_>>::new();
    for (fault, answer) in tried(codes.iter().map(|(fault, code)| (*fault, &mallory, code.as_str()))).await {
        answers.entry(fault).or_default().push(answer);
    }
    let mistyped = all_refused(answers.remove(&Fault::Typed).unwrap(), "CODE_MISTYPED");
    let wrong = all_refused(answers.remove(&Fault::Wrong).unwrap(), "CODE_NOT_FOUND");
    assert_eq!((mistyped, wrong), (2000, 8000));
    before.assert_same(&service.tables().await, "a wrong code");

    // control: the codes that were changed are the right ones
    let right = code_of(&names[0], 1, 7);
    assert_eq!(written(read(&right)), right.replace('-', ""));
    assert_eq!(mallory.request_access(&right).await.unwrap().name, names[0]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_is_bound_is_nobody_elses() {
    const ORGANIZATIONS: usize = 5;
    const PEOPLE: usize = 200;
    let service = Service::start_with(&[("wrong_codes_limit", "0")], Script::accept_all()).await;
    warm_up(&service).await;
    let owner = service.account("olga").await;
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        let name = format!("guest-{n}");
        people.push(service.account(&name).await);
    }
    let mut codes = Vec::new();
    for number in 0..ORGANIZATIONS {
        let organization = format!("acme-{number}");
        owner.create_organization(&organization).await.unwrap();
        codes.extend(invited(&owner, &organization, PEOPLE).await.iter().map(|name| code_of(name, 1, 7)));
    }
    let bind = codes.iter().enumerate().map(|(n, code)| (n, &people[n % PEOPLE], code.as_str()));
    assert!(tried(bind).await.into_iter().all(|(_, answer)| answer.is_ok()));
    let thieves = [service.account("mallory").await, service.account("trudy").await, people[0].clone()];
    mail_is_sent(&service).await;
    let before = service.tables().await;

    let theft = codes.iter().enumerate().filter(|(n, _)| n % PEOPLE > 0);
    let theft = theft.map(|(n, code)| (n, &thieves[n % thieves.len()], code.as_str()));
    let refused = all_refused(tried(theft).await.into_iter().map(|(_, answer)| answer), "CODE_NOT_FOUND");
    assert_eq!(refused, ORGANIZATIONS * (PEOPLE - 1));
    let owners = codes.iter().take(5).map(|code| ((), &owner, code.as_str()));
    all_refused(tried(owners).await.into_iter().map(|((), answer)| answer), "CODE_NOT_FOUND");
    before.assert_same(&service.tables().await, "a code that is bound");
    // control: to those who are bound the same codes still answer
    assert!(people[1].request_access(&codes[1]).await.is_ok());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_code_is_of_no_use_without_the_address_that_it_takes() {
    let service = Service::start_with(&[("wrong_codes_limit", "0")], Script::accept_all()).await;
    warm_up(&service).await;
    let owner = service.owner("olga", "acme").await;
    let names = invited(&owner, "acme", 1000).await;
    let codes = names.iter().map(|name| code_of(name, 1, 7)).collect::<Vec<_>>();
    let nobody = service.unverified("nobody", "guest-1@example.com");
    nobody.create_account("nobody").await.unwrap();
    let mallory = service.account("mallory").await;
    mail_is_sent(&service).await;
    let before = service.tables().await;
    let tries = |person| codes.iter().map(move |code| ((), person, code.as_str()));

    let answers = tried(tries(&nobody)).await.into_iter().map(|((), answer)| answer);
    assert_eq!(all_refused(answers, "EMAIL_NOT_VERIFIED"), 1000);
    before.assert_same(&service.tables().await, "a code without a verified address");

    let policy = |address_match: pb::policy::AddressMatch| pb::Policy {
        address_match: address_match.into(),
        ..pb::Policy::default()
    };
    owner.set_policy("acme", &["address_match"], policy(pb::policy::AddressMatch::Require)).await;
    mail_is_sent(&service).await;
    let before = service.tables().await;
    let answers = tried(tries(&mallory)).await.into_iter().map(|((), answer)| answer);
    assert_eq!(all_refused(answers, "ADDRESS_MISMATCH"), 1000);
    before.assert_same(&service.tables().await, "a code without the invited address");

    // controls: whoever has the address gets in, and without the policy anybody who has one
    let invited = owner.get(&names[7]).await.unwrap().email;
    let guest = service.stranger("guest", &invited);
    guest.create_account("guest").await.unwrap();
    assert!(guest.request_access(&codes[7]).await.is_ok());
    let billing = service.service("billing", &["organizations.admin"]);
    billing.set_policy("acme", &["address_match"], policy(pb::policy::AddressMatch::Warn)).await;
    assert!(mallory.request_access(&codes[8]).await.is_ok());
    service.stop().await;
}
