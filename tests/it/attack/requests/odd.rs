//! What may be odd about a call beside its message.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::TE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::dice::Dice;
use super::wire::{Request, prefixed};

/// Leaves most requests as they are: what is odd is refused early, so that little of the service is reached.
pub fn make(dice: &mut Dice<'_>, request: &mut Request) {
    let count = match dice.byte() {
        ..200 => 0,
        200..240 => 1,
        _ => 2,
    };
    for _ in 0..count {
        match dice.byte() % 8 {
            0 => request.method = Method::from_bytes(dice.one_of(&METHODS).as_bytes()).unwrap(),
            1 => request.path = path(dice, &request.path),
            2 => headers(dice, &mut request.headers),
            3 => headers(dice, request.trailers.get_or_insert_default()),
            4 => prefix(dice, &mut request.body),
            5 => length(dice, &mut request.body),
            6 => compress(dice, request),
            _ if dice.byte() < 32 => request.leaves = true,
            // not too many: each costs a frame's header in the memory of both sides
            _ => request.frame = (request.body.len() / 100).max(1 + dice.below(64)),
        }
    }
}

fn path(dice: &mut Dice<'_>, path: &str) -> String {
    match dice.byte() % 4 {
        0 => format!("{path}{}", dice.one_of(&ENDS)),
        1 => {
            let (start, end) = path.split_at(dice.below(path.len()));
            format!("{start}{}{end}", dice.one_of(&ENDS))
        }
        2 => path.to_ascii_lowercase(),
        _ => (*dice.one_of(&PATHS)).to_owned(),
    }
}

fn headers(dice: &mut Dice<'_>, headers: &mut HeaderMap) {
    let (name, values) = dice.one_of(&HEADERS);
    let (chance, values) = (dice.byte(), if dice.byte() < 32 { dice.one_of(&HEADERS).1 } else { values });
    let value = match chance {
        ..16 => HeaderValue::from_bytes(&vec![b'a' + dice.byte() % 26; dice.below(4000)]).ok(),
        16..32 => HeaderValue::from_bytes(&[dice.byte(), dice.byte(), dice.byte()]).ok(),
        32..192 => values.get(dice.below(values.len())).map(|value| HeaderValue::from_static(value)),
        _ => None,
    };
    let name = HeaderName::from_static(name);
    match value {
        // of this one h2 sends no value that is odd
        Some(value) if name != TE && dice.byte() < 64 => drop(headers.append(name, value)),
        Some(value) if name != TE => drop(headers.insert(name, value)),
        _ => drop(headers.remove(name)),
    }
}

fn prefix(dice: &mut Dice<'_>, body: &mut [u8]) {
    let at = dice.below(5);
    if let Some(byte) = body.get_mut(at) {
        *byte = if dice.byte() < 128 { 1 } else { dice.byte() };
    }
}

fn length(dice: &mut Dice<'_>, body: &mut Vec<u8>) {
    match dice.byte() % 4 {
        0 => body.clear(),
        1 => body.truncate(dice.below(body.len())),
        2 => body.extend_from_within(..),
        _ => body.extend((0..dice.byte() % 8).map(|_| dice.byte())),
    }
}

/// With the header that belongs to it, most of the time.
fn compress(dice: &mut Dice<'_>, request: &mut Request) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(request.body.get(5..).unwrap_or_default()).unwrap();
    let mut message = encoder.finish().unwrap();
    if dice.byte() < 64 {
        let at = dice.below(message.len());
        message[at] ^= 1 << (dice.byte() % 8);
    }
    request.body = prefixed(1, &message);
    if dice.byte() < 224 {
        request.headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    }
}

const METHODS: [&str; 8] = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"];

const ENDS: [&str; 8] = ["", "/", "//", "?", "?name=organizations/acme", "%2f", "%00", "/GetInvitation"];

const PATHS: [&str; 14] = [
    "",
    "/",
    "//",
    "/*",
    "/favicon.ico",
    "/v1/organizations/acme",
    "/ipmhub.invitations.v1.InvitationService",
    "/ipmhub.invitations.v1.InvitationService/",
    "/ipmhub.invitations.v1.InvitationService/GetInvitation/GetInvitation",
    "/ipmhub.invitations.v2.InvitationService/GetInvitation",
    "/ipmhub.invitations.v1.OrganizationService/GetInvitation",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

const HEADERS: [(&str, &[&str]); 16] = [
    (
        "content-type",
        &[
            "application/grpc",
            "application/grpc+json",
            "application/grpc-web",
            "application/json",
            "text/html; charset=x",
        ],
    ),
    ("te", &[]),
    ("grpc-encoding", &["gzip", "identity", "deflate", "zstd", "gzip,identity", ""]),
    ("grpc-accept-encoding", &["gzip", "identity", "*", ""]),
    ("grpc-timeout", &["1n", "1u", "2m", "0S", "10S", "99999999H", "-1S", "5", ""]),
    (
        "authorization",
        &["Bearer", "Bearer ", "bearer a.b.c", "Bearer eyJhbGciOiJub25lIn0.e30.", "Basic YTpi", "Bearer !!!", ""],
    ),
    ("x-request-id", &["1", "!!!", ""]),
    ("idempotency-key", &["7d9bd3a2-3c0e-4fd0-9d2b-0a3a1f0a8b11", "\"7d9bd3a2-3c0e-4fd0-9d2b-0a3a1f0a8b11\"", "1", ""]),
    ("if-match", &["b40711a88c703975", "\"b40711a88c703975\"", "*", "W/\"1\"", ""]),
    ("grpc-trace-bin", &["AAAA", "!!!", ""]),
    ("grpc-status", &["0", "13", "99"]),
    ("grpc-message", &["%", "%ff"]),
    ("grpc-status-details-bin", &["CA0", "!!!"]),
    ("host", &["evil.example", ""]),
    ("expect", &["100-continue", "?"]),
    ("range", &["bytes=0-0"]),
];
