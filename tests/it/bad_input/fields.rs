//! Ways to spoil the fields of a request.

use std::rc::Rc;

use prost::Message;
use tonic::Code;

use super::{Expected, Row};
use crate::support::Person;

/// What an RPC takes: a request whose fields are all set and good, and how each of them goes bad.
pub(super) struct Form<M> {
    pub rpc: &'static str,
    /// Whose call it is.
    pub caller: Person,
    /// Somebody whom the good request is refused, for another reason than its fields.
    pub control: Person,
    pub good: M,
    /// In the order in which the service names them.
    pub fields: Vec<Field<M>>,
}

/// A field and its bad values.
pub(super) struct Field<M> {
    path: &'static str,
    is_required: bool,
    bad: Vec<Bad<M>>,
}

struct Bad<M> {
    what: String,
    /// Where nothing else is bad.
    reason: &'static str,
    /// Of the field, where it is one for certain.
    why: Option<&'static str>,
    spoil: Rc<dyn Fn(&mut M)>,
}

/// Where a field stands in its request.
type Text<M> = fn(&mut M) -> &mut String;
type Number<M> = fn(&mut M) -> &mut i32;
type Spoil<M> = fn(&mut M);

impl<M: Message + Clone + Default + 'static> Form<M> {
    /// Each bad value alone; all fields at once; nothing given; what is no message; and the control.
    pub(super) fn rows(&self) -> Vec<Row> {
        let row = |what: String, message: Vec<u8>, expected| Row {
            rpc: self.rpc,
            what,
            token: self.caller.token.clone(),
            message,
            expected,
        };
        let all = |fields: Vec<&'static str>| Expected::Fields("FIELD_INVALID", fields);
        let mut rows = Vec::new();
        let mut worst = self.good.clone();
        for field in &self.fields {
            for bad in &field.bad {
                let mut message = self.good.clone();
                (bad.spoil)(&mut message);
                let expected = match bad.why {
                    Some(why) => Expected::FieldsAs(bad.reason, vec![field.path], why),
                    None => Expected::Fields(bad.reason, vec![field.path]),
                };
                rows.push(row(format!("{} {}", field.path, bad.what), message.encode_to_vec(), expected));
            }
            (field.bad[0].spoil)(&mut worst);
        }
        let paths = self.fields.iter().map(|field| field.path).collect::<Vec<_>>();
        if paths.len() > 1 {
            rows.push(row("everything bad".to_owned(), worst.encode_to_vec(), all(paths)));
        }
        let required = self.fields.iter().filter(|field| field.is_required).map(|field| field.path).collect::<Vec<_>>();
        if !required.is_empty() {
            let missing = Expected::FieldsAs("FIELD_INVALID", required, "FIELD_MISSING");
            rows.push(row("nothing given".to_owned(), Vec::new(), missing));
        }
        // field 1 of every request is a text, a message or a number, for which these bytes are neither
        rows.push(row("not UTF-8".to_owned(), vec![0x0a, 2, 0xff, 0xfe], Expected::Unreadable));
        rows.push(row("cut off".to_owned(), vec![0x0a, 200, 1, b'a'], Expected::Unreadable));
        rows.push(row(
            "100 KB".to_owned(),
            [vec![0x0a, 0xa0, 0x8d, 0x06], vec![b'a'; 100_000]].concat(),
            Expected::Unreadable,
        ));
        let mut control = row("control".to_owned(), self.good.encode_to_vec(), Expected::GoodFields);
        control.token.clone_from(&self.control.token);
        rows.push(control);
        rows
    }
}

impl<M> Field<M> {
    /// Nothing else is bad, and it has a reason of its own.
    pub(super) fn because(mut self, reason: &'static str) -> Self {
        for bad in &mut self.bad {
            (bad.reason, bad.why) = (reason, Some("FIELD_MALFORMED"));
        }
        self
    }

    /// What the field is told.
    pub(super) fn told(mut self, why: &'static str) -> Self {
        for bad in &mut self.bad {
            bad.why = Some(why);
        }
        self
    }

