//! Who may call what: every RPC by every kind of caller, over gRPC.

mod fields;
mod promised;
mod raw;

use std::collections::BTreeSet;

use invitations::dev::issuer;
use invitations::domain::Method;
use invitations::pb::{self, DESCRIPTOR_SET, Role};
use prost::Message;
use prost_types::FileDescriptorSet;
use serde_json::{Value, json};

use crate::support::{Channel, FORGED, Person, Service, evidence};
pub use raw::call;

/// One line for each RPC, one column for each caller. The second column is the answer to whoever may call: where
/// possible a refusal that comes after every right, so that no cell disturbs the next one.
///
/// `+` that answer, `ok` none but a success, `n` …_NOT_FOUND, `r` ROLE_REQUIRED, `g` ROLE_NOT_GRANTABLE,
/// `s` SCOPE_REQUIRED, `p` PERSON_REQUIRED, `a` ACCOUNT_REQUIRED, `i` INVITEE_REQUIRED, `e` ACCOUNT_EXISTS.
///
/// `new` has signed in without an account, `gone` has deleted theirs, `rival` owns another organization, `guest` is the
/// invitee. The services: `all` has every scope, `bare` none, `out` every scope that one organization can hold, in
/// another one, `low` every scope and may grant NONE only.
const TABLE: &str = "
    RPC                     admitted             new gone rival NONE READER CONTRIBUTOR SECURITY_MANAGER MANAGER OWNER guest all bare out low
    CreateInvitation        OK                   a   a    n     r    r      r           +                +       +     n     +   s    n   +
    BatchCreateInvitations  OK                   a   a    n     r    r      r           +                +       +     n     +   s    n   +
    GetInvitation           OK                   a   a    n     r    r      r           +                +       +     +     +   s    n   +
    BatchGetInvitations     OK                   a   a    n     r    r      r           +                +       +     n     +   s    n   +
    ListInvitations         OK                   a   a    n     r    r      r           +                +       +     n     +   s    n   +
    ListAccountInvitations  OK                   a   a    n     n    n      n           n                n       n     +     +   s    n   +
    RequestAccess           CODE_NOT_FOUND       a   a    +     +    +      +           +                +       +     ok    p   p    p   p
    OfferMembership         OK                   a   a    n     r    r      r           +                +       +     n     +   s    n   g
    ApproveOffer            ETAG_MISMATCH        a   a    n     r    r      r           g                +       +     n     p   p    n   p
    RejectAccess            ETAG_MISMATCH        a   a    n     r    r      r           +                +       +     n     +   s    n   +
    RevokeInvitation        ETAG_MISMATCH        a   a    n     r    r      r           +                +       +     n     +   s    n   g
    RevokeInvitations       OK                   a   a    n     r    r      r           +                +       +     n     +   s    n   +
    ResendInvitation        ETAG_MISMATCH        a   a    n     r    r      r           +                +       +     n     +   s    n   g
    AcceptInvitation        ETAG_MISMATCH        a   a    n     n    n      n           i                i       i     +     p   p    n   p
    DeclineInvitation       ETAG_MISMATCH        a   a    n     n    n      n           i                i       i     +     p   p    n   p
    CreateOrganization      ORGANIZATION_EXISTS  a   a    +     +    +      +           +                +       +     +     +   s    n   +
    GetOrganization         OK                   a   a    n     +    +      +           +                +       +     n     +   s    n   +
    ListOrganizations       OK                   a   a    +     +    +      +           +                +       +     +     +   s    +   +
    UpdateOrganization      ETAG_MISMATCH        a   a    n     r    r      r           r                +       +     n     +   s    n   +
    ApproveOrganizationChange NO_PENDING_CHANGE  a   a    n     r    r      r           r                r       +     n     p   p    n   p
    WithdrawOrganizationChange NO_PENDING_CHANGE a   a    n     r    r      r           r                r       +     n     +   s    n   +
    VerifyNotificationEmail OK                   a   a    n     r    r      r           r                r       +     n     +   s    n   +
    GetMember               OK                   a   a    n     r    +      +           +                +       +     n     +   s    n   +
    ListMembers             OK                   a   a    n     +    +      +           +                +       +     n     +   s    n   +
    UpdateMember            ETAG_MISMATCH        a   a    n     r    r      r           +                +       +     n     +   s    n   g
    DeleteMember            ETAG_MISMATCH        a   a    n     r    r      r           +                +       +     n     +   s    n   g
    ListEvents              OK                   a   a    n     r    r      r           +                +       +     n     +   s    n   +
    WatchEvents             OK                   a   a    n     r    r      r           +                +       +     n     +   s    n   +
    CreateAccount           USERNAME_TAKEN       +   +    e     e    e      e           e                e       e     e     p   p    p   p
    GetAccount              OK                   a   a    n     n    n      n           n                n       n     +     +   s    n   +
    DeleteAccount           LAST_OWNER           a   a    n     n    n      n           n                n       +     n     +   s    s   +
    ListAccountMemberships  OK                   a   a    n     n    n      n           n                n       n     +     +   s    n   +
    SuppressEmail           FIELD_INVALID        a   a    s     s    s      s           s                s       s     s     +   s    s   +
    UnsuppressEmail         OK                   a   a    s     s    s      s           s                s       s     s     +   s    s   +
