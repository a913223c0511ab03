//! What a page costs does not depend on how deep in the list it lies: by the rows that the statements of the service
//! read, in an organization of some 10,000 of everything.

use sqlx::AssertSqlSafe;

use crate::plans::session::Session;
use crate::plans::statements::{Statement, find};
use crate::support::Database;

const ROWS: i64 = 10_000;
/// Of a page and the one row more that tells whether it is the last.
const PAGE: i64 = 51;
/// Rows that a page may read for each one that it shows: of each state that is asked for, and of what is overdue.
const FACTOR: i64 = 20;

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
fn lists() -> Vec<(&'static str, Statement, String, String)> {
    let id = |n: i64| format!("'01900000-0000-7000-8000-{n:012}'");
    let last = "'ffffffff-ffff-ffff-ffff-ffffffffffff'".to_owned();
    let mut lists = Vec::new();
    let all = find("FROM invitations WHERE organization = $1 AND invitation < $2 ORDER BY");
    let page = |before: &str| format!("'acme', {before}, {PAGE}");
    lists.push(("ListInvitations", all, page(&last), page(&id(500))));
    let by_state = find("WITH overdue AS MATERIALIZED");
    for states in ["EXPIRED", "INVITED", "REVOKED", "EXPIRED,INVITED", "EXPIRED,REVOKED,OFFERED"] {
        let page = |before: &str| format!("'acme', {before}, {PAGE}, '{{{states}}}'");
        lists.push((states, by_state.clone(), page(&last), page(&id(1000))));
    }
    let own = find("WHERE username = $1 AND (invitation, organization) <");
    let page = |before: &str| format!("'anna', {before}, 'zzz', {PAGE}, NULL");
    lists.push(("ListAccountInvitations", own, page(&last), page(&id(10_500))));
    let organizations = find("SELECT organization FROM organizations WHERE organization > $1");
    let page = |after: &str| format!("'{after}', {PAGE}");
    lists.push(("ListOrganizations", organizations, page(""), page("o19500")));
    let members = find("FROM members WHERE organization = $1 AND username > $2");
    let page = |after: &str| format!("'acme', '{after}', {PAGE}");
    lists.push(("ListMembers", members, page(""), page("m19500")));
    let memberships = find("FROM members m WHERE m.username = $1 AND m.organization > $2");
    let page = |after: &str| format!("'anna', '{after}', {PAGE}");
    lists.push(("ListAccountMemberships", memberships, page(""), page("o19500")));
    let events = find("FROM events WHERE organization = $1 AND position > $2");
    let page = |after: i64| format!("'acme', {after}, {PAGE}");
    lists.push(("ListEvents", events, page(0), page(9500)));
    let of_one = find("FROM events WHERE ($1::text IS NULL OR organization = $1) AND invitation = $2");
    let page = |after: i64| format!("'acme', {}, {after}, {PAGE}", id(1));
    lists.push(("ListEvents of one", of_one, page(0), page(9500)));
    lists
}

/// What a page reads that costs too much.
async fn too_much(session: &mut Session, list: &str, statement: &Statement, pages: [&str; 2]) -> Vec<String> {
    let mut wrong = Vec::new();
    session.prepare("page", statement).await;
    for (which, values) in ["first", "deep"].iter().zip(pages) {
        let cost = session.run("page", values).await;
        assert_eq!(cost.answer, PAGE, "{list}: the {which} page is full");
        if cost.rows > FACTOR * PAGE {
            wrong.push(format!("{list}, {which} page: {cost}"));
        }
    }
    session.execute("DEALLOCATE page".to_owned()).await;
    wrong
}

#[tokio::test]
async fn a_deep_page_costs_what_the_first_one_costs() {
    // nothing is overdue but unswept; a little is; and much is, because no sweep was there for long
    for overdue in ["false", "n % 500 = 3", "n % 5 = 3"] {
        let database = Database::create().await;
        fill(&database.pool, overdue).await;
        let mut session = Session::open(&database.url).await;
        let mut wrong = Vec::new();
        for (list, statement, first, deep) in lists() {
            wrong.extend(too_much(&mut session, list, &statement, [&first, &deep]).await);
        }
        assert!(wrong.is_empty(), "with {overdue} overdue:\n{}", wrong.join("\n"));
    }
}

#[tokio::test]
async fn control_paging_by_offset_costs_more_the_deeper_the_page() {
    let database = Database::create().await;
    fill(&database.pool, "false").await;
    let mut session = Session::open(&database.url).await;
    let by_offset = "SELECT * FROM invitations WHERE organization = $1 ORDER BY invitation DESC OFFSET $2 LIMIT $3";
    let by_offset = Statement::new(by_offset, &["text", "int8", "int8"]);
    let (first, deep) = (format!("'acme', 0, {PAGE}"), format!("'acme', {}, {PAGE}", ROWS - 500));
    let wrong = too_much(&mut session, "by offset", &by_offset, [&first, &deep]).await;
    assert!(wrong.len() == 1 && wrong[0].contains("deep page"), "{wrong:?}");
}
