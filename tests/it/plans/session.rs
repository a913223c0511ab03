//! A connection that plans as those of the service do, and what statements cost on it.

use std::fmt;

use invitations::store::pool::PLANNING;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::statements::Statement;

/// Its plans stay as they were made, until a table that they read is analyzed.
pub struct Session(PgConnection);

impl Session {
    pub async fn open(url: &str) -> Self {
        let mut session = Self(PgConnection::connect(url).await.unwrap());
        for (setting, value) in PLANNING {
            session.execute(format!("SET {setting} = {value}")).await;
        }
        session
    }

    pub async fn prepare(&mut self, name: &str, statement: &Statement) {
        self.execute(statement.prepare(name)).await;
    }

    /// Makes the plan and does not run it.
    pub async fn plan(&mut self, name: &str, values: &str) {
        self.execute(format!("EXPLAIN {}", call(name, values))).await;
    }

    /// Runs it and takes back what it has changed.
    pub async fn run(&mut self, name: &str, values: &str) -> Cost {
        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {}", call(name, values));
        let mut transaction = self.0.begin().await.unwrap();
        let explained = sqlx::query_scalar(AssertSqlSafe(explain.clone())).fetch_one(&mut *transaction).await;
        let explained: Value = explained.unwrap_or_else(|error| panic!("{explain}: {error}"));
        transaction.rollback().await.unwrap();
        Cost::of(&explained[0]["Plan"])
    }

    pub async fn execute(&mut self, statement: String) {
        let done = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut self.0).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

fn call(name: &str, values: &str) -> String {
    if values.is_empty() { format!("EXECUTE {name}") } else { format!("EXECUTE {name}({values})") }
}

/// What a statement has read, and what for.
#[derive(Debug)]
pub struct Cost {
    /// What every scan has looked at, of tables, indexes, arrays and interim results, whether it was of use or thrown
    /// away; and what joins have thrown away.
    pub rows: i64,
    /// Of tables and indexes. An index that is gone through without a single row of use shows only here.
    pub pages: i64,
    /// The rows that it returned or changed.
    pub answer: i64,
    /// The rows of its arrays.
    pub input: i64,
}

impl Cost {
    fn of(root: &Value) -> Self {
        let mut cost = Self {
            rows: 0,
            pages: number(root, "Shared Hit Blocks") + number(root, "Shared Read Blocks"),
            answer: 0,
            input: 0,
        };
        cost.add(root);
        cost.answer = cost.answer.max(number(root, "Actual Rows"));
        cost
    }

    fn add(&mut self, node: &Value) {
        let (kind, loops) = (node["Node Type"].as_str().unwrap(), number(node, "Actual Loops"));
        let rows = number(node, "Actual Rows");
        if kind.ends_with("Scan") && kind != "Subquery Scan" || kind == "Materialize" {
            self.rows += rows * loops;
        }
        let thrown_away =
            ["Filter", "Join Filter", "Index Recheck"].map(|by| number(node, &format!("Rows Removed by {by}")));
        self.rows += thrown_away.iter().sum::<i64>() * loops;
        if kind == "Function Scan" {
            self.input += rows;
        }
        for child in node["Plans"].as_array().into_iter().flatten() {
            if kind == "ModifyTable" && child["Parent Relationship"] == "Outer" {
                self.answer += number(child, "Actual Rows");
            }
            self.add(child);
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows in {} pages for {}", self.rows, self.pages, self.answer)
    }
}

fn number(node: &Value, key: &str) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a count of rows, which newer servers write with decimals")]
    node[key].as_f64().map_or(0, |count| count.ceil() as i64)
}
