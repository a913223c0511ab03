//! Batches at once, over two replicas.

use std::collections::BTreeSet;

use invitations::dev::mailbox::Script;
use uuid::Uuid;

use super::{create, invited, many, names, with_id};
use crate::support::{Person, Service, reason};

/// More than one transaction carries out.
const ROWS: usize = 250;

async fn scene() -> (Service, Person, Person) {
    let service = Service::start_with(&[("mail_paused", "true")], Script::accept_all()).await;
    let second = service.replica(&[("mail_paused", "true")]).await;
    let owner = service.owner("olga", "acme").await;
    let there = owner.on(&second);
    (service, owner, there)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_equal_batches_at_once_invite_nobody_twice() {
    let (service, here, there) = scene().await;
    let message = with_id(many(ROWS, "example.com"), &Uuid::new_v4().to_string());
    let (one, two) = tokio::join!(create(&here, message.clone()), create(&there, message));
    assert_eq!(names(&one.unwrap()), names(&two.unwrap()));
    assert_eq!(invited(&service).await, (250, 250));

    // the control: without an id each address is invited by one of them, and open for the other
    let message = many(ROWS, "control.example");
    let (one, two) = tokio::join!(create(&here, message.clone()), create(&there, message));
    for (one, two) in one.unwrap().into_iter().zip(two.unwrap()) {
        let refused = if one.is_ok() { two } else { one };
        assert_eq!(reason(refused), "OPEN_INVITATION_EXISTS");
    }
    assert_eq!(invited(&service).await, (500, 500));
    service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_bodies_with_one_id_at_once_one_is_carried_out_and_nothing_of_the_other() {
    let (service, here, there) = scene().await;
    let id = Uuid::new_v4().to_string();
    let [one, two] = ["one.example", "two.example"].map(|domain| with_id(many(ROWS, domain), &id));
    let (one, two) = tokio::join!(create(&here, one), create(&there, two));
    let (made, refused) = if one.is_ok() { (one, two) } else { (two, one) };
    assert_eq!(reason(refused), "REQUEST_ID_REUSED");
    assert_eq!(names(&made.unwrap()).into_iter().collect::<BTreeSet<_>>().len(), ROWS);
    assert_eq!(invited(&service).await, (250, 250));

    // the control: with two ids both are
    let [one, two] =
        ["three.example", "four.example"].map(|domain| with_id(many(ROWS, domain), &Uuid::new_v4().to_string()));
    let (one, two) = tokio::join!(create(&here, one), create(&there, two));
    assert_eq!((names(&one.unwrap()).len(), names(&two.unwrap()).len()), (ROWS, ROWS));
    assert_eq!(invited(&service).await, (750, 750));
    service.recount().await;
}
