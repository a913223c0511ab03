//! How long a mail server may take.

use std::time::Duration;

/// How long each step may take. The worst attempt takes all of them, 13 minutes; the lease is renewed meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// TCP, over all addresses of the host.
    pub connect: Duration,
    /// The answer to each command, and the TLS handshake. RFC 5321 (4.5.3.2) would wait 5 minutes, 2 for DATA; a relay
    /// that takes longer than this is not well, and another attempt costs nothing.
    pub command: Duration,
    /// The answer to the final dot, as long as RFC 5321 (4.5.3.2.6) says: whoever gives up earlier sends it twice.
    pub end_of_data: Duration,
    pub quit: Duration,
    /// How long an email stays with a worker that gives no sign of life.
    pub lease: Duration,
    /// From one sign of life to the next: three in the time of a lease.
    pub sign_of_life: Duration,
    /// How old what is known of an email may be when it is sent, and how long an outcome may stay unwritten.
    pub fresh: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            command: Duration::from_secs(30),
            end_of_data: Duration::from_mins(10),
            quit: Duration::from_secs(5),
            lease: Duration::from_mins(1),
            sign_of_life: Duration::from_secs(20),
            fresh: Duration::from_millis(100),
        }
    }
}