";

/// The organization, and what the calls are about.
struct Scene {
    service: Service,
    /// With the four services in its configuration.
    channel: Channel,
    offered: String,
    requested: String,
    pending: String,
    code: String,
}

impl Scene {
    async fn set() -> Self {
        let service = Service::start().await;
        let owner = service.owner("owner", "acme").await;
        for (name, role) in
            [("none", "NONE"), ("reader", "READER"), ("contributor", "CONTRIBUTOR"), ("target", "CONTRIBUTOR")]
        {
            service.member(&owner, "acme", name, role).await;
        }
        service.member(&owner, "acme", "security-manager", "SECURITY_MANAGER").await;
        service.member(&owner, "acme", "manager", "MANAGER").await;
        let colleague = service.member(&owner, "acme", "offerer", "MANAGER").await;
        service.owner("rival", "rival").await;
        let gone = service.account("gone").await;
        let delete = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
        gone.accounts.clone().delete_account(delete).await.unwrap();

        let (_, guest) = service.requested(&owner, "acme", "guest").await;
        let code = service.code_to("guest@example.com", 1).await;
        let offered = owner.offer("acme", "guest", "guest@example.com", "READER").await.unwrap().name;
        assert_eq!(offered, guest.name);
        let (_, requested) = service.requested(&owner, "acme", "applicant").await;
        owner.ask_for_approval_of("acme", Role::Manager).await;
        let (_, pending) = service.offered(&colleague, "acme", "candidate", "MANAGER").await;
        let mut issuers = serde_json::to_value(issuer::entries(&service.dir).unwrap()).unwrap();
        let every_scope = issuers[2]["services"][0]["scopes"].clone();
        let held = |scope: &&Value| ![json!("accounts.admin"), json!("mail.operate")].contains(scope);
        let held = every_scope.as_array().unwrap().iter().filter(held).collect::<Vec<_>>();
        let entry = |name: &str, organizations: &str, highest: &str| json!({"subject": name, "scopes": every_scope, "organizations": organizations, "highest_role": highest});
        issuers[2]["services"] = json!([
            entry("all", "*", "OWNER"),
            entry("bare", "*", "OWNER"),
            {"subject": "out", "scopes": held, "organizations": ["rival"], "highest_role": "OWNER"},
            entry("low", "*", "NONE"),
        ]);
        let channel = service.replica(&[("issuers", &issuers.to_string()), ("wrong_codes_limit", "0")]).await;
        Self { service, channel, offered, requested: requested.name, pending: pending.name, code }
    }

    /// The token of a column.
    fn token(&self, caller: &str) -> String {
        let scopes = invitations::domain::Scope::ALL;
        let token = match caller {
            "all" | "out" | "low" => issuer::service_token(&self.service.dir, caller, &scopes).unwrap(),
            "bare" => issuer::service_token(&self.service.dir, caller, &[]).unwrap(),
            person => {
                let name = person.to_lowercase().replace('_', "-");
                // older than the account: it attests nothing new
                self.service.token_at(&name, &format!("{name}@example.com"), -600, 3600)
            }
        };
        evidence::token(&token);
        token
    }

