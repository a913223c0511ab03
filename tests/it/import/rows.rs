//! What becomes of rows, and what is said of them.

use std::fs;

use super::{Desk, invitations, lines};
use crate::support::Service;

const FILE: &str = "\
Name,E-Mail,locale,annotations.ticket
Anna Berg,Anna Berg <anna@example.com>,de-AT,OPS-7
open,open@example.com,,
member,mia@example.com,,
twice,ANNA@Example.com,,
\"two
lines\",mailto:otto@example.com,,
";

/// Somebody is a member, somebody has an open invitation.
async fn desk(service: &Service, people: &str) -> (Desk, crate::support::Person) {
    let olga = service.owner("olga", "acme").await;
    service.member(&olga, "acme", "mia", "READER").await;
    olga.invite("acme", "open@example.com").await.unwrap();
    (Desk::new(service, &olga, people), olga)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_has_its_outcome() {
    let service = Service::start().await;
    let (desk, olga) = desk(&service, FILE).await;
    let run = desk.run(&["--locale", "fr", "--annotation", "wave=2"]).await;
    assert_eq!(run.status, 0, "{}", run.stderr);
    let lines = desk.lines();
    let told = lines.iter().map(|line| (line.number, line.email.as_str(), line.outcome.as_str())).collect::<Vec<_>>();
    let mut told_in_order = told.clone();
    told_in_order.sort_unstable();
    assert_eq!(
        told_in_order,
        [
            (2, "anna@example.com", "INVITED"),
            (3, "open@example.com", "ALREADY_INVITED"),
            (4, "mia@example.com", "ALREADY_MEMBER"),
            (5, "ANNA@Example.com", "DUPLICATE"),
            (6, "otto@example.com", "INVITED"),
        ]
    );
    let of = |line: u64| lines.iter().find(|one| one.number == line).unwrap();
    assert_eq!(
        (of(2).message.as_str(), of(6).message.as_str()),
        ("left out of the cell: a name", "left out of the cell: mailto:")
    );
    assert_eq!(of(5).message, "the same address as in line 2");
    assert_eq!((of(3).reason.as_str(), of(4).reason.as_str()), ("OPEN_INVITATION_EXISTS", "ALREADY_MEMBER"));

    let anna = olga.get(&of(2).invitation).await.unwrap();
    assert_eq!(
        (anna.locale.as_str(), anna.annotations["ticket"].as_str(), anna.annotations["wave"].as_str()),
        ("de-AT", "OPS-7", "2")
    );
    let otto = olga.get(&of(6).invitation).await.unwrap();
    assert_eq!((otto.locale.as_str(), otto.annotations.len()), ("fr", 1));
    assert_eq!(olga.get(&of(3).invitation).await.unwrap().email, "open@example.com");

    assert!(
        run.stderr.contains("columns that are not used: Name") && run.stderr.contains("earlier row has: 1"),
        "{}",
        run.stderr
    );
    assert!(run.stdout.starts_with(&format!("5 of 5 rows\n  {:<16} {:>9}\n", "INVITED", 2)), "{}", run.stdout);
    // what is printed goes into logs: it names no person
    assert!(!(run.stdout + &run.stderr).contains("@example.com"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_the_same_and_invites_nobody() {
    let service = Service::start().await;
    let (desk, _) = desk(&service, FILE).await;
    let before = invitations(&service).await;
    for _ in 0..2 {
        let run = desk.run(&["--dry-run"]).await;
        assert_eq!(run.status, 0, "{}", run.stderr);
        let told = format!("5 of 5 rows, as a dry run\n  {:<16} {:>9}\n", "WOULD_BE_INVITED", 2);
        assert!(run.stdout.starts_with(&told), "{}", run.stdout);
        let lines = lines(&desk.folder.join("people.dry-run.csv"));
        assert_eq!(lines.len(), 5);
        assert!(!desk.results().exists() && invitations(&service).await == before);
    }
    // and the import itself is not told that it is done
    assert_eq!(desk.run(&[]).await.status, 0);
    assert_eq!(invitations(&service).await.0, before.0 + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_where_a_row_makes_no_sense_unless_it_may_be_left_out() {
    let service = Service::start().await;
    let (desk, _) = desk(&service, "email\nanna@example.com\nnobody\na@example.com; b@example.com\n").await;
    let before = invitations(&service).await;
    let run = desk.run(&[]).await;
    assert_eq!(run.status, 2, "{}", run.stderr);
    let told =
        ["people.csv line 3: the address must be a plain address", "people.csv line 4: the address is more than one"];
    assert!(
        told.iter().all(|told| run.stderr.contains(told)) && run.stderr.contains("nothing was sent"),
        "{}",
        run.stderr
    );
    assert!(!desk.results().exists() && invitations(&service).await == before);

    let run = desk.run(&["--skip-bad"]).await;
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert_eq!(invitations(&service).await.0, before.0 + 1);
    let unreadable = desk.lines().into_iter().filter(|line| line.outcome == "UNREADABLE").map(|line| line.number);
    assert_eq!(unreadable.collect::<Vec<_>>(), [3, 4]);

    // another encoding is no matter of a row
    fs::write(desk.people(), b"email,name\nanna@example.com,M\xfcller\n").unwrap();
    let run = desk.run(&["--skip-bad", "--results", "other.csv"]).await;
    assert!(run.status == 2 && run.stderr.contains("line 2: is not UTF-8"), "{}", run.stderr);
}
