//! Refusing a request costs the same whatever its fields hold: lengths and counts are checked before anything is made of
//! them. Counted by what is allocated for a whole call, on both of its sides, which does not depend on the machine.

use allocation_counter::{AllocationInfo, measure};
use invitations::domain::{DisplayName, EmailAddress, InvitationCode};
use invitations::pb;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use tokio::runtime::{Builder, Runtime};
use unicode_normalization::UnicodeNormalization;

use super::{ALL_SCOPES, methods, wire};
use crate::support::{Person, Service, reason};

/// As much of one field as a request has room for, in bytes.
const LARGEST: usize = 60_000;
/// Of several calls the cheapest counts: the others did something else beside.
const TRIES: usize = 3;
/// The bytes of a message are held by the client, the transport and the service, some of them twice while buffers grow.
const COPIES: u64 = 16;

/// The address that took 25 ms to refuse.
fn labels() -> String {
    format!("a@{}", vec!["\u{4e2d}".repeat(900); 22].join("."))
}

/// What a field may hold where it is a text.
fn texts() -> Vec<String> {
    let of = |text: &str| text.repeat(LARGEST / text.len());
    vec![of("a"), of("/"), of("a."), of("\u{fdfa}"), of("e\u{301}"), of("\u{200b}"), of("-"), labels()]
}

fn field_of(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut bytes);
    encode_varint(content.len() as u64, &mut bytes);
    [bytes, content.to_vec()].concat()
}

/// One value over and over.
fn list_of(number: u32, content: &[u8]) -> Vec<u8> {
    let entry = field_of(number, content);
    entry.repeat(LARGEST / entry.len())
}

/// Messages in which one field is as large as can be, each with the field's path.
fn largest(files: &FileDescriptorSet, message: &DescriptorProto) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for field in &message.field {
        let number = u32::try_from(field.number()).unwrap();
        let is_list = field.label() == Label::Repeated;
        let values: Vec<(String, Vec<u8>)> = match field.r#type() {
            Type::String if is_list => ["", "a", "example.com", "policy.offer_lifetime", &"\u{4e2d}".repeat(6000)]
                .map(|entry| (String::new(), list_of(number, entry.as_bytes())))
                .into(),
            Type::String => {
                texts().into_iter().map(|text| (String::new(), field_of(number, text.as_bytes()))).collect()
            }
            Type::Enum if is_list => vec![(String::new(), field_of(number, &[1; LARGEST]))],
            Type::Message => of_message(files, field, number, is_list),
            _ => Vec::new(),
        };
        let named = |(below, bytes): (String, Vec<u8>)| (format!("{}{below}", field.name()), bytes);
        all.extend(values.into_iter().map(named));
    }
    all
}

fn of_message(
    files: &FileDescriptorSet,
    field: &FieldDescriptorProto,
    number: u32,
    is_list: bool,
) -> Vec<(String, Vec<u8>)> {
    let parts = largest(files, message_of(files, field.type_name()));
    let wrapped = parts.into_iter().map(|(path, bytes)| (format!(".{path}"), field_of(number, &bytes)));
    // the same message again and again is put together to one
    let again = list_of(number, &[]);
    let mut all = wrapped.collect::<Vec<_>>();
    all.push((if is_list { " as a list" } else { " again and again" }.to_owned(), again));
    all
}

fn message_of<'a>(files: &'a FileDescriptorSet, name: &str) -> &'a DescriptorProto {
    // an entry of a map is a message within the one that has the map
    fn within<'a>(messages: &'a [DescriptorProto], outer: &str, name: &str) -> Option<&'a DescriptorProto> {
        messages.iter().find_map(|message| {
            let full = format!("{outer}.{}", message.name());
            if full == name { Some(message) } else { within(&message.nested_type, &full, name) }
        })
    }
    let named =
        |file: &'a prost_types::FileDescriptorProto| within(&file.message_type, &format!(".{}", file.package()), name);
    files.file.iter().find_map(named).unwrap()
}

/// Lists of which each entry is looked at, as it has an answer of its own: they have lengths of their own
/// (`tests/it/bulk`).
const OF_ROWS: [(&str, &str); 2] = [("BatchCreateInvitations", "requests as a list"), ("BatchGetInvitations", "names")];

