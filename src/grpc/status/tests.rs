//! Every status that a caller can get, as the caller reads it.

mod page;

use std::collections::{BTreeMap, BTreeSet};

use http::Request;
use prost::Message;
use prost_types::FileDescriptorSet;
use time::Duration;

use super::*;
use crate::domain::{InvitationState, Role, Scope};
use crate::grpc::telemetry::Call;

/// One `match` arm and its samples for each variant: a variant without samples does not compile.
macro_rules! samples {
    ($samples:ident of $error:ty: $($variant:pat => [$($sample:expr),+ $(,)?],)+) => {
        fn $samples() -> Vec<Vec<$error>> {
            let is_sampled = |error: &$error| match error { $($variant => ()),+ };
            vec![$(vec![$({
                let sample: $error = $sample;
                is_sampled(&sample);
                assert!(matches!(sample, $variant), "a sample stands at another variant");
                sample
            }),+]),+]
        }
    };
}

fn name(which: &str) -> String {
    format!("organizations/{which}/things/{which}")
}

fn fields(which: &str) -> Refusal {
    let bad = |field: &str, fault| InvalidField::new(&format!("{which}.{field}"), fault, format!("must be {which}"));
    Refusal::InvalidFields(vec![bad("first", FieldFault::Missing), bad("second", FieldFault::TooLong)])
}

