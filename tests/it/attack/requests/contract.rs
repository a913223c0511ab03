//! Messages made up from the contract: for each RPC one whose fields are plausible, hostile or of another type.

use std::collections::HashMap;

use invitations::pb::DESCRIPTOR_SET;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use super::dice::Dice;

const PACKAGE: &str = "ipmhub.invitations.v1";
/// No message of the contract goes deeper; one that contains itself would not end.
const DEPTH: usize = 5;

/// The messages and methods of the contract.
pub struct Contract {
    methods: Vec<Method>,
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

    pub fn method(&self, dice: &mut Dice<'_>) -> &Method {
        dice.one_of(&self.methods)
    }

    /// A request for a method.
    pub fn message(&self, dice: &mut Dice<'_>, method: &Method) -> Vec<u8> {
        // one bad field is enough to be refused, so some messages have none
        let hostility = *dice.one_of(&[0, 0, 24, 120]);
        let mut message = Vec::new();
        self.write(dice, &method.input, hostility, 0, &mut message);
        message
    }

    /// Of 256 fields, as many are hostile as `hostility` says.
    fn write(&self, dice: &mut Dice<'_>, message: &str, hostility: u8, depth: usize, out: &mut Vec<u8>) {
        let Some(message) = self.messages.get(message).filter(|_| depth < DEPTH) else { return };
        for field in &message.field {
            let Ok(tag) = u32::try_from(field.number()) else { return };
            for _ in 0..times(dice, field) {
                if dice.byte() < hostility {
                    self.write_hostile(dice, tag, field.name(), out);
                    continue;
                }
                match field.r#type() {
                    Type::Message => {
                        let mut inner = Vec::new();
                        self.write(dice, field.type_name(), hostility, depth + 1, &mut inner);
                        write_bytes(tag, &inner, out);
                    }
                    Type::String | Type::Bytes => {
                        write_bytes(tag, self.fitting(dice, message.name(), field.name()), out);
                    }
                    Type::Enum => write_integer(tag, u64::from(1 + dice.byte() % 6), out),
                    Type::Bool => write_integer(tag, u64::from(dice.byte() % 2), out),
                    _ => write_integer(tag, u64::from(dice.byte()), out),
                }
            }
        }
        if dice.byte() == 255 {
            write_bytes(1 + u32::from(dice.byte()) * 1000, b"nobody knows this field", out);
        }
    }

    /// A value that may be of another type.
    fn write_hostile(&self, dice: &mut Dice<'_>, tag: u32, field: &str, out: &mut Vec<u8>) {
        let words = self.words.iter().filter(|word| field == "code" || !is_code(word)).collect::<Vec<_>>();
        match dice.byte() {
            ..8 => encode_key(tag, WireType::SixtyFourBit, out),
            8..64 => write_integer(tag, dice.integer(), out),
            64..96 => write_bytes(tag, dice.one_of(&words).as_bytes(), out),
            96..136 => {
                // one that is almost right
                let mut word = dice.one_of(&words).as_bytes().to_vec();
                let at = dice.below(word.len());
                if let Some(byte) = word.get_mut(at) {
                    *byte ^= 1 << (dice.byte() % 8);
                }
                write_bytes(tag, &word, out);
            }
            136..152 => write_bytes(tag, &vec![b'a' + dice.byte() % 26; dice.below(6000)], out),
            152..168 => write_bytes(tag, &(0..dice.byte()).map(|_| dice.byte()).collect::<Vec<_>>(), out),
            _ => write_bytes(tag, dice.one_of(&HOSTILE).as_bytes(), out),
        }
    }

    fn fitting(&self, dice: &mut Dice<'_>, message: &str, field: &str) -> &[u8] {
        let fitting = self.words.iter().filter(|word| fits(message, field, word)).collect::<Vec<_>>();
        if fitting.is_empty() { b"" } else { dice.one_of(&fitting).as_bytes() }
    }
}

/// How often a message has a field.
fn times(dice: &mut Dice<'_>, field: &FieldDescriptorProto) -> u8 {
    let chance = dice.byte();
    // what most clients leave out
    let rare = ["page_token", "request_id", "etag", "update_mask", "states", "page_size", "locale", "invitation"];
    let is_rare = rare.contains(&field.name()) && field.r#type() != Type::Message;
    match (chance % 16, field.label()) {
        (0, _) => 0,
        _ if is_rare && !chance.is_multiple_of(3) => 0,
        (15, Label::Repeated) => 250,
        (more, Label::Repeated) => more / 4,
        // twice is allowed for every field: the last one counts
        (15, _) => 2,
        _ => 1,
    }
}

/// Whether a word is a code. One in an annotation would be answered, and `tests/leaks` takes that for a leak.
fn is_code(word: &str) -> bool {
    word.len() == 34 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Whether a word is of the kind that a field takes.
fn fits(message: &str, field: &str, word: &str) -> bool {
    if is_code(word) {
        return field == "code";
    }
    let plain = |more: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.as_bytes().contains(&byte));
    let is_in = |collection| word.rsplit('/').nth(1) == Some(collection);
    match field {
        "parent" if message.contains("Account") => is_in("accounts"),
        "parent" => is_in("organizations"),
        "name" => {
            let kinds = [("Member", "members"), ("Organization", "organizations"), ("Account", "accounts")];
            let kind = kinds.into_iter().find(|(kind, _)| message.contains(kind));
            is_in(kind.map_or("invitations", |(_, collection)| collection))
        }
        "owner" => is_in("accounts"),
        "invitation" => is_in("invitations"),
        "email" | "notification_email" => word.contains('@'),
        "request_id" => word.len() == 36 && plain("-"),
        "etag" => word.len() == 16 && plain(""),
        "locale" => word.starts_with("en") || word.starts_with("de"),
        "code" | "page_token" => false,
        "display_name" => word.contains(' '),
        "username" | "account_id" | "organization_id" => plain(""),
        "allowed_providers" => word == "github",
        "allowed_email_domains" | "blocked_email_domains" => word.contains('.') && plain("."),
        "paths" => word == "*" || plain("_."),
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
const HOSTILE: [&str; 38] = [
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
