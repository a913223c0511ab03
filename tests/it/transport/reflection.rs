//! The reflection service, and the same protos as a file.

use std::process::Command;

use invitations::pb::DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, DynamicMessage};
use tonic_reflection::pb::v1::ServerReflectionResponse;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::*;

/// Asks one version of the reflection service. The versions differ in nothing but their names.
macro_rules! reflect {
    ($server:expr, $version:ident, $request:ident($value:expr)) => {{
        use tonic_reflection::pb::$version::ServerReflectionRequest;
        use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        let request = ServerReflectionRequest {
            message_request: Some(MessageRequest::$request($value.to_owned())),
            ..ServerReflectionRequest::default()
        };
        let mut client = ServerReflectionClient::new($server.channel().await);
        match client.server_reflection_info(tokio_stream::iter([request])).await {
            Ok(answers) => answers.into_inner().next().await.unwrap().map(|answer| answer.encode_to_vec()),
            Err(status) => Err(status),
        }
    }};
}

fn contains(answer: &[u8], text: &str) -> bool {
    answer.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn both_versions_list_the_services_and_know_error_details() {
    let server = Server::start(settings()).await;
    let lists =
        [reflect!(server, v1, ListServices("")), reflect!(server, v1alpha, ListServices(""))].map(Result::unwrap);
    for list in lists {
        for service in ["InvitationService", "OrganizationService", "AccountService", "MailService"] {
            assert!(contains(&list, &format!("ipmhub.invitations.v1.{service}")));
        }
        assert!(contains(&list, "grpc.health.v1.Health"));
    }
    let files = [
        reflect!(server, v1, FileContainingSymbol("google.rpc.ErrorInfo")),
        reflect!(server, v1alpha, FileContainingSymbol("google.rpc.ErrorInfo")),
    ];
    for file in files {
        assert!(contains(&file.unwrap(), "google/rpc/error_details.proto"));
    }
}

/// The one file that reflection answers with.
fn file(answer: &[u8]) -> Vec<u8> {
    match ServerReflectionResponse::decode(answer).unwrap().message_response {
        Some(MessageResponse::FileDescriptorResponse(files)) => files.file_descriptor_proto.into_iter().next().unwrap(),
        other => panic!("no file: {other:?}"),
    }
}

#[tokio::test]
async fn reflection_and_the_program_tell_the_same_and_all_that_an_answer_can_hold() {
    let printed = Command::new(env!("CARGO_BIN_EXE_invitations")).arg("descriptor").env_clear().output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    assert!(printed.stdout == DESCRIPTOR_SET);

    let server = Server::start(settings()).await;
    let pool = DescriptorPool::decode(DESCRIPTOR_SET).unwrap();
    let mut learned = DescriptorPool::new();
    // the set has each file after those that it imports
    for known in pool.files() {
        let told = file(&reflect!(server, v1, FileByFilename(known.name())).unwrap());
        assert!(told == known.encode_to_vec(), "{} is served otherwise", known.name());
        learned.decode_file_descriptor_proto(told.as_slice()).unwrap();
    }
    let enums = pool.all_enums().map(|one| (one.full_name().to_owned(), one.parent_file()));
    for (name, known) in pool.all_messages().map(|one| (one.full_name().to_owned(), one.parent_file())).chain(enums) {
        let told = file(&reflect!(server, v1, FileContainingSymbol(name.as_str())).unwrap());
        assert!(told == known.encode_to_vec(), "{name} is not found");
    }

    let mut client = AccountServiceClient::new(server.channel().await);
    let refused = client.get_account(GetAccountRequest { name: "panics".to_owned() }).await.unwrap_err();
    let status = learned.get_message_by_name("google.rpc.Status").unwrap();
    let status = DynamicMessage::decode(status, refused.details()).unwrap();
    let status = serde_json::to_value(&status).unwrap();
    assert_eq!(status["details"][0]["reason"], ErrorReason::InternalError.as_str_name(), "{status}");
}

#[tokio::test]
async fn reflection_can_be_off() {
    let server = Server::start(ServeSettings { reflection: false, ..settings() }).await;
    let refused = reflect!(server, v1, ListServices("")).unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(refused.get_details_error_info().unwrap().reason, ErrorReason::MethodUnknown.as_str_name());
}
