//! The service and pgbench in turn, so that what else the machine does falls on both.

use std::time::Duration;

use crate::callers::{closed_loop, open_loop};
use crate::cost::{Meter, PerCall};
use crate::figures::{Median, Round};
use crate::pgbench::Pgbench;
use crate::rig::{Method, Result, Scenario, Service, Spread};
use crate::size::Size;

/// What is measured of one method, for several numbers of callers.
#[derive(Clone, Copy)]
pub struct Plan {
    pub method: Method,
    pub spread: Spread,
    pub callers: &'static [u32],
    /// Of pgbench.
    pub clients: &'static [u32],
}

/// All rounds of one number of callers.
#[derive(Clone, Debug)]
pub struct Row {
    pub method: Method,
    pub spread: Spread,
    pub callers: u32,
    pub ours: Vec<Round>,
    /// Of pgbench, in each round: transactions a second.
    pub theirs: Vec<f64>,
}

pub struct Bench<'a> {
    pub service: &'a Service,
    pub pgbench: Option<&'a Pgbench>,
    pub meter: Option<Meter>,
    pub size: &'a Size,
    /// Of the last measurement.
    pub run: u16,
}

impl Bench<'_> {
    /// Plans that are held against one another share their rounds.
    pub async fn compare(&mut self, plans: &[Plan]) -> Result<Vec<Row>> {
        let empty = |plan: &Plan| {
            let row = |&callers| Row {
                method: plan.method,
                spread: plan.spread,
                callers,
                ours: Vec::new(),
                theirs: Vec::new(),
            };
            plan.callers.iter().map(row).collect::<Vec<_>>()
        };
        let mut rows = plans.iter().map(empty).collect::<Vec<_>>();
        for _ in 0..self.size.rounds {
            for (plan, rows) in plans.iter().zip(&mut rows) {
                for row in &mut *rows {
                    row.ours.push(self.service(plan, row.callers).await?);
                }
                let theirs = self.pgbench(plan).await?;
                for row in rows {
                    row.theirs.extend(reference(&theirs, row.callers));
                }
            }
        }
        let rows = rows.concat();
        for row in &rows {
            println!("{row}");
        }
        Ok(rows)
    }

    async fn service(&mut self, plan: &Plan, callers: u32) -> Result<Round> {
        let scenario = self.scenario(plan.method, plan.spread);
        let rows = rows(plan.method, callers);
        self.service.database.prepare(scenario, rows.unwrap_or_default(), &self.service.people).await?;
        let time = Duration::from_secs(self.size.seconds.into());
        Ok(closed_loop(self.service, self.meter, scenario, callers, rows, time).await?.round())
    }

    /// The rates, by the number of clients.
    async fn pgbench(&mut self, plan: &Plan) -> Result<Vec<(u32, f64)>> {
        let mut rates = Vec::new();
        let Some(pgbench) = self.pgbench else { return Ok(rates) };
        for &clients in plan.clients {
            let scenario = self.scenario(plan.method, plan.spread);
            let rate = pgbench.measure(scenario, clients, rows(plan.method, clients), self.size.seconds).await?;
            rates.extend(rate.map(|rate| (clients, rate)));
        }
        Ok(rates)
    }

    /// CreateInvitation at a rate that the callers do not wait for.
    pub async fn at_rate(&mut self, rate: f64) -> Result<Vec<Round>> {
        let mut rounds = Vec::new();
        for _ in 0..self.size.rounds {
            let scenario = self.scenario(Method::Create, Spread::Many);
            let time = Duration::from_secs((self.size.seconds + 1).into());
            rounds.push(open_loop(self.service, scenario, rate, time).await?.round());
        }
        Ok(rounds)
    }

    /// With a number of its own.
    pub fn scenario(&mut self, method: Method, spread: Spread) -> Scenario {
        self.run += 1;
        Scenario { method, spread, run: self.run }
    }
}

/// Rows that a measurement may use up; `None`: it needs none.
fn rows(method: Method, callers: u32) -> Option<u32> {
    match method {
        Method::Request | Method::Offer | Method::Accept => Some(if callers == 1 { 4096 } else { 16_384 }),
        Method::Create | Method::Get | Method::List => None,
    }
}

/// What so many callers are held against: as many clients, and for many callers the better of two numbers of clients.
fn reference(rates: &[(u32, f64)], callers: u32) -> Option<f64> {
    let fits = |clients| if callers < 16 { clients == callers } else { clients >= 16 };
    rates.iter().filter(|(clients, _)| fits(*clients)).map(|(_, rate)| *rate).max_by(f64::total_cmp)
}

impl Row {
    pub fn rate(&self) -> Option<Median> {
        Median::of(self.ours.iter().map(|round| round.rate))
    }

    pub fn reference(&self) -> Option<Median> {
        Median::of(self.theirs.iter().copied())
    }

    /// Of the rates, round by round.
    pub fn ratio(&self) -> Option<Median> {
        Median::of(self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours.rate / theirs))
    }

    /// Of one of the costs.
    pub fn cost(&self, of: impl Fn(&PerCall) -> f64) -> Option<Median> {
        Median::of(self.ours.iter().filter_map(|round| round.cost.as_ref()).map(of))
    }
}
