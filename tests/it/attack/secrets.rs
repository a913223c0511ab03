//! Codes and tokens in a service that says, writes and stores all that it can. What it leaves behind is looked through
//! with what all other tests leave, by `tests/leaks`; here is what there must be in it.

use invitations::dev::mailbox::{Action, Script, Step};
use invitations::domain::{CodeKey, DisplayName, InvitationCode, InvitationId};
use invitations::pb;
use tonic::Request;
use uuid::Uuid;

use super::process::{Circumstances, Process};
use crate::support::{Person, Service, evidence, with_a_typo};

/// Whoever else is named stays quiet.
const EVERYTHING: &str =
    "trace,h2=trace,hyper=trace,tonic=trace,sqlx=trace,sqlx_postgres=trace,lettre=trace,tower=trace";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_life_is_logged_counted_and_kept_as_evidence() {
    let circumstances = Circumstances {
        settings: &[("wrong_codes_limit", "5"), ("admin_listen", "127.0.0.1:0")],
        script: Some(grumpy()),
        log_level: EVERYTHING,
        ..Circumstances::default()
    };
    let (service, process) = Process::serve(circumstances).await;
    let owner = live(&service).await;
    service.tables().await;
    call_with_id(&owner, &canary(&format!("log-{}", service.database.name)).replace('-', "")).await;
    let metrics = crate::metrics::get(process.metrics.unwrap(), "/metrics").await;
    evidence::metrics_of(&service.database.name, &metrics);
    assert!(metrics.contains("CODE_NOT_FOUND") && metrics.contains("TOO_MANY_WRONG_CODES"), "{metrics}");
    let log = String::from_utf8(process.log()).unwrap();
    // the callers of each kind, a person without an account among them
    let callers = [r#""caller":"accounts/"#, r#""caller":"identities/dev-"#, r#""caller":"services/dev-services/"#];
    for line in
        ["\"DEBUG\"", "call ended", "email will be tried again", "email failed for good"].into_iter().chain(callers)
    {
        assert!(log.contains(line), "no line of the log says {line}");
    }
}

/// The control of the search: each way from the service to the evidence is tried with a code, which has to be found
/// there and nowhere else.
#[tokio::test]
async fn what_is_leaked_on_purpose_is_kept_as_evidence() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    call_with_id(&owner, &canary("log").replace('-', "")).await;

    let name = canary("answers");
    evidence::canary(&format!("{}.organizations", service.database.name), &name);
    let organization = pb::Organization {
        display_name: name,
        notification_email: "notify@beta.example".to_owned(),
        ..Default::default()
    };
    let message = pb::CreateOrganizationRequest {
        organization_id: "beta".to_owned(),
        organization: Some(organization),
        ..Default::default()
    };
    owner.organizations.clone().create_organization(message).await.unwrap();

    metrics::counter!("canaries_total", "code" => canary("metrics").to_lowercase()).increment(1);
    service.stop().await;
}

/// A code of no invitation, of which this evidence knows. It can be the name of an organization.
fn canary(place: &str) -> String {
    let key = CodeKey::new("test".to_owned(), vec![7; 32]).unwrap();
    let mut codes = std::iter::repeat_with(|| InvitationCode::derive(&key, InvitationId(Uuid::new_v4()), 1).reveal());
    let code = codes.find(|code| DisplayName::parse(code).is_some()).unwrap();
    evidence::canary(place, &code);
    code
}

/// The caller's own id of a call is logged.
async fn call_with_id(person: &Person, id: &str) {
    let mut request = Request::new(pb::GetAccountRequest { name: "accounts/me".to_owned() });
    request.metadata_mut().insert("x-request-id", id.parse().unwrap());
    person.accounts.clone().get_account(request).await.unwrap();
}

/// A mail server that takes the emails to two people and says that it has not.
fn grumpy() -> Script {
    Script::new(|step| match step {
        Step::Stored(email) if email.recipients == ["fay@example.com"] => Action::Reply("451 4.2.0 later"),
        Step::Stored(email) if email.recipients == ["gus@example.com"] => Action::Reply("550 5.7.1 never"),
        _ => Action::Proceed,
    })
}

/// The life of an organization, with everything that can be refused or go wrong in it. Returns its owner.
async fn live(service: &Service) -> Person {
    super::warm_up(service).await;
    let owner = service.owner("olga", "acme").await;
    // the seven steps
    let (anna, requested) = service.requested(&owner, "acme", "anna").await;
    owner.offer("acme", "anna", "anna@example.com", "MANAGER").await.unwrap();
    anna.accept(&requested.name).await.unwrap();
    // codes again, anew, reminded of, and used by the wrong ones
    let invited = owner.invite("acme", "ben@example.com").await.unwrap();
    owner.resend(&invited.name, false).await.unwrap();
    let first = service.code_to("ben@example.com", 2).await;
    owner.resend(&invited.name, true).await.unwrap();
    let second = service.code_to("ben@example.com", 3).await;
    sqlx::query("UPDATE emails SET due_time = now() WHERE kind = 'INVITATION_REMINDER' AND state = 'QUEUED'")
        .execute(service.pool())
        .await
        .unwrap();
    let ben = service.account("ben").await;
    let mallory = service.account("mallory").await;
    let unverified = service.unverified("nobody", "nobody@example.com");
    unverified.create_account("nobody").await.unwrap();
    unverified.request_access(&second).await.unwrap_err();
    for wrong in [&first, &with_a_typo(&second), &format!("{second}\0"), &second[1..].to_owned(), &second.repeat(3)] {
        mallory.request_access(wrong).await.unwrap_err();
    }
    let gateway = service.service("gateway", &["invitations.read", "invitations.write"]);
    gateway.request_access(&second).await.unwrap_err();
    ben.request_access(&second).await.unwrap();
    for _ in 0..7 {
        mallory.request_access(&second).await.unwrap_err();
    }
    // codes and tokens where they do not belong
    let code = service.code_to("anna@example.com", 1).await;
    for misplaced in [&code, &code.replace('-', ""), &mallory.token] {
        owner.invite("acme", misplaced).await.unwrap_err();
        owner.get(misplaced).await.unwrap_err();
        owner.create_organization(misplaced).await.unwrap_err();
        owner.offer("acme", misplaced, misplaced, "READER").await.unwrap_err();
        let message = pb::RequestAccessRequest { code: second.clone(), request_id: misplaced.clone() };
        mallory.invitations.clone().request_access(message).await.unwrap_err();
        let message = pb::ListMembersRequest {
            parent: "organizations/acme".to_owned(),
            page_token: misplaced.clone(),
            ..Default::default()
        };
        owner.organizations.clone().list_members(message).await.unwrap_err();
        Person::new(&service.channel, format!("{misplaced}x")).get(&invited.name).await.unwrap_err();
    }
    // emails that fail
    for address in ["fay@example.com", "gus@example.com"] {
        owner.invite("acme", address).await.unwrap();
        service.code_to(address, 1).await;
    }
    // ends
    service.account("carl").await;
    let revoked = owner.invite("acme", "carl@example.com").await.unwrap();
    service.code_to("carl@example.com", 1).await;
    owner.revoke(&revoked.name).await.unwrap();
    for n in 0..8 {
        let address = format!("guest-{n}@example.com");
        let invited = owner.invite("acme", &address).await.unwrap();
        service.code_to(&address, 1).await;
        service.let_expire(&invited.name).await;
    }
    owner.get(&revoked.name).await.unwrap();
    owner.events("acme").await;
    owner
}
