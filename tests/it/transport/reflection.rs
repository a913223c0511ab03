//! The reflection service.

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

#[tokio::test]
async fn reflection_can_be_off() {
    let server = Server::start(ServeSettings { reflection: false, ..settings() }).await;
    let refused = reflect!(server, v1, ListServices("")).unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(refused.get_details_error_info().unwrap().reason, ErrorReason::MethodUnknown.as_str_name());
}