    /// The request of a line. An RPC that is not here has no line either.
    #[expect(clippy::needless_update, reason = "some requests have no other field")]
    fn request(&self, rpc: &str, is_service: bool) -> Vec<u8> {
        let parent = "organizations/acme".to_owned();
        let etag = "a40fb80ad4287819".to_owned();
        let offered = self.offered.clone();
        let email = |email: &str| Some(pb::Invitation { email: email.to_owned(), ..Default::default() });
        let target = pb::Member {
            name: "organizations/acme/members/target".to_owned(),
            role: Role::None.into(),
            etag: etag.clone(),
            ..Default::default()
        };
        let acme = pb::Organization {
            display_name: "Acme".to_owned(),
            notification_email: "notify@acme.example".to_owned(),
            ..Default::default()
        };
        let owner = if is_service { "accounts/owner" } else { "" }.to_owned();
        let guest = "accounts/guest".to_owned();
        macro_rules! bytes {
            ($message:ident { $($field:ident $(: $value:expr)?),* }) => {
                pb::$message { $($field $(: $value)?,)* ..Default::default() }.encode_to_vec()
            };
        }
        match rpc {
            "CreateInvitation" => {
                bytes!(CreateInvitationRequest { parent, invitation: email("x@example.com"), validate_only: true })
            }
            "BatchCreateInvitations" => {
                let row = pb::CreateInvitationRequest { invitation: email("y@example.com"), ..Default::default() };
                bytes!(BatchCreateInvitationsRequest { parent, requests: vec![row], validate_only: true })
            }
            "GetInvitation" => bytes!(GetInvitationRequest { name: offered }),
            "BatchGetInvitations" => bytes!(BatchGetInvitationsRequest { parent, names: vec![offered] }),
            "ListInvitations" => bytes!(ListInvitationsRequest { parent }),
            "ListAccountInvitations" => bytes!(ListAccountInvitationsRequest { parent: guest }),
            "RequestAccess" => bytes!(RequestAccessRequest { code: self.code.clone() }),
            "OfferMembership" => bytes!(OfferMembershipRequest {
                parent,
                username: "guest".to_owned(),
                email: "guest@example.com".to_owned(),
                role: Role::Reader.into()
            }),
            "ApproveOffer" => bytes!(ApproveOfferRequest { name: self.pending.clone(), etag }),
            "RejectAccess" => bytes!(RejectAccessRequest { name: self.requested.clone(), etag }),
            "RevokeInvitation" => bytes!(RevokeInvitationRequest { name: offered, etag }),
            "RevokeInvitations" => {
                bytes!(RevokeInvitationsRequest { parent, filter: "email = \"nobody@example.com\"".to_owned() })
            }
            "ResendInvitation" => bytes!(ResendInvitationRequest { name: offered, etag }),
            "AcceptInvitation" => bytes!(AcceptInvitationRequest { name: offered, etag }),
            "DeclineInvitation" => bytes!(DeclineInvitationRequest { name: offered, etag }),
            "CreateOrganization" => bytes!(CreateOrganizationRequest {
                organization_id: "acme".to_owned(),
                organization: Some(acme),
                owner
            }),
            "GetOrganization" => bytes!(GetOrganizationRequest { name: parent }),
            "ListOrganizations" => bytes!(ListOrganizationsRequest { page_size: 1 }),
            "UpdateOrganization" => bytes!(UpdateOrganizationRequest {
                organization: Some(pb::Organization {
                    name: parent,
                    display_name: "Other".to_owned(),
                    etag,
                    ..Default::default()
                })
            }),
            "ApproveOrganizationChange" => bytes!(ApproveOrganizationChangeRequest { name: parent, etag }),
            "WithdrawOrganizationChange" => bytes!(WithdrawOrganizationChangeRequest { name: parent, etag }),
            "VerifyNotificationEmail" => {
                bytes!(VerifyNotificationEmailRequest { name: parent, code: self.code.clone() })
            }
            "GetMember" => bytes!(GetMemberRequest { name: target.name }),
            "ListMembers" => bytes!(ListMembersRequest { parent }),
            "UpdateMember" => bytes!(UpdateMemberRequest { member: Some(target) }),
            "DeleteMember" => bytes!(DeleteMemberRequest { name: target.name, etag }),
            "ListEvents" => bytes!(ListEventsRequest { parent }),
            "WatchEvents" => bytes!(WatchEventsRequest { parent }),
            "CreateAccount" => bytes!(CreateAccountRequest { account_id: "owner".to_owned() }),
            "GetAccount" => bytes!(GetAccountRequest { name: guest }),
            "DeleteAccount" => bytes!(DeleteAccountRequest { name: "accounts/owner".to_owned() }),
            "ListAccountMemberships" => bytes!(ListAccountMembershipsRequest { parent: guest }),
            "SuppressEmail" => bytes!(SuppressEmailRequest { email: "nobody".to_owned() }),
            "UnsuppressEmail" => bytes!(UnsuppressEmailRequest { email: "anna@example.com".to_owned() }),
            _ => panic!("nobody says what to send to {rpc}"),
        }
    }

