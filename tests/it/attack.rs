//! Attacks on the service, each with a control that shows that the attack, or what looks for its traces, would notice.

mod authority;
mod codes;
mod confusables;
mod enumeration;
mod fairness;
mod floods;
mod fuzz;
mod hammering;
mod impostors;
mod letters;
mod notices;
mod phishing;
pub mod process;
mod requests;
mod second_owner;
mod secrets;
mod takeovers;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tonic::{Code, Status};

use crate::support::Service;

/// Calls of an attack under way at a time: enough to keep the service busy, too few for one to wait for a connection.
const AT_ONCE: usize = 6;

/// Everything of a refusal that its caller sees, but for the call's own id and time, and with the names that the caller
/// sent blotted out.
fn shown(status: &Status, names: &[&str]) -> String {
    let mut metadata = status.metadata().clone();
    for own in ["x-call-id", "date"] {
        metadata.remove(own);
    }
    let metadata = metadata.into_headers();
    let mut headers = metadata.iter().map(|header| format!("{header:?}")).collect::<Vec<_>>();
    headers.sort();
    // names of one length: else the lengths that are written before them would differ
    let details = status.details().iter().map(|byte| char::from(*byte)).collect::<String>();
    let mut text = format!("{:?}\n{}\n{details}\n{}", status.code(), status.message(), headers.join("\n"));
    for name in names {
        text = text.replace(name, &"#".repeat(name.len()));
    }
    text
}

/// Makes the service connect to its database: on a busy machine that takes longer than a call waits for a connection.
async fn warm_up(service: &Service) {
    let nobody = service.stranger("nobody", "nobody@example.com");
    let call = async || nobody.get("organizations/acme/invitations/x").await.unwrap_err().code();
    while join_all((0..2 * AT_ONCE).map(|_| call())).await.contains(&Code::Unavailable) {}
}

/// Waits for hundreds of emails, which on a busy machine takes longer than what else a test waits for.
async fn mail_is_sent(service: &Service) {
    let due = "SELECT count(*) FROM emails WHERE state IN ('QUEUED', 'RETRYING') \
                                            AND (due_time <= now() OR lease_until IS NOT NULL)";
    let began = Instant::now();
    while sqlx::query_scalar::<_, i64>(due).fetch_one(service.pool()).await.unwrap() > 0 {
        assert!(began.elapsed() < Duration::from_mins(5), "the emails are not sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
