//! The way to the collector: OTLP over gRPC.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, SpanData, SpanExporter,
};

/// For one delivery.
const DELIVER_WITHIN: Duration = Duration::from_secs(5);

/// Why no spans can be delivered there.
#[derive(Debug, thiserror::Error)]
#[error("is no address of a collector")]
pub struct Invalid;

/// Headers, such as a token of the collector, come from `OTEL_EXPORTER_OTLP_HEADERS`, further attributes of the resource
/// from `OTEL_RESOURCE_ATTRIBUTES`, both read by the library.
pub(super) fn provider(collector: &str, share: f64) -> Result<SdkTracerProvider, Invalid> {
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(collector);
    let exporter = exporter.with_timeout(DELIVER_WITHIN);
    let is_secure = collector.starts_with("https:");
    let exporter =
        if is_secure { exporter.with_tls_config(ClientTlsConfig::new().with_native_roots()) } else { exporter };
    let exporter = exporter.build().map_err(|_| Invalid)?;
    let version = KeyValue::new("service.version", env!("INVITATIONS_VERSION"));
    let resource = Resource::builder().with_service_name(env!("CARGO_PKG_NAME")).with_attribute(version).build();
    let share = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share)));
    let told = Told { exporter, is_down: AtomicBool::new(false) };
    let provider = SdkTracerProvider::builder().with_batch_exporter(told).with_resource(resource);
    Ok(provider.with_sampler(Share(share)).build())
}

/// A share of the traces, and whatever a recorded call has caused.
#[derive(Clone, Debug)]
struct Share(Sampler);

impl ShouldSample for Share {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        if links.is_empty() {
            return self.0.should_sample(parent, trace_id, name, kind, attributes, links);
        }
        let decision = SamplingDecision::RecordAndSample;
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::default() }
    }
}

/// An exporter whose failures are logged: the library's own lines are not, as they show what they send.
#[derive(Debug)]
struct Told {
    exporter: opentelemetry_otlp::SpanExporter,
    /// The log says only when that changes.
    is_down: AtomicBool,
}

impl SpanExporter for Told {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let delivered = self.exporter.export(batch).await;
        match (self.is_down.swap(delivered.is_err(), Ordering::Relaxed), &delivered) {
            (false, Err(_)) => {
                tracing::warn!(spans, "the collector takes no spans; check otlp_endpoint if this goes on");
            }
            (true, Ok(())) => tracing::info!("the collector takes spans again"),
            _ => {}
        }
        delivered
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