    async fn answer(&self, rpc: &str, caller: &str) -> String {
        let method = Method::ALL.iter().find(|method| method.name() == rpc).unwrap();
        let is_service = ["all", "bare", "out", "low"].contains(&caller);
        let bearer = format!("Bearer {}", self.token(caller));
        call(&self.channel, method.path(), self.request(rpc, is_service), &[&bearer]).await
    }
}

/// The reasons that a cell stands for.
fn meaning(cell: &str, admitted: &'static str) -> Vec<&'static str> {
    match cell {
        "+" => vec![admitted],
        "ok" => vec!["OK"],
        "n" => vec!["ORGANIZATION_NOT_FOUND", "INVITATION_NOT_FOUND", "MEMBER_NOT_FOUND", "ACCOUNT_NOT_FOUND"],
        "r" => vec!["ROLE_REQUIRED"],
        "g" => vec!["ROLE_NOT_GRANTABLE"],
        "s" => vec!["SCOPE_REQUIRED"],
        "p" => vec!["PERSON_REQUIRED"],
        "a" => vec!["ACCOUNT_REQUIRED"],
        "i" => vec!["INVITEE_REQUIRED"],
        "e" => vec!["ACCOUNT_EXISTS"],
        _ => panic!("the cell {cell} means nothing"),
    }
}

/// The RPCs of our package, as a client sees them.
fn rpcs() -> BTreeSet<String> {
    let files = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap().file;
    let ours = files.into_iter().filter(|file| file.package() == "ipmhub.invitations.v1");
    ours.flat_map(|file| file.service).flat_map(|service| service.method).map(|rpc| rpc.name().to_owned()).collect()
}

#[tokio::test]
async fn every_rpc_answers_every_kind_of_caller_as_the_table_says() {
    let mut lines = TABLE.lines().map(str::trim).filter(|line| !line.is_empty());
    let callers = lines.next().unwrap().split_whitespace().skip(2).collect::<Vec<_>>();
    assert_eq!(callers.len(), 14);
    let rows = lines.map(|line| line.split_whitespace().collect::<Vec<_>>()).collect::<Vec<_>>();
    let in_table = rows.iter().map(|row| row[0].to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(in_table, rpcs(), "each RPC has its line");

    let scene = Scene::set().await;
    let before = scene.service.tables().await;
    let mut wrong = Vec::new();
    for row in rows {
        let (rpc, admitted, cells) = (row[0], row[1], &row[2..]);
        assert_eq!(cells.len(), callers.len(), "{rpc}");
        for (caller, cell) in callers.iter().zip(cells) {
            let answer = scene.answer(rpc, caller).await;
            if !meaning(cell, admitted).contains(&answer.as_str()) {
                wrong.push(format!("{rpc} by {caller}: {answer}, not {cell}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    before.assert_same(&scene.service.tables().await, "a walk through all rights");
}

#[tokio::test]
async fn no_rpc_takes_a_token_that_is_not_good() {
    let scene = Scene::set().await;
    let good = format!("Bearer {}", scene.token("owner"));
    let forged = FORGED.map(|how| (how, format!("Bearer {}", scene.service.forged(how, "owner", "owner@example.com"))));
    let before = scene.service.tables().await;
    for rpc in rpcs() {
        let method = Method::ALL.iter().find(|method| method.name() == rpc).unwrap();
        let answer = async |authorization: &[&str]| {
            call(&scene.channel, method.path(), scene.request(&rpc, false), authorization).await
        };
        assert_eq!(answer(&[]).await, "TOKEN_MISSING", "{rpc}");
        for (how, bearer) in &forged {
            assert_eq!(answer(&[bearer]).await, "TOKEN_INVALID", "{rpc}: {how}");
        }
        for twice in [[good.as_str(), good.as_str()], [good.as_str(), "Bearer x"], ["Bearer x", good.as_str()]] {
            assert_eq!(answer(&twice).await, "TOKEN_INVALID", "{rpc}: two values");
        }
        assert_eq!(answer(&[good.trim_start_matches("Bearer ")]).await, "TOKEN_INVALID", "{rpc}: no scheme");
        // the control
        assert!(!answer(&[&good]).await.starts_with("TOKEN"), "{rpc}");
    }
    before.assert_same(&scene.service.tables().await, "a walk with bad tokens");
}

/// Whom one of its organizations knows, as a member or by an invitation, a service of some organizations can look up.
#[tokio::test]
async fn a_service_of_some_organizations_sees_the_accounts_that_these_know() {
    let scene = Scene::set().await;
    let out = Person::new(&scene.channel, scene.token("out"));
    let rival = scene.service.stranger("rival", "rival@example.com");
    let (_, offer) = scene.service.offered(&rival, "rival", "hired", "READER").await;
    let seen = async |username: &str| {
        let name = format!("accounts/{username}");
        let get = pb::GetAccountRequest { name: name.clone() };
        let invitations = pb::ListAccountInvitationsRequest { parent: name.clone(), ..Default::default() };
        let memberships = pb::ListAccountMembershipsRequest { parent: name, ..Default::default() };
        let account = out.accounts.clone().get_account(get).await.map(|answer| answer.into_inner().name)?;
        let invitations = out.invitations.clone().list_account_invitations(invitations).await?.into_inner().invitations;
        let memberships = out.accounts.clone().list_account_memberships(memberships).await?.into_inner().memberships;
        Ok::<_, tonic::Status>((account, invitations.len(), memberships.len()))
    };
    assert_eq!(seen("rival").await.unwrap(), ("accounts/rival".to_owned(), 0, 1));
    assert_eq!(seen("hired").await.unwrap(), ("accounts/hired".to_owned(), 1, 0));
    rival.revoke(&offer.name).await.unwrap();
    assert_eq!(seen("hired").await.unwrap().1, 1, "what has ended stays in the list");
    for unknown in ["guest", "owner", "nobody-at-all"] {
        assert_eq!(crate::support::reason(seen(unknown).await), "ACCOUNT_NOT_FOUND", "{unknown}");
    }
}

/// What a role may grant is a ceiling for every call about a role, for the present one and for the new one.
#[tokio::test]
async fn nobody_reaches_above_what_they_may_grant() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let security = service.member(&owner, "acme", "sam", "SECURITY_MANAGER").await;
    let manager = service.member(&owner, "acme", "max", "MANAGER").await;
    let roles = ["NONE", "READER", "CONTRIBUTOR", "SECURITY_MANAGER", "MANAGER", "OWNER"];
    let callers: [(&Person, usize); 3] = [(&security, 3), (&manager, 5), (&owner, 6)];
    for (n, (caller, grants)) in callers.into_iter().enumerate() {
        for (level, role) in roles.into_iter().enumerate() {
            let may = level < grants;
            let expect = |outcome: Result<(), tonic::Status>, what: &str| match outcome {
                Ok(()) => assert!(may, "{what} of {role} by caller {n}"),
                refused => {
                    assert_eq!(crate::support::reason(refused), "ROLE_NOT_GRANTABLE", "{what} of {role} by caller {n}");
                    assert!(!may, "{what} of {role} by caller {n}");
                }
            };
            let name = format!("p{n}{level}");
            let (_, offer) = service.offered(&owner, "acme", &name, role).await;
            expect(caller.resend(&offer.name, false).await.map(drop), "resend");
            expect(caller.revoke(&offer.name).await.map(drop), "revoke");
            if may {
                let person = service.stranger(&name, &format!("{name}@example.com"));
                let again = caller.offer("acme", &name, &format!("{name}@example.com"), role).await.unwrap();
                person.accept(&again.name).await.unwrap();
            } else {
                expect(caller.offer("acme", &name, &format!("{name}@example.com"), role).await.map(drop), "offer");
                owner.revoke(&offer.name).await.ok();
                let person = service.stranger(&name, &format!("{name}@example.com"));
                let offer = owner.offer("acme", &name, &format!("{name}@example.com"), role).await.unwrap();
                person.accept(&offer.name).await.unwrap();
            }
            // the present role, then the new one, then the removal
            expect(caller.set_role("acme", &name, "NONE").await.map(drop), "a fall");
            if may {
                expect(caller.set_role("acme", &name, role).await.map(drop), "a rise");
            } else {
                owner.set_role("acme", &name, "NONE").await.unwrap();
                expect(caller.set_role("acme", &name, role).await.map(drop), "a rise");
                owner.set_role("acme", &name, role).await.unwrap();
            }
            expect(caller.remove("acme", &name).await, "a removal");
        }
    }
    service.recount().await;
}
