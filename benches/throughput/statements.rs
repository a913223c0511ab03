//! What one call asks of Postgres: the statements that the server logs meanwhile.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor};

use crate::database::Database;
use crate::service::Service;
use crate::{Method, Result, Scenario, Spread};

/// Of several calls the one with the fewest counts: health and mail look into the database now and then.
const TRIES: u32 = 5;

/// Prints how many statements a call takes, and with `-- --statements` which.
pub async fn count(url: &str, dir: &Path) -> Result<()> {
    let database = Database::create(url, "statements").await?;
    // takes effect with the next connection
    database
        .pool
        .execute(sqlx::raw_sql(AssertSqlSafe("ALTER DATABASE statements SET log_statement = 'all'".to_owned())))
        .await?;
    let service = Service::start(database, dir, None).await?;
    let log = dir.join("postgres.log");
    for method in [Method::Create, Method::Accept] {
        let mut fewest: Option<Vec<String>> = None;
        for run in 0..TRIES {
            let scenario = Scenario { method, spread: Spread::One, callers: 1, run };
            service.database.prepare(scenario).await?;
            let before = fs::read(&log)?.len();
            // one call: the next one would begin after the end
            service.measure(scenario, Duration::ZERO).await?;
            // what follows the answer
            tokio::time::sleep(Duration::from_millis(100)).await;
            let after = fs::read(&log)?;
            let made = statements(&String::from_utf8_lossy(&after[before..]));
            if fewest.as_ref().is_none_or(|fewest| made.len() < fewest.len()) {
                fewest = Some(made);
            }
        }
        let made = fewest.filter(|made| !made.is_empty()).ok_or("the server logs no statement")?;
        println!("one {method:?}: {} statements", made.len());
        if std::env::args().any(|argument| argument == "--statements") {
            for statement in &made {
                println!("  {statement}");
            }
        }
    }
    service.stop().await
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
