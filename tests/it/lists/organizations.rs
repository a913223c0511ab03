//! ListOrganizations: an account's own, and those that a service reaches, each as GetOrganization shows it.

use invitations::dev::mailbox::Script;
use invitations::pb;
use serde_json::json;

use super::{organizations, walk};
use crate::support::{Person, Service, reason};

async fn all(person: &Person) -> Vec<pb::Organization> {
    let list = pb::ListOrganizationsRequest::default();
    person.organizations.clone().list_organizations(list).await.unwrap().into_inner().organizations
}

async fn names(person: &Person) -> Vec<String> {
    walk(2, async |size, token| organizations(person, size, token).await).await
}

fn named(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| format!("organizations/{id}")).collect()
}

#[tokio::test]
async fn everybody_lists_what_they_have_to_do_with() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    service.owner("rosa", "beta").await;
    owner.create_organization("coda").await.unwrap();
    let none = service.member(&owner, "coda", "nora", "NONE").await;
    let (guest, offered) = service.offered(&owner, "acme", "gesa", "READER").await;
    assert_eq!(names(&owner).await, named(&["acme", "coda"]));
    assert_eq!(names(&none).await, named(&["coda"]));
    assert_eq!(names(&service.account("eve").await).await, [""; 0]);
    // an offer is no membership yet, and a membership that has ended none any more
    assert_eq!(names(&guest).await, [""; 0]);
    guest.accept(&offered.name).await.unwrap();
    assert_eq!(names(&guest).await, named(&["acme"]));
    owner.remove("acme", "gesa").await.unwrap();
    assert_eq!(names(&guest).await, [""; 0]);

    for scope in ["invitations.read", "organizations.admin"] {
        assert_eq!(names(&service.service("all", &[scope])).await, named(&["acme", "beta", "coda"]), "{scope}");
    }
    let without = service.service("writer", &["invitations.write", "members.grant", "accounts.read"]);
    let refused = without.organizations.clone().list_organizations(pb::ListOrganizationsRequest::default()).await;
    assert_eq!(reason(refused), "SCOPE_REQUIRED");
}

#[tokio::test]
async fn a_service_of_some_organizations_lists_those_that_are_there() {
    let service = Service::start_with_entries(|entries| {
        entries[2]["services"] = json!([{
            "subject": "held", "scopes": ["invitations.read"], "organizations": ["not-there", "coda", "acme", "delta"],
        }]);
    })
    .await;
    let owner = service.owner("olga", "acme").await;
    for id in ["beta", "coda", "delta"] {
        owner.create_organization(id).await.unwrap();
    }
    let held = service.service("held", &["invitations.read"]);
    for size in [1, 2, 200] {
        let listed = walk(size, async |size, token| organizations(&held, size, token).await).await;
        assert_eq!(listed, named(&["acme", "coda", "delta"]), "pages of {size}");
    }
}

#[tokio::test]
async fn each_is_shown_as_it_is_got() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    owner.create_organization("beta").await.unwrap();
    let (_, late) = service.offered(&owner, "acme", "otto", "READER").await;
    service.offered(&owner, "acme", "rita", "READER").await;
    // an overdue offer that nobody has closed holds no seat
    service.let_expire(&late.name).await;
    let reader = service.service("reader", &["invitations.read"]);
    let distributed = service.replica(&[("database_distributed", "true")]).await;
    for person in [&owner, &reader] {
        let got = [person.organization("acme").await, person.organization("beta").await];
        assert_eq!(got[0].seats_taken, 2);
        assert_eq!(all(person).await, got);
        assert_eq!(all(&person.on(&distributed)).await, got, "asked one by one");
    }
}

/// What one organization may hold at most: a policy with full lists, and the one that waits.
#[tokio::test]
async fn a_page_of_large_organizations_is_cut() {
    let service = Service::start_with(&[("mail_paused", "true")], Script::accept_all()).await;
    let owner = service.account("olga").await;
    for n in 0..7 {
        owner.create_organization(&format!("acme-{n}")).await.unwrap();
    }
    sqlx::query(
        "UPDATE organizations SET policy = jsonb_build_object('allowed_email_domains', d, 'blocked_email_domains', d) \
           FROM (SELECT jsonb_agg(lpad(n::text, 240, 'd') || '.example') AS d FROM generate_series(1, 100) n) lists",
    )
    .execute(service.pool())
    .await
    .unwrap();
    let (page, next) = organizations(&owner, 200, String::new()).await.unwrap();
    assert!(page.len() < 7 && !next.is_empty(), "{} at once", page.len());
    let listed = walk(200, async |size, token| organizations(&owner, size, token).await).await;
    assert_eq!(listed.len(), 7);
}
