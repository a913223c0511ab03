//! What a collector of traces gets from a process that is told of it.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use invitations::pb;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};

use crate::attack::process::{Circumstances, Process};
use crate::support::{PATIENCE, Person, Service, evidence};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "00f067aa0ba902b7";
const CREATE: &str = "ipmhub.invitations.v1.InvitationService/CreateInvitation";

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        writeln!(evidence::log_of("traces"), "{request:?}").unwrap();
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            assert!(attributes.iter().any(|it| it.key == "service.name" && format!("{it:?}").contains("invitations")));
            self.0.lock().unwrap().extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn listen(at: SocketAddr) -> (Self, SocketAddr) {
        let (collector, listener) = (Self::default(), TcpListener::bind(at).await.unwrap());
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, address)
    }

    fn spans(&self) -> Vec<Span> {
        self.0.lock().unwrap().clone()
    }

    /// The span that is meant, once it is there.
    async fn span(&self, is_it: impl Fn(&Span) -> bool) -> Span {
        let begin = std::time::Instant::now();
        loop {
            if let Some(span) = self.spans().into_iter().find(&is_it) {
                return span;
            }
            assert!(begin.elapsed() < PATIENCE, "such a span does not come: {:#?}", self.spans());
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn value(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|it| it.key == key).and_then(|it| it.value.clone());
    format!("{:?}", found.and_then(|it| it.value))
}

async fn invite(owner: &Person, email: &str, traceparent: &str) -> Result<pb::Invitation, Status> {
    let message = pb::CreateInvitationRequest {
        parent: "organizations/acme".to_owned(),
        invitation: Some(pb::Invitation { email: email.to_owned(), ..Default::default() }),
        ..Default::default()
    };
    let mut request = Request::new(message);
    request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
    request.metadata_mut().insert("tracestate", "vendor=secret-of-the-caller".parse().unwrap());
    Ok(owner.invitations.clone().create_invitation(request).await?.into_inner())
}

async fn serve(settings: &[(&str, &str)]) -> (Service, Process, Person) {
    let circumstances = Circumstances { settings, log_level: "info", ..Circumstances::default() };
    let (service, process) = Process::serve(circumstances).await;
    let owner = service.owner("olga", "acme").await;
    (service, process, owner)
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_on_with_its_callers_trace_and_is_linked_to_the_email_it_caused() {
    let (collector, address) = Collector::listen(loopback()).await;
    let endpoint = format!("http://{address}");
    let (service, process, owner) = serve(&[("otlp_endpoint", &endpoint)]).await;
    invite(&owner, "anna@example.com", &format!("00-{TRACE}-{CALLER}-01")).await.unwrap();
    service.email_to("anna@example.com", 1).await;

    let of_caller = |span: &Span| hex(&span.trace_id) == TRACE;
    let call = collector.span(of_caller).await;
    assert_eq!((hex(&call.parent_span_id), &*call.name), (CALLER.to_owned(), CREATE));
    assert_eq!(call.kind(), SpanKind::Server);
    for (key, is) in [("rpc.system.name", "grpc"), ("rpc.method", CREATE), ("rpc.response.status_code", "OK")] {
        assert!(value(&call, key).contains(is), "{key}: {}", value(&call, key));
    }
    let email = collector.span(|span| span.links.iter().any(|link| hex(&link.trace_id) == TRACE)).await;
    assert_eq!((email.links[0].span_id.clone(), email.kind()), (call.span_id.clone(), SpanKind::Client));
    assert!(value(&email, "invitations.email.kind").contains("ACCOUNT_INVITATION"), "{email:?}");
    assert!(value(&email, "invitations.email.result").contains("SENT"), "{email:?}");
    assert_ne!(hex(&email.trace_id), TRACE);

    // a refusal says why, and is no fault of the server's
    let refused = invite(&owner, "no address", &format!("00-{}-{CALLER}-01", TRACE.replace("0af", "1af"))).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    let call = collector.span(|span| hex(&span.trace_id).starts_with("1af")).await;
    assert!(value(&call, "error.type").contains("FIELD_INVALID"), "{call:?}");
    assert_ne!(call.status.unwrap_or_default().code(), StatusCode::Error);

    // log lines name the trace
    let log = String::from_utf8(process.log()).unwrap();
    assert!(log.lines().any(|line| line.contains(TRACE) && line.contains("call ended")), "{log}");
    let said = format!("{:?}", collector.spans());
    for secret in ["example.com", "secret-of-the-caller", "olga", "acme"] {
        assert!(!said.contains(secret), "{secret} is in a span");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_decides_whether_a_trace_is_recorded_and_the_share_decides_on_the_others() {
    let (collector, address) = Collector::listen(loopback()).await;
    let endpoint = format!("http://{address}");
    let (service, process, owner) = serve(&[("otlp_endpoint", &endpoint), ("otlp_sample_ratio", "0")]).await;
    let traces = async || -> Vec<Option<String>> {
        let traces = "SELECT trace FROM emails WHERE kind = 'ACCOUNT_INVITATION' ORDER BY recipient";
        sqlx::query_scalar(traces).fetch_all(service.pool()).await.unwrap()
    };
    owner.invite("acme", "anna@example.com").await.unwrap();
    invite(&owner, "bert@example.com", &format!("00-{TRACE}-{CALLER}-00")).await.unwrap();
    invite(&owner, "carl@example.com", "no trace").await.unwrap();
    assert_eq!(traces().await, [None, None, None]);
    // the control, and all that was recorded before it is there now
    invite(&owner, "dora@example.com", &format!("00-{TRACE}-{CALLER}-01")).await.unwrap();
    service.email_to("dora@example.com", 1).await;
    // its last spans are delivered at its end
    drop(process);
    collector.span(|span| !span.links.is_empty()).await;
    let spans = collector.spans();
    let of_caller = |span: &&Span| hex(&span.trace_id) == TRACE;
    assert_eq!((spans.iter().filter(of_caller).count(), spans.len()), (1, 2), "{spans:#?}");
    assert!(matches!(&*traces().await, [None, None, None, Some(trace)] if trace.contains(TRACE)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_holds_up_no_call_and_is_told_of_once() {
    let free = crate::program::quiet_port();
    let endpoint = format!("http://{free}");
    let (service, process, owner) = serve(&[("otlp_endpoint", &endpoint)]).await;
    let logged = |words: &str| String::from_utf8(process.log()).unwrap().matches(words).count();
    let once = async |words: &str| {
        let begin = std::time::Instant::now();
        while logged(words) == 0 {
            assert!(begin.elapsed() < 3 * PATIENCE, "{words} is not logged");
            owner.get("organizations/acme/invitations/0191e3a4-0000-7000-8000-000000000000").await.ok();
            sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(logged(words), 1);
    };
    once("the collector takes no spans").await;
    owner.invite("acme", "anna@example.com").await.unwrap();
    service.email_to("anna@example.com", 1).await;
    let (collector, _) = Collector::listen(free).await;
    once("the collector takes spans again").await;
    collector.span(|span| span.name.contains("Get")).await;
}