// of each variant with values two samples, so that what they differ in is seen
samples! { refusals of Refusal:
    Refusal::InvalidFields(_) => [fields("this"), fields("that")],
    Refusal::CodeMistyped => [Refusal::CodeMistyped],
    Refusal::PageTokenInvalid => [Refusal::PageTokenInvalid],
    Refusal::RequestIdReused => [Refusal::RequestIdReused],
    Refusal::EtagMismatch => [Refusal::EtagMismatch],
    Refusal::AccountRequired => [Refusal::AccountRequired],
    Refusal::PersonRequired => [Refusal::PersonRequired],
    Refusal::SecondPersonRequired => [Refusal::SecondPersonRequired],
    Refusal::InviteeRequired => [Refusal::InviteeRequired],
    Refusal::RoleRequired(_) => [Refusal::RoleRequired(Role::Owner), Refusal::RoleRequired(Role::SecurityManager)],
    Refusal::RoleNotGrantable(_) => [Refusal::RoleNotGrantable(Role::Owner), Refusal::RoleNotGrantable(Role::Manager)],
    Refusal::ScopeRequired(_) => [Refusal::ScopeRequired(Scope::MembersGrant), Refusal::ScopeRequired(Scope::AccountsRead)],
    Refusal::ServiceRequired(_) => [Refusal::ServiceRequired(Scope::MembersGrant), Refusal::ServiceRequired(Scope::AccountsRead)],
    Refusal::OrganizationNotFound(_) => [Refusal::OrganizationNotFound(name("a1")), Refusal::OrganizationNotFound(name("b2"))],
    Refusal::InvitationNotFound(_) => [Refusal::InvitationNotFound(name("a1")), Refusal::InvitationNotFound(name("b2"))],
    Refusal::MemberNotFound(_) => [Refusal::MemberNotFound(name("a1")), Refusal::MemberNotFound(name("b2"))],
    Refusal::AccountNotFound(_) => [Refusal::AccountNotFound(name("a1")), Refusal::AccountNotFound(name("b2"))],
    Refusal::AccountEmailNotFound => [Refusal::AccountEmailNotFound],
    Refusal::CodeNotFound => [Refusal::CodeNotFound],
    Refusal::NotificationCodeNotFound => [Refusal::NotificationCodeNotFound],
    Refusal::OrganizationExists(_) => [Refusal::OrganizationExists(name("a1")), Refusal::OrganizationExists(name("b2"))],
    Refusal::UsernameTaken(_) => [Refusal::UsernameTaken(name("a1")), Refusal::UsernameTaken(name("b2"))],
    Refusal::AccountExists(_) => [Refusal::AccountExists(name("a1")), Refusal::AccountExists(name("b2"))],
    Refusal::OpenInvitationExists(_) => [Refusal::OpenInvitationExists(name("a1")), Refusal::OpenInvitationExists(name("b2"))],
    Refusal::AlreadyMember(_) => [Refusal::AlreadyMember(name("a1")), Refusal::AlreadyMember(name("b2"))],
    Refusal::DuplicateInBatch { .. } => [Refusal::DuplicateInBatch { row: 4711 }, Refusal::DuplicateInBatch { row: 0 }],
    Refusal::AlreadyOffered(_) => [Refusal::AlreadyOffered(name("a1")), Refusal::AlreadyOffered(name("b2"))],
    Refusal::AccountEmailChanged(_) => [Refusal::AccountEmailChanged(name("a1")), Refusal::AccountEmailChanged(name("b2"))],
    Refusal::EmailBoundToOther(_) => [Refusal::EmailBoundToOther(name("a1")), Refusal::EmailBoundToOther(name("b2"))],
    // every state is further down
    Refusal::InvitationState { .. } => [
        Refusal::InvitationState { name: name("a1"), state: InvitationState::Invited },
        Refusal::InvitationState { name: name("b2"), state: InvitationState::AccessRequested },
    ],
    Refusal::EmailNotVerified => [Refusal::EmailNotVerified],
    Refusal::AddressMismatch => [Refusal::AddressMismatch],
    Refusal::AttestationTooOld => [Refusal::AttestationTooOld],
    Refusal::EmailDomainNotAllowed(_) => [
        Refusal::EmailDomainNotAllowed("one.example".to_owned()),
        Refusal::EmailDomainNotAllowed("two.example".to_owned()),
    ],
    Refusal::ProviderNotAllowed(_) => [
        Refusal::ProviderNotAllowed("github".to_owned()),
        Refusal::ProviderNotAllowed("entra".to_owned()),
    ],
    Refusal::SeatsExhausted { .. } => [Refusal::SeatsExhausted { limit: 4711 }, Refusal::SeatsExhausted { limit: 0 }],
    Refusal::OfferNotCovered(_) => [Refusal::OfferNotCovered(Role::Owner), Refusal::OfferNotCovered(Role::Reader)],
    Refusal::ApprovalRequired(_) => [Refusal::ApprovalRequired(Role::Owner), Refusal::ApprovalRequired(Role::Manager)],
    Refusal::LastOwner(_) => [Refusal::LastOwner(name("a1")), Refusal::LastOwner(name("b2"))],
    Refusal::NoPendingChange => [Refusal::NoPendingChange],
    Refusal::ApproverTooNew => [Refusal::ApproverTooNew],
    Refusal::CodeKeyMissing(_) => [Refusal::CodeKeyMissing("k1".to_owned()), Refusal::CodeKeyMissing("k2".to_owned())],
    Refusal::NewerVersionNeeded => [Refusal::NewerVersionNeeded],
    Refusal::TooManyWrongCodes { .. } => [Refusal::TooManyWrongCodes { wait: Duration::seconds(61) }],
    Refusal::TooManyWrongAccounts { .. } => [Refusal::TooManyWrongAccounts { wait: Duration::seconds(62) }],
    Refusal::ResentTooSoon { .. } => [Refusal::ResentTooSoon { wait: Duration::seconds(63) }],
    Refusal::TooManyResends { .. } => [
        Refusal::TooManyResends { limit: 4711, wait: Duration::seconds(69) },
        Refusal::TooManyResends { limit: 1, wait: Duration::seconds(69) },
    ],
    Refusal::TooManyOpenInvitations { .. } => [
        Refusal::TooManyOpenInvitations { limit: 4711 },
        Refusal::TooManyOpenInvitations { limit: 1 },
    ],
    Refusal::TooManyOrganizationInvitations { .. } => [
        Refusal::TooManyOrganizationInvitations { limit: 4711, wait: Duration::seconds(64) },
        Refusal::TooManyOrganizationInvitations { limit: 1, wait: Duration::seconds(64) },
    ],
    Refusal::TooManyInvitations { .. } => [Refusal::TooManyInvitations { wait: Duration::seconds(65) }],
    Refusal::TooManyOrganizations { .. } => [Refusal::TooManyOrganizations { wait: Duration::seconds(66) }],
    Refusal::TooManyAccountAttempts { .. } => [Refusal::TooManyAccountAttempts { wait: Duration::seconds(67) }],
    Refusal::TooManyChanges { .. } => [Refusal::TooManyChanges { wait: Duration::seconds(70) }],
    Refusal::TooManyProtectionChanges { .. } => [Refusal::TooManyProtectionChanges { wait: Duration::seconds(68) }],
}

