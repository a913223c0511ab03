//! Providers of a policy: only what somebody can sign in with.

use invitations::pb::{self, Policy};
use prost_types::FieldMask;
use tonic::Status;

use crate::support::{Person, Service, bad_fields, rules};

async fn allow(owner: &Person, providers: &[&str]) -> Result<pb::Organization, Status> {
    let allowed_providers = providers.iter().map(|name| (*name).to_owned()).collect();
    let message = pb::UpdateOrganizationRequest {
        organization: Some(pb::Organization {
            name: "organizations/acme".to_owned(),
            policy: Some(Policy { allowed_providers, ..Default::default() }),
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["policy.allowed_providers".to_owned()] }),
        ..Default::default()
    };
    Ok(owner.organizations.clone().update_organization(message).await?.into_inner())
}

#[tokio::test]
async fn a_provider_that_nobody_has_is_refused_with_the_ones_there_are() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let before = service.tables().await;
    for bad in [&["GitHub"][..], &["Entra"], &["okta"], &["github", "microsoft"], &["github "], &[""], &["service"]] {
        let refused = allow(&owner, bad).await.expect_err("nobody has it");
        assert_eq!(bad_fields(&refused), ["organization.policy.allowed_providers"], "{bad:?}");
        assert!(rules(&refused).contains("entra, github"), "{}", rules(&refused));
        let organization = pb::Organization {
            display_name: "Beta".to_owned(),
            notification_email: "notify@beta.example".to_owned(),
            policy: Some(Policy {
                allowed_providers: bad.iter().map(|name| (*name).to_owned()).collect(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let message = pb::CreateOrganizationRequest {
            organization_id: "beta".to_owned(),
            organization: Some(organization),
            ..Default::default()
        };
        let refused = owner.organizations.clone().create_organization(message).await.expect_err("nobody has it");
        assert_eq!(bad_fields(&refused), ["organization.policy.allowed_providers"], "{bad:?}");
    }
    before.assert_same(&service.tables().await, "a provider that nobody has");
    // for whom nothing waits
    let billing = service.service("billing", &["organizations.admin"]);
    for good in [&["github"][..], &["entra", "github"], &[]] {
        assert_eq!(allow(&billing, good).await.unwrap().policy.unwrap().allowed_providers, good);
    }
    service.stop().await;
}

#[tokio::test]
async fn the_providers_are_those_of_the_configuration() {
    let service = Service::start_with_entries(|entries| {
        let github = entries.as_array_mut().unwrap().iter_mut().find(|entry| entry["provider"] == "github").unwrap();
        github["provider"] = "okta".into();
        github["email_domains"] = serde_json::json!(["example.com"]);
    })
    .await;
    let owner = service.owner("olga", "acme").await;
    let refused = allow(&owner, &["github"]).await.expect_err("nobody has it here");
    assert!(rules(&refused).contains("entra, okta"), "{}", rules(&refused));
    allow(&owner, &["okta"]).await.unwrap();
    service.stop().await;
}
