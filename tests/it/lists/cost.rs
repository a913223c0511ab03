//! What a page costs does not depend on how deep in the list it lies: by the rows that the statements of the service
//! read, in an organization of some 10,000 of everything.

use sqlx::AssertSqlSafe;

use crate::plans::session::Session;
use crate::plans::statements::{Statement, find};
use crate::support::Database;

const ROWS: i64 = 10_000;
/// Of a page and the one row more that tells whether it is the last.
const PAGE: i64 = 51;
/// Rows that a page may read for each one that it shows: of each state that is asked for, and of what is overdue, up to 500.
const FACTOR: i64 = 50;

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
        "INSERT INTO invitations (organization, invitation, state, email, email_key, inviter, username, account_email, \
                                  account_email_key, role, offerer, annotations, code_hash, code_key_id, generation, \
                                  expire_time, send_time) \
         SELECT 'acme', ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, \
                (CASE n % 5 WHEN 0 THEN 'INVITED' WHEN 1 THEN 'REVOKED' WHEN 2 THEN 'EXPIRED' ELSE 'INVITED' END)::invitation_state, \
                a, a, 'accounts/olga', u, CASE WHEN u IS NOT NULL THEN a END, CASE WHEN u IS NOT NULL THEN a END, \
                CASE WHEN u IS NOT NULL THEN 'READER'::role END, CASE WHEN u IS NOT NULL THEN 'accounts/olga' END, \
                '{\"env\": \"prod\"}', sha256(a::bytea), 'test', 1, \
                now() + CASE WHEN n % 5 = 2 OR OVERDUE THEN interval '-1 day' ELSE interval '7 days' END, now() \
           FROM generate_series(1, 10000) n, concat(n, '@acme.example') a, \
                LATERAL (SELECT CASE n % 5 WHEN 1 THEN 'anna' END) b(u)",
        "INSERT INTO annotations (organization, key, value, invitation) \
         SELECT organization, 'env', 'prod', invitation FROM invitations",
        "INSERT INTO emails (organization, email_id, invitation, kind, recipient, state) \
         SELECT organization, gen_random_uuid(), invitation, 'ACCOUNT_INVITATION', email, 'FAILED' FROM invitations \
          WHERE state = 'REVOKED'",
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

/// One look along an index.
struct Search {
    name: &'static str,
    words: &'static str,
    /// `$6` to `$18`, and what the statement has beside.
    conditions: String,
}

impl Search {
    fn values(&self, before: &str, limit: i64, looks: i64) -> String {
        format!("'acme', {before}, '00000000-0000-0000-0000-000000000000', {limit}, {looks}, {}", self.conditions)
    }
}

/// Searches that find full pages.
fn searches() -> Vec<Search> {
    let all = |states: &str, inviters: &str, offerers: &str, pairs: &str, deliveries: &str, more: &str| {
        format!(
            "'{{{states}}}', '{{}}', '{{}}', '{{{inviters}}}', '{{{offerers}}}', {pairs}, NULL, NULL, NULL, NULL, '{{{deliveries}}}'{more}"
        )
    };
    let none = "'{}', '{}', 0";
    let search = |name, words, conditions| Search { name, words, conditions };
    let inviters = "(inviter, invitation) >= (w.v, $3)";
    let mut searches = vec![
        search("by inviter", inviters, all("", "accounts/olga", "", none, "", "")),
        search("by two inviters", inviters, all("", "accounts/olga,accounts/otto", "", none, "", "")),
        search("by offerer", "(offerer, invitation) >= (w.v, $3)", all("", "", "accounts/olga", none, "", "")),
        search(
            "by annotation",
            "FROM annotations WHERE organization = $1 AND key",
            all("", "", "", "'{env}', '{prod}', 1", "", ""),
        ),
        search("by deliveries", "(state, invitation) >= (w.v::email_state, $3)", all("", "", "", none, "FAILED", "")),
        search(
            "by id",
            "SELECT invitation FROM invitations WHERE organization = $1 AND invitation >= $3",
            all("", "", "", none, "", ""),
        ),
    ];
    for (states, late) in [
        ("EXPIRED", "INVITED,PENDING_APPROVAL,OFFERED"),
        ("INVITED", "PENDING_APPROVAL,OFFERED"),
        ("REVOKED", "INVITED,PENDING_APPROVAL,OFFERED"),
        ("EXPIRED,INVITED", "PENDING_APPROVAL,OFFERED"),
        ("EXPIRED,REVOKED,OFFERED", "INVITED,PENDING_APPROVAL"),
    ] {
        let is_late = states.contains("EXPIRED");
        let more = format!(", '{{{states}}}', '{{{late}}}', {is_late}, NULL, '1 microsecond'");
        searches.push(search(states, "late AS MATERIALIZED", all(states, "", "", none, "", &more)));
    }
    searches
}

/// Each list as its statement, the first page's values and a deep page's.
fn lists() -> Vec<(&'static str, Statement, String, String)> {
    let id = |n: i64| format!("'01900000-0000-7000-8000-{n:012}'");
    let last = "'ffffffff-ffff-ffff-ffff-ffffffffffff'".to_owned();
    let mut lists = Vec::new();
    let all = find("FROM invitations WHERE organization = $1 AND invitation < $2 ORDER BY");
    let page = |before: &str| format!("'acme', {before}, {PAGE}");
    lists.push(("ListInvitations", all, page(&last), page(&id(500))));
    for search in searches() {
        let page = |before: &str| search.values(before, PAGE, 2 * PAGE);
        lists.push((search.name, find(search.words), page(&last), page(&id(1000))));
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
