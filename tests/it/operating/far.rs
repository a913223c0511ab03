//! A database that is far away, or does not answer.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use invitations::dev::mailbox::Script;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tonic::Code;

use super::{CHARGING, at, calls, place};
use crate::support::{Database, Service, patiently};

/// Passes everything on, half a round trip later.
async fn far_away(server: SocketAddr, round_trip: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move {
                // what the handshake of TCP takes
                sleep(round_trip).await;
                let server = TcpStream::connect(server).await.unwrap();
                let (client, server) = (client.into_split(), server.into_split());
                tokio::join!(pass(client.0, server.1, round_trip / 2), pass(server.0, client.1, round_trip / 2));
            });
        }
    });
    address
}

async fn pass(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, delay: Duration) {
    let mut piece = vec![0; 256 * 1024];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        sleep(delay).await;
        if to.write_all(&piece[..read]).await.is_err() {
            break;
        }
    }
    to.shutdown().await.ok();
}

#[tokio::test]
async fn a_database_that_is_hundreds_of_milliseconds_away_works() {
    tokio::join!(works_over(Duration::from_millis(200)), works_over(Duration::from_millis(300)));
}

async fn works_over(round_trip: Duration) {
    let mut database = Database::create().await;
    database.service_url = at(&database.service_url, far_away(place(&database.service_url), round_trip).await);
    let settings = [&CHARGING[..], &[("default_deadline_seconds", "30")]].concat();
    // its health says SERVING, or this fails
    let service = Service::start_on(database, &settings, Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    // the first call of each kind waits for its connection and its plans
    patiently(async || owner.invite("acme", "first@example.com").await).await.unwrap();
    calls(&service, &owner, 0).await;
    for (call, code) in calls(&service, &owner, 1).await {
        assert_eq!(code, Code::Ok, "{call} over {round_trip:?}");
    }
}

/// The neighbour: each try has an end.
#[tokio::test]
async fn a_database_that_takes_connections_and_says_nothing_is_named_and_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = silent.local_addr().unwrap().to_string();
    let url = format!("postgres://hub:secret@{place}/hub");
    crate::start::waits(&url, "silent", &[&place, "no connection in time"]).await;
}

/// Where this machine has no IPv6, or names its IPv4 address first, the name has nothing to get past.
#[tokio::test]
async fn a_name_whose_first_address_says_nothing_is_reached_by_another_one() {
    let mut database = Database::create().await;
    let passing = far_away(place(&database.service_url), Duration::ZERO).await;
    let silent = TcpListener::bind((Ipv6Addr::LOCALHOST, passing.port())).await;
    let (user, rest) = database.service_url.rsplit_once('@').unwrap();
    let name = rest.rsplit_once('/').unwrap().1;
    database.service_url = format!("{user}@localhost:{}/{name}", passing.port());
    let service = Service::start_on(database, &[], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    patiently(async || owner.invite("acme", "anna@example.com").await).await.unwrap();
    drop(silent);
}
