//! The wire types, clients and servers generated from `proto/`, and the descriptor set that reflection serves.
//!
//! Their `Debug` shows email addresses, so requests and answers are never logged.

#![expect(clippy::pedantic, reason = "generated code, whose docs are the comments of the protos")]

mod bounded;

use std::fmt;

pub use bounded::Bounded;

tonic::include_proto!("ipmhub.invitations.v1");

/// Every proto of the service with comments and custom options, as an encoded `google.protobuf.FileDescriptorSet`;
/// includes `google/api` and the error details of `google/rpc`.
pub const DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("descriptor");

/// Leaves the code out: who reads it can use the invitation.
impl fmt::Debug for RequestAccessRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestAccessRequest").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// Leaves the code out: who reads it can use it.
impl fmt::Debug for VerifyNotificationEmailRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("VerifyNotificationEmailRequest");
        shown.field("name", &self.name).field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// A file of the descriptor set with the one option that prost-types does not know, `google.api.http`.
    #[derive(Message)]
    struct Files {
        #[prost(message, repeated, tag = "1")]
        file: Vec<File>,
    }

    #[derive(Message)]
    struct File {
        #[prost(message, repeated, tag = "6")]
        service: Vec<Service>,
    }

    #[derive(Message)]
    struct Service {
        #[prost(message, repeated, tag = "2")]
        method: Vec<Method>,
    }

    #[derive(Message)]
    struct Method {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(message, tag = "4")]
        options: Option<Options>,
    }

    #[derive(Message)]
    struct Options {
        #[prost(bytes = "vec", tag = "72295728")]
        http: Vec<u8>,
    }

    #[test]
    fn every_rpc_has_an_http_route() {
        let files = Files::decode(DESCRIPTOR_SET).unwrap().file;
        let services = files.into_iter().flat_map(|file| file.service);
        let methods: Vec<Method> = services.flat_map(|service| service.method).collect();
        assert!(!methods.is_empty());
        for method in methods {
            let http = method.options.unwrap_or_default().http;
            assert!(!http.is_empty(), "{} has no http route", method.name);
        }
    }

    #[test]
    fn error_details_can_be_read_with_the_descriptor_set() {
        let mut files = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap().file.into_iter();
        assert!(files.any(|file| file.name() == "google/rpc/error_details.proto"));
    }

    #[test]
    fn debug_of_a_request_leaves_the_code_out() {
        let request = RequestAccessRequest { code: "K7QW".to_owned(), request_id: String::new() };
        assert!(!format!("{request:?}").contains("K7QW"));
        let request = VerifyNotificationEmailRequest { code: "K7QW".to_owned(), ..Default::default() };
        assert!(!format!("{request:?}").contains("K7QW"));
    }
}
