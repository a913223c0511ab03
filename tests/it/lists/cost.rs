//! What a page costs does not depend on how deep in the list it lies: by the rows that the statements of the service
//! read, in an organization of some 10,000 of everything, with the plans that Postgres makes for a call and for many.

use std::path::Path;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::Database;

const ROWS: i64 = 10_000;
/// Of a page and the one row more that tells whether it is the last.
const PAGE: i64 = 51;
/// Rows that a page may read for each one that it shows: of each state that is asked for, and of what is overdue.
const FACTOR: i64 = 10;

/// So often a statement has run before it is measured.
const WARM: usize = 6;

/// The statement of the service with these words, as it was compiled.
fn statement(words: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let queries = files.map(|text| serde_json::from_str::<Value>(&text).unwrap()["query"].as_str().unwrap().to_owned());
    let mut found = queries.filter(|query| words.iter().all(|words| query.contains(words))).collect::<Vec<_>>();
    assert_eq!(found.len(), 1, "{words:?}");
    found.remove(0)
}

/// The rows that a statement has shown and those that it has read, with a plan of that kind.
async fn rows_read(connection: &mut PgConnection, statement: &str, values: &str, plan: &str) -> (i64, i64) {
    let run = [
        format!("SET plan_cache_mode = {plan}"),
        format!("PREPARE page AS {statement}"),
        format!("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page({values})"),
    ];
    for statement in &run[..2] {
        sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut *connection).await.unwrap();
    }
    // from the sixth time on Postgres may take a plan that was made without the values
    for _ in 0..WARM {
        let again = format!("EXECUTE page({values})");
        sqlx::raw_sql(AssertSqlSafe(again)).execute(&mut *connection).await.unwrap();
    }
    let explained: Value = sqlx::query_scalar(AssertSqlSafe(run[2].clone())).fetch_one(&mut *connection).await.unwrap();
    sqlx::raw_sql("DEALLOCATE page").execute(&mut *connection).await.unwrap();
    let root = &explained[0]["Plan"];
    (number(root, "Actual Rows"), sum(root))
}

fn number(node: &Value, key: &str) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a count of rows, which newer servers write with decimals")]
    node[key].as_f64().map_or(0, |count| count.ceil() as i64)
}

/// The rows that the scans of tables and their indexes have looked at.
fn sum(node: &Value) -> i64 {
    let kinds = ["Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"];
    let looked_at = kinds.iter().map(|kind| number(node, kind)).sum::<i64>() * number(node, "Actual Loops");
    let is_scan = node["Node Type"].as_str().unwrap().ends_with("Scan") && node["Relation Name"].is_string();
    let own = if is_scan { looked_at } else { 0 };
    own + node["Plans"].as_array().into_iter().flatten().map(sum).sum::<i64>()
}

/// Fills an organization: three fifths of the invitations are INVITED, those of them overdue for which it says so. The
/// n-th has the id that ends in n, so the newest has the highest.
async fn fill(pool: &sqlx::PgPool, overdue: &str) {
    for statement in [
        "INSERT INTO organizations (organization, display_name, notification_email, notification_email_key) \
         SELECT o, o, 'n@x.example', 'n@x.example' FROM (SELECT 'acme' UNION ALL SELECT 'o' || n FROM generate_series(10001, 20000) n) s(o)",
        "INSERT INTO members (organization, username, role) SELECT 'acme', 'm' || n, 'READER' FROM generate_series(10001, 20000) n",
        "INSERT INTO members (organization, username, role) SELECT 'o' || n, 'anna', 'READER' FROM generate_series(10001, 20000) n",
        "INSERT INTO events (organization, position, kind, invitation) SELECT 'acme', n, 'RESENT', \
                '01900000-0000-7000-8000-000000000001' FROM generate_series(1, 10000) n",
        "INSERT INTO invitations (organization, invitation, state, email, email_key, inviter, code_hash, code_key_id, \
                                  generation, expire_time, send_time) \
         SELECT 'acme', ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, \
                (CASE n % 5 WHEN 0 THEN 'INVITED' WHEN 1 THEN 'REVOKED' WHEN 2 THEN 'EXPIRED' ELSE 'INVITED' END)::invitation_state, \
                a, a, 'accounts/olga', sha256(a::bytea), 'test', 1, \
                now() + CASE WHEN n % 5 = 2 OR OVERDUE THEN interval '-1 day' ELSE interval '7 days' END, now() \
           FROM generate_series(1, 10000) n, concat(n, '@acme.example') a",
        "INSERT INTO invitations (organization, invitation, state, email, email_key, inviter, username, account_email, \
                                  account_email_key, code_hash, code_key_id, generation, expire_time, send_time) \
         SELECT 'o' || n, ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'DECLINED', a, a, 'accounts/olga', \
                'anna', a, a, sha256(a::bytea), 'test', 1, now(), now() \
           FROM generate_series(10001, 20000) n, concat(n, '@o.example') a",
        "ANALYZE",
    ] {
        let statement = statement.replace("OVERDUE", overdue);
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(pool).await.unwrap();
    }
}

