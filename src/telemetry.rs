//! The log: lines on standard error, none of which may hold a secret, a token, a code or an address.

use std::io::{self, IsTerminal};
use std::panic;

use clap::ValueEnum;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{ParseError, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry,
    util::SubscriberInitExt,
};

/// Whose lines are logged: this crate's, which are written so that they hold no secret. What it is built of logs whatever
/// it has at hand, at any level: parameters of URLs with their values, headers with tokens, statements, SMTP dialogues.
const SPEAKER: &str = env!("CARGO_CRATE_NAME");

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
        // the list of all spans would say the one that there is twice
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(writer).boxed(),
        LogFormat::Text => fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(writer).boxed(),
    };
    // a filter that was not read before logs less
    let filter = filter(level).unwrap_or_default();
    registry().with(filter).with(filter_fn(may_log)).with(lines)
}

/// Reads the setting `log_level`.
pub(crate) fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(level)
}

fn may_log(metadata: &Metadata<'_>) -> bool {
    metadata.target().split("::").next() == Some(SPEAKER)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock, Mutex};

    use sqlx::postgres::PgConnectOptions;
    use tracing::{Dispatch, Level, enabled, subscriber::with_default};

    use super::*;

    /// Lives on, as in the tests of `grpc::telemetry`: while no subscriber does, tracing takes no line for wanted.
    static SOMEBODY: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(registry()));

    /// The first letters of the levels that a target's lines pass at.
    macro_rules! passing {
        ($filter:literal, $target:literal) => {{
            LazyLock::force(&SOMEBODY);
            with_default(registry().with(filter($filter).unwrap()).with(filter_fn(may_log)), || {
                let levels = [
                    ("W", enabled!(target: $target, Level::WARN)),
                    ("I", enabled!(target: $target, Level::INFO)),
                    ("D", enabled!(target: $target, Level::DEBUG)),
                    ("T", enabled!(target: $target, Level::TRACE)),
                ];
                levels.into_iter().filter(|(_, passes)| *passes).map(|(level, _)| level).collect::<String>()
            })
        }};
    }

    #[test]
    fn the_filter_counts() {
        assert_eq!(passing!("warn,invitations=debug", "invitations::app"), "WID");
        assert_eq!(passing!("info,invitations::mail=trace", "invitations::app"), "WI");
    }

    #[test]
    fn nobody_else_speaks_at_any_level_whatever_the_filter_names() {
        macro_rules! silent {
            ($($target:literal)*) => {$(
                assert_eq!(passing!("trace,h2=trace,sqlx_postgres=trace,invitations_of=trace", $target), "", $target);
            )*};
        }
        silent!("h2::codec" "sqlx::query" "sqlx_postgres::options::parse" "lettre::transport" "log" "" "tokio" "rustls"
                "invitations_of_others" "INVITATIONS");
        assert_eq!(passing!("trace", "invitations"), "WIDT");
    }

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_json_line_holds_its_span_once() {
        LazyLock::force(&SOMEBODY);
        let line = |subscriber: &dyn Fn(Written) -> Dispatch| {
            let written = Written::default();
            tracing::dispatcher::with_default(&subscriber(written.clone()), || {
                let _call = tracing::error_span!("call", caller.request_id = "from-caller").entered();
                tracing::info!("call ended");
            });
            String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
        };
        let ours = line(&|written| log(LogFormat::Json, "info", move || written.clone()).into());
        let read = serde_json::from_str::<serde_json::Value>(&ours).unwrap();
        assert_eq!(
            (&read["message"], &read["span"]["caller.request_id"]),
            (&"call ended".into(), &"from-caller".into())
        );
        assert_eq!(ours.matches("from-caller").count(), 1, "{ours}");
        // the control: what the library does by itself
        let twice = line(&|written| registry().with(fmt::layer().json().with_writer(move || written.clone())).into());
        assert_eq!(twice.matches("from-caller").count(), 2, "{twice}");
    }

    #[test]
    fn what_the_driver_says_about_the_database_url_is_not_logged() {
        let url = "postgres://hub@db.example/hub?sslpasword=hunter2";
        LazyLock::force(&SOMEBODY);
        let logged = |subscriber: &dyn Fn(Written) -> Dispatch| {
            let written = Written::default();
            tracing::dispatcher::with_default(&subscriber(written.clone()), || {
                url.parse::<PgConnectOptions>().unwrap();
                tracing::warn!("the service's own");
            });
            String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
        };
        for format in [LogFormat::Json, LogFormat::Text] {
            let lines = logged(&|written| log(format, "trace", move || written.clone()).into());
            assert!(!lines.contains("hunter2") && lines.contains("the service's own"), "{lines}");
        }
        // the control: it would say it
        let lines = logged(&|written| registry().with(fmt::layer().with_writer(move || written.clone())).into());
        assert!(lines.contains("hunter2"), "{lines}");
    }
}
