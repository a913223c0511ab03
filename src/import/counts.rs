//! How many rows have come to which end.

use std::collections::BTreeMap;
use std::fmt;

use super::outcome::Outcome;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts(BTreeMap<Outcome, u64>);

impl Counts {
    pub(super) fn add(&mut self, outcome: Outcome) {
        *self.0.entry(outcome).or_default() += 1;
    }

    /// One less: the row is asked again.
    pub(super) fn take(&mut self, outcome: Outcome) {
        if let Some(count) = self.0.get_mut(&outcome) {
            *count -= 1;
        }
        self.0.retain(|_, count| *count > 0);
    }

    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Rows that somebody has to look at.
    pub(super) fn failures(&self) -> u64 {
        self.0.iter().filter(|(outcome, _)| outcome.is_failure()).map(|(_, count)| count).sum()
    }

    /// Those with a count, in a fixed order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Outcome, u64)> {
        self.0.iter().map(|(outcome, count)| (*outcome, *count))
    }
}

/// In one line: `INVITED 3, REFUSED 1`.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.iter().map(|(outcome, count)| format!("{} {count}", outcome.as_str()));
        f.write_str(&parts.collect::<Vec<_>>().join(", "))
    }
}
