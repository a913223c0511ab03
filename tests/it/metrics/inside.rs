//! What calls do inside, in a process of its own: nobody else counts there.

use std::collections::BTreeMap;

use invitations::dev::mailbox::{Action, Script, Step};

use super::{get, shows};
use crate::attack::process::{Circumstances, Process};
use crate::support::{Person, Service};

const CREATE: &str = "ipmhub.invitations.v1.InvitationService/CreateInvitation";

/// A mail server with two bad mailboxes.
fn grumpy() -> Script {
    Script::new(|step| match step {
        Step::Rcpt("gone@example.com") => Action::Reply("550 5.1.1 no such user"),
        Step::Rcpt("full@example.com") => Action::Reply("452 4.2.2 mailbox full"),
        _ => Action::Proceed,
    })
}

/// Invites somebody whose invitation cannot be committed.
async fn fail_at_commit(service: &Service, owner: &Person) {
    let trigger = "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$; \
                   CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON invitations DEFERRABLE INITIALLY DEFERRED \
                     FOR EACH ROW WHEN (NEW.email = 'never@example.com') EXECUTE FUNCTION fail()";
    sqlx::raw_sql(trigger).execute(service.pool()).await.unwrap();
    let refused = owner.invite("acme", "never@example.com").await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Internal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_inside_is_counted_once_and_what_is_rolled_back_never() {
    let circumstances = Circumstances {
        settings: &[("admin_listen", "127.0.0.1:0"), ("database_connections", "1"), ("max_calls", "1000")],
        script: Some(grumpy()),
        log_level: "info",
        ..Circumstances::default()
    };
    let (service, process) = Process::serve(circumstances).await;
    let page = process.metrics.unwrap();
    let owner = service.owner("olga", "acme").await;

    let anna = service.account("anna").await;
    let invited = owner.invite("acme", "anna@example.com").await.unwrap();
    let code = service.code_to("anna@example.com", 1).await;
    let aged = "UPDATE invitations SET create_time = create_time - interval '2 hours'";
    sqlx::query(aged).execute(service.pool()).await.unwrap();
    anna.request_access(&code).await.unwrap();
    owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    // twice is once
    for _ in 0..2 {
        anna.accept(&invited.name).await.unwrap();
    }
    let revoked = owner.invite("acme", "bert@example.com").await.unwrap();
    service.email_to("bert@example.com", 1).await;
    owner.revoke(&revoked.name).await.unwrap();
    let resent = owner.invite("acme", "gone@example.com").await.unwrap();
    owner.invite("acme", "full@example.com").await.unwrap();
    owner.resend(&resent.name, false).await.unwrap();
    fail_at_commit(&service, &owner).await;

    let is = |expected: f64| move |value: Option<f64>| value == Some(expected);
    let some = |value: Option<f64>| value.is_some_and(|value| value >= 1.0);
    let about_two_hours = |value: Option<f64>| value.is_some_and(|value| (7_200.0..7_300.0).contains(&value));
    let calls = |status: &str| {
        format!(
            "rpc_server_call_duration_seconds_count{{rpc_system_name=\"grpc\",rpc_method=\"{CREATE}\",\
             rpc_response_status_code=\"{status}\"}}"
        )
    };
    let (good, bad) = (calls("OK"), calls("INTERNAL"));
    shows(
        page,
        &[
            (&good, &is(4.0)),
            (&bad, &is(1.0)),
            (r#"invitations_transitions_total{from="NONE",to="INVITED"}"#, &is(4.0)),
            (r#"invitations_transitions_total{from="INVITED",to="ACCESS_REQUESTED"}"#, &is(1.0)),
            (r#"invitations_transitions_total{from="ACCESS_REQUESTED",to="OFFERED"}"#, &is(1.0)),
            (r#"invitations_transitions_total{from="OFFERED",to="ACCEPTED"}"#, &is(1.0)),
            (r#"invitations_transitions_total{from="INVITED",to="REVOKED"}"#, &is(1.0)),
            // sent again is no transition
            (r#"invitations_transitions_total{from="INVITED",to="INVITED"}"#, &|value| value.is_none()),
            (r#"invitations_state_duration_seconds_count{state="INVITED"}"#, &is(2.0)),
            (r#"invitations_state_duration_seconds_bucket{state="INVITED",le="3600"}"#, &is(1.0)),
            (r#"invitations_state_duration_seconds_sum{state="INVITED"}"#, &about_two_hours),
            (r#"invitations_emails_total{kind="ACCOUNT_INVITATION",result="sent"}"#, &is(2.0)),
            (r#"invitations_emails_total{kind="ACCESS_REQUESTED",result="sent"}"#, &is(1.0)),
            (r#"invitations_emails_total{kind="ACCOUNT_INVITATION",result="failed"}"#, &is(2.0)),
            (r#"invitations_emails_total{kind="ACCOUNT_INVITATION",result="retried"}"#, &some),
            (r#"db_client_connection_max{db_client_connection_pool_name="read"}"#, &is(1.0)),
            (r#"db_client_connection_pending_requests{db_client_connection_pool_name="read"}"#, &is(0.0)),
            (r#"db_client_connection_wait_time_seconds_count{db_client_connection_pool_name="read"}"#, &some),
            (r#"db_client_connection_use_time_seconds_count{db_client_connection_pool_name="write"}"#, &some),
            (r#"db_client_connection_create_time_seconds_count{db_client_connection_pool_name="batch"}"#, &some),
        ],
    )
    .await;
    let page = get(page, "/metrics").await;
    assert!(!page.contains("acme") && !page.contains('@'), "{page}");
    documented(&page);
}

/// Each metric that the page has is in the docs, with its type.
fn documented(page: &str) {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let types = types.collect::<BTreeMap<_, _>>();
    assert!(types.len() > 10, "{page}");
    let docs = include_str!("../../../docs/operations.md");
    for (name, kind) in types {
        assert!(docs.contains(&format!("\n| `{name}` | {kind}")), "{name} is no {kind} of docs/operations.md");
    }
}
