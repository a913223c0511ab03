//! An account by its name or its username, wherever a request names one.

use invitations::pb::{self, Organization, Role};

use crate::support::{Person, Service, bad_fields};

async fn get(person: &Person, name: &str) -> Result<String, tonic::Status> {
    let account = person.accounts.clone().get_account(pb::GetAccountRequest { name: name.to_owned() }).await?;
    Ok(account.into_inner().name)
}

#[tokio::test]
async fn every_field_takes_the_name_and_the_username_of_an_account() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let admin = service.service("admin", &["organizations.admin", "accounts.read", "accounts.admin"]);
    for (nth, prefix) in ["accounts/", ""].into_iter().enumerate() {
        let username = format!("anna-{nth}");
        let anna = service.account(&username).await;
        let (given, named) = (format!("{prefix}{username}"), format!("accounts/{username}"));
        let email = format!("{username}@example.com");
        assert_eq!(owner.offer("acme", &given, &email, "NONE").await.unwrap().account, named);
        let organization = Organization {
            display_name: "Beta".to_owned(),
            notification_email: "notify@beta.example".to_owned(),
            ..Default::default()
        };
        let create = pb::CreateOrganizationRequest {
            organization_id: format!("beta-{nth}"),
            organization: Some(organization),
            owner: given.clone(),
            ..Default::default()
        };
        let beta = admin.organizations.clone().create_organization(create).await.unwrap().into_inner().name;
        for (person, given) in [(&admin, &given), (&anna, &given), (&anna, &format!("{prefix}me"))] {
            assert_eq!(get(person, given).await.unwrap(), named, "{given}");
            let list = pb::ListAccountMembershipsRequest { parent: given.clone(), ..Default::default() };
            let memberships = person.accounts.clone().list_account_memberships(list).await.unwrap().into_inner();
            assert_eq!(memberships.memberships[0].organization, beta, "{given}");
            let list = pb::ListAccountInvitationsRequest { parent: given.clone(), ..Default::default() };
            let invitations = person.invitations.clone().list_account_invitations(list).await.unwrap().into_inner();
            assert_eq!(invitations.invitations.len(), 1, "{given}");
        }
        // a service has no account, and nobody offers a role to whoever calls
        let me = format!("{prefix}me");
        assert_eq!(bad_fields(&get(&admin, &me).await.unwrap_err()), ["name"]);
        let refused = owner.offer("acme", &me, "olga@example.com", Role::Reader.as_str_name()).await.unwrap_err();
        assert_eq!(bad_fields(&refused), ["username"]);

        service.member(&anna, beta.trim_start_matches("organizations/"), &format!("otto-{nth}"), "OWNER").await;
        let (person, given) = if nth == 0 { (&admin, given) } else { (&anna, me) };
        let delete = pb::DeleteAccountRequest { name: given, ..Default::default() };
        person.accounts.clone().delete_account(delete).await.unwrap();
        assert_eq!(crate::support::reason(get(&admin, &named).await), "ACCOUNT_NOT_FOUND");
    }
}
