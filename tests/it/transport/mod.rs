//! The server below the services, tried over real sockets with a service that waits and panics on demand.

mod calls;
mod connections;
mod health;
mod process;
mod reflection;
mod shutdown;
mod tls;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use h2::client::SendRequest;
use invitations::grpc::health::Health;
use invitations::grpc::serve::serve;
use invitations::grpc::{Door, ServeSettings, Shares, WatchSettings, Watches};
use invitations::identity::Verifier;
use invitations::pb::account_service_client::AccountServiceClient;
use invitations::pb::account_service_server::{AccountService, AccountServiceServer};
use invitations::pb::{
    Account, CreateAccountRequest, DeleteAccountRequest, ErrorReason, GetAccountRequest, ListAccountMembershipsRequest,
    ListAccountMembershipsResponse,
};
use invitations::tasks::Tasks;
use prost::Message;
use prost::bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Response, Status, Streaming, async_trait};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt;

use crate::support::Channel;

const GET: &str = "/ipmhub.invitations.v1.AccountService/GetAccount";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// For what has to happen; reached only by a test that fails.
const SOON: Duration = Duration::from_secs(10);

fn settings() -> ServeSettings {
    ServeSettings {
        max_connections: 100,
        max_concurrent_streams: 100,
        max_open_streams: 100,
        max_arriving_requests: 100,
        max_untaken_answers: 100,
        max_connection_age: Duration::from_mins(10),
        default_deadline: Duration::from_mins(1),
        max_deadline: Duration::from_mins(1),
        first_byte_timeout: Duration::from_mins(1),
        endpoint_delay: Duration::ZERO,
        drain_timeout: SOON,
        reflection: true,
        tls: None,
        tls_reload_interval: Duration::from_millis(20),
    }
}

/// GetAccount does what the name of the account says, CreateAccount waits.
#[derive(Clone, Default)]
struct Stub {
    entered: Arc<Notify>,
    released: Arc<Notify>,
    calls: Arc<AtomicUsize>,
}

#[async_trait]
impl AccountService for Stub {
    async fn get_account(&self, request: Request<GetAccountRequest>) -> Result<Response<Account>, Status> {
        let name = request.into_inner().name;
        self.calls.fetch_add(1, Ordering::Relaxed);
        match name.as_str() {
            "waits" => {
                self.entered.notify_one();
                self.released.notified().await;
            }
            "panics" => panic!("as asked for"),
            _ => {}
        }
        Ok(Response::new(Account { name, ..Account::default() }))
    }

    async fn create_account(&self, _: Request<CreateAccountRequest>) -> Result<Response<Account>, Status> {
        std::future::pending().await
    }

    async fn delete_account(&self, _: Request<DeleteAccountRequest>) -> Result<Response<()>, Status> {
        unreachable!("no test calls it")
    }

    async fn list_account_memberships(
        &self,
        _: Request<ListAccountMembershipsRequest>,
    ) -> Result<Response<ListAccountMembershipsResponse>, Status> {
        unreachable!("no test calls it")
    }
}

struct Server {
    address: SocketAddr,
    stub: Stub,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Server {
    async fn start(settings: ServeSettings) -> Self {
        Self::start_ready_after(settings, Arc::new(tokio::sync::Semaphore::new(1))).await
    }

    /// Ready as soon as there is a permit.
    async fn start_ready_after(settings: ServeSettings, ready: Arc<tokio::sync::Semaphore>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stub = Stub::default();
        let routes =
            AccountServiceServer::new(stub.clone()).max_decoding_message_size(64 * 1024).accept_compressed(Gzip);
        let stop = CancellationToken::new();
        let ready = move || {
            let ready = Arc::clone(&ready);
            async move { ready.acquire().await.is_ok() }
        };
        let tasks = Tasks::new(stop.clone());
        let door = Door::new(Arc::new(Verifier::new(Vec::new()).unwrap()), Shares::new(100, None));
        let watches = Watches::new(WatchSettings {
            max: 100,
            max_per_caller: 100,
            max_per_connection: 100,
            max_age: Duration::from_mins(30),
            checkpoint: Duration::from_secs(15),
        });
        let health = Health::new(CancellationToken::new());
        tasks.watch("readiness", health.clone().follow_until(stop.clone(), ready));
        let ended = serve(listener, door, Routes::new(routes), watches, &settings, health, &tasks).unwrap();
        Self { address, stub, stop, ended }
    }

    async fn channel(&self) -> Channel {
        Channel::open(Endpoint::from_shared(format!("http://{}", self.address)).unwrap()).await.unwrap()
    }

    async fn watch(&self, service: &str) -> Streaming<HealthCheckResponse> {
        let request = HealthCheckRequest { service: service.to_owned() };
        HealthClient::new(self.channel().await).watch(request).await.unwrap().into_inner()
    }

    async fn has_ended(self) {
        timeout(SOON, self.ended).await.unwrap().unwrap();
    }
}

/// One HTTP/2 connection without a client's own deadlines, retries and reconnects.
struct Connection {
    requests: SendRequest<Bytes>,
    ended: JoinHandle<Result<(), h2::Error>>,
}

/// What a call ended with.
#[derive(Debug)]
struct Answer {
    status: Status,
    call_id: String,
}

impl Answer {
    fn reason(&self) -> String {
        self.status.get_details_error_info().unwrap().reason
    }

