//! What the schema promises of answers is in every one of them, whoever reads: a client that was generated from it may
//! refuse an answer without a field that is REQUIRED.

use std::collections::{BTreeSet, HashMap};

use invitations::dev::mailbox::Script;
use invitations::domain::Scope;
use invitations::pb::{self, DESCRIPTOR_SET, Role};
use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use tonic::Request;
use tonic::client::Grpc;

use crate::support::{Bytes, Person, Service};

const REQUIRED: i32 = 2;
const IDENTIFIER: i32 = 8;

/// The descriptor set with the one option of fields that prost-types does not know, `google.api.field_behavior`.
#[derive(Message)]
struct Files {
    #[prost(message, repeated, tag = "1")]
    file: Vec<File>,
}

#[derive(Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "4")]
    message_type: Vec<Shape>,
    #[prost(message, repeated, tag = "6")]
    service: Vec<Rpcs>,
}

#[derive(Clone, Message)]
struct Shape {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    field: Vec<Field>,
    #[prost(message, repeated, tag = "3")]
    nested_type: Vec<Shape>,
}

#[derive(Clone, Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "3")]
    number: i32,
    #[prost(string, tag = "6")]
    type_name: String,
    #[prost(message, tag = "8")]
    options: Option<Options>,
}

#[derive(Clone, Message)]
struct Options {
    #[prost(int32, repeated, tag = "1052")]
    behavior: Vec<i32>,
}

#[derive(Message)]
struct Rpcs {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    method: Vec<Rpc>,
}

#[derive(Message)]
struct Rpc {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    output_type: String,
}

struct Schema {
    messages: HashMap<String, Shape>,
    /// The path of each RPC and what it answers with.
    rpcs: HashMap<String, (String, String)>,
}

impl Schema {
    fn read() -> Self {
        let (mut messages, mut rpcs) = (HashMap::new(), HashMap::new());
        for file in Files::decode(DESCRIPTOR_SET).unwrap().file {
            let package = &file.package;
            for shape in &file.message_type {
                let name = format!(".{package}.{}", shape.name);
                let inner = shape.nested_type.iter().map(|inner| (format!("{name}.{}", inner.name), inner.clone()));
                messages.extend(inner);
                messages.insert(name, shape.clone());
            }
            for service in file.service.iter().filter(|_| package == "ipmhub.invitations.v1") {
                rpcs.extend(service.method.iter().map(|rpc| {
                    let path = format!("/{package}.{}/{}", service.name, rpc.name);
                    (rpc.name.clone(), (path, rpc.output_type.clone()))
                }));
            }
        }
        Self { messages, rpcs }
    }

    /// The promised fields that a message lacks, as `Invitation.email`, also within what it holds.
    fn missing(&self, name: &str, mut bytes: &[u8], is_promised: &dyn Fn(&str, &[i32]) -> bool) -> BTreeSet<String> {
        let Some(shape) = self.messages.get(name) else { return BTreeSet::new() };
        let path = |field: &Field| format!("{}.{}", shape.name, field.name);
        let mut missing = shape.field.iter().map(|field| (path(field), field)).collect::<HashMap<_, _>>();
        missing.retain(|path, field| {
            is_promised(path, field.options.as_ref().map_or(&[][..], |options| &options.behavior[..]))
        });
        let mut inner = BTreeSet::new();
        while bytes.has_remaining() {
            let (number, wire_type) = decode_key(&mut bytes).unwrap();
            let field = shape.field.iter().find(|field| u32::try_from(field.number) == Ok(number)).unwrap();
            missing.remove(&path(field));
            if wire_type == WireType::LengthDelimited {
                let length = usize::try_from(decode_varint(&mut bytes).unwrap()).unwrap();
                let (content, rest) = bytes.split_at(length);
                inner.extend(self.missing(&field.type_name, content, is_promised));
                bytes = rest;
            } else {
                skip_field(wire_type, number, &mut bytes, DecodeContext::default()).unwrap();
            }
        }
        missing.into_keys().chain(inner).collect()
    }
}

/// What was answered to whom: the reader, the RPC, the answer.
struct Answers<'a> {
    service: &'a Service,
    schema: Schema,
    all: Vec<(String, &'static str, Vec<u8>)>,
}

