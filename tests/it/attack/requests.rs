//! Requests made up from the contract: for each RPC a message whose fields are plausible, hostile or of another type.
//!
//! The fuzz target in `fuzz/` includes this file, so it depends on nothing of the tests.

use std::collections::HashMap;

use invitations::pb::DESCRIPTOR_SET;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

const PACKAGE: &str = "ipmhub.invitations.v1";
/// No message of the contract goes deeper; one that contains itself would not end.
const DEPTH: usize = 5;

/// What decides. When it is used up it says 0, which ends every list and leaves every field out.
pub struct Dice<'a>(&'a [u8]);

impl<'a> Dice<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % count.max(1)
    }

    fn one_of<'b, T>(&mut self, choice: &'b [T]) -> &'b T {
        &choice[self.below(choice.len())]
    }

    fn integer(&mut self) -> u64 {
        match self.byte() % 8 {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => u64::from(u32::MAX >> 1),
            4 => u64::MAX << 31,
            5 => 1 << 63,
            6 => u64::from(self.byte()),
            _ => (0..8).fold(0, |sum, _| sum << 8 | u64::from(self.byte())),
        }
    }
}

/// The messages and methods of the contract.
pub struct Contract {
    pub methods: Vec<Method>,
    messages: HashMap<String, DescriptorProto>,
    /// Strings that mean something to the service that is asked.
    words: Vec<String>,
}

/// An RPC.
pub struct Method {
    pub path: String,
    input: String,
}

impl Contract {
    pub fn new(words: Vec<String>) -> Self {
        let files = FileDescriptorSet::decode(DESCRIPTOR_SET).expect("the descriptor set can be read").file;
        let mut contract = Self { methods: Vec::new(), messages: HashMap::new(), words };
        for file in files {
            for message in &file.message_type {
                contract.add(&format!(".{}", file.package()), message);
            }
            for service in file.service.iter().filter(|_| file.package() == PACKAGE) {
                let method = |method: &prost_types::MethodDescriptorProto| Method {
                    path: format!("/{PACKAGE}.{}/{}", service.name(), method.name()),
                    input: method.input_type().to_owned(),
                };
                let unary = service.method.iter().filter(|method| !method.server_streaming());
                contract.methods.extend(unary.map(method));
            }
        }
        contract
    }