samples! { errors of app::Error:
    // above
    app::Error::Refused(_) => [app::Error::Refused(Refusal::CodeNotFound)],
    app::Error::Overloaded => [app::Error::Overloaded],
    app::Error::Unavailable => [app::Error::Unavailable],
    app::Error::Fault => [app::Error::Fault],
}

/// Samples of every status; those in one group may differ in their values only.
fn groups() -> Vec<Vec<Status>> {
    let mut groups = Vec::new();
    for samples in refusals() {
        groups.push(samples.into_iter().map(from_refusal).collect::<Vec<_>>());
    }
    for state in InvitationState::ALL {
        let refused = |which| from_refusal(Refusal::InvitationState { name: name(which), state });
        groups.push(vec![refused("a1"), refused("b2")]);
    }
    for samples in errors() {
        groups.push(samples.into_iter().map(from_error).collect());
    }
    groups.push(vec![token_missing().into()]);
    groups.push(vec![token_invalid().into()]);
    groups.push(vec![issuer_unavailable(std::time::Duration::from_secs(5)).into()]);
    for changes in [true, false] {
        groups.push(vec![deadline_passed(changes).into()]);
        groups.push(vec![problem::from_error(app::Error::Unavailable, "", changes).into()]);
    }
    groups.push(vec![encoding_unsupported().into()]);
    groups.push(vec![method_unknown("/one/Method").into(), method_unknown("/another/Method").into()]);
    groups.extend([vec![unreadable().into()], vec![too_long("64 KiB").into()]]);
    groups
}

/// Within a call, as all of them are made.
async fn in_a_call() -> Vec<Vec<Status>> {
    Call::begin(&Request::new(())).carry_out(async { groups() }).await
}

fn metadata(status: &Status) -> BTreeMap<String, String> {
    status.get_error_details().error_info().unwrap().metadata.clone().into_iter().collect()
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
}

/// As its caller reads it, without the id of the call, which is another one each time.
fn show(status: &Status) -> String {
    use std::fmt::Write;
    let details = status.get_error_details();
    let mut shown = format!("{} {:?}\n  {}\n", reason(status), status.code(), status.message());
    for (key, value) in metadata(status) {
        let value = if key == "call_id" { "[call]" } else { &value };
        writeln!(shown, "  metadata {key}: {value}").unwrap();
    }
    for bad in details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
        writeln!(shown, "  field {}: {} {}", bad.field, bad.reason, bad.description).unwrap();
    }
    if let Some(wait) = details.retry_info().and_then(|retry| retry.retry_delay) {
        writeln!(shown, "  retry after {wait:?}").unwrap();
    }
    shown
}

#[tokio::test]
async fn every_status_reads_as_it_should() {
    let groups = in_a_call().await;
    let mut shown = groups.iter().map(|group| show(&group[0])).collect::<Vec<_>>();
    shown.sort();
    shown.dedup();
    insta::assert_snapshot!("every_status", shown.join("\n"));
}

