//! Two versions on one database: what the newer one has written is shown by this one as far as it knows it, is not
//! decided upon, and is not lost.

use invitations::dev::mailbox::Script;
use invitations::pb::invitation::State;
use invitations::pb::{self, Role};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{Person, Service, named, reason, retry_after};

/// What a migration of the next version may do.
const MIGRATIONS: [&str; 6] = [
    "ALTER TYPE invitation_state ADD VALUE 'ON_HOLD'",
    "ALTER TYPE role ADD VALUE 'AUDITOR'",
    "ALTER TYPE email_state ADD VALUE 'BOUNCED'",
    "ALTER TABLE events DROP CONSTRAINT events_actor",
    "ALTER TABLE invitations DROP CONSTRAINT invitations_callers",
    "ALTER TABLE members DROP CONSTRAINT members_inviter",
];

/// What the next version then writes.
const WRITTEN: [&str; 10] = [
    "UPDATE invitations SET state = 'ON_HOLD' WHERE email = 'hanna@example.com'",
    "UPDATE invitations SET role = 'AUDITOR' WHERE email = 'otto@example.com'",
    "UPDATE invitations SET inviter = 'groups/staff' WHERE email = 'ida@example.com'",
    "UPDATE members SET role = 'AUDITOR', inviter = 'groups/staff' WHERE username = 'max'",
    "UPDATE emails SET kind = 'INVITATION_TEASER' WHERE kind = 'INVITATION_REMINDER' AND recipient = 'ida@example.com'",
    "UPDATE emails SET state = 'BOUNCED', answer = 'OF_THE_NEXT_VERSION' \
      WHERE kind = 'ACCOUNT_INVITATION' AND recipient = 'ida@example.com'",
    "UPDATE events SET kind = 'PAUSED', actor = 'groups/staff', changes = changes || '[7, {\"field\": {}}]' \
      WHERE position = 2 AND organization = 'acme'",
    "UPDATE accounts SET provider = 'passkeys' WHERE username = 'max'",
    "UPDATE organizations SET policy = '{\"approval_role\": \"AUDITOR\", \"quiet_hours\": [22, 6]}' WHERE organization = 'beta'",
    "UPDATE organizations SET policy = '{\"quiet_hours\": [22, 6]}' WHERE organization = 'acme'",
];

/// Two organizations of olga: in acme hanna has requested access, otto has an offer, ida is invited, and max is a
/// MANAGER; emma owns acme as well.
struct Stage {
    service: Service,
    olga: Person,
    max: Person,
    hanna: Person,
    otto: Person,
    /// By the first letter of whom they are for.
    names: [String; 3],
}

async fn stage() -> Stage {
    let service = Service::start_with(&[], Script::accept_all()).await;
    let olga = service.owner("olga", "acme").await;
    olga.create_organization("beta").await.unwrap();
    let ida = olga.invite("acme", "ida@example.com").await.unwrap().name;
    service.email_to("ida@example.com", 1).await;
    let (hanna, requested) = service.requested(&olga, "acme", "hanna").await;
    let (otto, offered) = service.offered(&olga, "acme", "otto", "READER").await;
    let max = service.member(&olga, "acme", "max", "MANAGER").await;
    // until nothing is on its way
    service.tables().await;
    Stage { service, olga, max, hanna, otto, names: [requested.name, offered.name, ida] }
}

impl Stage {
    async fn upgrade(&self) {
        for statement in MIGRATIONS.into_iter().chain(WRITTEN) {
            self.service.database.execute(statement).await;
        }
    }

