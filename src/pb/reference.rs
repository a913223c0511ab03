//! The contract as docs/api.md shows it: the comments of the protos, with links.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, MethodDescriptor,
    ServiceDescriptor, Value,
};

const PACKAGE: &str = "ipmhub.invitations.v1";
const REASONS: &str = "ErrorReason";
/// What the paragraphs of a comment begin with that are shown as a list.
const LABELS: [&str; 11] =
    ["Who", "Which invitation", "From", "Writes", "Limits", "Order", "Checkpoints", "End", "Reasons", "Metadata", "Do"];

/// An answer that fails with this reason.
pub struct Example {
    pub http: u16,
    pub code: &'static str,
    pub json: String,
}

/// Markdown of services, messages, enums and reasons, with an example of each reason.
pub fn markdown(pool: &DescriptorPool, examples: &BTreeMap<String, Example>) -> String {
    let page = Page::new(pool, examples);
    let mut text = page.contents();
    for service in &page.services {
        text += &page.service(service);
    }
    text += "\n## Messages\n";
    for message in &page.messages {
        let comment = page.comment(&message.parent_file(), message.path());
        write!(text, "\n### {}\n\n{comment}\n\n{}", local(message.full_name()), page.fields(message)).ok();
    }
    text += "\n## Enums\n";
    for one in page.enums.iter().filter(|one| one.name() != REASONS) {
        text += &page.one_enum(one);
    }
    text + &page.reasons()
}

struct Page<'a> {
    examples: &'a BTreeMap<String, Example>,
    services: Vec<ServiceDescriptor>,
    /// Without the requests, which stand at their RPCs.
    messages: Vec<MessageDescriptor>,
    enums: Vec<EnumDescriptor>,
    /// What has a heading of its own and is linked wherever it is named.
    linked: BTreeSet<String>,
}

impl<'a> Page<'a> {
    fn new(pool: &DescriptorPool, examples: &'a BTreeMap<String, Example>) -> Self {
        let services = pool.services().filter(|one| one.package_name() == PACKAGE).collect::<Vec<_>>();
        let rpcs = services.iter().flat_map(ServiceDescriptor::methods).collect::<Vec<_>>();
        let requests = rpcs.iter().map(|rpc| rpc.input().full_name().to_owned()).collect::<BTreeSet<_>>();
        let messages =
            pool.all_messages().filter(|one| one.package_name() == PACKAGE && !requests.contains(one.full_name()));
        let enums = pool.all_enums().filter(|one| one.package_name() == PACKAGE).collect::<Vec<_>>();
        // a reason that is also a value of another enum is linked at "Reasons:" only
        let mut values = BTreeMap::<_, usize>::new();
        for value in enums.iter().flat_map(EnumDescriptor::values) {
            *values.entry(value.name().to_owned()).or_default() += 1;
        }
        let mut linked = rpcs.iter().map(|rpc| rpc.name().to_owned()).collect::<BTreeSet<_>>();
        linked.extend(examples.keys().filter(|reason| values.get(*reason) == Some(&1)).cloned());
        Self { examples, messages: messages.collect(), services, enums, linked }
    }

    fn contents(&self) -> String {
        let mut text = "## Contents\n\n".to_owned();
        for service in &self.services {
            let rpcs = service.methods().map(|rpc| link(rpc.name())).collect::<Vec<_>>();
            writeln!(text, "- {}: {}", link(service.name()), rpcs.join(", ")).ok();
        }
        let names = |names: Vec<&str>| names.into_iter().map(|name| link(local(name))).collect::<Vec<_>>().join(", ");
        let messages = names(self.messages.iter().map(MessageDescriptor::full_name).collect());
        let enums = self.enums.iter().map(EnumDescriptor::full_name).filter(|name| local(name) != REASONS);
        write!(text, "- [Messages](#messages): {messages}\n- [Enums](#enums): {}\n", names(enums.collect())).ok();
        text += "- [Reasons](#reasons) of failed calls, by their code:\n";
        let mut codes = BTreeMap::<_, Vec<String>>::new();
        for (reason, example) in self.examples {
            codes.entry((example.http, example.code)).or_default().push(link(reason));
        }
        for ((http, code), reasons) in codes {
            writeln!(text, "  - {http} `{code}`: {}", reasons.join(", ")).ok();
        }
        text
    }

    fn service(&self, service: &ServiceDescriptor) -> String {
        let comment = self.comment(&service.parent_file(), service.path());
        let mut text = format!("\n## {}\n\n{comment}\n", service.name());
        for rpc in service.methods() {
            let comment = self.comment(&service.parent_file(), rpc.path());
            let (http, output) = (route(&rpc), kind(&Kind::Message(rpc.output())));
            write!(text, "\n### {}\n\n{http} → {output}\n\n{comment}\n\n", rpc.name()).ok();
            write!(text, "`{}`:\n\n{}", rpc.input().name(), self.fields(&rpc.input())).ok();
        }
        text
    }

    fn fields(&self, message: &MessageDescriptor) -> String {
        let mut fields = message.fields().collect::<Vec<_>>();
        fields.sort_by_key(|field| field.path().to_vec());
        let line = |field: &FieldDescriptor| {
            let comment = self.comment(&message.parent_file(), field.path()).replace('\n', "\n  ");
            format!("- `{}` ({}): {comment}\n", field.name(), traits(field)).replace("\n  \n", "\n\n")
        };
        fields.iter().map(line).collect()
    }

    fn one_enum(&self, one: &EnumDescriptor) -> String {
        let comment = self.comment(&one.parent_file(), one.path());
        let mut text = format!("\n### {}\n\n{comment}\n\n", local(one.full_name()));
        for value in one.values() {
            let comment = self.comment(&one.parent_file(), value.path()).replace('\n', "\n  ");
            text += &format!("- `{}`: {comment}\n", value.name()).replace("\n  \n", "\n\n");
        }
        text
    }

