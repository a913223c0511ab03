//! Whatever keeps emails from being sent, the age of the oldest shows it.

use invitations::dev::mailbox::{Action, Script, Step};

use super::shows;
use crate::attack::process::{Circumstances, Process};

/// An email that was written an hour ago, with these settings and that mail server, until the page shows how many wait for
/// that, and that the oldest of them is as old or not.
async fn shown(settings: &[(&str, &str)], script: Script, state: &str, is_late: bool) {
    let settings = settings.iter().copied().chain([("admin_listen", "127.0.0.1:0")]).collect::<Vec<_>>();
    let circumstances =
        Circumstances { settings: &settings, script: Some(script), log_level: "info", ..Circumstances::default() };
    let (service, process) = Process::serve(circumstances).await;
    let owner = service.owner("olga", "acme").await;
    owner.invite("acme", "anna@example.com").await.unwrap();
    let aged = "UPDATE emails SET create_time = create_time - interval '1 hour'";
    sqlx::query(aged).execute(service.pool()).await.unwrap();
    let count = format!("invitations_outbox_emails{{state=\"{state}\"}}");
    let age = format!("invitations_outbox_age_seconds{{state=\"{state}\"}}");
    let is_old = |value: Option<f64>| value.is_some_and(|value| (value >= 3600.0) == is_late);
    shows(
        process.metrics.unwrap(),
        &[
            (&count, &|value| value == Some(if is_late { 1.0 } else { 0.0 })),
            (&age, &is_old),
            (r#"invitations_outbox_emails{state="scheduled"}"#, &|value| value == Some(1.0)),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_age_of_the_oldest_email_shows_that_none_goes_out() {
    let away = || Script::new(|step| if matches!(step, Step::Connect) { Action::Drop } else { Action::Proceed });
    let busy = || {
        let later = Action::Reply("451 4.7.1 try again later");
        Script::new(move |step| if matches!(step, Step::Rcpt(_)) { later } else { Action::Proceed })
    };
    tokio::join!(
        shown(&[("mail_paused", "true")], Script::accept_all(), "due", true),
        shown(&[], away(), "stuck", true),
        shown(&[], busy(), "retrying", true),
        // the control: it is sent, whenever it was written
        shown(&[], Script::accept_all(), "due", false),
    );
}
