//! What one call asks of Postgres: the statements that the server logs meanwhile.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor};

use crate::NOWHERE;
use crate::callers::closed_loop;
use crate::rig::{Database, Method, People, Result, Scenario, Service, Spread};

/// Of several calls the one with the fewest counts: health and mail look into the database now and then.
const TRIES: u16 = 5;
const METHODS: [Method; 6] =
    [Method::Create, Method::Request, Method::Offer, Method::Accept, Method::Get, Method::List];

/// How many statements a call takes; `-- --statements` prints which.
pub async fn count(server: &str, dir: &Path, people: &Arc<People>) -> Result<Vec<(Method, usize)>> {
    let database = Database::create(server, "statements").await?;
    database.prepare_reads(people).await?;
    // takes effect with the next connection
    database
        .pool
        .execute(sqlx::raw_sql(AssertSqlSafe("ALTER DATABASE statements SET log_statement = 'all'".to_owned())))
        .await?;
    let service = Service::start(database, dir, Arc::clone(people), NOWHERE, &[]).await?;
    let log = dir.join("postgres.log");
    let mut counts = Vec::new();
    for method in METHODS {
        let mut fewest: Option<Vec<String>> = None;
        for run in 0..TRIES {
            let scenario = Scenario { method, spread: Spread::Many, run };
            service.database.prepare(scenario, 1, people).await?;
            let before = fs::read(&log)?.len();
            // one call: the next one would begin after the end
            closed_loop(&service, None, scenario, 1, None, Duration::ZERO).await?;
            // what follows the answer
            tokio::time::sleep(Duration::from_millis(100)).await;
            let after = fs::read(&log)?;
            let made = statements(&String::from_utf8_lossy(&after[before..]));
            if fewest.as_ref().is_none_or(|fewest| made.len() < fewest.len()) {
                fewest = Some(made);
            }
        }
        let made = fewest.filter(|made| !made.is_empty()).ok_or("the server logs no statement")?;
        println!("one {}: {} statements", method.name(), made.len());
        if std::env::args().any(|argument| argument == "--statements") {
            for statement in &made {
                println!("  {statement}");
            }
        }
        counts.push((method, made.len()));
    }
    service.stop().await?;
    Ok(counts)
}

/// `… LOG:  execute sqlx_s_3: SELECT …` for prepared ones, `… LOG:  statement: BEGIN` for others.
fn statements(log: &str) -> Vec<String> {
    let text = |line: &str| {
        let (_, logged) = line.split_once("LOG:  ")?;
        let (how, text) = logged.split_once(": ")?;
        (how == "statement" || how.starts_with("execute ")).then(|| text.chars().take(90).collect())
    };
    log.lines().filter_map(text).collect()
}