impl Answers<'_> {
    /// What is refused is no answer. The answer's name, where it has one.
    async fn ask(&mut self, reader: &str, person: &Person, rpc: &'static str, request: &impl Message) -> String {
        let path = self.schema.rpcs[rpc].0.parse().unwrap();
        let mut call = Request::new(request.encode_to_vec());
        call.metadata_mut().insert("authorization", format!("Bearer {}", person.token).parse().unwrap());
        let mut client = Grpc::new(self.service.channel.clone());
        client.ready().await.unwrap();
        let Ok(answer) = client.server_streaming(call, path, Bytes).await else { return String::new() };
        let (mut answers, mut name) = (answer.into_inner(), String::new());
        // most answers are one message; of a stream all that comes before the first checkpoint is the present state
        while let Ok(Some(answer)) = answers.message().await {
            // the name is the first field of every resource
            name = pb::Invitation::decode(&answer[..]).map(|named| named.name).unwrap_or_default();
            let is_last = pb::WatchEventsResponse::decode(&answer[..]).is_ok_and(|one| !one.resume_token.is_empty());
            self.all.push((reader.to_owned(), rpc, answer));
            if rpc == "WatchEvents" && is_last {
                break;
            }
        }
        name
    }

    /// Every read.
    async fn read_as(&mut self, reader: &str, person: &Person, invitation: &str) {
        let parent = "organizations/acme".to_owned();
        // a service has no account of its own
        for account in ["accounts/me", "accounts/guest"].map(str::to_owned) {
            self.ask(reader, person, "GetAccount", &pb::GetAccountRequest { name: account.clone() }).await;
            let list = pb::ListAccountMembershipsRequest { parent: account.clone(), ..Default::default() };
            self.ask(reader, person, "ListAccountMemberships", &list).await;
            let list = pb::ListAccountInvitationsRequest { parent: account, ..Default::default() };
            self.ask(reader, person, "ListAccountInvitations", &list).await;
        }
        self.ask(reader, person, "GetInvitation", &pb::GetInvitationRequest { name: invitation.to_owned() }).await;
        let list = pb::ListInvitationsRequest { parent: parent.clone(), ..Default::default() };
        self.ask(reader, person, "ListInvitations", &list).await;
        self.ask(reader, person, "GetOrganization", &pb::GetOrganizationRequest { name: parent.clone() }).await;
        self.ask(reader, person, "ListOrganizations", &pb::ListOrganizationsRequest::default()).await;
        let get = pb::GetMemberRequest { name: format!("{parent}/members/target") };
        self.ask(reader, person, "GetMember", &get).await;
        let list = pb::ListMembersRequest { parent: parent.clone(), ..Default::default() };
        self.ask(reader, person, "ListMembers", &list).await;
        let names = vec![invitation.to_owned()];
        let get = pb::BatchGetInvitationsRequest { parent: parent.clone(), names };
        self.ask(reader, person, "BatchGetInvitations", &get).await;
        let watch = pb::WatchEventsRequest { parent: parent.clone(), send_initial: true, ..Default::default() };
        self.ask(reader, person, "WatchEvents", &watch).await;
        self.ask(reader, person, "ListEvents", &pb::ListEventsRequest { parent, ..Default::default() }).await;
    }

    /// Who lacks what.
    fn missing(&self, is_promised: &dyn Fn(&str, &[i32]) -> bool) -> BTreeSet<String> {
        let missing = |(reader, rpc, answer): &(String, &str, Vec<u8>)| {
            let of_answer = self.schema.missing(&self.schema.rpcs[*rpc].1, answer, is_promised);
            of_answer.into_iter().map(|path| format!("{path} {reader} {rpc}")).collect::<Vec<_>>()
        };
        self.all.iter().flat_map(missing).collect()
    }
}

fn invitation_of(email: &str) -> pb::Invitation {
    pb::Invitation { email: email.to_owned(), ..Default::default() }
}

