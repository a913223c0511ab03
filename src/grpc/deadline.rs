//! How long a call may take: what its `grpc-timeout` says, within what the service allows.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::{Extensions, Status};

use super::status;
use crate::domain::FieldFault;

const GRPC_TIMEOUT: &str = "grpc-timeout";

/// How long before its client's deadline a stream ends at most.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The service's own bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// For calls that name none.
    pub(super) default: Duration,
    /// Whatever they name.
    pub(super) max: Duration,
}

impl Deadlines {
    /// The time until the answer has to begin. A stream that has begun may go on.
    pub(super) fn of(self, asked: Option<Duration>) -> Duration {
        asked.map_or(self.default, |asked| asked.min(self.max))
    }
}

/// What the call itself says.
pub(super) fn asked(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get(GRPC_TIMEOUT) else { return Ok(None) };
    value.to_str().ok().and_then(parse).map(Some).ok_or_else(unreadable)
}

/// What a handler knows of the deadline of its call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    /// When a stream ends, so that its client still hears of the end.
    end: Option<Instant>,
    /// Until when to wait for others, an issuer for one: it leaves a tenth of the time, so that the caller still hears
    /// that they were not there.
    patience: Instant,
}

impl Deadline {
    /// `asked` is the client's own.
    pub(super) fn within(time: Duration, asked: Option<Duration>) -> Self {
        let now = Instant::now();
        let end = asked.and_then(|asked| now.checked_add(asked.saturating_sub((asked / 10).min(LAST_WORDS))));
        Self { end, patience: now + time.mul_f64(0.9) }
    }

    /// When a stream has to end.
    pub(super) fn end_of_stream(call: &Extensions) -> Option<Instant> {
        call.get::<Self>().and_then(|deadline| deadline.end)
    }

    /// Until when a call waits for others.
    pub(super) fn patience(call: &Extensions) -> Option<Instant> {
        call.get::<Self>().map(|deadline| deadline.patience)
    }
}

/// `grpc-timeout` of gRPC over HTTP/2: at most eight digits and a unit.
fn parse(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_hours(count)),
        "M" => Some(Duration::from_mins(count)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

fn unreadable() -> Status {
    status::bad_header(GRPC_TIMEOUT, FieldFault::Malformed, "must be at most eight digits and one of H, M, S, m, u, n")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tonic::Code;

    use super::*;

    const DEADLINES: Deadlines = Deadlines { default: Duration::from_secs(5), max: Duration::from_secs(30) };

    fn of(value: &str) -> Result<Duration, Code> {
        let value = HeaderValue::from_str(value).unwrap();
        asked(&HeaderMap::from_iter([(http::HeaderName::from_static(GRPC_TIMEOUT), value)]))
            .map(|asked| DEADLINES.of(asked))
            .map_err(|s| s.code())
    }

    #[test]
    fn every_unit_is_understood() {
        assert_eq!(parse("2H"), Some(Duration::from_hours(2)));
        assert_eq!(parse("2M"), Some(Duration::from_mins(2)));
        assert_eq!(parse("2S"), Some(Duration::from_secs(2)));
        assert_eq!(parse("2m"), Some(Duration::from_millis(2)));
        assert_eq!(parse("2u"), Some(Duration::from_micros(2)));
        assert_eq!(parse("99999999n"), Some(Duration::from_nanos(99_999_999)));
        assert_eq!(parse("99999999H"), Some(Duration::from_hours(99_999_999)));
    }

    #[test]
    fn no_call_takes_longer_than_the_service_allows() {
        assert_eq!(of("29S"), Ok(Duration::from_secs(29)));
        assert_eq!(of("31S"), Ok(DEADLINES.max));
        assert_eq!(DEADLINES.of(asked(&HeaderMap::new()).unwrap()), DEADLINES.default);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for value in ["", "S", "5", "5s", "+5S", "-5S", " 5S", "5.0S", "123456789S", "5SS", "\u{fc}"] {
            assert_eq!(of(value), Err(Code::InvalidArgument), "{value:?}");
        }
    }
}