    /// Everything that can be read, by those who see it.
    async fn read_all(&self) -> Read {
        let services = self.service.service("reader", &["invitations.read", "accounts.read", "organizations.admin"]);
        let acme = "organizations/acme".to_owned();
        let mut invitations = Vec::new();
        for name in &self.names {
            invitations.push(self.olga.get(name).await.unwrap());
            assert_eq!(invitations.last(), Some(&services.get(name).await.unwrap()));
        }
        let list = pb::ListInvitationsRequest { parent: acme.clone(), ..Default::default() };
        let listed =
            self.olga.invitations.clone().list_invitations(list.clone()).await.unwrap().into_inner().invitations;
        let by_email = pb::ListInvitationsRequest { email: "hanna@example.com".to_owned(), ..list.clone() };
        let by_email = self.olga.invitations.clone().list_invitations(by_email).await.unwrap().into_inner().invitations;
        // of one on a page, with another one behind it
        let paged = pb::ListInvitationsRequest { page_size: 1, ..list.clone() };
        let paged = self.olga.invitations.clone().list_invitations(paged).await.unwrap().into_inner();
        assert_eq!((paged.invitations.len(), paged.next_page_token.is_empty()), (1, false));
        let of_state = async |state: State| {
            let list = pb::ListInvitationsRequest { states: vec![state.into()], ..list.clone() };
            let found = self.olga.invitations.clone().list_invitations(list).await.unwrap().into_inner().invitations;
            found.into_iter().map(|found| found.name).collect::<Vec<_>>()
        };
        let of_states = [of_state(State::AccessRequested).await, of_state(State::Offered).await];
        let mut of_accounts = Vec::new();
        for (person, username) in [(&self.hanna, "hanna"), (&self.otto, "otto")] {
            let list = |parent| pb::ListAccountInvitationsRequest { parent, ..Default::default() };
            let own =
                person.invitations.clone().list_account_invitations(list("accounts/me".to_owned())).await.unwrap();
            let theirs = list(format!("accounts/{username}"));
            let theirs = services.invitations.clone().list_account_invitations(theirs).await.unwrap();
            assert_eq!(own.get_ref(), theirs.get_ref());
            of_accounts.extend(own.into_inner().invitations);
        }
        let mut own = Vec::new();
        for (person, name) in [(&self.hanna, &self.names[0]), (&self.otto, &self.names[1])] {
            own.push(person.get(name).await.unwrap());
        }
        let members = pb::ListMembersRequest { parent: acme.clone(), ..Default::default() };
        let members = self.olga.organizations.clone().list_members(members).await.unwrap().into_inner().members;
        let events = pb::ListEventsRequest { parent: acme.clone(), page_size: 200, ..Default::default() };
        let of_ida = pb::ListEventsRequest { invitation: self.names[2].clone(), ..events.clone() };
        let memberships = pb::ListAccountMembershipsRequest { parent: "accounts/me".to_owned(), ..Default::default() };
        let account = pb::GetAccountRequest { name: "accounts/me".to_owned() };
        Read {
            invitations,
            listed,
            by_email,
            of_states,
            of_accounts,
            own,
            members,
            member: self.olga.member("acme", "max").await.unwrap(),
            oneself: self.max.member("acme", "max").await.unwrap(),
            events: self.olga.organizations.clone().list_events(events).await.unwrap().into_inner().events,
            of_ida: self.olga.organizations.clone().list_events(of_ida).await.unwrap().into_inner().events,
            memberships: self
                .max
                .accounts
                .clone()
                .list_account_memberships(memberships)
                .await
                .unwrap()
                .into_inner()
                .memberships,
            account: self.max.accounts.clone().get_account(account).await.unwrap().into_inner(),
            organizations: [self.olga.organization("acme").await, self.olga.organization("beta").await],
        }
    }

    /// The rows that the newer version has written, as text.
    async fn rows(&self) -> Vec<String> {
        let rows = "SELECT to_jsonb(t)::text FROM invitations t WHERE state = 'ON_HOLD' OR role = 'AUDITOR' \
                    UNION ALL SELECT to_jsonb(t)::text FROM members t WHERE role = 'AUDITOR' \
                    UNION ALL SELECT to_jsonb(t)::text FROM emails t WHERE kind = 'INVITATION_TEASER' OR state = 'BOUNCED' \
                    UNION ALL SELECT to_jsonb(t)::text FROM events t WHERE kind = 'PAUSED' ORDER BY 1";
        sqlx::query_scalar(rows).fetch_all(self.service.pool()).await.unwrap()
    }

    async fn policy(&self, organization: &str) -> serde_json::Value {
        let policy = sqlx::query_scalar("SELECT policy FROM organizations WHERE organization = $1").bind(organization);
        policy.fetch_one(self.service.pool()).await.unwrap()
    }
}

#[derive(PartialEq, Debug)]
struct Read {
    invitations: Vec<pb::Invitation>,
    listed: Vec<pb::Invitation>,
    by_email: Vec<pb::Invitation>,
    of_states: [Vec<String>; 2],
    of_accounts: Vec<pb::Invitation>,
    own: Vec<pb::Invitation>,
    members: Vec<pb::Member>,
    member: pb::Member,
    oneself: pb::Member,
    events: Vec<pb::Event>,
    of_ida: Vec<pb::Event>,
    memberships: Vec<pb::Membership>,
    account: pb::Account,
    organizations: [pb::Organization; 2],
}