/// Every change that answers with something, by whoever may make it and sees least.
async fn change_everything(answers: &mut Answers<'_>, owner: &Person) {
    let service = answers.service;
    let parent = "organizations/acme".to_owned();
    let writer = &service.service("writer", &["invitations.write"]);
    let granter = &service.service("granter", &["members.grant"]);
    let admin = &service.service("admin", &["organizations.admin"]);
    macro_rules! ask {
        ($who:expr, $person:expr, $rpc:literal, $message:ident { $($field:ident: $value:expr),* $(,)? }) => {
            answers.ask($who, $person, $rpc, &pb::$message { $($field: $value,)* ..Default::default() }).await
        };
    }
    let invite = |email| (parent.clone(), Some(invitation_of(email)));
    let (to, invitation) = invite("ina@example.com");
    let ina =
        ask!("writer", writer, "CreateInvitation", CreateInvitationRequest { parent: to, invitation: invitation });
    ask!("writer", writer, "ResendInvitation", ResendInvitationRequest { name: ina.clone() });
    ask!("writer", writer, "RevokeInvitation", RevokeInvitationRequest { name: ina });

    let row = |email| pb::CreateInvitationRequest { invitation: Some(invitation_of(email)), ..Default::default() };
    let requests = vec![row("ivo@example.com"), row("nobody")];
    let to = parent.clone();
    ask!("writer", writer, "BatchCreateInvitations", BatchCreateInvitationsRequest { parent: to, requests: requests });
    let (to, filter) = (parent.clone(), "email = ivo@example.com".to_owned());
    ask!("writer", writer, "RevokeInvitations", RevokeInvitationsRequest { parent: to, filter: filter });

    let second = service.member(owner, "acme", "second", "OWNER").await;
    let dora = &service.stranger("dora", "dora@example.com");
    ask!("dora", dora, "CreateAccount", CreateAccountRequest { account_id: "dora".to_owned() });
    for end in ["RejectAccess", "DeclineInvitation", "AcceptInvitation"] {
        owner.invite("acme", "dora@example.com").await.unwrap();
        let nth = answers.all.iter().filter(|(_, rpc, _)| *rpc == "RequestAccess").count() + 1;
        let code = code_of_dora(service, nth).await;
        let name = ask!("dora", dora, "RequestAccess", RequestAccessRequest { code: code });
        if end == "RejectAccess" {
            ask!("writer", writer, "RejectAccess", RejectAccessRequest { name: name });
            continue;
        }
        let is_last = end == "AcceptInvitation";
        if is_last {
            owner.ask_for_approval_of("acme", Role::Reader).await;
        }
        let (who, maker) = if is_last { ("owner", owner) } else { ("granter", granter) };
        ask!(
            who,
            maker,
            "OfferMembership",
            OfferMembershipRequest {
                parent: parent.clone(),
                username: "dora".to_owned(),
                email: "dora@example.com".to_owned(),
                role: Role::Reader.into(),
            }
        );
        if is_last {
            ask!("second", &second, "ApproveOffer", ApproveOfferRequest { name: name.clone() });
            ask!("dora", dora, "AcceptInvitation", AcceptInvitationRequest { name: name });
        } else {
            ask!("dora", dora, "DeclineInvitation", DeclineInvitationRequest { name: name });
        }
    }
    let member = pb::Member { name: format!("{parent}/members/dora"), role: Role::None.into(), ..Default::default() };
    ask!("granter", granter, "UpdateMember", UpdateMemberRequest { member: Some(member) });

    let organization = pb::Organization {
        display_name: "Beta".to_owned(),
        notification_email: "notify@beta.example".to_owned(),
        ..Default::default()
    };
    ask!(
        "admin",
        admin,
        "CreateOrganization",
        CreateOrganizationRequest {
            organization_id: "beta".to_owned(),
            organization: Some(organization),
            owner: "accounts/dora".to_owned(),
        }
    );
    let renamed = pb::Organization { name: parent.clone(), display_name: "Acme Two".to_owned(), ..Default::default() };
    ask!("admin", admin, "UpdateOrganization", UpdateOrganizationRequest { organization: Some(renamed) });
    let code = service.code_to("notify@acme.example", 1).await;
    ask!(
        "admin",
        admin,
        "VerifyNotificationEmail",
        VerifyNotificationEmailRequest { name: parent.clone(), code: code }
    );
    owner.ask_for_approval_of("acme", Role::Unspecified).await;
    ask!("admin", admin, "WithdrawOrganizationChange", WithdrawOrganizationChangeRequest { name: parent.clone() });
    owner.ask_for_approval_of("acme", Role::Unspecified).await;
    let etag = owner.organization("acme").await.etag;
    let name = parent.clone();
    ask!("second", &second, "ApproveOrganizationChange", ApproveOrganizationChangeRequest { name: name, etag: etag });
}

