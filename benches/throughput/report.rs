//! Everything that was measured, and where it is written.

use std::fs;
use std::path::Path;

use crate::figures::Round;
use crate::machine::Machine;
use crate::outbox::Drains;
use crate::rig::{Method, Result, Spread};
use crate::rounds::Row;
use crate::size::Size;
use crate::{plot, table};

/// What lies between them is written anew each time, the rest of the file is written by hand.
const BEGIN: &str = "<!-- figures -->";
const END: &str = "<!-- /figures -->";

/// Everything that was measured.
pub struct Results {
    pub rows: Vec<Row>,
    /// CreateInvitation at half of its peak rate.
    pub half_rate: Vec<Round>,
    pub steps: Vec<Round>,
    pub drains: Drains,
    /// Creates a second into empty tables, at first and at last.
    pub empty: (f64, f64),
    pub statements: Vec<(Method, usize)>,
}

impl Results {
    pub fn row(&self, method: Method, spread: Spread, callers: u32) -> Option<&Row> {
        self.rows.iter().find(|row| row.method == method && row.spread == spread && row.callers == callers)
    }

    /// The best rate of CreateInvitation for many organizations.
    pub fn peak(&self) -> Option<f64> {
        peak(&self.rows)
    }
}

pub fn peak(rows: &[Row]) -> Option<f64> {
    let creates = rows.iter().filter(|row| row.method == Method::Create && row.spread == Spread::Many);
    creates.filter_map(Row::rate).map(|rate| rate.value).max_by(f64::total_cmp)
}

/// Writes the table and its picture into a folder; what was written there by hand stays.
pub fn write(dir: &Path, results: &Results, machine: &Machine, size: &Size) -> Result<()> {
    fs::write(dir.join("throughput.svg"), plot::draw(&results.rows)?)?;
    let path = dir.join("README.md");
    let old = fs::read_to_string(&path).unwrap_or_else(|_| format!("{BEGIN}\n{END}\n"));
    let parts = old.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{} has no place for the figures", path.display()))?;
    let figures = table::markdown(results, machine, size)?;
    fs::write(path, format!("{before}{BEGIN}\n{figures}{END}{after}"))?;
    Ok(())
}
