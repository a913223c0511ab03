//! What the log says about emails: never an address, a code, or what the mail server said.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use invitations::dev::mailbox::{Action, Step};
use tracing::Level;

use super::{Outbox, identity, round};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn neither_address_nor_code_nor_the_servers_words_are_logged() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log =
        tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(move || writer.clone()).with_ansi(false);
    // everything of this test runs on this thread
    let _logging = tracing::subscriber::set_default(log.finish());

    let outbox = Outbox::start(|step| match step {
        Step::Stored(email) if email.recipients == ["1@acme.example"] => Action::Reply("550 1@acme.example canary"),
        Step::Stored(email) if email.recipients == ["2@acme.example"] => Action::Reply("451 2@acme.example canary"),
        _ => Action::Proceed,
    })
    .await;
    outbox.organization("acme").await;
    outbox.invite("acme", 4).await;
    outbox.execute("UPDATE emails SET recipient = '4@acme.example canary' WHERE recipient LIKE '4@%'").await;
    let mut worker = outbox.worker();
    let round = round(&mut worker).await;
    assert_eq!((round.sent, round.retrying, round.failed), (1, 1, 2));

    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for line in ["email sent", "email will be tried again", "email failed for good"] {
        assert!(log.contains(line), "{log}");
    }
    assert!(!log.contains("acme.example") && !log.contains("canary"), "{log}");
    for email in outbox.mailbox.received() {
        let code = identity(&email).1.unwrap();
        assert!(!log.contains(&code) && !log.contains(&code.replace('-', "")), "{log}");
    }
}
