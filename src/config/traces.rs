//! Where traces go.

use clap::Args;

use super::values;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Traces")]
pub struct Traces {
    /// URL of an OpenTelemetry collector that takes traces by OTLP over gRPC, such as `http://collector:4317`; with
    /// https:// it is trusted as this machine trusts others. Unset: no traces.
    #[arg(long, value_name = "URL", value_parser = values::collector)]
    pub otlp_endpoint: Option<String>,

    /// Share of the traces that are recorded, 0 to 1, where the caller has not decided that (`traceparent`).
    #[arg(long, value_name = "SHARE", default_value = "1", value_parser = values::share)]
    pub otlp_sample_ratio: f64,
}