impl Read {
    /// The same once the newer version has written: its values are unspecified, and everything else is as it was.
    fn upgraded(mut self) -> Self {
        let invitations =
            [&mut self.invitations, &mut self.listed, &mut self.by_email, &mut self.of_accounts, &mut self.own];
        for invitation in invitations.into_iter().flatten() {
            if invitation.account == "accounts/hanna" {
                invitation.set_state(State::Unspecified);
            } else if invitation.account == "accounts/otto" {
                invitation.set_role(Role::Unspecified);
            } else if invitation.email == "ida@example.com" {
                "groups/staff".clone_into(&mut invitation.inviter);
                let [email, reminder] = &mut invitation.deliveries[..] else { panic!("two emails") };
                email.set_state(pb::delivery::State::Unspecified);
                (email.smtp_code, email.detail) = (0, String::new());
                reminder.set_kind(pb::delivery::Kind::Unspecified);
                // what has no name comes where it would
                invitation.deliveries.sort_by_key(|email| email.kind);
            }
        }
        self.of_states[0].clear();
        let newer = |member: &mut pb::Member| {
            member.set_role(Role::Unspecified);
            "groups/staff".clone_into(&mut member.inviter);
        };
        self.members.iter_mut().filter(|member| member.account == "accounts/max").for_each(newer);
        newer(&mut self.member);
        newer(&mut self.oneself);
        for event in [&mut self.events[1], &mut self.of_ida[0]] {
            event.set_kind(pb::event::Kind::Unspecified);
            "groups/staff".clone_into(&mut event.actor);
        }
        self.memberships[0].set_role(Role::Unspecified);
        "passkeys".clone_into(&mut self.account.provider);
        self
    }
}

#[tokio::test]
async fn every_read_shows_what_it_knows() {
    let stage = stage().await;
    let before = stage.read_all().await;
    stage.upgrade().await;
    let rows = stage.rows().await;
    let mut after = stage.read_all().await;
    for invitations in [&mut after.invitations, &mut after.listed] {
        for invitation in invitations.iter_mut().filter(|invitation| invitation.email == "ida@example.com") {
            invitation.deliveries.sort_by_key(|email| email.kind);
        }
    }
    // the control: there is something that has no name here
    assert_ne!(after, before);
    assert_eq!(after, before.upgraded());
    assert_eq!(stage.rows().await, rows);

    // a member whose role has no name reads themselves, and is told why not more
    let own = pb::ListMembersRequest { parent: "organizations/acme".to_owned(), ..Default::default() };
    let own = stage.max.organizations.clone().list_members(own).await.unwrap().into_inner().members;
    assert_eq!(own.iter().map(|member| member.account.as_str()).collect::<Vec<_>>(), ["accounts/max"]);
    let list = pb::ListInvitationsRequest { parent: "organizations/acme".to_owned(), ..Default::default() };
    assert_needs_newer(stage.max.invitations.clone().list_invitations(list).await);
    assert_needs_newer(stage.max.get(&stage.names[2]).await.map(Some));
    let list = pb::ListEventsRequest { parent: "organizations/acme".to_owned(), ..Default::default() };
    assert_needs_newer(stage.max.organizations.clone().list_events(list).await);
    let get = pb::GetOrganizationRequest { name: "organizations/acme".to_owned() };
    assert_needs_newer(stage.max.organizations.clone().get_organization(get).await);
}

#[track_caller]
fn assert_needs_newer<T: std::fmt::Debug>(outcome: Result<T, tonic::Status>) {
    let status = outcome.as_ref().expect_err("the call is refused");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.get_error_details().retry_info().is_some());
    assert!(retry_after(&outcome).is_some_and(|wait| !wait.is_zero()));
    assert_eq!(named(&outcome, "invitation"), "");
    assert_eq!(reason(outcome), "NEWER_VERSION_NEEDED");
}

