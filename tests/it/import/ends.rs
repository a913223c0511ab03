//! Why an import ends before its end, and what its exit status says then.

use std::fs;
use std::time::Duration;

use invitations::dev::mailbox::Script;

use super::{Desk, invitations};
use crate::program::quiet_port;
use crate::support::Service;

const THREE: &str = "email\na@example.com\nb@example.com\nc@example.com\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_says_when_to_go_on_and_then_it_goes_on() {
    for (limit, told) in [
        ("invitations_per_organization_limit", "the organization has sent as many invitations"),
        ("invitations_per_caller_limit", "the caller of the token has sent as many"),
        ("open_invitations_limit", "as many open invitations"),
    ] {
        let service = Service::start_with(&[(limit, "2")], Script::accept_all()).await;
        let olga = service.owner("olga", "acme").await;
        let desk = Desk::new(&service, &olga, THREE);
        let run = desk.run(&[]).await;
        assert_eq!(run.status, 3, "{}", run.stderr);
        assert!(run.stderr.contains(told) && run.stderr.contains("Run the same command again in "), "{}", run.stderr);
        assert_eq!((invitations(&service).await, desk.lines().len()), ((2, 2), 2));

        service.let_limits_pass(25 * 60).await;
        olga.revoke(&desk.lines()[0].invitation).await.unwrap();
        let run = desk.run(&[]).await;
        assert_eq!((run.status, invitations(&service).await), (0, (3, 3)), "{}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_invite_hears_it_and_the_token_is_shown_nowhere() {
    let service = Service::start().await;
    let olga = service.owner("olga", "acme").await;
    let rita = service.member(&olga, "acme", "rita", "READER").await;
    let desk = Desk::new(&service, &rita, THREE);
    let run = desk.run(&[]).await;
    assert!(run.status == 2 && run.stderr.contains("ROLE_REQUIRED"), "{}", run.stderr);

    fs::write(desk.folder.join("token"), "not.a.token").unwrap();
    let run = desk.run(&[]).await;
    assert!(run.status == 2 && run.stderr.contains("the token is not good"), "{}", run.stderr);
    fs::write(desk.folder.join("token"), " \n").unwrap();
    let run = desk.run(&[]).await;
    assert!(run.status == 2 && run.stderr.contains("the token is empty"), "{}", run.stderr);
    assert_eq!(invitations(&service).await.0, 1, "the one that made rita a member");

    // the same by a variable, and the service's account of a caller that is no person
    let service_token = service.service("hr", &["invitations.write"]).token;
    let output =
        desk.command(&["--token-file", "/nowhere"]).env("INVITATIONS_TOKEN", &service_token).output().await.unwrap();
    assert!(
        output.status.code() == Some(2) && String::from_utf8(output.stderr).unwrap().contains("keep one of the two")
    );
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_invitations"));
    command.arg("import").arg(desk.people()).args([
        "--organization",
        "organizations/acme",
        "--endpoint",
        &desk.endpoint,
    ]);
    let output = command.env_clear().env("INVITATIONS_TOKEN", &service_token).output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(invitations(&service).await.0, 4);
}

/// The file is a pipe, so that each reading has what the test says: first an old token, then a good one.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_renewed_meanwhile_is_taken() {
    let service = Service::start().await;
    let olga = service.owner("olga", "acme").await;
    let desk = Desk::new(&service, &olga, THREE);
    let pipe = desk.folder.join("pipe");
    assert!(tokio::process::Command::new("mkfifo").arg(&pipe).status().await.unwrap().success());
    let (results, good) = (desk.results(), olga.token.clone());
    let path = pipe.clone();
    let writes = std::thread::spawn(move || {
        fs::write(&path, "not.a.token").unwrap();
        // they are begun after the first reading
        while !results.exists() {
            std::thread::yield_now();
        }
        fs::write(&path, good).unwrap();
    });
    let run = desk.run(&["--token-file", &pipe.display().to_string()]).await;
    assert_eq!((run.status, invitations(&service).await), (0, (3, 3)), "{}", run.stderr);
    writes.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_away_is_waited_for_and_then_given_up() {
    let service = Service::start().await;
    let olga = service.owner("olga", "acme").await;
    let mut desk = Desk::new(&service, &olga, THREE);
    desk.endpoint = format!("http://{}", quiet_port());
    let run = tokio::time::timeout(Duration::from_mins(1), desk.run(&["--give-up-after", "1"])).await.unwrap();
    assert!(run.status == 3 && run.stderr.contains("could not be reached for too long"), "{}", run.stderr);
    assert!(run.stderr.contains("Run the same command again: it goes on"), "{}", run.stderr);

    desk.endpoint = "http://invitations.example.com".to_owned();
    let run = desk.run(&[]).await;
    assert!(run.status == 2 && run.stderr.contains("--plain-text"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn results_of_another_import_and_the_file_itself_are_left_alone() {
    let service = Service::start().await;
    let olga = service.owner("olga", "acme").await;
    let desk = Desk::new(&service, &olga, THREE);
    assert_eq!(desk.run(&[]).await.status, 0);
    let results = fs::read(desk.results()).unwrap();

    fs::write(desk.people(), format!("{THREE}d@example.com\n")).unwrap();
    let run = desk.run(&[]).await;
    assert!(run.status == 2 && run.stderr.contains("belongs to another import"), "{}", run.stderr);
    let people = desk.people().display().to_string();
    let run = desk.run(&["--results", &people]).await;
    assert!(run.status == 2 && run.stderr.contains("would overwrite the file itself"), "{}", run.stderr);
    assert_eq!((fs::read(desk.results()).unwrap(), invitations(&service).await), (results, (3, 3)));

    // with other results, who is invited is recognized
    let other = desk.folder.join("other.csv").display().to_string();
    let run = desk.run(&["--results", &other]).await;
    assert_eq!((run.status, invitations(&service).await), (0, (4, 4)), "{}", run.stderr);
}
