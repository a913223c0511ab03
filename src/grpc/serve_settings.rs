//! What may be set about the gRPC server.

use std::time::Duration;

use super::tls::TlsFiles;

/// Limits, times and files; `config` has the settings that they come from.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// Connections at one time; for one more the one is closed that has no call for longest, and where there is none, it is
    /// closed at once itself, so that its client can try another replica.
    pub max_connections: usize,
    /// Calls at one time on one connection.
    pub max_concurrent_streams: u32,
    /// Streams at one time that ask for no token (Watch of health, reflection); one more is RESOURCE_EXHAUSTED.
    pub max_open_streams: usize,
    /// Requests at one time that have begun to arrive and not ended; for one more the oldest is RESOURCE_EXHAUSTED.
    pub max_arriving_requests: usize,
    /// Answers at one time that their callers have not taken; for one more the oldest is cut off.
    pub max_untaken_answers: usize,
    /// When a connection is told to go (GOAWAY), ±10 %; its open calls end in peace.
    pub max_connection_age: Duration,
    /// The deadline of a call that names none.
    pub default_deadline: Duration,
    /// The longest deadline that a call can have.
    pub max_deadline: Duration,
    /// How long a new connection may take for the TLS handshake, if there is one, and to send the HTTP/2 preface.
    pub first_byte_timeout: Duration,
    /// `None`: connections are not encrypted.
    pub tls: Option<TlsFiles>,
    /// How often to look whether the TLS files have changed.
    pub tls_reload_interval: Duration,
    /// How long calls are still taken after NOT_SERVING, until every client and load balancer has noticed.
    pub endpoint_delay: Duration,
    /// How long open calls may take to end after that; then they are cut off.
    pub drain_timeout: Duration,
    /// Whether the reflection service is there.
    pub reflection: bool,
}