/// A service on the thread of the test, where allocations are counted.
struct Bench {
    runtime: Runtime,
    service: Service,
}

impl Bench {
    fn call(&self, path: &str, person: &Person, message: &[u8]) -> String {
        reason(self.runtime.block_on(wire::call(&self.service.channel, path, &person.token, message)))
    }

    /// What a call that is refused for its fields takes.
    fn cost(&self, path: &str, person: &Person, message: &[u8]) -> AllocationInfo {
        let costs = (0..TRIES).map(|_| {
            let mut refused = String::new();
            let cost = measure(|| refused = self.call(path, person, message));
            assert_eq!(refused, "FIELD_INVALID", "{path}");
            cost
        });
        costs.min_by_key(|cost| cost.count_total).unwrap()
    }
}

#[test]
fn no_field_of_any_rpc_costs_more_to_refuse_than_an_empty_one() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (service, olga) = runtime.block_on(async {
        let service = Service::start().await;
        let olga = service.owner("olga", "acme").await;
        (service, olga)
    });
    let admin = service.service("admin", ALL_SCOPES);
    let bench = Bench { runtime, service };
    let files = FileDescriptorSet::decode(pb::DESCRIPTOR_SET).unwrap();
    let (mut wrong, mut most, mut requests) = (Vec::new(), 0, 0);
    let mut least = u64::MAX;
    for (rpc, (path, _)) in methods() {
        // one takes an empty request, and is refused for a number
        let least_bad = pb::ListOrganizationsRequest { page_size: -1, ..Default::default() }.encode_to_vec();
        let bad = if rpc == "ListOrganizations" { least_bad } else { Vec::new() };
        let caller = [&olga, &admin].into_iter().find(|caller| bench.call(&path, caller, &bad) == "FIELD_INVALID");
        let caller = caller.unwrap_or_else(|| panic!("{rpc} is refused for its fields"));
        let empty = bench.cost(&path, caller, &bad);
        least = least.min(empty.count_total);
        let all = largest(&files, message_of(&files, &format!(".ipmhub.invitations.v1.{rpc}Request")));
        for (field, message) in all.into_iter().filter(|(field, _)| !OF_ROWS.contains(&(&*rpc, field.as_str()))) {
            let message = [&bad[..], &message].concat();
            let cost = bench.cost(&path, caller, &message);
            let most_bytes = 2 * empty.bytes_total + COPIES * message.len() as u64;
            if cost.count_total > 2 * empty.count_total || cost.bytes_total > most_bytes {
                wrong.push(format!(
                    "{rpc}, {field}: {} allocations of {} bytes instead of {} of {}",
                    cost.count_total, cost.bytes_total, empty.count_total, empty.bytes_total
                ));
            }
            most = most.max(cost.count_total);
            requests += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {requests}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(requests > 200, "{requests} requests");

    // the controls: what was done before anything was checked is seen by such counts
    let list = list_of(2, &field_of(5, &field_of(1, b"a.example")));
    let read = measure(|| drop(pb::CreateOrganizationRequest::decode(&*list)));
    assert!(read.count_total > 2 * most && read.count_total > 4 * least, "{} to read a list", read.count_total);
    bench.runtime.block_on(bench.service.stop());
}

/// Of a text that is too long nothing is made at all. Alone, because beside a whole call it would not be seen.
#[test]
fn nothing_is_made_of_a_text_that_is_too_long() {
    let (address, name) = (labels(), "\u{fdfa}".repeat(LARGEST / 3));
    let refused = measure(|| {
        assert!(EmailAddress::parse(&address).is_none());
        assert!(DisplayName::parse(&name).is_none());
        assert!(InvitationCode::is_too_long(&address));
    });
    assert_eq!(refused.count_total, 0);
    // the controls: what was made of them before
    let compared = measure(|| drop((address.nfc().collect::<String>(), idna::domain_to_ascii_strict(&address[2..]))));
    assert!(compared.bytes_total > 4 * address.len() as u64, "{} bytes", compared.bytes_total);
    let written_out = measure(|| drop(name.nfkc().collect::<String>()));
    assert!(written_out.bytes_total > 4 * name.len() as u64, "{} bytes", written_out.bytes_total);
}
