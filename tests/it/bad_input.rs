//! What bad input gets, for every RPC: a standard code, a reason, all bad fields at once, and nothing written.
//!
//! A new RPC needs a form in `forms` (what its fields take) and whatever it refuses beside fields in `refusals`.

mod fields;
mod forms;
mod refusals;
mod wire;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use invitations::pb::{self, invitation::State};
use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use tonic::{Code, Status};

use crate::support::{Person, Service, patiently, reason, violations};

/// One call that has to be refused.
struct Row {
    /// The method's name; no two services share one.
    rpc: &'static str,
    what: String,
    token: String,
    message: Vec<u8>,
    expected: Expected,
}

/// With what.
#[derive(Clone, PartialEq, Debug)]
enum Expected {
    /// Exactly these fields, in this order.
    Fields(&'static str, Vec<&'static str>),
    /// The same, all of them for this reason of a field.
    FieldsAs(&'static str, Vec<&'static str>, &'static str),
    /// A code with a reason, and no bad field.
    Refusal(Code, &'static str),
    /// The fields are good: whatever else it is refused for. The control of each form.
    GoodFields,
    /// The message cannot be read at all.
    Unreadable,
}

impl Expected {
    /// What is wrong with the answer.
    fn misses(&self, answer: &Result<(), Status>) -> Option<String> {
        let Err(status) = answer else { return Some("was carried out".to_owned()) };
        let violations = violations(status);
        let fields = violations.iter().map(|violation| violation.field.as_str()).collect::<Vec<_>>();
        let (code, reason) = (status.code(), reason(Err::<(), _>(status.clone())));
        let are = |why: &str| violations.iter().all(|violation| violation.reason == why);
        let fits = match self {
            Self::Fields(expected, paths) => code == Code::InvalidArgument && reason == *expected && fields == *paths,
            Self::FieldsAs(expected, paths, why) => {
                code == Code::InvalidArgument && reason == *expected && fields == *paths && are(why)
            }
            Self::Refusal(expected, why) => code == *expected && reason == *why && fields.is_empty(),
            Self::GoodFields => {
                !matches!(code, Code::InvalidArgument | Code::Internal | Code::Unknown | Code::Unavailable)
            }
            Self::Unreadable => code == Code::InvalidArgument && reason == "FIELD_INVALID",
        };
        let says_what_to_do = status.message().len() > 20;
        (!fits || !says_what_to_do).then(|| format!("{code:?} {reason} {}\n    {violations:?}", status.message()))
    }
}

/// Who and what there is to name.
struct World {
    service: Service,
    /// Owner of acme and a stranger to beta.
    olga: Person,
    /// A person without an account.
    nobody: Person,
    /// With an offer of acme.
    otto: Person,
    /// A service that may do everything.
    admin: Person,
    /// A service without a scope.
    bare: Person,
    /// Another owner of acme, who approves what olga offers.
    moa: Person,
    invited: pb::Invitation,
    pending: pb::Invitation,
    offered: pb::Invitation,
    requested: pb::Invitation,
    /// Of beta.
    foreign: pb::Invitation,
    /// A good one.
    code: String,
    tokens: Tokens,
}

/// A page token of each list, and of the same list with another parent or filter.
struct Tokens {
    organizations: String,
    members: String,
    foreign_members: String,
    invitations: String,
    filtered_invitations: String,
    account_invitations: String,
    memberships: String,
    events: String,
    invitation_events: String,
}

impl World {
    async fn new() -> Self {
        let service = Service::start().await;
        let olga = service.owner("olga", "acme").await;
        let rosa = service.owner("rosa", "beta").await;
        olga.create_organization("acme-two").await.unwrap();
        service.member(&olga, "acme", "max", "READER").await;
        service.member(&rosa, "beta", "mia", "READER").await;
        let invited = olga.invite("acme", "ina@example.com").await.unwrap();
        let code = service.code_to("ina@example.com", 1).await;
        let foreign = rosa.invite("beta", "fritz@example.com").await.unwrap();
        let (otto, _) = service.offered(&rosa, "beta", "otto", "READER").await;
        let offered = olga.offer("acme", "otto", "otto@example.com", "READER").await.unwrap();
        let (_, requested) = service.requested(&olga, "acme", "rita").await;
        let moa = service.member(&olga, "acme", "moa", "OWNER").await;
        olga.ask_for_approval_of("acme", pb::Role::Manager).await;
        let (_, pending) = service.offered(&olga, "acme", "paul", "MANAGER").await;
        let tokens = Tokens::of(&olga, &rosa, &otto, &requested.name).await;
        let (admin, bare) = (service.service("admin", ALL_SCOPES), service.service("bare", &[]));
        let used = pb::UnsuppressEmailRequest { email: "used@example.com".into(), request_id: forms::ID.into() };
        // what changes nothing is not remembered
        let suppressed = pb::SuppressEmailRequest { email: used.email.clone(), ..Default::default() };
        admin.mail.clone().suppress_email(suppressed).await.unwrap();
        admin.mail.clone().unsuppress_email(used).await.unwrap();
        let nobody = service.stranger("nobody", "nobody@example.com");
        Self {
            service,
            olga,
            nobody,
            otto,
            admin,
            bare,
            moa,
            invited,
            pending,
            offered,
            requested,
            foreign,
            code,
            tokens,
        }
    }
}

const ALL_SCOPES: &[&str] = &[
    "invitations.read",
    "invitations.write",
    "members.grant",
    "organizations.admin",
    "accounts.read",
    "accounts.admin",
    "mail.operate",
    "mail.report",
];

impl Tokens {
    async fn of(olga: &Person, rosa: &Person, otto: &Person, invitation: &str) -> Self {
        let acme = || "organizations/acme".to_owned();
        let members = async |person: &Person, parent: &str| {
            let message = pb::ListMembersRequest { parent: parent.to_owned(), page_size: 1, ..Default::default() };
            person.organizations.clone().list_members(message).await.unwrap().into_inner().next_page_token
        };
        let invitations = async |states: &[State]| {
            let states = states.iter().map(|state| (*state).into()).collect();
            let message = pb::ListInvitationsRequest { parent: acme(), page_size: 1, states, ..Default::default() };
            olga.invitations.clone().list_invitations(message).await.unwrap().into_inner().next_page_token
        };
        let events = async |invitation: &str| {
            let invitation = invitation.to_owned();
            let message = pb::ListEventsRequest { parent: acme(), invitation, page_size: 1, ..Default::default() };
            olga.organizations.clone().list_events(message).await.unwrap().into_inner().next_page_token
        };
        let parent = "accounts/me".to_owned();
        let own = pb::ListAccountInvitationsRequest { parent: parent.clone(), page_size: 1, ..Default::default() };
        let memberships = pb::ListAccountMembershipsRequest { parent, page_size: 1, ..Default::default() };
        let organizations = pb::ListOrganizationsRequest { page_size: 1, ..Default::default() };
        let organizations = olga.organizations.clone().list_organizations(organizations).await.unwrap().into_inner();
        let tokens = Self {
            organizations: organizations.next_page_token,
            members: members(olga, "organizations/acme").await,
            foreign_members: members(rosa, "organizations/beta").await,
            invitations: invitations(&[]).await,
            filtered_invitations: invitations(&[State::Invited, State::Offered]).await,
            account_invitations: otto
                .invitations
                .clone()
                .list_account_invitations(own)
                .await
                .unwrap()
                .into_inner()
                .next_page_token,
            memberships: olga
                .accounts
                .clone()
                .list_account_memberships(memberships)
                .await
                .unwrap()
                .into_inner()
                .next_page_token,
            events: events("").await,
            invitation_events: events(invitation).await,
        };
        for (list, token) in tokens.all() {
            assert!(!token.is_empty(), "{list} has a second page");
        }
        tokens
    }

    fn all(&self) -> [(&'static str, &String); 9] {
        [
            ("ListOrganizations", &self.organizations),
            ("ListMembers", &self.members),
            ("ListMembers of beta", &self.foreign_members),
            ("ListInvitations", &self.invitations),
            ("ListInvitations by state", &self.filtered_invitations),
            ("ListAccountInvitations", &self.account_invitations),
            ("ListAccountMemberships", &self.memberships),
            ("ListEvents", &self.events),
            ("ListEvents of an invitation", &self.invitation_events),
        ]
    }
}

/// Sends every row and tells of all that were answered otherwise, and of each RPC that has written.
async fn check(service: &Service, rows: Vec<Row>) {
    let methods = methods();
    let mut by_rpc = BTreeMap::<_, Vec<Row>>::new();
    for row in rows {
        by_rpc.entry(row.rpc).or_default().push(row);
    }
    let (mut wrong, mut before) = (Vec::new(), service.tables().await);
    for (rpc, rows) in by_rpc {
        let (path, _) = &methods[rpc];
        for row in rows {
            let answer = patiently(|| wire::call(&service.channel, path, &row.token, &row.message)).await;
            if let Some(got) = row.expected.misses(&answer) {
                wrong.push(format!("{rpc}, {}: {got}\n    instead of {:?}", row.what, row.expected));
            }
        }
        let after = service.tables().await;
        before.assert_same(&after, rpc);
        before = after;
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn every_rpc_tells_all_bad_fields_at_once_and_writes_nothing() {
    let world = World::new().await;
    let rows = forms::rows(&world);
    assert!(rows.len() > 500, "{} rows", rows.len());
    check(&world.service, rows).await;
    world.service.stop().await;
}

#[tokio::test]
async fn what_is_unknown_foreign_stale_or_reused_is_refused_and_writes_nothing() {
    let world = World::new().await;
    let rows = refusals::rows(&world).await;
    let refused = rows.iter().map(|row| row.rpc).collect::<BTreeSet<_>>();
    let all = methods().keys().cloned().collect::<BTreeSet<_>>();
    let missing = all.iter().filter(|rpc| !refused.contains(rpc.as_str())).collect::<Vec<_>>();
    assert!(missing.is_empty(), "refusals.rs has no row for {missing:?}");
    check(&world.service, rows).await;
    world.service.recount().await;
    world.service.stop().await;
}

/// The control of `assert_same`: it sees one row that a call has written.
#[tokio::test]
#[should_panic(expected = "CreateInvitation has written")]
async fn control_a_call_that_writes_is_seen() {
    let service = Service::start().await;
    let olga = service.owner("olga", "acme").await;
    let before = service.tables().await;
    patiently(async || olga.invite("acme", "ina@example.com").await).await.unwrap();
    before.assert_same(&service.tables().await, "CreateInvitation");
}

/// A new RPC, and a new field of an old one, has to have its form.
#[tokio::test]
async fn every_field_of_every_rpc_is_in_the_table() {
    let world = World::new().await;
    let mut spoilt = BTreeMap::<&str, BTreeSet<&str>>::new();
    for row in forms::rows(&world) {
        let paths = spoilt.entry(row.rpc).or_default();
        if let Expected::Fields(_, fields) | Expected::FieldsAs(_, fields, _) = row.expected {
            paths.extend(fields.into_iter().map(|path| path.split('.').next().unwrap()));
        }
    }
    let missing = methods().into_iter().flat_map(|(rpc, (_, fields))| {
        let spoilt = spoilt.get(rpc.as_str()).cloned().unwrap_or_default();
        let missing = fields.into_iter().filter(move |field| !spoilt.contains(field.as_str()));
        missing.map(move |field| format!("{rpc}.{field}"))
    });
    let missing = missing.collect::<Vec<_>>();
    assert!(missing.is_empty(), "forms.rs does not spoil {missing:?}");
    world.service.stop().await;
}

/// Each RPC with its path and the fields of its request that can be wrong: a bool cannot.
fn methods() -> BTreeMap<String, (String, Vec<String>)> {
    let files = FileDescriptorSet::decode(pb::DESCRIPTOR_SET).unwrap().file;
    let ours = files.into_iter().filter(|file| file.package() == "ipmhub.invitations.v1").collect::<Vec<_>>();
    let fields = |method: &MethodDescriptorProto| {
        let name = method.input_type().rsplit('.').next().unwrap();
        let message = ours.iter().flat_map(|file| &file.message_type).find(|message| message.name() == name).unwrap();
        let fields = message.field.iter().filter(|field| field.r#type() != Type::Bool);
        fields.map(|field| field.name().to_owned()).collect::<Vec<_>>()
    };
    let services = ours.iter().flat_map(|file| &file.service);
    let methods = services.flat_map(|service| service.method.iter().map(move |method| (service.name(), method)));
    let entry = |(service, method): (&str, &MethodDescriptorProto)| {
        let path = format!("/ipmhub.invitations.v1.{service}/{}", method.name());
        (method.name().to_owned(), (path, fields(method)))
    };
    let methods = methods.map(entry).collect::<BTreeMap<_, _>>();
    assert!(methods.len() > 20);
    methods
}
