//! How requests are read: none with more lists, parts and texts than the largest good one has, and that is found out before
//! anything is made of them.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::LazyLock;

use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost::{Message, Name};
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstEncoder};

use super::{BatchCreateInvitationsRequest, BatchGetInvitationsRequest, DESCRIPTOR_SET};

/// Texts and messages within one request, each entry of a list counted. The largest good one, three full lists of a policy
/// and every path of a mask, has fewer than 350.
const MOST_PARTS: usize = 400;
/// How much a request may have.
#[derive(Clone, Copy)]
struct Bounds {
    parts: usize,
    /// What an entry of its own lists counts at least.
    row: usize,
}

/// Of requests with 1,000 rows: whoever sends up to 5,000 is told that these are too many. A good row with 16 annotations has
/// 22 parts.
const OF_ROWS: [(&str, Bounds); 2] = [
    (BatchCreateInvitationsRequest::NAME, Bounds { parts: 60_000, row: 12 }),
    (BatchGetInvitationsRequest::NAME, Bounds { parts: 5_000, row: 1 }),
];

impl Bounds {
    fn of(request: &str) -> Self {
        let of_rows = OF_ROWS.iter().find(|(name, _)| *name == request);
        of_rows.map_or(Self { parts: MOST_PARTS, row: 1 }, |(_, bounds)| *bounds)
    }
}

/// The codec of the generated clients and servers.
#[derive(Clone, Debug)]
pub struct Bounded<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Bounded<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + 'static, U: Message + Name + Default + 'static> Codec for Bounded<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = Reader<U>;

    fn encoder(&mut self) -> ProstEncoder<T> {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> Reader<U> {
        Reader(PhantomData)
    }
}

/// Reads a message whole.
#[derive(Clone, Debug)]
pub struct Reader<U>(PhantomData<U>);

impl<U: Message + Name + Default> Decoder for Reader<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // one chunk, as long as the message
        if let Some(request) = REQUESTS.get(U::NAME) {
            let Bounds { parts, row } = Bounds::of(U::NAME);
            let counted = count(request, buffer.chunk(), row, &mut { parts });
            counted
                .map_err(|TooMany(field)| Status::out_of_range(format!("with {field} it has over {parts} parts")))?;
        }
        U::decode(buffer).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// The part with which there are too many.
struct TooMany(&'static str);

/// What the texts and messages of a message are, by their numbers.
type Shape = HashMap<u32, Part>;

struct Part {
    name: &'static str,
    /// `None`: a text.
    message: Option<Shape>,
}

/// The requests of the contract by their names. Answers are not among them: those come from the service itself.
static REQUESTS: LazyLock<HashMap<&'static str, Shape>> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap_or_default();
    let files: &'static FileDescriptorSet = Box::leak(Box::new(files));
    let messages = files.file.iter().flat_map(|file| {
        file.message_type.iter().map(move |message| (format!(".{}.{}", file.package(), message.name()), message))
    });
    let messages = messages.collect::<HashMap<_, _>>();
    let methods = files.file.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
    let requests = methods.filter_map(|method| messages.get(method.input_type()));
    requests.map(|request| (request.name(), shape(request, &messages))).collect()
});