/// Each list as its statement, the first page's values and a deep page's.
fn lists() -> Vec<(&'static str, String, String, String)> {
    let id = |n: i64| format!("'01900000-0000-7000-8000-{n:012}'");
    let last = "'ffffffff-ffff-ffff-ffff-ffffffffffff'".to_owned();
    let mut lists = Vec::new();
    let all = statement(&["FROM invitations WHERE organization = $1 AND invitation < $2 ORDER BY"]);
    let page = |before: &str| format!("'acme', {before}, {PAGE}");
    lists.push(("ListInvitations", all, page(&last), page(&id(500))));
    let by_state = statement(&["WITH overdue AS MATERIALIZED"]);
    for states in ["EXPIRED", "INVITED", "REVOKED", "EXPIRED,INVITED", "EXPIRED,REVOKED,OFFERED"] {
        let page = |before: &str| format!("'acme', {before}, {PAGE}, '{{{states}}}'");
        lists.push((states, by_state.clone(), page(&last), page(&id(1000))));
    }
    let own = statement(&["WHERE username = $1 AND (invitation, organization) <"]);
    let page = |before: &str| format!("'anna', {before}, 'zzz', {PAGE}, NULL");
    lists.push(("ListAccountInvitations", own, page(&last), page(&id(10_500))));
    let members = statement(&["FROM members WHERE organization = $1 AND username > $2"]);
    let page = |after: &str| format!("'acme', '{after}', {PAGE}");
    lists.push(("ListMembers", members, page(""), page("m19500")));
    let memberships = statement(&["FROM members m", "m.username = $1 AND m.organization > $2"]);
    let page = |after: &str| format!("'anna', '{after}', {PAGE}");
    lists.push(("ListAccountMemberships", memberships, page(""), page("o19500")));
    let events = statement(&["FROM events", "organization = $1 AND position > $2"]);
    let page = |after: i64| format!("'acme', {after}, {PAGE}");
    lists.push(("ListEvents", events, page(0), page(9500)));
    let of_one = statement(&["FROM events", "invitation = $2 AND position > $3"]);
    let page = |after: i64| format!("'acme', {}, {after}, {PAGE}", id(1));
    lists.push(("ListEvents of one", of_one, page(0), page(9500)));
    lists
}

/// What a page reads that costs too much.
async fn too_much(connection: &mut PgConnection, list: &str, statement: &str, pages: [&str; 2]) -> Vec<String> {
    let mut wrong = Vec::new();
    for plan in ["force_custom_plan", "auto"] {
        for (which, values) in ["first", "deep"].iter().zip(pages) {
            let (shown, read) = rows_read(connection, statement, values, plan).await;
            assert_eq!(shown, PAGE, "{list}: the {which} page is full");
            if read > FACTOR * PAGE {
                wrong.push(format!("{list}, {which} page, {plan}: {read} rows for {shown}"));
            }
        }
    }
    wrong
}

#[tokio::test]
async fn a_deep_page_costs_what_the_first_one_costs() {
    // nothing is overdue but unswept; a little is; and much is, because no sweep was there for long
    for overdue in ["false", "n % 500 = 3", "n % 5 = 3"] {
        let database = Database::create().await;
        fill(&database.pool, overdue).await;
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        let mut wrong = Vec::new();
        for (list, statement, first, deep) in lists() {
            wrong.extend(too_much(&mut connection, list, &statement, [&first, &deep]).await);
        }
        assert!(wrong.is_empty(), "with {overdue} overdue:\n{}", wrong.join("\n"));
    }
}

#[tokio::test]
async fn control_paging_by_offset_costs_more_the_deeper_the_page() {
    let database = Database::create().await;
    fill(&database.pool, "false").await;
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let by_offset = "SELECT * FROM invitations WHERE organization = $1 ORDER BY invitation DESC OFFSET $2 LIMIT $3";
    let (first, deep) = (format!("'acme', 0, {PAGE}"), format!("'acme', {}, {PAGE}", ROWS - 500));
    let wrong = too_much(&mut connection, "by offset", by_offset, [&first, &deep]).await;
    assert!(wrong.len() == 2 && wrong.iter().all(|wrong| wrong.contains("deep page")), "{wrong:?}");
}
