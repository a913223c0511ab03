//! Members who are invited once more: at the address that the organization knows them by, and at one that it does not.

use invitations::pb::delivery::{Kind, State as Sent};
use invitations::pb::invitation::State;
use invitations::pb::{self, Role};

use crate::support::{Person, Service, named, reason};

/// Signed in with what the token says, which is then what the account holds.
async fn seen(person: &Person) -> pb::Account {
    let message = pb::GetAccountRequest { name: "accounts/me".to_owned() };
    person.accounts.clone().get_account(message).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_founder_is_a_member_under_the_address_of_the_founding() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let billing = service.service("billing", &["organizations.admin", "invitations.read", "invitations.write"]);
    let founded = pb::CreateOrganizationRequest {
        organization_id: "beta".to_owned(),
        organization: Some(pb::Organization {
            display_name: "The beta people".to_owned(),
            notification_email: "notify@beta.example".to_owned(),
            ..Default::default()
        }),
        owner: "accounts/olga".to_owned(),
        ..Default::default()
    };
    billing.organizations.clone().create_organization(founded).await.unwrap();
    for (caller, organization) in [(&owner, "acme"), (&owner, "beta"), (&billing, "beta")] {
        assert_eq!(owner.member(organization, "olga").await.unwrap().email, "olga@example.com");
        for address in ["olga@example.com", "Olga@EXAMPLE.com"] {
            let refused = caller.invite(organization, address).await;
            assert_eq!(named(&refused, "member"), format!("organizations/{organization}/members/olga"));
            assert_eq!(reason(refused), "ALREADY_MEMBER");
        }
    }

    // what the account holds beside that, or later, is told to nobody
    let moved = service.signed_in_later("olga", 10, "olga@second.example");
    assert_eq!(seen(&moved).await.email, "olga@second.example");
    assert_eq!(moved.invite("acme", "olga@second.example").await.unwrap().state(), State::Invited);
    assert_eq!(moved.member("acme", "olga").await.unwrap().email, "olga@example.com");
    assert_eq!(reason(moved.invite("acme", "olga@example.com").await), "ALREADY_MEMBER");

    // an issuer's word is needed for this, too
    let uma = service.unverified("uma", "uma@example.com");
    uma.create_account("uma").await.unwrap();
    uma.create_organization("gamma").await.unwrap();
    assert_eq!(uma.member("gamma", "uma").await.unwrap().email, "");
    assert_eq!(uma.invite("gamma", "uma@example.com").await.unwrap().state(), State::Invited);
    service.recount().await;
}

/// The fields that the last event of an invitation changed.
async fn last_changes(owner: &Person, invitation: &str) -> Vec<String> {
    let (parent, _) = invitation.split_once("/invitations/").unwrap();
    let message =
        pb::ListEventsRequest { parent: parent.to_owned(), invitation: invitation.to_owned(), ..Default::default() };
    let mut events = owner.organizations.clone().list_events(message).await.unwrap().into_inner().events;
    let last = events.pop().unwrap();
    last.changes.iter().map(|change| format!("{}: {} -> {}", change.field, change.before, change.after)).collect()
}

