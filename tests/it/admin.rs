//! The port for those who run the service: probes and Prometheus.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use invitations::dev::issuer;
use invitations::server::Server;
use prost::bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Database, PATIENCE, scratch, settings_for};

/// What a probe of Kubernetes' own hears: gRPC without TLS or a token, over a new connection.
pub async fn health(admin: SocketAddr, service: &str) -> Result<ServingStatus, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{admin}")).unwrap().timeout(PATIENCE);
    let channel = endpoint.connect().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let request = HealthCheckRequest { service: service.to_owned() };
    Ok(HealthClient::new(channel).check(request).await?.into_inner().status())
}

pub async fn is_serving(admin: SocketAddr) {
    let serving = async { while health(admin, "").await.unwrap() != ServingStatus::Serving {} };
    timeout(3 * PATIENCE, serving).await.expect("the service becomes ready");
}

async fn start(database: &Database, dir: &Path, settings: &[(&str, &str)], stop: &CancellationToken) -> Server {
    let smtp = SocketAddr::from(([127, 0, 0, 1], 25));
    let settings = [&[("admin_listen", "127.0.0.1:0")], settings].concat();
    Server::start(&settings_for(&database.service_url, dir, smtp, &settings), stop).await.unwrap()
}

#[tokio::test]
async fn probes_and_prometheus_share_a_port_without_tls_and_tokens() {
    let (database, dir) = (Database::create().await, scratch("admin_tls"));
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let [certificate, key] =
        [("cert.pem", made.cert.pem()), ("key.pem", made.signing_key.serialize_pem())].map(|(name, pem)| {
            let path = dir.join(name);
            std::fs::write(&path, pem).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            path.display().to_string()
        });
    // nobody has such a certificate
    let settings =
        [("tls_certificate_file", certificate.as_str()), ("tls_key_file", &key), ("tls_client_ca_file", &certificate)];
    let stop = CancellationToken::new();
    let server = start(&database, &dir, &settings, &stop).await;
    let admin = server.admin_address().unwrap();
    is_serving(admin).await;
    for service in ["liveness", "ipmhub.invitations.v1.InvitationService"] {
        assert_eq!(health(admin, service).await.unwrap(), ServingStatus::Serving, "{service}");
    }
    assert_eq!(health(admin, "no.Service").await.unwrap_err().code(), Code::NotFound);
    let page = crate::metrics::get(admin, "/metrics").await;
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("\ninvitations_"), "{page}");
    // the control: the other port says nothing to them
    assert!(health(server.address(), "liveness").await.is_err());
    stop.cancel();
    server.finished().await.unwrap();
}

#[tokio::test]
async fn the_port_answers_until_the_last_call_has_ended() {
    let (database, dir) = (Database::create().await, scratch("admin_drain"));
    let stop = CancellationToken::new();
    let server = start(&database, &dir, &[("endpoint_delay_seconds", "0")], &stop).await;
    let (address, admin) = (server.address(), server.admin_address().unwrap());
    is_serving(admin).await;
    // a call that has not fully arrived
    let token = issuer::user_token(&dir, "olga", None, false, issuer::Provider::Github).unwrap();
    let socket = TcpStream::connect(address).await.unwrap();
    let (requests, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::post(format!("http://{address}/ipmhub.invitations.v1.AccountService/GetAccount"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {token}"))
        .body(())
        .unwrap();
    let (_answer, mut call) = requests.ready().await.unwrap().send_request(request, false).unwrap();

    stop.cancel();
    let finished = tokio::spawn(server.finished());
    // drains: no new connection is taken
    timeout(PATIENCE, async { while TcpStream::connect(address).await.is_ok() {} }).await.expect("it drains");
    assert_eq!(health(admin, "").await.unwrap(), ServingStatus::NotServing);
    assert_eq!(health(admin, "liveness").await.unwrap(), ServingStatus::Serving);
    assert!(!finished.is_finished());
    call.send_data(Bytes::new(), true).unwrap();
    timeout(PATIENCE, finished).await.unwrap().unwrap().unwrap();
    connection.await.unwrap().ok();
}

#[tokio::test]
async fn who_only_connects_keeps_a_place_for_five_seconds() {
    let (database, dir) = (Database::create().await, scratch("admin_idle"));
    let stop = CancellationToken::new();
    let server = start(&database, &dir, &[], &stop).await;
    let admin = server.admin_address().unwrap();
    is_serving(admin).await;
    let began = Instant::now();
    let mut idle = Vec::new();
    for _ in 0..64 {
        idle.push(TcpStream::connect(admin).await.unwrap());
    }
    assert!(health(admin, "liveness").await.is_err(), "there is no place left");
    // the control: with one connection less there is one
    drop(idle.pop());
    let answers = async { while health(admin, "liveness").await.is_err() {} };
    timeout(PATIENCE, answers).await.unwrap();
    let is_early = began.elapsed() < Duration::from_secs(4);
    let mut ends = [0];
    timeout(PATIENCE, idle[0].read(&mut ends)).await.expect("it is cut off").ok();
    assert!(is_early && began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
    stop.cancel();
    server.finished().await.unwrap();
}
