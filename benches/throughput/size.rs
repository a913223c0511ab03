//! How much is measured.

use std::time::Duration;

#[derive(Debug)]
pub struct Size {
    pub callers: &'static [u32],
    pub rounds: u32,
    /// Of one measurement; pgbench knows whole seconds only.
    pub seconds: u32,
    /// Of the writing into empty tables.
    pub decay: Duration,
    /// In the outbox that drains.
    pub emails: u32,
    /// The most time for that.
    pub drain: Duration,
}

impl Size {
    pub const FULL: Self = Self {
        callers: &[1, 8, 64, 256],
        rounds: 5,
        seconds: 2,
        decay: Duration::from_secs(10),
        emails: 20_000,
        drain: Duration::from_secs(15),
    };
    pub const QUICK: Self = Self {
        callers: &[1, 64, 256],
        rounds: 1,
        seconds: 1,
        decay: Duration::from_secs(3),
        emails: 4_000,
        drain: Duration::from_secs(5),
    };
}
