//! The log: lines on standard error, none of which may hold a secret, a token, a code or an address.

use std::io::{self, IsTerminal};
use std::panic;

use clap::ValueEnum;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{ParseError, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry,
    util::SubscriberInitExt,
};

/// Quiet unless the filter names them: they tell about bytes and notices, not about the service.
const QUIET: &str = "h2=info,hyper=info,hyper_util=info,reqwest=info,rustls=info,sqlx=warn,tonic=info,tower=info";
/// Never below `info`, whatever the filter says: there they print statements and SMTP dialogues, with addresses and codes.
const SEALED: [&str; 2] = ["lettre", "sqlx"];

/// How lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum LogFormat {
    /// One JSON object on each line.
    Json,
    /// For people.
    Text,
}

/// Starts the log; a second call in one process changes nothing.
pub fn init(format: LogFormat, level: &str) {
    let _already = log(format, level, io::stderr).try_init();
    // the default hook prints the panic's message, which may quote a value
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked: this is a fault of the service");
    }));
}

/// The log, written to there.
pub fn log<W>(format: LogFormat, level: &str, writer: W) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = match format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(writer).boxed(),
        LogFormat::Text => fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(writer).boxed(),
    };
    let filter = filter(level).unwrap_or_default();
    registry().with(filter).with(filter_fn(may_log)).with(lines)
}

/// Reads the setting `log_level`.
pub(crate) fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    // of two directives for one target the later counts
    EnvFilter::builder().parse(format!("{QUIET},{level}"))
}

fn may_log(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO || !SEALED.contains(&root)
}

#[cfg(test)]
mod tests {
    use tracing::{enabled, subscriber::with_default};

    use super::*;

    /// The first letters of the levels that a target's lines pass at.
    macro_rules! passing {
        ($filter:literal, $target:literal) => {
            with_default(registry().with(filter($filter).unwrap()).with(filter_fn(may_log)), || {
                let levels = [
                    ("W", enabled!(target: $target, Level::WARN)),
                    ("I", enabled!(target: $target, Level::INFO)),
                    ("D", enabled!(target: $target, Level::DEBUG)),
                    ("T", enabled!(target: $target, Level::TRACE)),
                ];
                levels.into_iter().filter(|(_, passes)| *passes).map(|(level, _)| level).collect::<String>()
            })
        };
    }

    #[test]
    fn the_filter_counts() {
        assert_eq!(passing!("warn,invitations=debug", "invitations::app"), "WID");
        assert_eq!(passing!("warn,invitations=debug", "tokio"), "W");
    }

    #[test]
    fn libraries_stay_quiet_unless_they_are_named() {
        assert_eq!(passing!("trace", "h2::codec"), "WI");
        assert_eq!(passing!("trace,h2=debug", "h2::codec"), "WID");
    }

    #[test]
    fn statements_and_smtp_dialogues_are_never_logged() {
        assert_eq!(passing!("trace,sqlx=trace", "sqlx::query"), "WI");
        assert_eq!(passing!("trace", "sqlx::query"), "W");
        assert_eq!(passing!("trace,lettre=trace", "lettre::transport"), "WI");
    }
}
