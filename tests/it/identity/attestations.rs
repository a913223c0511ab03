//! What was attested once counts only for a time, and no older word brings back what a newer one has replaced.

use invitations::dev::mailbox::Script;
use invitations::pb;
use tonic::Status;

use crate::support::github::{CLIENT_ID, Github};
use crate::support::{Person, Service, reason, scratch};

async fn emails(person: &Person) -> Vec<String> {
    let message = pb::GetAccountRequest { name: "accounts/me".to_owned() };
    person.accounts.clone().get_account(message).await.unwrap().into_inner().emails
}

async fn delete(person: &Person) -> Result<(), Status> {
    let message = pb::DeleteAccountRequest { name: "accounts/me".to_owned(), ..Default::default() };
    person.accounts.clone().delete_account(message).await.map(drop)
}

fn hours(hours: i64) -> pb::Policy {
    let max_attestation_age = Some(prost_types::Duration { seconds: hours * 3600, nanos: 0 });
    pb::Policy { max_attestation_age, ..Default::default() }
}

fn required() -> pb::Policy {
    pb::Policy { address_match: pb::policy::AddressMatch::Require.into(), ..Default::default() }
}

impl Service {
    /// Lets that many hours pass since the addresses of all accounts were attested.
    async fn let_attestations_age(&self, hours: i32) {
        for table in ["account_emails", "identities"] {
            let age = format!("UPDATE {table} SET attest_time = attest_time - make_interval(hours => {hours})");
            self.database.execute(&age).await;
        }
    }
}

#[tokio::test]
async fn whoever_hides_their_addresses_from_us_holds_none() {
    let github = Github::start().await;
    let service = Service::start_trusting(vec![github.entry(&scratch("github_leaver").join("secret"))]).await;
    let owner = service.owner("olga", "acme").await;
    let allowed = vec!["acme.example".to_owned()];
    let policy = pb::Policy { allowed_email_domains: allowed, ..Default::default() };
    owner.set_policy("acme", &["allowed_email_domains"], policy).await;
    github.grant("gho_anna", 1, &["anna@acme.example primary"]);
    let anna = Person::new(&service.channel, "gho_anna".to_owned());
    anna.create_account("anna").await.unwrap();
    let offer = owner.offer("acme", "anna", "anna@acme.example", "READER").await.unwrap();
    // she leaves acme, which GitHub would say, if we might ask
    github.grant_by(CLIENT_ID, "gho_bare", 1, None);
    let bare = Person::new(&service.channel, "gho_bare".to_owned());
    assert_eq!(reason(bare.accept(&offer.name).await), "ADDRESS_MISMATCH");
    assert_eq!(reason(owner.offer("acme", "anna", "anna@acme.example", "READER").await), "ACCOUNT_EMAIL_CHANGED");
    // the control: whoever shows them is let in
    github.grant("gho_shown", 1, &["anna@acme.example primary"]);
    Person::new(&service.channel, "gho_shown".to_owned()).accept(&offer.name).await.unwrap();
}

#[tokio::test]
async fn addresses_count_for_so_many_days_after_they_were_attested() {
    let settings = [("max_attestation_age_days", "30")];
    let service = Service::start_with(&settings, Script::accept_all()).await;
    let for_ever = service.replica(&[("max_attestation_age_days", "36500")]).await;
    let owner = service.owner("olga", "acme").await;
    owner.set_policy("acme", &["address_match"], required()).await;
    let (_, asked) = service.requested(&owner, "acme", "anna").await;
    let offered = owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    assert_eq!(asked.name, offered.name);
    service.account("bert").await;
    owner.invite("acme", "bert@example.com").await.unwrap();
    let code = service.code_to("bert@example.com", 1).await;

    // tokens that say nothing about addresses, 30 days and an hour later
    service.let_attestations_age(30 * 24 + 1).await;
    let [anna, bert] = ["anna", "bert"].map(|name| service.signed_in_silently(name, 1));
    assert!(emails(&anna).await.is_empty());
    assert_eq!(reason(anna.accept(&offered.name).await), "ADDRESS_MISMATCH");
    assert_eq!(reason(bert.request_access(&code).await), "EMAIL_NOT_VERIFIED");
    let offer = async || owner.offer("acme", "bert", "bert@example.com", "READER").await;
    assert_eq!(reason(offer().await), "ACCOUNT_EMAIL_NOT_FOUND");

    // the controls: without an age, and with addresses that were attested again
    assert_eq!(emails(&anna.on(&for_ever)).await, ["anna@example.com"]);
    anna.on(&for_ever).accept(&offered.name).await.unwrap();
    let again = service.signed_in_later("bert", 2, "bert@example.com");
    again.request_access(&code).await.unwrap();
    assert_eq!(emails(&bert).await, ["bert@example.com"]);
    offer().await.unwrap();
}