#[tokio::test]
async fn every_message_tells_what_to_do() {
    for status in in_a_call().await.iter().flatten() {
        let (what, advice) = status.message().split_once(": ").unwrap_or_default();
        assert!(!what.is_empty() && advice.len() > 5, "{}", show(status));
        let is_plain = !status.message().ends_with('.') && status.message().len() < 250;
        assert!(is_plain, "{}", show(status));
    }
}

/// What gRPC's own retries are told to wait.
fn pushback(status: &Status) -> Option<std::time::Duration> {
    let told = status.metadata().get(PUSHBACK)?.to_str().unwrap().parse().unwrap();
    Some(std::time::Duration::from_millis(told))
}

#[tokio::test]
async fn grpcs_own_retries_are_told_how_long_to_wait_where_they_are_to_repeat() {
    let statuses = in_a_call().await.into_iter().flatten().collect::<Vec<_>>();
    for status in &statuses {
        let wait = status.get_error_details().retry_info().and_then(|retry| retry.retry_delay);
        // grpc-java repeats a call of any code that carries it
        let expected = wait.filter(|_| status.code() == tonic::Code::Unavailable);
        assert_eq!(pushback(status), expected, "{}", show(status));
        assert!(wait.is_some() || status.code() != tonic::Code::Unavailable, "{}", show(status));
    }
    assert!(statuses.iter().filter(|status| pushback(status).is_some()).count() > 3);
}

/// A client that repeats by clients/service-config.json is still there when the time in RetryInfo is over.
#[tokio::test]
async fn the_published_retries_outlast_every_wait_of_unavailable() {
    let config = include_str!("../../../clients/service-config.json");
    let config = serde_json::from_str::<serde_json::Value>(config).unwrap();
    let policy = &config["methodConfig"][0]["retryPolicy"];
    let seconds = |key: &str| policy[key].as_str().unwrap().trim_end_matches('s').parse::<f64>().unwrap();
    let retries = u32::try_from(policy["maxAttempts"].as_u64().unwrap()).unwrap() - 1;
    let factor = policy["backoffMultiplier"].as_f64().unwrap();
    let backoff = |n: u32| (seconds("initialBackoff") * factor.powi(n.cast_signed())).min(seconds("maxBackoff"));
    // each may be a fifth shorter (A6)
    let outlasts = 0.8 * (0..retries).map(backoff).sum::<f64>();
    let unavailable =
        in_a_call().await.into_iter().flatten().filter(|status| status.code() == tonic::Code::Unavailable);
    let unavailable = unavailable.collect::<Vec<_>>();
    for status in &unavailable {
        let wait = status.get_error_details().retry_info().unwrap().retry_delay.unwrap();
        let is_outlasted = outlasts > wait.as_secs_f64() || pushback(status) >= Some(wait);
        assert!(is_outlasted, "{outlasts} s are over before {}", show(status));
        // also by clients that know no pushback, where another attempt at the same replica is all that it takes
        let is_short = ["DATABASE_UNAVAILABLE", "ISSUER_UNAVAILABLE"].contains(&reason(status).as_str());
        assert!(!is_short || outlasts > wait.as_secs_f64(), "{outlasts} s are over before {}", show(status));
    }
    assert!(unavailable.len() >= 4);
}

/// The twenty fields with the longest names and words, and rules of any length.
fn many_fields() -> Status {
    let path = "organization.policy.allowed_email_domains";
    let bad = |_| InvalidField::new(path, FieldFault::Conflict, "x".repeat(100));
    from_refusal(Refusal::InvalidFields((0..20).map(bad).collect()))
}

#[test]
fn a_message_names_the_first_bad_fields_and_the_details_all_of_them() {
    let status = many_fields();
    assert!(status.message().len() <= 200, "{}", status.message());
    assert!(status.message().contains("allowed_email_domains contradicts another value and 18 more: "), "{status:?}");
    assert_eq!(status.get_error_details().bad_request().unwrap().field_violations.len(), 20);
}