/// The `nth` code that went to dora, among other emails.
async fn code_of_dora(service: &Service, nth: usize) -> String {
    let mut email = 0;
    let mut found = 0;
    loop {
        email += 1;
        let text = crate::support::words(&*service.email_to("dora@example.com", email).await);
        let groups = |line: &&str| line.split('-').map(str::len).eq([4; 7]);
        if let Some(code) = text.lines().map(str::trim).find(groups) {
            found += 1;
            if found == nth {
                return code.to_owned();
            }
        }
    }
}

#[tokio::test]
async fn every_answer_holds_what_the_schema_promises_whoever_reads() {
    // with a code for the notification address
    let settings = [("unverified_notifications_limit", "1")];
    let service = Service::start_with(&settings, Script::accept_all()).await;
    let owner = service.owner("owner", "acme").await;
    let mut readers = vec![("owner".to_owned(), owner.clone())];
    for role in ["MANAGER", "SECURITY_MANAGER", "CONTRIBUTOR", "READER", "NONE"] {
        let username = role.to_lowercase().replace('_', "-");
        readers.push((username.clone(), service.member(&owner, "acme", &username, role).await));
    }
    service.member(&owner, "acme", "target", "READER").await;
    readers.push(("stranger".to_owned(), service.account("stranger").await));
    for scope in Scope::ALL {
        readers.push((format!("service with {}", scope.as_str()), service.service("one-scope", &[scope.as_str()])));
    }
    // under another address, which the guest is not shown
    let name = owner.invite("acme", "guest@work.example").await.unwrap().name;
    let guest = service.account("guest").await;
    guest.request_access(&service.code_to("guest@work.example", 1).await).await.unwrap();
    readers.push(("guest".to_owned(), guest));

    let mut answers = Answers { service: &service, schema: Schema::read(), all: Vec::new() };
    for (reader, person) in &readers {
        answers.read_as(reader, person, &name).await;
    }
    change_everything(&mut answers, &owner).await;
    let answered = answers.all.iter().map(|(_, rpc, _)| *rpc).collect::<BTreeSet<_>>();
    let all = answers.schema.rpcs.iter().filter(|(_, (_, output))| output != ".google.protobuf.Empty");
    let silent = all.map(|(rpc, _)| rpc.as_str()).filter(|rpc| !answered.contains(rpc)).collect::<Vec<_>>();
    assert!(silent.is_empty(), "nobody got an answer to {silent:?}");

    let promised = |_: &str, behavior: &[i32]| behavior.contains(&REQUIRED) || behavior.contains(&IDENTIFIER);
    let missing = answers.missing(&promised);
    assert!(missing.is_empty(), "{missing:#?}");

    // the controls: what was marked once, which these do not see; and the name of what is not made
    let before = ["Invitation.email", "Organization.notification_email", "Member.role"];
    let missing = answers.missing(&|path, _| before.contains(&path));
    for lacks in [
        "Invitation.email guest GetInvitation",
        "Invitation.email writer RevokeInvitation",
        "Organization.notification_email contributor GetOrganization",
        "Organization.notification_email none ListOrganizations",
        "Member.role granter UpdateMember",
    ] {
        assert!(missing.contains(lacks), "{lacks}: {missing:#?}");
    }
    let preview = pb::CreateInvitationRequest {
        parent: "organizations/acme".to_owned(),
        invitation: Some(invitation_of("later@example.com")),
        validate_only: true,
        ..Default::default()
    };
    answers.all.clear();
    answers.ask("owner", &owner, "CreateInvitation", &preview).await;
    assert_eq!(answers.missing(&promised), BTreeSet::from(["Invitation.name owner CreateInvitation".to_owned()]));
}
