//! The requests of changes. What makes one safe to repeat and safe to decide upon stands in its fields, or in headers: over
//! HTTP these are in one place for every method.

#![expect(clippy::option_option, reason = "the outer one says that the field is good, the inner one that it is given")]

use std::ops::Deref;

use http::HeaderMap;
use prost::Message;
use sha2::{Digest, Sha256};
use tonic::Request;
use uuid::Uuid;

use super::fields::{Fields, is_etag};
use crate::domain::{self, FieldFault, Method};
use crate::pb;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const IF_MATCH: &str = "if-match";
const REQUEST_ID_LENGTH: usize = 36;

/// A request that changes something.
pub trait Change: Message + Clone {
    const METHOD: Method;

    fn request_id(&self) -> &str;

    fn request_id_mut(&mut self) -> &mut String;

    /// The path of the etag and its place. `None`: the method has nothing to compare one with.
    fn etag_mut(&mut self) -> Option<(&'static str, &mut String)> {
        None
    }
}

macro_rules! changes {
    ($($rpc:ident($message:ident) $(: $path:literal at |$m:ident| $etag:expr)?;)*) => {
        #[cfg(test)]
        const CHANGES: &[Method] = &[$(Method::$rpc),*];

        $(impl Change for pb::$message {
            const METHOD: Method = Method::$rpc;

            fn request_id(&self) -> &str {
                &self.request_id
            }

            fn request_id_mut(&mut self) -> &mut String {
                &mut self.request_id
            }

            $(fn etag_mut(&mut self) -> Option<(&'static str, &mut String)> {
                let $m = self;
                Some(($path, $etag))
            })?
        })*
    };
}

changes! {
    CreateInvitation(CreateInvitationRequest);
    BatchCreateInvitations(BatchCreateInvitationsRequest);
    RequestAccess(RequestAccessRequest);
    OfferMembership(OfferMembershipRequest);
    ApproveOffer(ApproveOfferRequest): "etag" at |m| &mut m.etag;
    RejectAccess(RejectAccessRequest): "etag" at |m| &mut m.etag;
    RevokeInvitation(RevokeInvitationRequest): "etag" at |m| &mut m.etag;
    RevokeInvitations(RevokeInvitationsRequest);
    ResendInvitation(ResendInvitationRequest): "etag" at |m| &mut m.etag;
    AcceptInvitation(AcceptInvitationRequest): "etag" at |m| &mut m.etag;
    DeclineInvitation(DeclineInvitationRequest): "etag" at |m| &mut m.etag;

    CreateOrganization(CreateOrganizationRequest);
    UpdateOrganization(UpdateOrganizationRequest):
        "organization.etag" at |m| &mut m.organization.get_or_insert_default().etag;
    ApproveOrganizationChange(ApproveOrganizationChangeRequest): "etag" at |m| &mut m.etag;
    WithdrawOrganizationChange(WithdrawOrganizationChangeRequest): "etag" at |m| &mut m.etag;
    VerifyNotificationEmail(VerifyNotificationEmailRequest);
    UpdateMember(UpdateMemberRequest): "member.etag" at |m| &mut m.member.get_or_insert_default().etag;
    DeleteMember(DeleteMemberRequest): "etag" at |m| &mut m.etag;

    CreateAccount(CreateAccountRequest);
    DeleteAccount(DeleteAccountRequest);

    SuppressEmail(SuppressEmailRequest);
    UnsuppressEmail(UnsuppressEmailRequest);
}

/// The message of a change with what its headers say: made by [`Fields::change`] alone, and without one no request id can
/// be read.
#[derive(Debug)]
pub struct Asked<M>(M);

impl<M> Deref for Asked<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.0
    }
}

