//! Rates and latencies, and the table that they stand in.

use std::fmt;
use std::time::Duration;

/// One measurement.
#[derive(Debug)]
pub struct Figures {
    /// How long it was.
    pub time: Duration,
    pub calls: Vec<Call>,
}

#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// After the begin of the measurement.
    pub ended: Duration,
    pub took: Duration,
}

impl Figures {
    /// Calls a second.
    pub fn rate(&self) -> f64 {
        count(self.calls.len()) / self.time.as_secs_f64()
    }

    /// Calls a second that ended in a part of the measurement.
    pub fn rate_between(&self, from: Duration, to: Duration) -> f64 {
        let ended = self.calls.iter().filter(|call| (from..to).contains(&call.ended)).count();
        count(ended) / to.saturating_sub(from).as_secs_f64()
    }
}

/// One line of the table: the rounds of one scenario.
#[derive(Debug)]
pub struct Row {
    scenario: String,
    ours: Vec<Figures>,
    theirs: Vec<Figures>,
}

impl Row {
    pub const HEADER: &'static str = concat!(
        "                                                     service                  pgbench\n",
        "                                                  calls/s p50 ms p99 ms  calls/s p50 ms p99 ms   ratio"
    );

    pub fn new(scenario: String) -> Self {
        Self { scenario, ours: Vec::new(), theirs: Vec::new() }
    }

    pub fn add(&mut self, ours: Figures, theirs: Option<Figures>) {
        self.ours.push(ours);
        self.theirs.extend(theirs);
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<48}{}", self.scenario, summary(&self.ours))?;
        if self.theirs.is_empty() {
            return Ok(());
        }
        // round by round: what else the machine did in one falls on both
        let ratios = self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours.rate() / theirs.rate());
        write!(f, "{}{:>8.2}", summary(&self.theirs), median(ratios.collect()))
    }
}

/// The median rate, and the latencies of all rounds together.
fn summary(rounds: &[Figures]) -> String {
    let rate = median(rounds.iter().map(Figures::rate).collect());
    let mut took = rounds.iter().flat_map(|round| &round.calls).map(|call| call.took).collect::<Vec<_>>();
    took.sort_unstable();
    let quantile =
        |percent| took.get(took.len() * percent / 100).map_or(0.0, |took: &Duration| took.as_secs_f64() * 1e3);
    format!("{rate:>9.0}{:>7.1}{:>7.1}", quantile(50), quantile(99))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn count(calls: usize) -> f64 {
    u32::try_from(calls).map_or(f64::INFINITY, f64::from)
}
