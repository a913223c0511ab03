//! Traces for OpenTelemetry: a span of each call, which goes on with its caller's trace, and one of each email that is
//! sent, linked to the call that has caused it. Nothing is recorded unless a collector is set.
//!
//! A span holds names of methods, codes, reasons, kinds and our own ids. No address, code, token or account is in it.

mod collector;

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::{
    FutureExt, Link, Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags,
    TraceId, TraceState, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

use crate::domain::TraceParent;
pub use collector::Invalid;

/// How long spans that were not delivered yet may keep the process.
const END_WITHIN: Duration = Duration::from_secs(2);
/// What OpenTelemetry calls a method that a server does not know.
const OTHER: &str = "_OTHER";

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Spans on their way to the collector.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Records from now on: of the traces that no caller has decided about, this share. The first collector of a process
    /// stays.
    pub fn start(collector: &str, share: f64) -> Result<Self, Invalid> {
        let provider = collector::provider(collector, share)?;
        TRACER.set(provider.tracer(env!("CARGO_PKG_NAME"))).ok();
        Ok(Self(provider))
    }

    /// Delivers what has ended, within 2 s.
    pub async fn end(self) {
        // it waits for a thread of its own
        let end = move || self.0.shutdown_with_timeout(END_WITHIN);
        if let Ok(Err(_)) | Err(_) = tokio::task::spawn_blocking(end).await {
            tracing::warn!("the last spans were not delivered");
        }
    }
}

/// The span of a call, of the trace that its caller names. Empty unless one is recorded.
#[derive(Debug)]
pub struct CallSpan(Context);

impl CallSpan {
    /// Of a call that is not worth one.
    pub fn none() -> Self {
        Self(Context::new())
    }

    /// `method`: of the contract; `None`: any other one.
    pub fn begin(method: Option<&'static str>, call_id: &str, traceparent: Option<&str>) -> Self {
        let Some(tracer) = TRACER.get() else { return Self::none() };
        let caller = traceparent.and_then(TraceParent::parse);
        let parent = caller.map_or_else(Context::new, |of| Context::new().with_remote_span_context(context(of)));
        let method = method.unwrap_or(OTHER);
        let attributes = [
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", method),
            KeyValue::new("invitations.call_id", call_id.to_owned()),
        ];
        let span = SpanBuilder::from_name(method).with_kind(SpanKind::Server).with_attributes(attributes);
        Self(parent.with_span(span.start_with_context(tracer, &parent)))
    }

    /// What log lines name the trace by.
    pub fn trace_id(&self) -> Option<String> {
        parent(&self.0).map(|TraceParent { trace_id, .. }| format!("{trace_id:032x}"))
    }

    /// Makes the call the [`current`] one of what it does.
    pub fn carry<F: Future>(&self, work: F) -> impl Future<Output = F::Output> {
        work.with_context(self.0.clone())
    }

    /// `error`: why it was refused, or its code. Only what is the server's fault counts as a failed span.
    pub fn end(&self, code: &'static str, error: Option<&'static str>, is_fault: bool) {
        let span = self.0.span();
        span.set_attribute(KeyValue::new("rpc.response.status_code", code));
        if let Some(error) = error {
            span.set_attribute(KeyValue::new("error.type", error));
        }
        if is_fault {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// The call that this task carries out, if it is recorded.
pub fn current() -> Option<TraceParent> {
    Context::map_current(parent)
}

/// One attempt to send an email.
#[derive(Debug)]
pub struct EmailSpan(Option<Box<Span>>);

impl EmailSpan {
    /// `calls`: what it stands for was caused by these.
    pub fn begin(kind: &'static str, id: String, attempt: i32, calls: impl Iterator<Item = TraceParent>) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let attributes = [
            KeyValue::new("messaging.system", "smtp"),
            KeyValue::new("messaging.operation.name", "send"),
            KeyValue::new("messaging.message.id", id),
            KeyValue::new("invitations.email.kind", kind),
            KeyValue::new("invitations.email.attempt", i64::from(attempt)),
        ];
        let links = calls.map(|call| Link::with_context(context(call))).collect();
        let span = SpanBuilder::from_name("send email").with_kind(SpanKind::Client).with_attributes(attributes);
        Self(Some(Box::new(span.with_links(links).start_with_context(tracer, &Context::new()))))
    }

    /// `result`: the state that the email is in now.
    pub fn end(self, result: &'static str, is_failure: bool) {
        let Some(mut span) = self.0 else { return };
        span.set_attribute(KeyValue::new("invitations.email.result", result));
        if is_failure {
            span.set_attribute(KeyValue::new("error.type", result));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

fn context(of: TraceParent) -> SpanContext {
    let flags = if of.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let (trace, span) = (TraceId::from(of.trace_id), SpanId::from(of.span_id));
    SpanContext::new(trace, span, flags, true, TraceState::NONE)
}

fn parent(context: &Context) -> Option<TraceParent> {
    let span = context.span();
    let of = span.span_context();
    let (trace_id, span_id) =
        (u128::from_be_bytes(of.trace_id().to_bytes()), u64::from_be_bytes(of.span_id().to_bytes()));
    of.is_sampled().then_some(TraceParent { trace_id, span_id, is_sampled: true })
}