    fn add(&mut self, scope: &str, message: &DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.add(&name, nested);
        }
        self.messages.insert(name, message.clone());
    }

    /// A method and a request for it.
    pub fn request(&self, dice: &mut Dice<'_>) -> (&Method, Vec<u8>) {
        let method = dice.one_of(&self.methods);
        let mut request = Vec::new();
        self.write(dice, &method.input, 0, &mut request);
        (method, request)
    }

    fn write(&self, dice: &mut Dice<'_>, message: &str, depth: usize, out: &mut Vec<u8>) {
        let Some(message) = self.messages.get(message).filter(|_| depth < DEPTH) else { return };
        for field in &message.field {
            let chance = dice.byte();
            // what most clients leave out
            let rare =
                ["page_token", "request_id", "etag", "update_mask", "states", "page_size", "locale", "invitation"];
            let is_rare = rare.contains(&field.name()) && field.r#type() != Type::Message;
            let times = match (chance % 8, field.label()) {
                (0, _) => 0,
                _ if is_rare && !chance.is_multiple_of(3) => 0,
                (7, Label::Repeated) => 250,
                (more, Label::Repeated) => more / 2,
                // twice is allowed for every field: the last one counts
                (7, _) => 2,
                _ => 1,
            };
            for _ in 0..times {
                self.write_field(dice, field, depth, out);
            }
        }
        if dice.byte() == 255 {
            write_bytes(1 + u32::from(dice.byte()) * 1000, b"nobody knows this field", out);
        }
    }

    fn write_field(&self, dice: &mut Dice<'_>, field: &FieldDescriptorProto, depth: usize, out: &mut Vec<u8>) {
        let Ok(tag) = u32::try_from(field.number()) else { return };
        match (field.r#type(), dice.byte()) {
            (_, 250) => write_integer(tag, dice.integer(), out),
            (_, 251) => write_bytes(tag, self.text(dice, field.name()).as_slice(), out),
            (_, 252) => encode_key(tag, WireType::SixtyFourBit, out),
            (Type::Message, _) => {
                let mut inner = Vec::new();
                self.write(dice, field.type_name(), depth + 1, &mut inner);
                write_bytes(tag, &inner, out);
            }
            (Type::String | Type::Bytes, _) => write_bytes(tag, self.text(dice, field.name()).as_slice(), out),
            (Type::Enum, chance) if chance < 230 => write_integer(tag, u64::from(1 + chance % 6), out),
            (Type::Int32, chance) if chance < 200 => write_integer(tag, u64::from(chance), out),
            (Type::Bool, chance) => write_integer(tag, u64::from(chance % 2), out),
            _ => write_integer(tag, dice.integer(), out),
        }
    }

    fn text(&self, dice: &mut Dice<'_>, field: &str) -> Vec<u8> {
        match dice.byte() {
            0..140 => {
                let fitting = self.words.iter().filter(|word| fits(field, word)).collect::<Vec<_>>();
                if fitting.is_empty() { Vec::new() } else { dice.one_of(&fitting).as_bytes().to_vec() }
            }
            140..160 if !self.words.is_empty() => dice.one_of(&self.words).as_bytes().to_vec(),
            160..180 if !self.words.is_empty() => {
                // one that is almost right
                let mut word = dice.one_of(&self.words).as_bytes().to_vec();
                let at = dice.below(word.len());
                if let Some(byte) = word.get_mut(at) {
                    *byte ^= 1 << (dice.byte() % 8);
                }
                word
            }
            180..190 => vec![b'a' + dice.byte() % 26; dice.below(6000)],
            190..200 => (0..dice.byte()).map(|_| dice.byte()).collect(),
            _ => dice.one_of(&HOSTILE).as_bytes().to_vec(),
        }
    }
}

/// Whether a word is of the kind that a field takes.
fn fits(field: &str, word: &str) -> bool {
    match field {
        "name" | "parent" => word.contains('/') && !word.starts_with("W/"),
        "owner" => word.starts_with("accounts/"),
        "email" | "notification_email" => word.contains('@'),
        "request_id" => word.len() == 36 && word.contains('-'),
        "etag" => word.starts_with("W/"),
        "code" => word.len() == 34,
        "locale" => word.starts_with("en") || word.starts_with("de"),
        "page_token" => false,
        "display_name" => word.contains(' '),
        "username" | "account_id" | "organization_id" => word.bytes().all(|byte| byte.is_ascii_lowercase()),
        _ => true,
    }
}

fn write_integer(tag: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(tag, WireType::Varint, out);
    encode_varint(value, out);
}

fn write_bytes(tag: u32, value: &[u8], out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// What has broken other services.
const HOSTILE: [&str; 40] = [
    "",
    " ",
    "\0",
    "a\0b",
    "\r\n",
    "*",
    "-",
    "/",
    "//",
    "..",
    "%00",
    "%s%n",
    "{{ code }}",
    "'; DROP TABLE emails; --",
    "\\",
    "\"",
    "\u{feff}",
    "\u{202e}",
    "\u{200b}",
    "\u{10ffff}",
    "\u{fffe}",
    "e\u{301}\u{301}\u{301}",
    "İ",
    "ß",
    "=?utf-8?q?=00?=",
    "<script>",
    "organizations/",
    "organizations//invitations/",
    "organizations/acme/invitations/00000000-0000-0000-0000-000000000000",
    "organizations/acme/invitations/ffffffff-ffff-ffff-ffff-ffffffffffff",
    "organizations/a/members/me",
    "accounts/-",
    "a@b",
    "@",
    "anna@xn--a.example",
    "anna@\u{1f4a9}.example",
    "W/\"0\"",
    "9223372036854775808",
    "0000-0000-0000-0000-0000-0000-0000",
    "00000000-0000-0000-0000-000000000000",
];
