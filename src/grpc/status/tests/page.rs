//! docs/api.md: the contract, and an answer for each reason that a call may fail with, as grpcurl and gateways show it.

use std::{env, fs};

use prost_reflect::{DescriptorPool, DynamicMessage};

use super::*;
use crate::domain::ADDRESS_RULE;
use crate::pb::DESCRIPTOR_SET;
use crate::pb::reference::{Example, markdown};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md");
const MARK: &str = "<!-- from the protos -->\n";

const LOCALE: &str = "must be a BCP 47 language tag such as en or de-AT, at most 35 characters";

/// What the samples say, each once and in this order, and something that a reader knows.
const READABLE: [(&str, &str); 11] = [
    ("this.first", "invitation.email"),
    ("must be this", ADDRESS_RULE),
    ("this.second", "invitation.locale"),
    ("must be this", LOCALE),
    ("this.first", "invitation.email"),
    ("must be this", ADDRESS_RULE),
    ("this.second", "invitation.locale"),
    ("must be this", LOCALE),
    ("/one/Method", "/ipmhub.invitations.v1.InvitationService/Unknown"),
    ("one.example", "example.com"),
    ("one.example", "example.com"),
];

fn readable(name: &str) -> &'static str {
    match name {
        "organization" => "organizations/acme",
        "invitation" => "organizations/acme/invitations/01936f5e-8e2f-7c4b-9d3a-5f6e7a8b9c0d",
        "member" => "organizations/acme/members/anna",
        _ => "accounts/anna",
    }
}

/// The status with its details, by nothing but the files of the pool.
fn json(pool: &DescriptorPool, status: &Status) -> serde_json::Result<String> {
    let message = pool.get_message_by_name("google.rpc.Status").unwrap();
    let message = DynamicMessage::decode(message, status.details()).unwrap();
    serde_json::to_string_pretty(&message)
}

/// A map has another order each time.
fn sorted(json: &str) -> String {
    let parts =
        json.split_once("\"metadata\": {\n").and_then(|(head, rest)| Some((head, rest.split_once("\n      }")?)));
    let Some((head, (entries, rest))) = parts else { return json.to_owned() };
    let mut entries = entries.split(",\n").collect::<Vec<_>>();
    entries.sort_unstable();
    format!("{head}\"metadata\": {{\n{}\n      }}{rest}", entries.join(",\n"))
}

fn shown(pool: &DescriptorPool, status: &Status) -> String {
    let mut text = sorted(&json(pool, status).unwrap());
    for (key, value) in metadata(status) {
        match key.as_str() {
            "organization" | "invitation" | "member" | "account" => text = text.replace(&value, readable(&key)),
            "call_id" | "request_id" => text = text.replace(&value, "4bf92f3577b34da6"),
            _ => {}
        }
    }
    READABLE.iter().fold(text, |text, (sample, shown)| text.replacen(sample, shown, 1))
}

/// What HTTP and the contract call the code.
fn names(code: tonic::Code) -> (u16, &'static str) {
    match code {
        tonic::Code::InvalidArgument => (400, "INVALID_ARGUMENT"),
        tonic::Code::FailedPrecondition => (400, "FAILED_PRECONDITION"),
        tonic::Code::OutOfRange => (400, "OUT_OF_RANGE"),
        tonic::Code::Unauthenticated => (401, "UNAUTHENTICATED"),
        tonic::Code::PermissionDenied => (403, "PERMISSION_DENIED"),
        tonic::Code::NotFound => (404, "NOT_FOUND"),
        tonic::Code::AlreadyExists => (409, "ALREADY_EXISTS"),
        tonic::Code::Aborted => (409, "ABORTED"),
        tonic::Code::ResourceExhausted => (429, "RESOURCE_EXHAUSTED"),
        tonic::Code::Internal => (500, "INTERNAL"),
        tonic::Code::Unimplemented => (501, "UNIMPLEMENTED"),
        tonic::Code::Unavailable => (503, "UNAVAILABLE"),
        tonic::Code::DeadlineExceeded => (504, "DEADLINE_EXCEEDED"),
        other => panic!("no problem has the code {other:?}"),
    }
}

async fn examples(pool: &DescriptorPool) -> BTreeMap<String, Example> {
    let mut examples = BTreeMap::new();
    for status in in_a_call().await.iter().flatten() {
        let (http, code) = names(status.code());
        examples.entry(reason(status)).or_insert_with(|| Example { http, code, json: shown(pool, status) });
    }
    examples
}

#[tokio::test]
async fn the_page_has_the_api_as_it_is() {
    let pool = DescriptorPool::decode(DESCRIPTOR_SET).unwrap();
    let page = fs::read_to_string(PAGE).unwrap();
    let (head, rest) = page.split_once(MARK).unwrap();
    let expected = markdown(&pool, &examples(&pool).await);
    if env::var_os("INVITATIONS_WRITE_DOCS").is_some() {
        fs::write(PAGE, format!("{head}{MARK}\n{expected}")).unwrap();
    } else {
        assert!(
            rest.trim() == expected.trim(),
            "docs/api.md is not what the protos say: INVITATIONS_WRITE_DOCS=1 writes it"
        );
    }
}

#[test]
fn every_link_within_the_page_leads_to_one_heading() {
    let page = fs::read_to_string(PAGE).unwrap();
    let headings = page.lines().filter_map(|line| line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")));
    let headings = headings.map(|heading| heading.to_lowercase().replace('.', "")).collect::<Vec<_>>();
    let links = page.split("](#").skip(1).filter_map(|rest| rest.split_once(')')).map(|(anchor, _)| anchor);
    let links = links.collect::<BTreeSet<_>>();
    assert!(links.contains("createinvitation"));
    for link in links {
        assert_eq!(headings.iter().filter(|heading| *heading == link).count(), 1, "{link}");
    }
}

#[tokio::test]
async fn every_status_can_be_read_with_the_published_files_alone() {
    let pool = DescriptorPool::decode(DESCRIPTOR_SET).unwrap();
    let groups = in_a_call().await;
    for status in groups.iter().flatten() {
        let text = json(&pool, status).unwrap();
        assert!(text.contains(&reason(status)), "{text}");
    }
    // the control: without the file of the details
    let mut files = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap();
    files.file.retain(|file| file.name() != "google/rpc/error_details.proto");
    let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
    assert!(json(&pool, &groups[0][0]).is_err());
}
