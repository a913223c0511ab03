//! What happens where an import breaks off, and that nobody is invited twice.

use std::fs;
use std::time::Duration;

use invitations::dev::mailbox::Script;
use tokio::time::sleep;

use super::{Desk, invitations};
use crate::support::Service;

/// Emails wait: what is written for them is what is looked at.
const PAUSED: (&str, &str) = ("mail_paused", "true");

fn people(count: usize) -> String {
    let rows = (0..count).map(|nth| format!("Nr. {nth},p{nth}@example.com\n"));
    std::iter::once("Name,E-Mail\n".to_owned()).chain(rows).collect()
}

/// The lines of the results that are for these rows of the file are taken off: as if the program had been killed after the
/// service had carried the batch out, and before the answer was written down.
fn forget_last(desk: &Desk, count: usize) {
    let text = fs::read_to_string(desk.results()).unwrap();
    let lines = text.lines().collect::<Vec<_>>();
    fs::write(desk.results(), format!("{}\n", lines[..lines.len() - count].join("\n"))).unwrap();
}

async fn emails(service: &Service) -> i64 {
    let count = "SELECT count(*) FROM emails WHERE kind = 'ACCOUNT_INVITATION'";
    sqlx::query_scalar(count).fetch_one(service.pool()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_rows_broken_off_twice_invite_everybody_once() {
    const COUNT: usize = 10_000;
    // what is sent twice would be one too many
    let limit = COUNT.to_string();
    let limits = [("invitations_per_caller_limit", &*limit), ("invitations_per_organization_limit", &*limit)];
    let settings = [&limits[..], &[PAUSED]].concat();
    let service = Service::start_with(&settings, Script::accept_all()).await;
    let olga = service.owner("olga", "acme").await;
    let desk = Desk::new(&service, &olga, &people(COUNT));
    let options = ["--batch-rows", "250"];

    for most in [COUNT / 2, COUNT - 2000] {
        let done = desk.lines_written();
        let mut child = desk.run_until(rand::random_range(done..most), &options).await;
        // an instant of its own, which nothing of the program's falls together with
        sleep(Duration::from_micros(rand::random_range(0..50_000))).await;
        assert_eq!(child.try_wait().unwrap(), None, "it was not broken off");
        child.kill().await.unwrap();
    }
    let broken_off = desk.lines_written();
    assert!(broken_off < COUNT);
    let run = desk.run(&options).await;
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(run.stdout.starts_with("10000 of 10000 rows\n"), "{}", run.stdout);

    let count = i64::try_from(COUNT).unwrap();
    assert_eq!(invitations(&service).await, (count, count));
    assert_eq!(emails(&service).await, count);
    service.recount().await;
    let lines = desk.lines();
    let numbers = lines.iter().map(|line| line.number).collect::<Vec<_>>();
    assert_eq!(numbers, (2..COUNT as u64 + 2).collect::<Vec<_>>());
    for line in &lines {
        assert_eq!(line.email, format!("p{}@example.com", line.number - 2));
        assert!(["INVITED", "ALREADY_INVITED"].contains(&line.outcome.as_str()), "{line:?}");
        assert!(line.invitation.starts_with("organizations/acme/invitations/"), "{line:?}");
    }

    // and once more there is nothing to do
    let again = desk.run(&options).await;
    assert_eq!(again.status, 0, "{}", again.stderr);
    assert_eq!((invitations(&service).await, desk.lines().len()), ((count, count), COUNT));
}

/// The worst instant: the batch was carried out, the answer is not written down, and since then one of the persons is not
/// invited any more, so that nothing but the request id tells that they were.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_asked_for_again_also_with_another_size_of_batches() {
    let service = Service::start_with(&[PAUSED], Script::accept_all()).await;
    let olga = service.owner("olga", "acme").await;
    let desk = Desk::new(&service, &olga, &people(40));
    assert_eq!(desk.run(&["--batch-rows", "10"]).await.status, 0);
    let revoked = desk.lines()[35].clone();
    olga.revoke(&revoked.invitation).await.unwrap();
    forget_last(&desk, 15);

    let run = desk.run(&["--batch-rows", "7"]).await;
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(invitations(&service).await, (40, 40));
    let line = desk.lines()[35].clone();
    assert_eq!((line.outcome.as_str(), &line.invitation), ("INVITED", &revoked.invitation));
    assert!(line.message.contains("REVOKED by now"), "{line:?}");

    // the control: with other ids, as those of a file with a further byte are, the person is invited anew
    fs::write(desk.people(), format!("{}\n", people(40))).unwrap();
    fs::remove_file(desk.results()).unwrap();
    assert_eq!(desk.run(&[]).await.status, 0);
    assert_eq!(invitations(&service).await, (41, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_looked_up_when_the_ids_are_forgotten() {
    let service = Service::start_with(&[PAUSED], Script::accept_all()).await;
    let olga = service.owner("olga", "acme").await;
    let desk = Desk::new(&service, &olga, &people(20));
    assert_eq!(desk.run(&["--batch-rows", "5"]).await.status, 0);
    let revoked = desk.lines()[17].clone();
    let today = fs::read_to_string(desk.results()).unwrap();
    let break_off = async |text: &str, desk: &Desk| {
        olga.revoke(&desk.lines()[17].invitation).await.ok();
        fs::write(desk.results(), text).unwrap();
        forget_last(desk, 5);
        sqlx::query("DELETE FROM request_ids").execute(service.pool()).await.unwrap();
    };
    // the results were written two days ago, and so the rows were, too
    let day = &today.lines().nth(1).unwrap().split(',').nth(6).unwrap()[..10];
    let before = time::OffsetDateTime::now_utc().date() - time::Duration::days(2);
    break_off(&today.replace(day, &before.to_string()), &desk).await;

    let run = desk.run(&[]).await;
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(invitations(&service).await, (20, 20));
    let line = desk.lines()[17].clone();
    assert_eq!((line.outcome.as_str(), &line.invitation), ("ALREADY_INVITED", &revoked.invitation));

    // the control: to a run that takes itself for the same day's, nothing tells that the person was invited
    break_off(&today, &desk).await;
    assert_eq!(desk.run(&[]).await.status, 0);
    assert_eq!(invitations(&service).await, (21, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_it_behind_a_batch() {
    let service = Service::start_with(&[PAUSED], Script::accept_all()).await;
    let olga = service.owner("olga", "acme").await;
    let desk = Desk::new(&service, &olga, &people(2000));
    let child = desk.run_until(20, &["--batch-rows", "10"]).await;
    let id = child.id().expect("it still runs").to_string();
    assert!(tokio::process::Command::new("kill").args(["-s", "INT", &id]).status().await.unwrap().success());
    assert_eq!(child.wait_with_output().await.unwrap().status.code(), Some(3));
    let written = desk.lines_written();
    let count = i64::try_from(written).unwrap();
    assert!(written < 2000 && invitations(&service).await == (count, count), "{written}");

    let run = desk.run(&[]).await;
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(run.stderr.contains(&format!("done already, by {}: INVITED {written}", desk.results().display())));
    assert_eq!(invitations(&service).await, (2000, 2000));
}
