//! The trail: what an event tells, what it never holds, and that nobody changes it.

use invitations::pb::{self, event::Kind};
use invitations::store::roles::{self, GRANTS};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::{Database, Person, Service};

async fn events(person: &Person) -> Vec<pb::Event> {
    let message =
        pb::ListEventsRequest { parent: "organizations/acme".to_owned(), page_size: 200, ..Default::default() };
    person.organizations.clone().list_events(message).await.unwrap().into_inner().events
}

fn changes(event: &pb::Event) -> Vec<String> {
    event.changes.iter().map(|change| format!("{}: {} -> {}", change.field, change.before, change.after)).collect()
}

/// A request id that can be told from others.
fn request_id(n: u128) -> String {
    uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + n).to_string()
}

#[tokio::test]
async fn an_event_says_who_did_what_by_which_request_and_what_changed() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let max = service.member(&owner, "acme", "max", "READER").await;
    let member = pb::Member {
        name: "organizations/acme/members/max".to_owned(),
        role: pb::Role::Contributor.into(),
        ..Default::default()
    };
    let rise = pb::UpdateMemberRequest { member: Some(member), request_id: request_id(1), ..Default::default() };
    owner.organizations.clone().update_member(rise.clone()).await.unwrap();
    // repeated: no second event
    owner.organizations.clone().update_member(rise).await.unwrap();

    let billing = service.service("billing", &["organizations.admin", "accounts.admin"]);
    let many = (0..100).map(|n| format!("department-{n}.example")).collect();
    let policy = pb::Policy {
        allowed_email_domains: vec!["example.com".to_owned()],
        blocked_email_domains: many,
        ..Default::default()
    };
    let organization = pb::Organization {
        name: "organizations/acme".to_owned(),
        display_name: "Erika Mustermann and Partners".to_owned(),
        notification_email: "erika.mustermann@acme.example".to_owned(),
        policy: Some(policy),
        seat_limit: Some(7),
        ..Default::default()
    };
    let update = pb::UpdateOrganizationRequest {
        organization: Some(organization),
        request_id: request_id(2),
        ..Default::default()
    };
    billing.organizations.clone().update_organization(update).await.unwrap();
    // an account that somebody else deletes leaves its organizations, by the request of that one
    let delete = pb::DeleteAccountRequest { name: "accounts/max".to_owned(), request_id: request_id(3) };
    billing.accounts.clone().delete_account(delete).await.unwrap();
    drop(max);

    let events = events(&owner).await;
    let told = events.iter().rev().take(3).rev().collect::<Vec<_>>();
    let kinds = told.iter().map(|event| (event.kind(), event.actor.as_str(), event.request_id.clone()));
    let billing = "services/dev-services/billing";
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [
            (Kind::MemberUpdated, "accounts/olga", request_id(1)),
            (Kind::OrganizationUpdated, billing, request_id(2)),
            (Kind::MemberRemoved, billing, request_id(3)),
        ]
    );
    let joined = events.iter().find(|event| event.kind() == Kind::Accepted).unwrap();
    assert_eq!(changes(joined), ["state: OFFERED -> ACCEPTED", "role:  -> READER"], "where a membership begins");
    assert_eq!(changes(told[0]), ["role: READER -> CONTRIBUTOR"]);
    assert_eq!(
        changes(told[1]),
        [
            "display_name:  -> ",
            "notification_email:  -> ",
            "policy.allowed_email_domains:  -> example.com",
            "policy.blocked_email_domains:  -> 100 entries",
            "seat_limit:  -> 7",
        ]
    );
    assert_eq!(changes(told[2]), ["role: CONTRIBUTOR -> "]);
    assert!(events[..events.len() - 3].iter().all(|event| event.request_id.is_empty()), "these requests had no id");

    // nothing in the table tells who a person is, but names of resources
    let rows: Vec<String> = sqlx::query_scalar("SELECT e::text FROM events e").fetch_all(service.pool()).await.unwrap();
    for row in rows {
        for personal in ["@", "Erika", "Mustermann", "The acme people"] {
            assert!(!row.contains(personal), "{row}");
        }
    }
    service.recount().await;
}