impl Fields {
    /// A header counts as the field that it is for, so that both say the same to all that comes later.
    pub fn change<M: Change>(&mut self, request: Request<M>) -> Asked<M> {
        let (metadata, _, mut message) = request.into_parts();
        let headers = metadata.as_ref();
        if headers.contains_key(IDEMPOTENCY_KEY) {
            let rule = "one UUID of 36 characters";
            let key = Header { name: IDEMPOTENCY_KEY, rule, is_good: |text| request_id(text).is_some() };
            self.fill("request_id", message.request_id_mut(), &key, headers);
        }
        if headers.contains_key(IF_MATCH) {
            let rule = "one etag as it was returned, quoted or not";
            let tag = Header { name: IF_MATCH, rule, is_good: |text| !text.is_empty() && is_etag(text) };
            if let Some((field, etag)) = message.etag_mut() {
                self.fill(field, etag, &tag, headers);
            } else {
                let rule = "must not be sent: this method has no etag to compare it with";
                self.refuse(IF_MATCH, FieldFault::NotAllowed, rule);
            }
        }
        Asked(message)
    }

    /// The request id with the digest of everything that the request says; empty is `None`. A UUID is the same in capital
    /// letters (RFC 9562), so it is digested in small ones. Asked last: what is refused is not digested.
    pub fn request<M: Change>(&mut self, Asked(message): &Asked<M>) -> Option<Option<domain::Request>> {
        self.request_of(message)
    }

    /// The same of a part of a request that may stand alone, too: no header is for it.
    pub fn request_of<M: Change>(&mut self, message: &M) -> Option<Option<domain::Request>> {
        if message.request_id().is_empty() {
            return Some(None);
        }
        let rule = "must be a UUID of 36 characters, or empty";
        let id = self.text("request_id", message.request_id(), REQUEST_ID_LENGTH, rule, request_id)?;
        if !self.are_good() {
            return None;
        }
        let mut message = message.clone();
        message.request_id_mut().make_ascii_lowercase();
        let digest = Sha256::new()
            .chain_update(M::METHOD.name())
            .chain_update([0])
            .chain_update(message.encode_to_vec())
            .finalize();
        Some(Some(domain::Request::new(id, digest.into())))
    }

    /// Whoever sends both sends the same.
    fn fill(&mut self, field: &str, value: &mut String, header: &Header, headers: &HeaderMap) {
        let Header { name, rule, .. } = header;
        match header.read(headers) {
            None => {
                let rule = format!("is taken from the header {name}, which must be {rule}");
                self.refuse(field, FieldFault::Malformed, rule);
            }
            Some(given) if value.is_empty() => given.clone_into(value),
            Some(given) if given.eq_ignore_ascii_case(value) => {}
            Some(_) => {
                let rule = format!("must be the same as the header {name}, or empty");
                self.refuse(field, FieldFault::Conflict, rule);
            }
        }
    }
}

/// Takes a UUID in its usual form, in small or in capital letters.
fn request_id(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(Some(text).filter(|text| text.len() == REQUEST_ID_LENGTH)?).ok()?;
    (!id.is_nil()).then_some(id)
}

/// A header that stands for a field.
struct Header {
    name: &'static str,
    rule: &'static str,
    is_good: fn(&str) -> bool,
}

