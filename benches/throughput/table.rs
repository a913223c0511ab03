//! The figures as text: tables for `README.md`, lines for the screen.

use std::fmt::{self, Display, Write};

use crate::cost::PerCall;
use crate::figures::{Median, Round, digits};
use crate::machine::Machine;
use crate::report::Results;
use crate::rig::{Method, Spread};
use crate::rounds::Row;
use crate::size::Size;
use crate::targets::targets;

pub fn markdown(results: &Results, machine: &Machine, size: &Size) -> Result<String, fmt::Error> {
    let mut text = format!("{machine}\n\n");
    let (rounds, seconds) = (size.rounds, size.seconds);
    writeln!(
        text,
        "Medians of {rounds} rounds of {seconds} s, with the least and the greatest in brackets. A ratio is the service's \
         rate ÷ pgbench's.\n"
    )?;
    writeln!(text, "| figure | measured | target | met |\n|---|---|---|---|")?;
    for target in targets(results) {
        writeln!(text, "| {} | {} | {} | {} |", target.figure, dash(target.value), target.bound, target.met())?;
    }
    writeln!(text, "\n![calls a second of the service and of pgbench](throughput.svg)\n")?;
    writeln!(
        text,
        "CPU is processor time of a call in ms, memory is in MiB, of the service · of Postgres.\n\n\
         | call | callers | calls/s | p50 · p99, ms | pgbench/s | ratio | CPU | memory |\n|---|---|---|---|---|---|---|---|"
    )?;
    for row in &results.rows {
        row_of(&mut text, row)?;
    }
    text.push('\n');
    for line in lines(results, size) {
        writeln!(text, "- {line}")?;
    }
    Ok(text)
}

fn row_of(text: &mut String, row: &Row) -> fmt::Result {
    let (memory, theirs) = (row.cost(|cost| cost.service_memory), row.cost(|cost| cost.postgres_memory));
    let most = |median: Option<Median>| dash(median.map(|median| format!("{:.0}", median.greatest)));
    writeln!(
        text,
        "| {} | {} | {} | {} | {} | {} | {} | {} · {} |",
        title(row.method, row.spread),
        row.callers,
        dash(row.rate()),
        latencies(&row.ours),
        dash(row.reference()),
        dash(row.ratio()),
        processor(row.ours.iter().filter_map(|round| round.cost)),
        most(memory),
        most(theirs),
    )
}

/// What stands in no table.
pub fn lines(results: &Results, size: &Size) -> Vec<String> {
    let rate = |rounds: &[Round]| dash(Median::of(rounds.iter().map(|round| round.rate)));
    let (half, steps, drains) = (&results.half_rate, &results.steps, &results.drains);
    let (first, last) = results.empty;
    let (creates, emails) = drains.meanwhile;
    let source = match Median::of(drains.smtp_source.iter().copied()) {
        Some(rate) => format!("postfix's `smtp-source`, with as many connections and bytes, sends {rate}/s"),
        None => "postfix's `smtp-source` is not installed here".to_owned(),
    };
    vec![
        format!(
            "CreateInvitation at half of its peak: {} calls/s that wait for no other, {} ms (p50 · p99).",
            rate(half),
            latencies(half),
        ),
        format!(
            "The seven steps, 256 people at a time, with their emails: {} people/s, {} ms (p50 · p99), CPU of one {} ms.",
            rate(steps),
            latencies(steps),
            processor(steps.iter().filter_map(|round| round.cost)),
        ),
        format!(
            "An outbox of {} drains with {} emails/s, CPU of one {} ms; {source}.",
            size.emails,
            dash(Median::of(drains.ours.iter().copied())),
            processor(drains.costs.iter().copied()),
        ),
        format!("With a mail server beside it, 64 callers: {creates:.0} Creates/s and {emails:.0} emails/s."),
        format!("Written into empty tables: {first:.0} Creates/s at first, {last:.0} at last."),
        format!("Statements of one call: {}.", statements(&results.statements)),
        format!("Calls that failed: {}.", failures(&results.rows)),
    ]
}

fn latencies(rounds: &[Round]) -> String {
    let middle = |of: fn(&Round) -> f64| plain(Median::of(rounds.iter().map(of)));
    format!("{} · {}", middle(|round| round.p50), middle(|round| round.p99))
}

fn processor(costs: impl Iterator<Item = PerCall>) -> String {
    let (service, postgres): (Vec<_>, Vec<_>) = costs.map(|cost| (cost.service, cost.postgres)).unzip();
    format!("{} · {}", plain(Median::of(service)), plain(Median::of(postgres)))
}

/// They count in no rate.
fn failures(rows: &[Row]) -> String {
    let failed = |row: &Row| row.ours.iter().map(|round| round.failed).sum::<usize>();
    let of = |row: &Row| format!("{}, {} callers: {}", title(row.method, row.spread), row.callers, failed(row));
    let lines = rows.iter().filter(|row| failed(row) > 0).map(of).collect::<Vec<_>>();
    if lines.is_empty() { "none".to_owned() } else { lines.join("; ") }
}

fn statements(counts: &[(Method, usize)]) -> String {
    counts.iter().map(|(method, count)| format!("{} {count}", method.name())).collect::<Vec<_>>().join(", ")
}

pub fn title(method: Method, spread: Spread) -> String {
    match (method, spread) {
        (Method::Get | Method::List, _) => method.name().to_owned(),
        _ => format!("{}, {}", method.name(), spread.name()),
    }
}

/// The value alone.
fn plain(median: Option<Median>) -> String {
    dash(median.map(|median| format!("{:.*}", digits(median.value), median.value)))
}

pub fn dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

/// One line on the screen.
impl Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (title, callers) = (title(self.method, self.spread), self.callers);
        let (rate, latencies, theirs, ratio) =
            (dash(self.rate()), latencies(&self.ours), dash(self.reference()), dash(self.ratio()));
        write!(f, "{title:<38} {callers:>3} callers: {rate}/s, {latencies} ms; pgbench {theirs}/s, ratio {ratio}")
    }
}