    fn reasons(&self) -> String {
        let mut text = String::new();
        for reasons in self.enums.iter().filter(|one| one.name() == REASONS) {
            write!(text, "\n## Reasons\n\n{}\n", self.comment(&reasons.parent_file(), reasons.path())).ok();
            for reason in reasons.values() {
                let Some(Example { http, json, .. }) = self.examples.get(reason.name()) else { continue };
                let comment = self.comment(&reasons.parent_file(), reason.path());
                let name = reason.name();
                write!(text, "\n### {name}\n\nHTTP {http}. {comment}\n\n```json\n{json}\n```\n").ok();
            }
        }
        text
    }

    /// The comment in front of what has this path in its file, as Markdown.
    fn comment(&self, file: &FileDescriptor, path: &[i32]) -> String {
        let mut locations = file.file_descriptor_proto().source_code_info.iter().flat_map(|info| &info.location);
        let here = locations.find(|location| location.path == path);
        let comment = here.and_then(|location| location.leading_comments.clone()).unwrap_or_default();
        let (mut text, mut label) = (String::new(), None);
        for line in comment.trim_end().lines().map(|line| line.strip_prefix(' ').unwrap_or(line)) {
            let begins = line.split_once(": ").filter(|(start, _)| LABELS.contains(start));
            if let Some((start, rest)) = begins {
                let gap = if label.is_none() && !text.ends_with("\n\n") { "\n" } else { "" };
                label = Some(start);
                writeln!(text, "{gap}- **{start}:** {}", self.with_links(rest, start == "Reasons")).ok();
            } else {
                label = label.filter(|_| !line.is_empty());
                let indent = if label.is_some() { "  " } else { "" };
                writeln!(text, "{indent}{}", self.with_links(line, label == Some("Reasons"))).ok();
            }
        }
        text.trim_end().to_owned()
    }

    /// `all`: every reason, although another enum has a value of that name.
    fn with_links(&self, line: &str, all: bool) -> String {
        let mut text = String::new();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        for word in line.split_inclusive(|c| !is_word(c)) {
            let name = word.trim_end_matches(|c| !is_word(c));
            let is_linked = self.linked.contains(name) || all && self.examples.contains_key(name);
            // not within code, where a link would be shown as its source
            if is_linked && text.matches('`').count().is_multiple_of(2) {
                text += &format!("{}{}", link(name), &word[name.len()..]);
            } else {
                text += word;
            }
        }
        text
    }
}

/// Its name within the package.
fn local(full_name: &str) -> &str {
    full_name.trim_start_matches(PACKAGE).trim_start_matches('.')
}

/// A link to the heading of this name, whose anchor has no dots. A request stands at its RPC.
fn link(name: &str) -> String {
    let heading = name.strip_suffix("Request").unwrap_or(name);
    format!("[{name}](#{})", heading.to_lowercase().replace('.', ""))
}

fn kind(kind: &Kind) -> String {
    let (name, package) = match kind {
        Kind::Message(message) => (message.full_name().to_owned(), message.package_name().to_owned()),
        Kind::Enum(one) => (one.full_name().to_owned(), one.package_name().to_owned()),
        other => return format!("{other:?}"),
    };
    if package == PACKAGE { link(local(&name)) } else { name[package.len() + 1..].to_owned() }
}

/// What there is to say of a field beside its comment.
fn traits(field: &FieldDescriptor) -> String {
    let list = if field.is_list() { "list of " } else { "" };
    let behavior = field.parent_pool().get_extension_by_name("google.api.field_behavior");
    let behavior = behavior.map(|behavior| field.options().get_extension(&behavior).into_owned());
    let numbers = behavior.as_ref().and_then(Value::as_list).unwrap_or_default();
    // IDENTIFIER and OPTIONAL say nothing that the comment does not say
    let words = [(2, ", required"), (3, ", only in answers"), (5, ", never changes")];
    let has = |number: i32| numbers.contains(&Value::EnumNumber(number));
    let words = words.into_iter().filter(|(number, _)| has(*number)).map(|(_, word)| word).collect::<String>();
    format!("{list}{}{words}", kind(&field.kind()))
}

/// Method, path and body by the annotation: `{name=organizations/*}` is `organizations/{organization}`.
fn route(rpc: &MethodDescriptor) -> String {
    let http = rpc.parent_pool().get_extension_by_name("google.api.http").expect("the set has the annotations");
    let http = rpc.options().get_extension(&http).into_owned();
    let text = |field: &str| http.as_message()?.get_field_by_name(field)?.as_str().map(str::to_owned);
    let verbs = ["get", "post", "patch", "delete"].into_iter();
    let routes = verbs.filter_map(|verb| Some((verb, text(verb).filter(|path| !path.is_empty())?)));
    let body = text("body").filter(|body| !body.is_empty()).map_or(String::new(), |body| format!(", body `{body}`"));
    let shown = routes.map(|(verb, path)| format!("`{} {}`{body}", verb.to_uppercase(), expanded(&path)));
    shown.collect::<Vec<_>>().join(", ")
}

fn expanded(path: &str) -> String {
    let (Some(start), Some(end)) = (path.find('{'), path.find('}')) else { return path.to_owned() };
    let (_, pattern) = path[start..end].split_once('=').unwrap_or_default();
    let parts = pattern.split('/').collect::<Vec<_>>();
    let named = parts.chunks(2).map(|pair| format!("{}/{{{}}}", pair[0], pair[0].trim_end_matches('s')));
    format!("{}{}{}", &path[..start], named.collect::<Vec<_>>().join("/"), &path[end + 1..])
}