#[tokio::test]
async fn what_is_closed_on_the_way_does_not_carry_the_id_of_the_request() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let overdue = owner.invite("acme", "anna@example.com").await.unwrap();
    service.let_expire(&overdue.name).await;
    let invitation = Some(pb::Invitation { email: "anna@example.com".to_owned(), ..Default::default() });
    let message = pb::CreateInvitationRequest {
        parent: "organizations/acme".to_owned(),
        invitation,
        request_id: request_id(1),
        ..Default::default()
    };
    let new = owner.invitations.clone().create_invitation(message).await.unwrap().into_inner();
    let events = events(&owner).await;
    let last = events.iter().rev().take(2).rev().map(|event| (event.kind(), event.request_id.clone()));
    assert_eq!(last.collect::<Vec<_>>(), [(Kind::Expired, String::new()), (Kind::Invited, request_id(1))]);

    // of one invitation: only its own
    let message = pb::ListEventsRequest {
        parent: "organizations/acme".to_owned(),
        invitation: new.name.clone(),
        ..Default::default()
    };
    let listed = owner.organizations.clone().list_events(message).await.unwrap().into_inner().events;
    assert_eq!(listed.iter().map(|event| event.invitation.as_str()).collect::<Vec<_>>(), [new.name]);
}

async fn run(url: &str, statement: &str) -> Result<(), String> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let done = sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await;
    done.map(drop).map_err(|error| error.as_database_error().unwrap().code().unwrap().into_owned())
}

#[tokio::test]
async fn the_role_of_the_service_can_write_events_and_never_change_them() {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    owner.invite("acme", "anna@example.com").await.unwrap();
    let (database, events) = (&service.database, owner.events("acme").await);
    for statement in [
        "UPDATE events SET actor = 'accounts/eve'",
        "DELETE FROM events",
        "TRUNCATE events",
        "SELECT 1 FROM events FOR UPDATE",
        "DELETE FROM organizations",
        "DELETE FROM accounts",
        "UPDATE request_ids SET resource = ''",
        "ALTER TABLE events ADD COLUMN more text",
        "DROP TABLE events",
        "CREATE TABLE more (n int)",
        "INSERT INTO _sqlx_migrations SELECT * FROM _sqlx_migrations",
    ] {
        assert_eq!(run(&database.service_url, statement).await, Err(INSUFFICIENT_PRIVILEGE.to_owned()), "{statement}");
    }
    // Postgres only warns of this one
    run(&database.service_url, "GRANT ALL ON events TO service").await.unwrap();
    assert_eq!(owner.events("acme").await, events);
    let restricted = sqlx::PgPool::connect(&database.service_url).await.unwrap();
    assert!(!roles::may_change_events(&restricted).await.unwrap());
    // the control: the owner of the tables can
    assert!(roles::may_change_events(service.pool()).await.unwrap());
    assert_eq!(run(&database.url, "UPDATE events SET actor = 'accounts/eve' WHERE position = 1").await, Ok(()));
    assert_eq!(run(&database.url, "DELETE FROM events").await, Ok(()));
}

#[tokio::test]
async fn every_table_is_in_the_list_of_what_the_service_may_do() {
    let database = Database::create().await;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(tables, GRANTS.map(|(table, _)| table), "a new table gets its place in src/store/roles.rs");
}

#[tokio::test]
async fn a_role_that_would_change_events_all_the_same_is_refused_and_others_lose_what_they_had() {
    let database = Database::create().await;
    let name = &database.name;
    for statement in [
        format!("CREATE ROLE {name}_super SUPERUSER"),
        format!("CREATE ROLE {name}_member IN ROLE {name}_super"),
        format!("CREATE ROLE {name}_plain"),
        format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}_plain"),
    ] {
        run(&database.url, &statement).await.unwrap();
    }
    let restrict = async |role: &str| roles::restrict(&database.url, &format!("{name}_{role}")).await.unwrap();
    assert!(!restrict("super").await);
    // to be a member of a superuser is not to be one, but SET ROLE is allowed
    run(&database.url, &format!("ALTER TABLE events OWNER TO {name}_super")).await.unwrap();
    assert!(!restrict("member").await);
    assert!(restrict("plain").await);
    let rights: Vec<String> = sqlx::query_scalar(
        "SELECT privilege_type::text FROM information_schema.role_table_grants \
          WHERE grantee = $1 AND table_name = 'events' ORDER BY 1",
    )
    .bind(format!("{name}_plain"))
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(rights, ["INSERT", "SELECT"]);
    for statement in [
        "ALTER TABLE events OWNER TO CURRENT_USER".to_owned(),
        format!("DROP OWNED BY {name}_plain"),
        format!("DROP ROLE {name}_member, {name}_plain, {name}_super"),
    ] {
        run(&database.url, &statement).await.unwrap();
    }
}
