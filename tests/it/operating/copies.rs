//! A copy of a database that must not write to its people, and databases that are no place for names.

use std::process::Command;
use std::time::Duration;

use invitations::dev::mailbox::Script;
use tokio::time::sleep;

use crate::support::{Database, Service};

#[tokio::test]
async fn a_service_with_mail_paused_sends_nothing_and_works_otherwise() {
    let service = Service::start_with(&[("mail_paused", "true")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let invitation = owner.invite("acme", "anna@example.com").await.unwrap();
    owner.resend(&invitation.name, false).await.unwrap();
    service.account("ben").await;
    owner.offer("acme", "ben", "ben@example.com", "READER").await.unwrap();
    // longer than the poll interval, after which a worker would have seen it without being woken
    sleep(Duration::from_millis(2500)).await;
    assert_eq!(service.mailbox.received().len(), 0);
    let untouched = "SELECT count(*) FROM emails WHERE attempt = 0 AND lease_until IS NULL AND due_time <= now()";
    let waiting: i64 = sqlx::query_scalar(untouched).fetch_one(service.pool()).await.unwrap();
    assert!(waiting >= 2, "{waiting} emails wait");
    // the control: what waits goes out by a replica that may send
    service.replica(&[]).await;
    service.email_to("anna@example.com", 1).await;
    service.email_to("ben@example.com", 1).await;
}

#[tokio::test]
async fn migrate_refuses_every_encoding_but_utf_8_before_it_writes_anything() {
    let migrate = |database: &Database| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_invitations"));
        program.arg("migrate").env_clear().env("INVITATIONS_DATABASE_URL", &database.url).output().unwrap()
    };
    for encoding in ["LATIN1", "SQL_ASCII", "WIN1252", "EUC_JP", "LATIN9"] {
        let database = Database::create_empty_with(&format!("ENCODING '{encoding}' LOCALE 'C'")).await;
        let output = migrate(&database);
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(line.contains(encoding) && line.contains("UTF8") && line.matches('\n').count() == 1, "{line}");
        let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
        let tables: i64 = sqlx::query_scalar(tables).fetch_one(&database.pool).await.unwrap();
        assert_eq!(tables, 0, "{encoding}");
    }
    // the neighbour: any locale does
    let database = Database::create_empty_with("ENCODING 'UTF8' LOCALE 'C.UTF-8'").await;
    assert_eq!(migrate(&database).status.code(), Some(0));
}
