//! Rates and latencies of measurements, and the middle of several.

use std::fmt;
use std::time::Duration;

use crate::cost::{Cost, PerCall};

/// One measurement.
#[derive(Debug)]
pub struct Figures {
    /// How long it was.
    pub time: Duration,
    /// The ones that succeeded.
    pub calls: Vec<Call>,
    pub failed: usize,
    pub cost: Option<Cost>,
}

#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// After the begin of the measurement.
    pub ended: Duration,
    pub took: Duration,
}

/// What is kept of one.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Calls a second.
    pub rate: f64,
    /// In milliseconds.
    pub p50: f64,
    pub p99: f64,
    /// Calls.
    pub failed: usize,
    pub cost: Option<PerCall>,
}

impl Figures {
    pub fn rate(&self) -> f64 {
        count(self.calls.len()) / self.time.as_secs_f64()
    }

    /// Calls a second that ended in a part of the measurement.
    pub fn rate_between(&self, from: Duration, to: Duration) -> f64 {
        let ended = self.calls.iter().filter(|call| (from..to).contains(&call.ended)).count();
        count(ended) / to.saturating_sub(from).as_secs_f64()
    }

    pub fn round(&self) -> Round {
        let mut took = self.calls.iter().map(|call| call.took).collect::<Vec<_>>();
        took.sort_unstable();
        let quantile =
            |percent| took.get(took.len() * percent / 100).map_or(f64::NAN, |took: &Duration| took.as_secs_f64() * 1e3);
        let cost = self.cost.map(|cost| cost.per(self.calls.len()));
        Round { rate: self.rate(), p50: quantile(50), p99: quantile(99), failed: self.failed, cost }
    }
}

/// The middle of several rounds, with the least and the greatest.
#[derive(Clone, Copy, Debug)]
pub struct Median {
    pub value: f64,
    pub least: f64,
    pub greatest: f64,
}

impl Median {
    /// `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values = values.into_iter().collect::<Vec<_>>();
        values.sort_unstable_by(f64::total_cmp);
        let (&least, &greatest) = values.first().zip(values.last())?;
        Some(Self { value: values[values.len() / 2], least, greatest })
    }
}

/// `1234 (1100–1300)`, or `1234` of one round.
impl fmt::Display for Median {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, least, greatest } = *self;
        let digits = digits(value);
        write!(f, "{value:.digits$}")?;
        if least < greatest { write!(f, " ({least:.digits$}–{greatest:.digits$})") } else { Ok(()) }
    }
}

/// Decimals with which a value has about three digits.
pub fn digits(value: f64) -> usize {
    match value {
        _ if value >= 100.0 || value.fract() == 0.0 => 0,
        _ if value >= 10.0 => 1,
        _ if value >= 0.1 => 2,
        _ => 3,
    }
}

pub fn count(of: usize) -> f64 {
    u32::try_from(of).map_or(f64::INFINITY, f64::from)
}
