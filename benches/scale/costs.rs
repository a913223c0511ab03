//! The cost of each call and of what workers ask, at both sizes: the two in turn, so that what else this machine does
//! falls on both.

use std::time::{Duration, Instant};

use invitations::domain::{InvitationSearch, OrganizationId, parse_filter};
use invitations::store::pool::{self, Pool, Purpose};
use invitations::store::{outbox, search, sweep};
use sqlx::Connection;

use crate::rig::{Database, Method, Result, Scenario, Service, Spread};
use crate::side::{pages, settle};

/// Of each side.
const SAMPLES: u32 = 500;
/// Connections and plans are made by the first ones.
const WARM_UP: u32 = 50;
/// Of the statements of workers.
const LOOKS: u32 = 300;
/// As many as a mail worker takes.
const BATCH: i64 = 16;
const LEASE: Duration = Duration::from_mins(30);
/// Overdue invitations, and as many as one sweep looks at.
const OVERDUE: i64 = 500;

/// The small side first.
pub struct Cost {
    pub what: String,
    /// The median.
    pub time: [Duration; 2],
    /// On average.
    pub pages: [f64; 2],
}

/// A call through the service, with one caller.
pub async fn of_call(sides: &[Service; 2], method: Method, spread: Spread, run: u16) -> Result<Cost> {
    let scenario = Scenario { method, spread, run };
    let mut callers = Vec::new();
    for side in sides {
        side.truncate_log()?;
        side.database.prepare(scenario, SAMPLES + WARM_UP, &side.people).await?;
        callers.extend(side.callers(1));
    }
    let mut times = [Vec::new(), Vec::new()];
    for n in 0..WARM_UP {
        for caller in &mut callers {
            caller.call(scenario, n).await?;
        }
    }
    settle().await;
    let before = [pages(&sides[0].database).await?, pages(&sides[1].database).await?];
    for n in WARM_UP..WARM_UP + SAMPLES {
        for side in in_turn(n) {
            let begin = Instant::now();
            callers[side].call(scenario, n).await?;
            times[side].push(begin.elapsed());
        }
    }
    settle().await;
    let after = [pages(&sides[0].database).await?, pages(&sides[1].database).await?];
    let pages = [0, 1].map(|side| (after[side] - before[side]) / f64::from(SAMPLES));
    Ok(Cost { what: format!("{}, {}", method.name(), spread.name()), time: times.map(median), pages })
}

/// What a mail worker asks for email that is due; it is given back.
pub async fn of_claim(sides: &[Database; 2]) -> Result<Cost> {
    let pools = [0, 1].map(|side| pool::open(&sides[side].url, Purpose::Mail, 1));
    let [small, large] = pools;
    of_look("the claim of due email", sides, [small?, large?], async |pool: &Pool| {
        let mut connection = pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        let begin = Instant::now();
        let claimed = outbox::claim(&mut transaction, None, BATCH, LEASE).await?.len();
        let took = begin.elapsed();
        transaction.rollback().await?;
        if claimed == 0 { Err("no email is due".into()) } else { Ok(took) }
    })
    .await
}

/// What the sweep asks for invitations that are overdue.
pub async fn of_sweep(sides: &[Database; 2]) -> Result<Cost> {
    for side in sides {
        sqlx::query("SELECT run_out($1)").bind(OVERDUE).execute(&side.pool).await?;
    }
    let pools = [0, 1].map(|side| pool::open(&sides[side].url, Purpose::Read, 1));
    let [small, large] = pools;
    of_look("the sweep's look", sides, [small?, large?], async |pool: &Pool| {
        let mut connection = pool.acquire().await?;
        let begin = Instant::now();
        let due = sweep::due_invitations(&mut connection, &[], OVERDUE).await?.len();
        let took = begin.elapsed();
        if due == 0 { Err("nothing is overdue".into()) } else { Ok(took) }
    })
    .await
}

/// What a page of a list with a filter asks for: 50 invitations of one organization, of 10⁻³ of all there are.
pub async fn of_search(sides: &[Database; 2], filter: &str) -> Result<Cost> {
    let wanted =
        parse_filter(filter).and_then(|all| InvitationSearch::read(&all, None)).map_err(|fault| fault.to_string())?;
    let organization = OrganizationId::parse("organization-1").ok_or("no name of an organization")?;
    let pools = [0, 1].map(|side| pool::open(&sides[side].url, Purpose::Read, 1));
    let [small, large] = pools;
    of_look(&format!("filter {filter}"), sides, [small?, large?], async |pool: &Pool| {
        let mut connection = pool.acquire().await?;
        let begin = Instant::now();
        let found = search::find(&mut connection, &organization, &wanted, None, 50).await?.invitations.len();
        let took = begin.elapsed();
        if found == 50 { Ok(took) } else { Err(format!("a page of {found}").into()) }
    })
    .await
}

async fn of_look(
    what: &str,
    sides: &[Database; 2],
    pools: [Pool; 2],
    look: impl AsyncFn(&Pool) -> Result<Duration>,
) -> Result<Cost> {
    for pool in &pools {
        for _ in 0..WARM_UP {
            look(pool).await?;
        }
    }
    settle().await;
    let before = [pages(&sides[0]).await?, pages(&sides[1]).await?];
    let mut times = [Vec::new(), Vec::new()];
    for n in 0..LOOKS {
        for side in in_turn(n) {
            times[side].push(look(&pools[side]).await?);
        }
    }
    settle().await;
    let after = [pages(&sides[0]).await?, pages(&sides[1]).await?];
    for pool in pools {
        pool.close().await;
    }
    let pages = [0, 1].map(|side| (after[side] - before[side]) / f64::from(LOOKS));
    Ok(Cost { what: what.to_owned(), time: times.map(median), pages })
}

/// Each side first every other time.
fn in_turn(n: u32) -> [usize; 2] {
    if n.is_multiple_of(2) { [0, 1] } else { [1, 0] }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