    /// More bad values.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.bad.extend(other.bad);
        self
    }
}

/// The field has to be given.
pub(super) fn required<M>(field: Field<M>) -> Field<M> {
    Field { is_required: true, ..field }
}

/// A text with these bad values and with its good one (`good`) bent in the ways that no field takes: NUL, control and
/// bidirectional characters, line ends, far too long.
pub(super) fn text<M: 'static>(path: &'static str, of: Text<M>, good: &str, bad: &[&str]) -> Field<M> {
    let bent =
        ["\0", "\u{1}", "\r\nBcc: eve@example.com", "\u{202e}", "\u{200b}", &"x".repeat(300), &"x".repeat(60_000)];
    let bent = bent.into_iter().map(|end| format!("{good}{end}")).chain(["\0".to_owned(), "\u{1b}[2J".to_owned()]);
    // first a value that is bad however the others are
    texts(path, of, bad.iter().map(|value| (*value).to_owned()).chain(bent))
}

/// A text with these bad values only.
pub(super) fn texts<M: 'static>(path: &'static str, of: Text<M>, bad: impl IntoIterator<Item = String>) -> Field<M> {
    let bad = bad.into_iter().map(|value| {
        let what = if value.len() > 100 { format!("of {} bytes", value.len()) } else { format!("{value:?}") };
        // no good text has over 2048 bytes
        let why = match value.len() {
            0 => Some("FIELD_MISSING"),
            2049.. => Some("FIELD_TOO_LONG"),
            _ => None,
        };
        let spoil = Rc::new(move |message: &mut M| value.clone_into(of(message)));
        Bad { what, reason: "FIELD_INVALID", why, spoil }
    });
    Field { path, is_required: false, bad: bad.collect() }
}

/// An enum with these bad values.
pub(super) fn numbers<M: 'static>(path: &'static str, of: Number<M>, bad: &[i32]) -> Field<M> {
    let bad = bad.iter().map(|&value| Bad {
        what: value.to_string(),
        reason: "FIELD_INVALID",
        why: Some(if value == 0 { "FIELD_MISSING" } else { "FIELD_UNKNOWN_VALUE" }),
        spoil: Rc::new(move |message: &mut M| *of(message) = value),
    });
    Field { path, is_required: false, bad: bad.collect() }
}

/// Anything else.
pub(super) fn other<M: 'static>(path: &'static str, bad: &[(&'static str, Spoil<M>)]) -> Field<M> {
    let bad = bad.iter().map(|&(what, spoil)| Bad {
        what: what.to_owned(),
        reason: "FIELD_INVALID",
        why: None,
        spoil: Rc::new(spoil),
    });
    Field { path, is_required: false, bad: bad.collect() }
}

pub(super) fn organization<M: 'static>(path: &'static str, of: Text<M>) -> Field<M> {
    let bad =
        ["", "acme", "organizations/", "organizations/Acme", "organizations/-", "accounts/acme", "/organizations/acme"];
    let bad = [&bad[..], &["organizations/acme/", "organizations/acme/members/max"]].concat();
    required(text(path, of, "organizations/acme", &bad))
}

pub(super) fn invitation<M: 'static>(path: &'static str, of: Text<M>) -> Field<M> {
    let good = "organizations/acme/invitations/01900000-0000-7000-8000-00000000000a";
    let upper = good.replace('a', "A");
    let bad = ["", "organizations/acme", "organizations/acme/invitations/", "organizations/acme/invitations/1", &upper];
    required(text(path, of, good, &[&bad[..], &["organizations/acme/members/max", "invitations/x"]].concat()))
}

pub(super) fn member<M: 'static>(path: &'static str, of: Text<M>) -> Field<M> {
    let bad = ["", "organizations/acme", "organizations/acme/members/", "organizations/acme/members/M", "members/max"];
    required(text(path, of, "organizations/acme/members/max", &bad))
}

pub(super) fn account<M: 'static>(path: &'static str, of: Text<M>) -> Field<M> {
    required(text(path, of, "accounts/olga", &["", "accounts/", "accounts/Olga", "Olga", "organizations/olga"]))
}

