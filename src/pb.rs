//! The wire types, clients and servers generated from `proto/`, and the descriptor set that reflection serves.
//!
//! Their `Debug` shows email addresses, so requests and answers are never logged.

#![expect(
    clippy::pedantic,
    clippy::large_enum_variant,
    reason = "generated code, whose docs are the comments of the protos"
)]

#[cfg(feature = "server")]
mod bounded;
#[cfg(test)]
pub(crate) mod reference;

use std::fmt;

#[cfg(feature = "server")]
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

    /// The descriptor set with the one option of methods that prost-types does not know, `google.api.http`.
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
        #[prost(message, tag = "72295728")]
        http: Option<HttpRule>,
    }

    #[derive(Message)]
    struct HttpRule {
        #[prost(string, optional, tag = "2")]
        get: Option<String>,
        #[prost(string, optional, tag = "4")]
        post: Option<String>,
        #[prost(string, optional, tag = "5")]
        delete: Option<String>,
        #[prost(string, optional, tag = "6")]
        patch: Option<String>,
    }

    /// As the table of the README shows it: `POST /v1/accounts`.
    fn route(rule: HttpRule) -> Option<String> {
        let routes = [("GET", rule.get), ("POST", rule.post), ("DELETE", rule.delete), ("PATCH", rule.patch)];
        routes.into_iter().find_map(|(verb, path)| Some(format!("{verb} {}", path?)))
    }

    #[test]
    fn the_readme_lists_every_rpc_with_its_http_route() {
        let files = Files::decode(DESCRIPTOR_SET).unwrap().file;
        let methods = files.into_iter().flat_map(|file| file.service).flat_map(|service| service.method);
        let readme = include_str!("../README.md");
        let listed = |line: &str| {
            let cells = line.split('|').map(str::trim).collect::<Vec<_>>();
            let [_, _, rpc, _, route, _] = cells[..] else { return None };
            route.starts_with('`').then(|| (rpc.to_owned(), route.trim_matches('`').to_owned()))
        };
        let listed = readme.lines().filter_map(listed).collect::<Vec<_>>();
        assert_eq!(listed.len(), crate::domain::Method::ALL.len());
        for method in methods {
            let route = method.options.and_then(|options| options.http).and_then(route);
            let route = route.unwrap_or_else(|| panic!("{} has no HTTP route", method.name));
            assert!(listed.contains(&(method.name.clone(), route.clone())), "the README lacks {} {route}", method.name);
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