#[tokio::test]
async fn nothing_is_decided_by_what_has_no_name_here() {
    let stage = stage().await;
    stage.upgrade().await;
    let Stage { service, olga, max, hanna, otto, names: [requested, offered, invited] } = &stage;
    let code = service.code_to("hanna@example.com", 1).await;
    let bob = service.account("bob").await;
    let before = service.tables().await;
    assert_needs_newer(olga.reject(requested).await);
    assert_needs_newer(olga.revoke(requested).await);
    assert_needs_newer(olga.resend(requested, false).await);
    assert_needs_newer(hanna.decline(requested).await);
    assert_needs_newer(hanna.request_access(&code).await);
    assert_needs_newer(bob.request_access(&code).await);
    assert_needs_newer(otto.accept(offered).await);
    assert_needs_newer(olga.revoke(offered).await);
    assert_needs_newer(olga.resend(offered, false).await);
    assert_needs_newer(max.invite("acme", "new@example.com").await);
    assert_needs_newer(max.revoke(invited).await);
    assert_needs_newer(max.set_role("acme", "max", "READER").await);
    assert_needs_newer(olga.set_role("acme", "max", "READER").await);
    assert_needs_newer(olga.remove("acme", "max").await);
    // of beta nobody knows whose offer needs a second person
    assert_needs_newer(olga.invite("beta", "new@example.com").await);
    assert_needs_newer(olga.offer("beta", "bob", "bob@example.com", "READER").await);
    let policy = pb::Policy { reminders_disabled: true, ..Default::default() };
    let organization =
        pb::Organization { name: "organizations/beta".to_owned(), policy: Some(policy), ..Default::default() };
    let mask = prost_types::FieldMask { paths: vec!["policy.reminders_disabled".to_owned()] };
    let message = pb::UpdateOrganizationRequest {
        organization: Some(organization),
        update_mask: Some(mask),
        ..Default::default()
    };
    assert_needs_newer(olga.organizations.clone().update_organization(message).await);
    assert_eq!(service.charges().await, 0, "the right code was no guess");
    before.assert_same(&service.tables().await, "what was refused");
}

#[tokio::test]
async fn neighbours_go_on_and_nothing_of_the_newer_version_is_lost() {
    let stage = stage().await;
    stage.upgrade().await;
    let rows = stage.rows().await;
    let Stage { service, olga, names: [.., invited], .. } = &stage;
    // every kind of change, in the same organization
    let (anna, offered) = service.offered(olga, "acme", "anna", "READER").await;
    anna.accept(&offered.name).await.unwrap();
    olga.set_role("acme", "anna", "CONTRIBUTOR").await.unwrap();
    let (paul, offered) = service.offered(olga, "acme", "paul", "READER").await;
    paul.decline(&offered.name).await.unwrap();
    let (_, requested) = service.requested(olga, "acme", "rosa").await;
    olga.reject(&requested.name).await.unwrap();
    let late = olga.invite("acme", "late@example.com").await.unwrap().name;
    service.let_expire(&late).await;
    let again = olga.invite("acme", "late@example.com").await.unwrap().name;
    olga.resend(&again, true).await.unwrap();
    olga.remove("acme", "anna").await.unwrap();
    let delete = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
    paul.accounts.clone().delete_account(delete).await.unwrap();
    // also of an invitation whose emails the newer version has written: those it keeps
    olga.resend(invited, true).await.unwrap();
    olga.revoke(invited).await.unwrap();
    assert_eq!(stage.rows().await, rows);

    // what it has written into policies stays, whatever is written beside it
    let rename = async |id: &str| {
        let organization =
            pb::Organization { name: format!("organizations/{id}"), locale: "de".to_owned(), ..Default::default() };
        let message = pb::UpdateOrganizationRequest { organization: Some(organization), ..Default::default() };
        olga.organizations.clone().update_organization(message).await.unwrap();
    };
    let beta = stage.policy("beta").await;
    rename("beta").await;
    assert_eq!(stage.policy("beta").await, beta);
    let quiet_hours = serde_json::json!([22, 6]);
    let policy = pb::Policy { reminders_disabled: true, ..Default::default() };
    olga.set_policy("acme", &["reminders_disabled"], policy).await;
    rename("acme").await;
    let expected = serde_json::json!({"quiet_hours": quiet_hours, "reminders_disabled": true});
    assert_eq!(stage.policy("acme").await, expected);
    olga.set_policy("acme", &["reminders_disabled"], pb::Policy::default()).await;
    assert_eq!(stage.policy("acme").await, serde_json::json!({"quiet_hours": quiet_hours}));
}

/// What ends by itself, or by the person's own will, asks nobody's right.
#[tokio::test]
async fn an_offer_of_a_newer_role_ends_and_keeps_it() {
    let stage = stage().await;
    stage.upgrade().await;
    let Stage { service, otto, max, hanna, names: [_, offered, _], .. } = &stage;
    assert_eq!(otto.decline(offered).await.unwrap().state(), State::Declined);
    let role = "SELECT state::text || ' ' || role::text FROM invitations WHERE email = 'otto@example.com'";
    let role: String = sqlx::query_scalar(role).fetch_one(service.pool()).await.unwrap();
    assert_eq!(role, "DECLINED AUDITOR");
    // accounts can be deleted, and one may leave
    max.remove("acme", "max").await.unwrap();
    for person in [max, hanna] {
        let delete = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
        person.accounts.clone().delete_account(delete).await.unwrap();
    }
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM members WHERE username = 'max'")
        .fetch_one(service.pool())
        .await
        .unwrap();
    assert_eq!(left, 0);
}