#[tokio::test]
async fn a_member_who_uses_a_code_settles_the_invitation() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let max = service.member(&owner, "acme", "max", "READER").await;
    let nora = service.member(&owner, "acme", "nora", "NONE").await;
    let anna = service.account("anna").await;
    for (member, username) in [(&owner, "olga"), (&max, "max"), (&nora, "nora")] {
        let address = format!("{username}@second.example");
        let invited = owner.invite("acme", &address).await.unwrap();
        let code = service.code_to(&address, 1).await;
        let organization = owner.organization("acme").await;
        // as often as they like
        for _ in 0..2 {
            let refused = member.request_access(&code).await;
            assert_eq!(named(&refused, "member"), format!("organizations/acme/members/{username}"));
            assert_eq!(reason(refused), "ALREADY_MEMBER");
        }

        let settled = owner.get(&invited.name).await.unwrap();
        assert_eq!((settled.state(), settled.account.clone()), (State::Revoked, format!("accounts/{username}")));
        assert_eq!((settled.account_email.as_str(), settled.role()), ("", Role::Unspecified));
        assert_ne!(settled.etag, invited.etag);
        let reminder = settled.deliveries.iter().find(|delivery| delivery.kind() == Kind::InvitationReminder).unwrap();
        assert_eq!(reminder.state(), Sent::Dropped);
        assert!(reminder.detail.contains("member"), "{}", reminder.detail);
        let story = ["INVITED accounts/olga".to_owned(), format!("REVOKED accounts/{username}")];
        assert_eq!(owner.story(&invited.name).await, story);
        let account = format!("account:  -> accounts/{username}");
        assert_eq!(last_changes(&owner, &invited.name).await, ["state: INVITED -> REVOKED", &account]);
        assert_eq!(owner.organization("acme").await.seats_taken, organization.seats_taken);

        // it neither waits nor ends by itself, so nobody is told that nobody used it
        service.let_expire(&invited.name).await;
        assert_eq!(owner.get(&invited.name).await.unwrap().state(), State::Revoked);
        let emails = service.outbox(&invited.name).await;
        let sent = emails.iter().map(|email| email.split(' ').next().unwrap()).collect::<Vec<_>>();
        assert_eq!(sent, ["ACCOUNT_INVITATION", "INVITATION_REMINDER"]);
        // for everybody else the code is dead, and the address is free
        assert_eq!(reason(anna.request_access(&code).await), "CODE_NOT_FOUND");
        let anew = owner.invite("acme", &address).await.unwrap();
        assert_eq!(anna.request_access(&service.code_to(&address, 2).await).await.unwrap().name, anew.name);
        anna.decline(&anew.name).await.unwrap();
    }
    service.recount().await;
}

#[tokio::test]
async fn only_a_live_code_of_the_members_own_organization_settles_anything() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let max = service.member(&owner, "acme", "max", "MANAGER").await;
    let rosa = service.owner("rosa", "rival").await;
    let mut codes = Vec::new();
    for address in ["ended@example.net", "rotated@example.net", "used@example.net"] {
        let invited = owner.invite("acme", address).await.unwrap();
        codes.push(service.code_to(address, 1).await);
        match address {
            // by its inviter: the sweep would write in the middle of what follows
            "ended@example.net" => drop(owner.revoke(&invited.name).await.unwrap()),
            "rotated@example.net" => drop(owner.resend(&invited.name, true).await.unwrap()),
            _ => drop(rosa.request_access(&codes[2]).await.unwrap()),
        }
    }
    service.code_to("rotated@example.net", 2).await;
    let before = service.tables().await;
    for code in &codes {
        assert_eq!(reason(max.request_access(code).await), "CODE_NOT_FOUND");
    }
    before.assert_same(&service.tables().await, "a code that is no use to anybody");

    // a member of another organization is somebody new here
    rosa.invite("rival", "max@example.org").await.unwrap();
    let asked = max.request_access(&service.code_to("max@example.org", 1).await).await.unwrap();
    assert_eq!(asked.state(), State::AccessRequested);
    service.recount().await;
}

#[tokio::test]
async fn of_two_who_use_a_code_at_once_one_gets_it() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let max = service.member(&owner, "acme", "max", "READER").await;
    for round in 0..8 {
        let address = format!("shared-{round}@example.net");
        let invited = owner.invite("acme", &address).await.unwrap();
        let code = service.code_to(&address, 1).await;
        let anna = service.account(&format!("anna-{round}")).await;
        let (member, asked) = tokio::join!(max.request_access(&code), anna.request_access(&code));
        let found = owner.get(&invited.name).await.unwrap();
        match asked {
            Ok(_) => {
                assert_eq!((found.state(), found.account), (State::AccessRequested, format!("accounts/anna-{round}")));
                assert!(["ALREADY_MEMBER", "CODE_NOT_FOUND"].contains(&reason(member).as_str()));
            }
            refused => {
                assert_eq!(reason(refused), "CODE_NOT_FOUND");
                assert_eq!((found.state(), found.account.as_str()), (State::Revoked, "accounts/max"));
                assert_eq!(reason(member), "ALREADY_MEMBER");
            }
        }
    }
    service.recount().await;
}