#[tokio::test]
async fn an_organization_may_ask_for_younger_attestations() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (_, offered) = service.requested(&owner, "acme", "anna").await;
    service.requested(&owner, "acme", "carl").await;
    service.account("bert").await;
    owner.invite("acme", "bert@example.com").await.unwrap();
    let code = service.code_to("bert@example.com", 1).await;
    owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    service.member(&owner, "acme", "dora", "READER").await;

    owner.set_policy("acme", &["max_attestation_age"], hours(24)).await;
    assert_eq!(owner.organization("acme").await.policy.unwrap().max_attestation_age, hours(24).max_attestation_age);
    service.let_attestations_age(25).await;
    let owner = service.signed_in_later("olga", 1, "olga@example.com");
    let [anna, bert] = ["anna", "bert"].map(|name| service.signed_in_silently(name, 1));
    assert_eq!(reason(bert.request_access(&code).await), "ATTESTATION_TOO_OLD");
    assert_eq!(reason(anna.accept(&offered.name).await), "ATTESTATION_TOO_OLD");
    let offer = async || owner.offer("acme", "carl", "carl@example.com", "READER").await;
    assert_eq!(reason(offer().await), "ATTESTATION_TOO_OLD");
    assert_eq!(reason(owner.set_role("acme", "dora", "CONTRIBUTOR").await), "ATTESTATION_TOO_OLD");

    // whoever signs in with addresses is let in, and so is everybody where the organization does not ask for it
    service.signed_in_later("bert", 2, "bert@example.com").request_access(&code).await.unwrap();
    let billing = service.service("billing", &["organizations.admin"]);
    billing.set_policy("acme", &["max_attestation_age"], pb::Policy::default()).await;
    anna.accept(&offered.name).await.unwrap();
    offer().await.unwrap();
    owner.set_role("acme", "dora", "CONTRIBUTOR").await.unwrap();

    // never longer than the deployment allows, nor in parts of seconds
    let mut message = pb::UpdateOrganizationRequest {
        organization: Some(pb::Organization { name: "organizations/acme".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    for bad in [0, 24 * 31] {
        message.organization.as_mut().unwrap().policy = Some(hours(bad));
        let refused = owner.organizations.clone().update_organization(message.clone()).await.unwrap_err();
        assert_eq!(crate::support::bad_fields(&refused), ["organization.policy.max_attestation_age"]);
    }
}

#[tokio::test]
async fn an_older_token_brings_no_address_back_after_a_deletion() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let older = service.account("anna").await;
    let newer = service.signed_in_later("anna", 5, "anna@new.example");
    assert_eq!(emails(&newer).await, ["anna@new.example"]);
    delete(&newer).await.unwrap();
    assert!(older.create_account("anna-two").await.unwrap().emails.is_empty());
    assert!(emails(&older).await.is_empty());
    let offer = async |email: &str| reason(owner.offer("acme", "anna-two", email, "READER").await);
    assert_eq!(offer("anna@example.com").await, "ACCOUNT_EMAIL_NOT_FOUND");

    // nor does it where a token that says nothing has opened the account
    delete(&older).await.unwrap();
    service.signed_in_silently("anna", 20).create_account("anna-three").await.unwrap();
    assert!(emails(&older).await.is_empty());

    // the newest one still counts, also where it has opened the account
    assert_eq!(emails(&service.signed_in_later("anna", 6, "anna@new.example")).await, ["anna@new.example"]);
    delete(&older).await.unwrap();
    let newest = service.signed_in_later("anna", 7, "anna@newest.example");
    assert_eq!(newest.create_account("anna-four").await.unwrap().emails, ["anna@newest.example"]);

    // the control: the note is what keeps it away
    delete(&older).await.unwrap();
    service.database.execute("DELETE FROM attestations").await;
    assert_eq!(older.create_account("anna-five").await.unwrap().emails, ["anna@example.com"]);
}

#[tokio::test]
async fn a_founder_without_an_address_rises_under_no_policy_of_addresses() {
    let service = Service::start().await;
    let fay = service.unverified("fay", "fay@example.com");
    fay.create_account("fay").await.unwrap();
    fay.create_organization("acme").await.unwrap();
    let olga = service.member(&fay, "acme", "olga", "OWNER").await;
    fay.set_role("acme", "fay", "MANAGER").await.unwrap();
    let billing = service.service("billing", &["organizations.admin"]);
    let domains = |domain: &str| vec![domain.to_owned()];
    let policies = [
        ("allowed_email_domains", pb::Policy { allowed_email_domains: domains("acme.example"), ..Default::default() }),
        ("blocked_email_domains", pb::Policy { blocked_email_domains: domains("evil.example"), ..Default::default() }),
        ("address_match", required()),
        ("max_attestation_age", hours(24)),
    ];
    for (path, policy) in policies {
        olga.set_policy("acme", &[path], policy).await;
        assert_eq!(reason(olga.set_role("acme", "fay", "OWNER").await), "EMAIL_NOT_VERIFIED", "{path}");
        // what an owner loosens waits
        billing.set_policy("acme", &[path], pb::Policy::default()).await;
    }
    // the control: nothing is asked of addresses
    olga.set_role("acme", "fay", "OWNER").await.unwrap();
}
