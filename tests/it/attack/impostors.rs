//! Names under which somebody would write from our address as if they were us.

use invitations::dev::mailbox::Script;
use invitations::pb;
use tonic::Status;

use crate::support::{Person, Service, bad_fields, reason};

/// The product, claims, words of authority among themselves, the deployment's own, and what looks like them.
const IMPOSTORS: [&str; 14] = [
    "ipmhub-security",
    "myipmhub",
    "ipmhub2",
    "1PM Hub Berlin",
    "IPMHub Security Team",
    "Ipmhub Support",
    "lPMHub",
    "admin-contoso",
    "No-Reply Contoso",
    "security",
    "Ѕecurity Team",
    "it-support",
    "Northwind Support",
    "n0rthwind-fans",
];
/// Real ones, with the same words.
const OTHERS: [&str; 5] = ["Contoso Security GmbH", "contoso-support", "Amy Root", "Help Musicians", "badminton"];

async fn name_organization(caller: &Person, id: &str, name: &str, owner: &str) -> Result<pb::Organization, Status> {
    let organization = pb::Organization {
        display_name: name.to_owned(),
        notification_email: "notify@evil.example".to_owned(),
        ..Default::default()
    };
    let message = pb::CreateOrganizationRequest {
        organization_id: id.to_owned(),
        organization: Some(organization),
        owner: owner.to_owned(),
        ..Default::default()
    };
    Ok(caller.organizations.clone().create_organization(message).await?.into_inner())
}

async fn update(caller: &Person, id: &str, paths: &[&str], name: &str) -> Result<pb::Organization, Status> {
    let organization = pb::Organization {
        name: format!("organizations/{id}"),
        display_name: name.to_owned(),
        notification_email: "notify@evil.example".to_owned(),
        locale: "de".to_owned(),
        ..Default::default()
    };
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let message = pb::UpdateOrganizationRequest {
        organization: Some(organization),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..Default::default()
    };
    Ok(caller.organizations.clone().update_organization(message).await?.into_inner())
}

async fn name_account(person: &Person, id: &str, name: &str) -> Result<pb::Account, Status> {
    let account = pb::Account { display_name: name.to_owned(), ..Default::default() };
    let message = pb::CreateAccountRequest { account_id: id.to_owned(), account: Some(account), ..Default::default() };
    Ok(person.accounts.clone().create_account(message).await?.into_inner())
}

/// Whether it can be an id at all.
fn is_id(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[tokio::test]
async fn nobody_takes_a_name_of_the_operator() {
    let service = Service::start_with(&[("reserved_names", "northwind")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let mallory = service.stranger("mallory", "mallory@example.com");
    for name in IMPOSTORS {
        let refused = name_organization(&owner, "evil", name, "").await.expect_err(name);
        assert_eq!(bad_fields(&refused), ["organization.display_name"], "{name}");
        let refused = update(&owner, "acme", &["display_name"], name).await.expect_err(name);
        assert_eq!(bad_fields(&refused), ["organization.display_name"], "{name}");
        let refused = name_account(&mallory, "mallory", name).await.expect_err(name);
        assert_eq!(bad_fields(&refused), ["account.display_name"], "{name}");
        if is_id(name) {
            let refused = name_organization(&owner, name, "Evil", "").await.expect_err(name);
            assert_eq!(bad_fields(&refused), ["organization_id"], "{name}");
            let refused = name_account(&mallory, name, "Mallory").await.expect_err(name);
            assert_eq!(bad_fields(&refused), ["account_id"], "{name}");
        }
    }
    assert_eq!(owner.events("acme").await, ["ORGANIZATION_CREATED"]);

    // control: companies and people are called so
    for (number, name) in OTHERS.iter().enumerate() {
        let id = if is_id(name) { (*name).to_owned() } else { format!("other-{number}") };
        assert_eq!(name_organization(&owner, &id, name, "").await.expect(name).display_name, *name);
        let person = service.stranger(&id, &format!("{id}@example.com"));
        assert_eq!(name_account(&person, &id, name).await.expect(name).display_name, *name);
    }
    service.stop().await;
}

#[tokio::test]
async fn who_operates_the_service_grants_its_names() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let operator = service.service("operator", &["organizations.admin"]);
    let reader = service.service("reader", &["invitations.read"]);
    let refused = name_organization(&reader, "ipmhub-security", "IPMHub Security", "accounts/olga").await;
    assert_eq!(reason(refused), "SCOPE_REQUIRED");
    let granted = name_organization(&operator, "ipmhub-security", "IPMHub Security", "accounts/olga").await.unwrap();
    assert_eq!(granted.name, "organizations/ipmhub-security");
    let renamed = update(&operator, "acme", &["display_name"], "Acme at IPMHub").await.unwrap();
    assert_eq!(renamed.display_name, "Acme at IPMHub");

    // what is granted, or was there before, stays with everything else that its owner changes
    let changed = update(&owner, "acme", &["display_name", "locale"], "Acme at IPMHub").await.unwrap();
    assert_eq!((changed.locale.as_str(), changed.display_name.as_str()), ("de", "Acme at IPMHub"));
    update(&owner, "acme", &["notification_email"], "").await.unwrap();
    // control: another name of that kind is not the owner's to choose
    let refused = update(&owner, "acme", &["display_name", "locale"], "Acme of IPMHub").await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["organization.display_name"]);
    service.stop().await;
}