impl Header {
    /// Sent once, in double quotes or without.
    fn read<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let mut values = headers.get_all(self.name).iter();
        let (value, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        (self.is_good)(bare).then_some(bare)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tonic::metadata::MetadataMap;

    use super::*;
    use crate::domain::{InvalidField, Refusal, etag};

    const ID: &str = "0b7e6c0a-5a3e-4a59-9a4c-0d3c5d1f8f11";

    /// The message with these headers, and the fields that are bad.
    fn asked<M: Change>(message: M, headers: &[(&'static str, &str)]) -> (M, Vec<String>) {
        let mut metadata = MetadataMap::new();
        for (name, value) in headers {
            metadata.append(*name, value.parse().unwrap());
        }
        let mut fields = Fields::default();
        let request = Request::from_parts(metadata, tonic::Extensions::new(), message);
        let Asked(message) = fields.change(request);
        let bad = match fields.finish(|| Some(())) {
            Err(Refusal::InvalidFields(bad)) => bad,
            other => other.map(|()| Vec::new()).unwrap(),
        };
        let said = |InvalidField { field, rule, .. }| format!("{field} {rule}");
        (message, bad.into_iter().map(said).collect())
    }

    #[test]
    fn every_method_that_is_no_read_is_a_change() {
        let changes = Method::ALL.iter().copied().filter(|method| !method.is_read()).collect::<BTreeSet<_>>();
        assert_eq!(CHANGES.iter().copied().collect::<BTreeSet<_>>(), changes);
    }

    #[test]
    fn a_header_fills_the_field_wherever_it_is() {
        let tag = &etag(time::OffsetDateTime::UNIX_EPOCH, 7);
        let quoted = format!("\"{tag}\"");
        for (id, given) in [(ID, tag.as_str()), (&format!("\"{ID}\""), &quoted)] {
            let headers = [(IDEMPOTENCY_KEY, id), (IF_MATCH, given)];
            let (message, bad) = asked(pb::DeleteMemberRequest::default(), &headers);
            assert_eq!((message.request_id.as_str(), &message.etag, bad.len()), (ID, tag, 0));
            let (message, bad) = asked(pb::UpdateMemberRequest::default(), &headers);
            assert_eq!((message.request_id.as_str(), &message.member.unwrap().etag, bad.len()), (ID, tag, 0));
        }
        let untouched = pb::UpdateMemberRequest::default();
        assert_eq!(asked(untouched.clone(), &[]), (untouched, Vec::new()));
    }

    #[test]
    fn who_sends_both_sends_the_same() {
        let both = |id: &str, etag: &str| {
            let message =
                pb::DeleteMemberRequest { request_id: ID.to_owned(), etag: "a1".to_owned(), ..Default::default() };
            asked(message, &[(IDEMPOTENCY_KEY, id), (IF_MATCH, etag)]).1
        };
        assert_eq!(both(&ID.to_uppercase(), "a1"), [""; 0]);
        let other = "7d9bd3a2-3c0e-4fd0-9d2b-0a3a1f0a8b11";
        assert_eq!(
            both(other, "b2"),
            [
                "request_id must be the same as the header idempotency-key, or empty",
                "etag must be the same as the header if-match, or empty"
            ]
        );
    }

    #[test]
    fn what_is_no_value_is_refused_by_the_name_of_its_header() {
        for id in ["", "1", "\"\"", &format!("\"{ID}"), &format!("{ID}, {ID}"), "00000000-0000-0000-0000-000000000000"]
        {
            let (message, bad) = asked(pb::CreateAccountRequest::default(), &[(IDEMPOTENCY_KEY, id)]);
            assert_eq!(
                bad,
                ["request_id is taken from the header idempotency-key, which must be one UUID of 36 characters"],
                "{id}"
            );
            assert_eq!(message.request_id, "", "{id}");
        }
        for tag in ["", "*", "\"\"", "W/\"1\"", "\"a1\", \"b2\"", "a-1"] {
            let (_, bad) = asked(pb::UpdateOrganizationRequest::default(), &[(IF_MATCH, tag)]);
            assert_eq!(bad.len(), 1, "{tag}");
            assert!(bad[0].starts_with("organization.etag is taken from the header if-match, which"), "{bad:?}");
        }
        let (_, bad) = asked(pb::DeleteMemberRequest::default(), &[(IF_MATCH, "a1"), (IF_MATCH, "a1")]);
        assert_eq!(bad.len(), 1, "sent twice");
        let (_, bad) = asked(pb::CreateAccountRequest::default(), &[(IF_MATCH, "a1")]);
        assert_eq!(bad, ["if-match must not be sent: this method has no etag to compare it with"]);
    }
}