/// Not the caller's own.
pub(super) fn other_account<M: 'static>(path: &'static str, of: Text<M>) -> Field<M> {
    account(path, of).and(texts(path, of, ["accounts/me", "me", "an", "an--na"].map(str::to_owned)))
}

/// The last part of a name, to be chosen; some are nobody's.
pub(super) fn id<M: 'static>(path: &'static str, of: Text<M>) -> Field<M> {
    username(path, of).and(texts(path, of, ["admin", "support", "ipmhub"].map(str::to_owned)))
}

pub(super) fn username<M: 'static>(path: &'static str, of: Text<M>) -> Field<M> {
    required(text(path, of, "anna", &["", "an", "me", "Anna", "1anna", "an--na", "anna-", "änna", "accounts/anna"]))
}

pub(super) fn email<M: 'static>(path: &'static str, of: Text<M>) -> Field<M> {
    let long = format!("{}@example.com", "a".repeat(65));
    let bad =
        ["anna", "anna@example", "@example.com", "a@b@c.de", "a@[127.0.0.1]", "Anna <a@b.cd>", "a@b.cd,c@d.ef", &long];
    let bad = [&bad[..], &["b.cd/a@example.com", "www.b.cd@example.com", "a%b.cd@example.com"]].concat();
    text(path, of, "anna@example.com", &bad)
}

pub(super) fn display_name<M: 'static>(path: &'static str, of: Text<M>) -> Field<M> {
    text(path, of, "Anna", &[" Anna", "see example.com", "https://x", "a@b", "<b>", &"ü".repeat(65)])
}

pub(super) fn locale<M: 'static>(path: &'static str, of: Text<M>) -> Field<M> {
    text(path, of, "de", &["d", "de_AT", "de-", "-", "1a", "de-toolongapart", "../de"])
}

pub(super) fn etag<M: 'static>(path: &'static str, of: Text<M>) -> Field<M> {
    text(path, of, "b40711a88c703975", &["W/\"1\"", "\"b40711a88c703975\"", "b40711a88c703975 ", "*", "ü"])
}

pub(super) fn request_id<M: 'static>(of: Text<M>) -> Field<M> {
    let good = "0b7e6c0a-5a3e-4a59-9a4c-0d3c5d1f8f11";
    let (braces, plain, urn) = (format!("{{{good}}}"), good.replace('-', ""), format!("urn:uuid:{good}"));
    let nil = "00000000-0000-0000-0000-000000000000";
    text("request_id", of, good, &["1", &braces, &plain, &urn, nil, "gggggggg-5a3e-4a59-9a4c-0d3c5d1f8f11"])
}

/// Of a list that takes none of the `foreign` tokens.
pub(super) fn page_token<M: 'static>(of: Text<M>, foreign: &[&String]) -> Field<M> {
    let foreign = foreign.iter().map(|token| token.as_str()).collect::<Vec<_>>();
    text("page_token", of, "AAAAAAAAAABhbm5h", &[&["x", "/////", "AAAA="][..], &foreign].concat())
        .because("PAGE_TOKEN_INVALID")
}

pub(super) fn page_size<M: 'static>(of: Number<M>) -> Field<M> {
    numbers("page_size", of, &[-1, i32::MIN]).told("FIELD_OUT_OF_RANGE")
}

pub(super) fn role<M: 'static>(path: &'static str, of: Number<M>) -> Field<M> {
    numbers(path, of, &[99, -1, i32::MAX])
}

/// The same for a role that has to be given.
pub(super) fn required_role<M: 'static>(path: &'static str, of: Number<M>) -> Field<M> {
    required(numbers(path, of, &[0, 99, -1]))
}

/// A refusal that names no field.
pub(super) fn refusal(
    rpc: &'static str,
    what: impl Into<String>,
    caller: &Person,
    message: &impl Message,
    code: Code,
    reason: &'static str,
) -> Row {
    let (token, message) = (caller.token.clone(), message.encode_to_vec());
    Row { rpc, what: what.into(), token, message, expected: Expected::Refusal(code, reason) }
}
