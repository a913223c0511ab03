//! Calls that claim to be for another host, or by somebody else: the links in emails are made of the configuration and
//! nothing else, and the caller is in the headers.

use http::{HeaderMap, HeaderName};
use invitations::dev::mailbox::Received;
use invitations::domain::Method;
use invitations::pb;
use invitations::pb::invitation_service_client::InvitationServiceClient;
use prost::Message;
use tonic::metadata::{Ascii, MetadataKey};
use tonic::transport::Endpoint;
use tonic::{Code, Request};

use super::letters::{BASE, Letter, is_ours};
use super::requests;
use crate::support::{Channel, Service};

const HEADERS: [&str; 16] = [
    "host",
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
    "x-host",
    "x-http-host-override",
    "origin",
    "referer",
    "x-envoy-original-host",
];
const VALUES: [&str; 5] =
    ["evil.example", "hub.example.evil.example", "https://evil.example/", "host=evil.example;proto=http", "127.0.0.1"];
const AUTHORITIES: [&str; 4] = ["evil.example", "evil.example:443", "hub.example@evil.example", "[::1]:80"];

/// Every link of an email, none of which leads elsewhere.
fn check(email: &Received, address: &str) -> Result<usize, String> {
    let links = Letter::read(email).links(&[address, "notify@acme.example", "anna@example.com"]);
    links.iter().find(|link| !is_ours(link)).map_or(Ok(links.len()), |link| Err(link.clone()))
}

#[tokio::test]
async fn no_header_of_a_call_moves_the_links_in_emails() {
    let service = Service::start().await;
    super::warm_up(&service).await;
    let owner = service.owner("olga", "acme").await;
    let mut number = 0;
    let mut invite = async |authority: &str, headers: &[(&str, &str)]| {
        number += 1;
        let address = format!("guest-{number}@example.com");
        let origin = format!("http://{authority}").parse().unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{}", service.address)).unwrap().origin(origin);
        let mut client = InvitationServiceClient::new(Channel::open(endpoint).await.unwrap());
        let invitation = pb::Invitation { email: address.clone(), ..Default::default() };
        let parent = "organizations/acme".to_owned();
        let message = pb::CreateInvitationRequest { parent, invitation: Some(invitation), ..Default::default() };
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {}", owner.token).parse().unwrap());
        for (name, value) in headers {
            let name = name.parse::<MetadataKey<Ascii>>().unwrap();
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        client.create_invitation(request).await.unwrap();
        let links = check(&*service.email_to(&address, 1).await, &address);
        assert!(links.as_ref().is_ok_and(|links| *links > 3), "{authority} {headers:?}: {links:?}");
    };
    for value in VALUES {
        for header in HEADERS {
            invite("hub.example", &[(header, value)]).await;
        }
        invite("evil.example", &HEADERS.map(|header| (header, value))).await;
    }
    for authority in AUTHORITIES {
        invite(authority, &[]).await;
    }

    // the emails of the other steps, for a caller who is at the wrong host all the time
    let endpoint = Endpoint::from_shared(format!("http://{}", service.address)).unwrap();
    let evil = Channel::open(endpoint.origin("http://evil.example".parse().unwrap())).await.unwrap();
    let anna = service.stranger("anna", "anna@example.com").on(&evil);
    anna.create_account("anna").await.unwrap();
    owner.on(&evil).invite("acme", "anna@example.com").await.unwrap();
    let name = anna.request_access(&service.code_to("anna@example.com", 1).await).await.unwrap().name;
    owner.on(&evil).offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    anna.accept(&name).await.unwrap();
    service.tables().await;
    for email in service.mailbox.received() {
        assert!(check(&email, &email.recipients[0]).is_ok(), "{:?}", Letter::read(&email).links(&[]));
    }

    // control: the check finds the one link that leads elsewhere
    let email = service.email_to("anna@example.com", 1).await;
    let message = String::from_utf8(email.message.clone()).unwrap();
    for other in ["https://evil.example", "https://hub.example.evil.example"] {
        let seeded = Received { message: message.replacen(BASE, other, 1).into_bytes(), ..(*email).clone() };
        assert!(check(&seeded, "anna@example.com").is_err(), "{other}");
    }
    service.stop().await;
}

/// Whoever looks at calls before us, such as a mesh that checks tokens too, sees no trailers.
#[tokio::test]
async fn no_trailer_of_a_call_says_who_calls() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await.token;
    let stranger = service.account("eve").await.token;
    let connection = requests::Connection::open(service.address).await;
    let message = pb::GetOrganizationRequest { name: "organizations/acme".to_owned() }.encode_to_vec();
    let call = async |header: Option<&str>, trailer: &str| {
        let mut request = requests::Request::new(Method::GetOrganization.path(), header, &message);
        let trailer = (HeaderName::from_static("authorization"), format!("Bearer {trailer}").parse().unwrap());
        request.trailers = Some(HeaderMap::from_iter([trailer]));
        connection.call(&request).await.code()
    };
    assert_eq!(call(None, &owner).await, Code::Unauthenticated);
    assert_eq!(call(Some(&stranger), &owner).await, Code::NotFound);
    // control: the call is good, and so are its trailers
    assert_eq!(call(Some(&owner), &stranger).await, Code::Ok);
    service.stop().await;
}
