//! What the figures should be, and whether they are.

use std::fmt;

use crate::figures::{Median, count};
use crate::report::Results;
use crate::rig::{Method, Spread};
use crate::rounds::Row;

/// One figure that has a target.
pub struct Target {
    pub figure: &'static str,
    pub bound: Bound,
    /// `None`: it was not measured.
    pub value: Option<Median>,
}

#[derive(Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
        }
    }
}

impl Target {
    pub fn met(&self) -> &'static str {
        match self.value {
            None => "not measured",
            Some(value) if self.bound.holds(value.value) => "yes",
            Some(_) => "**no**",
        }
    }
}

pub fn targets(results: &Results) -> Vec<Target> {
    use Bound::{AtLeast, AtMost};
    let row = |method, spread, callers| results.row(method, spread, callers);
    let ratio = |method, callers| row(method, Spread::Many, callers).and_then(Row::ratio);
    let one_to_many = row(Method::Create, Spread::One, 64).zip(row(Method::Create, Spread::Many, 64));
    let one_to_many = one_to_many
        .and_then(|(one, many)| Median::of(one.ours.iter().zip(&many.ours).map(|(one, many)| one.rate / many.rate)));
    let get = row(Method::Get, Spread::Many, 64).and_then(|row| row.cost(|cost| cost.service));
    let tail = Median::of(results.half_rate.iter().map(|round| round.p99 / round.p50));
    let peak = results.peak();
    let drain = peak.and_then(|peak| Median::of(results.drains.ours.iter().map(|rate| rate / peak)));
    let crowd = row(Method::Create, Spread::Many, 256);
    let memory = crowd.and_then(|row| row.cost(|cost| cost.service_memory));
    let growth = crowd.and_then(|row| {
        let (first, last) = (row.ours.first()?.cost?, row.ours.last()?.cost?);
        Median::of([last.service_memory / first.service_memory])
    });
    let statements = |method| {
        let counted = results.statements.iter().find(|(of, _)| *of == method);
        counted.and_then(|(_, statements)| Median::of([count(*statements)]))
    };
    let target = |figure, bound, value| Target { figure, bound, value };
    vec![
        target("Create, 64 callers ÷ pgbench", AtLeast(5.0), ratio(Method::Create, 64)),
        target("Create, 256 callers ÷ pgbench", AtLeast(8.0), ratio(Method::Create, 256)),
        target("Create, 1 caller ÷ pgbench, 1 client", AtLeast(1.0), ratio(Method::Create, 1)),
        target("Create, 64 callers, one organization ÷ many", AtLeast(0.8), one_to_many),
        target("Accept, 64 callers ÷ pgbench", AtLeast(4.0), ratio(Method::Accept, 64)),
        target("Get, 64 callers ÷ pgbench's SELECT, 64 clients", AtLeast(0.5), ratio(Method::Get, 64)),
        target("List of 50, 64 callers ÷ pgbench's SELECT, 64 clients", AtLeast(0.2), ratio(Method::List, 64)),
        target("processor time of the service for a Get, ms", AtMost(0.1), get),
        target("p99 of Create at half of its peak rate ÷ p50", AtMost(5.0), tail),
        target("emails a second of an outbox that drains ÷ Create at its peak", AtLeast(1.0), drain),
        target(
            "the seven steps with their emails, people a second",
            AtLeast(400.0),
            Median::of(results.steps.iter().map(|round| round.rate)),
        ),
        target("memory of the service under 256 callers, MiB", AtMost(48.0), memory),
        target("the same, last round ÷ first", AtMost(1.1), growth),
        target("statements of a Create", AtMost(10.0), statements(Method::Create)),
        target("statements of an Accept", AtMost(12.0), statements(Method::Accept)),
        target("statements of a Get", AtMost(1.0), statements(Method::Get)),
    ]
}