#[test]
fn every_fault_of_a_field_is_a_reason_of_the_contract() {
    use FieldFault::{
        Conflict, Malformed, Missing, NotAllowed, OutOfRange, TooLong, TooMany, UnknownPath, UnknownValue,
    };

    use crate::pb::FieldReason;
    let told = (1..).map_while(|number| FieldReason::try_from(number).ok()).map(|reason| reason.as_str_name());
    let told = told.collect::<BTreeSet<_>>();
    let faults = [Missing, Malformed, TooLong, TooMany, OutOfRange, UnknownValue, UnknownPath, NotAllowed, Conflict];
    let given = faults.map(|fault| fault.reason().as_str_name());
    assert_eq!(BTreeSet::from(given), told);
    assert!(!told.contains("FIELD_REASON_UNSPECIFIED") && told.len() == faults.len());
}

#[tokio::test]
async fn the_status_of_a_part_is_that_of_a_call_of_its_own() {
    for error in errors().into_iter().flatten().chain(refusals().into_iter().flatten().map(app::Error::from)) {
        let [alone, part] = Call::begin(&Request::new(()))
            .carry_out(async {
                let alone = from_error(error.clone());
                let part = of_part(error, "");
                let encoded = part.encode_to_vec().into();
                let shown = Status::with_details(part.code.into(), part.message, encoded);
                [alone, shown].map(|status| show(&status))
            })
            .await;
        assert_eq!(alone, part);
    }
    // only the paths are another one
    let status = of_part(fields("this").into(), "requests[3]");
    let bad = tonic_types::RpcStatusExt::get_details_bad_request(&status).unwrap();
    let paths = bad.field_violations.iter().map(|bad| bad.field.as_str()).collect::<Vec<_>>();
    assert_eq!(paths, ["requests[3].this.first", "requests[3].this.second"]);
    assert!(status.message.starts_with("requests[3].this.first is missing, "), "{}", status.message);
}

/// The messages of a group without what their details say.
fn fixed_words(group: &[Status]) -> BTreeSet<String> {
    let fixed = group.iter().map(|status| {
        let details = status.get_error_details();
        let bad = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
        let values = bad.into_iter().flat_map(|bad| [bad.field, bad.description]).chain(metadata(status).into_values());
        values.fold(status.message().to_owned(), |message, value| {
            assert!(!value.is_empty(), "{}", show(status));
            message.replace(&value, "…")
        })
    });
    fixed.collect()
}

#[tokio::test]
async fn everything_variable_in_a_message_is_in_its_details_and_nothing_there_is_empty() {
    for group in in_a_call().await {
        let fixed = fixed_words(&group);
        assert_eq!(fixed.len(), 1, "a value that no program can read: {fixed:?}");
    }
    // the control: a value that stands in the message alone
    let hidden = |value| Problem::new(Code::Internal, ErrorReason::InternalError, format!("{value}: wait")).into();
    assert_eq!(fixed_words(&[hidden("one"), hidden("two")]).len(), 2);
}

#[tokio::test]
async fn every_reason_of_the_contract_is_given_and_has_one_code() {
    let groups = in_a_call().await;
    let mut given = BTreeMap::new();
    for status in groups.iter().flatten() {
        let code = *given.entry(reason(status)).or_insert(status.code());
        assert_eq!(code, status.code(), "{}", reason(status));
    }
    let files = FileDescriptorSet::decode(crate::pb::DESCRIPTOR_SET).unwrap().file;
    let reasons = files.iter().flat_map(|file| &file.enum_type).find(|one| one.name() == "ErrorReason").unwrap();
    let known = reasons.value.iter().map(|value| value.name().to_owned());
    let known = known.filter(|name| name != "ERROR_REASON_UNSPECIFIED").collect::<BTreeSet<_>>();
    assert_eq!(given.into_keys().collect::<BTreeSet<_>>(), known);
}