/// No message of the contract contains itself.
fn shape(message: &'static DescriptorProto, messages: &HashMap<String, &'static DescriptorProto>) -> Shape {
    let parts =
        message.field.iter().filter(|field| matches!(field.r#type(), Type::String | Type::Bytes | Type::Message));
    let part = |field: &'static prost_types::FieldDescriptorProto| {
        let message = messages.get(field.type_name()).map(|message| shape(message, messages));
        Some((u32::try_from(field.number()).ok()?, Part { name: field.name(), message }))
    };
    parts.filter_map(part).collect()
}

/// Counts the parts of a message, each with what is in it as at least so many. What cannot be read ends the count: it will
/// not be read after it either.
fn count(shape: &Shape, mut message: &[u8], least: usize, left: &mut usize) -> Result<(), TooMany> {
    while message.has_remaining() {
        let Ok((number, wire_type)) = decode_key(&mut message) else { return Ok(()) };
        let part = shape.get(&number).filter(|_| wire_type == WireType::LengthDelimited);
        let Some(part) = part else {
            if skip_field(wire_type, number, &mut message, DecodeContext::default()).is_err() {
                return Ok(());
            }
            continue;
        };
        let length = decode_varint(&mut message).ok().and_then(|length| usize::try_from(length).ok());
        let Some((content, rest)) = length.and_then(|length| message.split_at_checked(length)) else { return Ok(()) };
        let rest_of_row = left.checked_sub(least).ok_or(TooMany(part.name))?;
        *left -= 1;
        if let Some(shape) = &part.message {
            // a row has no more than a request of its own
            let most = MOST_PARTS.min(*left);
            let mut own = most;
            count(shape, content, 1, &mut own)?;
            *left -= most - own;
        }
        *left = rest_of_row.min(*left);
        message = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{CreateInvitationRequest, CreateOrganizationRequest, Delivery, Invitation, Organization, Policy};

    fn request(domains: usize) -> Vec<u8> {
        let policy = Policy { allowed_email_domains: vec![String::new(); domains], ..Policy::default() };
        let organization = Organization { policy: Some(policy), ..Organization::default() };
        let request = CreateOrganizationRequest { organization: Some(organization), ..Default::default() };
        request.encode_to_vec()
    }

    fn too_many(name: &str, message: &[u8]) -> Option<&'static str> {
        let Bounds { parts, row } = Bounds::of(name);
        count(&REQUESTS[name], message, row, &mut { parts }).err().map(|TooMany(field)| field)
    }

    #[test]
    fn every_request_of_the_contract_is_counted_and_no_answer() {
        let requests = crate::domain::Method::ALL.len();
        assert_eq!(REQUESTS.len(), requests);
        assert!(REQUESTS.keys().all(|name| name.ends_with("Request")));
        assert!(!REQUESTS.contains_key(Invitation::NAME));
    }

    #[test]
    fn the_entries_of_a_list_count_wherever_it_stands() {
        let name = CreateOrganizationRequest::NAME;
        assert_eq!(too_many(name, &request(MOST_PARTS - 2)), None);
        assert_eq!(too_many(name, &request(MOST_PARTS - 1)), Some("allowed_email_domains"));
        // parts of one list, each in a message of its own, which are put together
        assert_eq!(too_many(name, &request(1).repeat(200)), Some("policy"));
    }

    #[test]
    fn a_thousand_rows_are_read_and_no_number_of_empty_ones() {
        let name = BatchCreateInvitationsRequest::NAME;
        let annotations = (0..16).map(|n| (format!("key-{n}"), "value".to_owned())).collect();
        let invitation = Invitation { email: "anna@example.com".to_owned(), annotations, ..Invitation::default() };
        let row = CreateInvitationRequest {
            parent: "organizations/acme".to_owned(),
            invitation: Some(invitation),
            ..CreateInvitationRequest::default()
        };
        let rows = |row: &CreateInvitationRequest, count| {
            let request = BatchCreateInvitationsRequest { requests: vec![row.clone(); count], ..Default::default() };
            request.encode_to_vec()
        };
        assert_eq!(too_many(name, &rows(&row, 1000)), None);
        let empty = CreateInvitationRequest::default();
        assert_eq!(too_many(name, &rows(&empty, 5000)), None);
        assert_eq!(too_many(name, &rows(&empty, 5001)), Some("requests"));
        // nor of what no good row has
        let sent_back = Some(Invitation { deliveries: vec![Delivery::default(); 60_000], ..Invitation::default() });
        let row = CreateInvitationRequest { invitation: sent_back, ..CreateInvitationRequest::default() };
        assert_eq!(too_many(name, &rows(&row, 1)), Some("deliveries"));
        let names = BatchGetInvitationsRequest { names: vec![String::new(); 5001], ..Default::default() };
        assert_eq!(too_many(BatchGetInvitationsRequest::NAME, &names.encode_to_vec()), Some("names"));
        // the control: any other request has far fewer
        assert_eq!(too_many(CreateInvitationRequest::NAME, &row.encode_to_vec()), Some("deliveries"));
    }

    #[test]
    fn what_cannot_be_read_is_left_to_the_reader() {
        let name = CreateOrganizationRequest::NAME;
        for broken in [&[0xff][..], &[0x12, 200, 1, b'a'], &[0x12, 2, 0x2a, 9], &[0x0b], &[0x0f, 1]] {
            assert_eq!(too_many(name, broken), None, "{broken:?}");
            assert!(CreateOrganizationRequest::decode(broken).is_err(), "{broken:?}");
        }
        // and what is not known is passed over
        assert_eq!(too_many(name, &[0xfa, 0x3f, 1, b'a'].repeat(1000)), None);
    }
}
