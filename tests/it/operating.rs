//! What happens to a service in the hands of operators and providers: the database stops writing, ends sessions, gets
//! another password, is far away, or is a copy; a key file is not the one of before.

mod copies;
mod far;
mod keys;
mod password;
mod read_only;
mod readers;
mod rotation;
mod sessions;

use std::net::SocketAddr;

use tonic::Code;

use crate::support::{Person, Service};

/// A call of each kind: what it reads, charges and writes goes over connections of several kinds. Each has its name,
/// and the code that it ended with.
async fn calls(service: &Service, owner: &Person, nth: usize) -> Vec<(&'static str, Code)> {
    use invitations::pb;

    let code = |outcome: Result<(), tonic::Status>| outcome.err().map_or(Code::Ok, |status| status.code());
    let organization = pb::GetOrganizationRequest { name: "organizations/acme".to_owned() };
    let list = pb::ListInvitationsRequest { parent: "organizations/acme".to_owned(), ..Default::default() };
    let suppress = pb::SuppressEmailRequest { email: format!("no-{nth}@example.com"), ..Default::default() };
    let newcomer = service.stranger(&format!("new-{nth}"), &format!("new-{nth}@example.com"));
    let operator = service.service("mailer", &["mail.operate"]);
    vec![
        ("GetOrganization", code(owner.organizations.clone().get_organization(organization).await.map(drop))),
        ("ListInvitations", code(owner.invitations.clone().list_invitations(list).await.map(drop))),
        ("CreateInvitation", code(owner.invite("acme", &format!("guest-{nth}@example.com")).await.map(drop))),
        ("CreateAccount", code(newcomer.create_account(&format!("new-{nth}")).await.map(drop))),
        ("SuppressEmail", code(operator.mail.clone().suppress_email(suppress).await.map(drop))),
    ]
}

/// The limits that make calls charge somebody.
const CHARGING: [(&str, &str); 3] = [
    ("invitations_per_caller_limit", "1000"),
    ("account_attempts_per_identity_limit", "1000"),
    ("emails_per_address_limit", "1000"),
];

/// A URL with another place.
pub fn at(url: &str, place: SocketAddr) -> String {
    let (user, rest) = url.rsplit_once('@').unwrap();
    let (_, database) = rest.split_once('/').unwrap();
    format!("{user}@{place}/{database}")
}

/// The place of a URL.
pub fn place(url: &str) -> SocketAddr {
    let (_, rest) = url.rsplit_once('@').unwrap();
    rest.split_once('/').unwrap().0.parse().unwrap()
}