    fn metadata(&self, key: &str) -> Option<String> {
        self.status.get_details_error_info().unwrap().metadata.get(key).cloned()
    }

    fn bad_fields(&self) -> Vec<String> {
        let bad = self.status.get_details_bad_request().unwrap();
        bad.field_violations.into_iter().map(|violation| violation.field).collect()
    }
}

impl Connection {
    async fn open(server: &Server) -> Self {
        Self::try_open(server.address).await.unwrap()
    }

    async fn try_open(address: SocketAddr) -> Result<Self, h2::Error> {
        let socket = TcpStream::connect(address).await.unwrap();
        Self::over(socket).await
    }

    async fn over(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, h2::Error> {
        let (requests, connection) = h2::client::handshake(socket).await?;
        Ok(Self { requests, ended: tokio::spawn(connection) })
    }

    async fn call(&self, path: &str, headers: &[(&str, &str)], message: &[u8]) -> Answer {
        timeout(SOON, self.try_call(path, headers, message)).await.unwrap().unwrap()
    }

    async fn get(&self, name: &str) -> Answer {
        self.call(GET, &[], &get(name)).await
    }

    async fn try_call(&self, path: &str, headers: &[(&str, &str)], message: &[u8]) -> Result<Answer, h2::Error> {
        answer(self.send(path, headers, message).await?).await
    }

    async fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        message: &[u8],
    ) -> Result<http::Response<h2::RecvStream>, h2::Error> {
        let (response, mut body) = self.begin(path, headers).await?;
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        body.send_data([&[0], &length[..], message].concat().into(), true)?;
        response.await
    }

    async fn begin(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(h2::client::ResponseFuture, h2::SendStream<Bytes>), h2::Error> {
        let mut request = http::Request::post(format!("http://service{path}")).header("te", "trailers");
        for (name, value) in [&("content-type", "application/grpc")].into_iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let mut requests = self.requests.clone().ready().await?;
        requests.send_request(request.body(()).unwrap(), false)
    }

    /// A call whose request ends when the second part is dropped.
    async fn unended(&self) -> (JoinHandle<Result<Answer, h2::Error>>, h2::SendStream<Bytes>) {
        let (response, mut body) = self.begin(GET, &[]).await.unwrap();
        body.send_data(vec![0; 3].into(), false).unwrap();
        (tokio::spawn(async { answer(response.await?).await }), body)
    }
}

async fn answer(response: http::Response<h2::RecvStream>) -> Result<Answer, h2::Error> {
    let (head, mut body) = response.into_parts();
    let call_id = head.headers["x-call-id"].to_str().unwrap().to_owned();
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data?.len())?;
    }
    let trailers = body.trailers().await?.unwrap_or(head.headers);
    Ok(Answer { status: Status::from_header_map(&trailers).unwrap(), call_id })
}

fn get(name: &str) -> Vec<u8> {
    GetAccountRequest { name: name.to_owned() }.encode_to_vec()
}

/// Whether the server closes the connection before it has sent anything.
async fn is_closed(socket: &mut TcpStream) -> bool {
    match timeout(SOON, socket.read(&mut [0; 1])).await.unwrap() {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}
