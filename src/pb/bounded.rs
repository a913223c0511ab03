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

use super::DESCRIPTOR_SET;

/// Texts and messages within one request, each entry of a list counted. The largest good one, three full lists of a policy
/// and every path of a mask, has fewer than 350.
const MOST_PARTS: usize = 400;

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
            let mut left = MOST_PARTS;
            let counted = count(request, buffer.chunk(), &mut left);
            counted.map_err(|TooMany(field)| {
                Status::out_of_range(format!("with {field} it has over {MOST_PARTS} parts"))
            })?;
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

/// Counts the parts of a message. What cannot be read ends the count: it will not be read after it either.
fn count(shape: &Shape, mut message: &[u8], left: &mut usize) -> Result<(), TooMany> {
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
        *left = left.checked_sub(1).ok_or(TooMany(part.name))?;
        if let Some(shape) = &part.message {
            count(shape, content, left)?;
        }
        message = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{CreateOrganizationRequest, Invitation, Organization, Policy};

    fn request(domains: usize) -> Vec<u8> {
        let policy = Policy { allowed_email_domains: vec![String::new(); domains], ..Policy::default() };
        let organization = Organization { policy: Some(policy), ..Organization::default() };
        let request = CreateOrganizationRequest { organization: Some(organization), ..Default::default() };
        request.encode_to_vec()
    }

    fn too_many(name: &str, message: &[u8]) -> Option<&'static str> {
        count(&REQUESTS[name], message, &mut { MOST_PARTS }).err().map(|TooMany(field)| field)
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
