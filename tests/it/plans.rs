//! No plan can go wrong: whenever a statement was planned and whatever the statistics said, it reads what it answers.
//!
//! The service's connections plan each statement once, without its values. What is planned on a fresh database, or on
//! statistics from before a flood, is run on more than 100,000 rows for as long as nobody analyzes. Each statement of
//! `.sqlx` has its values in `values`: one without them fails here by its text.

mod fill;
pub mod session;
pub mod statements;
mod values;

use futures_util::future::join_all;

use self::session::{Cost, Session};
use self::statements::Statement;
use crate::support::Database;

/// Rows that may be read for each one that is returned, changed or given: a list that is put together from several states
/// reads a page of each, and of what is overdue.
const ROWS: i64 = 20;
/// Pages likewise. A look at an index costs 3 or 4, an invitation that goes into all of its indexes 30. One third of a
/// small index is more, so a statement of a single row shows that it takes a wrong index.
const PAGES: i64 = 50;

/// What one statement is run with.
struct Case {
    /// That no other statement has, in the form of [`Statement::one_line`].
    words: &'static str,
    /// As in `EXECUTE`.
    values: &'static str,
    /// How many rows it cannot help looking at, where these are more than it returns.
    among: i64,
}

const fn case(words: &'static str, values: &'static str) -> Case {
    Case { words, values, among: 1 }
}

impl Case {
    const fn among(self, rows: i64) -> Self {
        Self { among: rows, ..self }
    }

    fn fault(&self, cost: &Cost) -> Option<String> {
        if cost.answer == 0 {
            return Some("finds nothing: it has the wrong values".to_owned());
        }
        let needed = cost.answer.max(cost.input).max(self.among);
        (cost.rows > ROWS * needed || cost.pages > PAGES * needed).then(|| format!("reads {cost}"))
    }
}

/// A case of a file, with the name under which its statement is prepared.
type Named = (&'static str, &'static Case, String);

/// All statements under their names, and the cases. Fails with the statements that have no values, and the values whose
/// statement is not there.
fn cases() -> (Vec<(String, Statement)>, Vec<Named>) {
    let statements =
        (0..).zip(statements::all()).map(|(n, statement)| (format!("s{n}"), statement)).collect::<Vec<_>>();
    let (mut cases, mut wrong) = (Vec::new(), Vec::new());
    for (file, case) in values::FILES.iter().flat_map(|(file, cases)| cases.iter().map(move |case| (*file, case))) {
        let mut fitting = statements.iter().filter(|(_, statement)| statement.one_line().contains(case.words));
        match (fitting.next(), fitting.next()) {
            (Some((name, _)), None) => cases.push((file, case, name.clone())),
            (None, _) => wrong.push(format!("{file}: no statement has the words {:?}", case.words)),
            (Some(_), Some(_)) => wrong.push(format!("{file}: two statements have the words {:?}", case.words)),
        }
    }
    let without = statements.iter().filter(|(name, _)| !cases.iter().any(|(_, _, of)| of == name));
    wrong.extend(without.map(|(_, statement)| format!("no values for: {}", statement.one_line())));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    (statements, cases)
}

/// A session in which every statement is planned now.
async fn plan(database: &Database, statements: &[(String, Statement)], cases: &[Named]) -> Session {
    let mut session = Session::open(&database.url).await;
    for (name, statement) in statements {
        session.prepare(name, statement).await;
    }
    for (_, case, name) in cases {
        session.plan(name, case.values).await;
    }
    session
}

/// What is wrong with the plans of a session.
async fn faults(when: &str, mut session: Session, cases: &[Named]) -> Vec<String> {
    let mut faults = Vec::new();
    for (file, case, name) in cases {
        if let Some(fault) = case.fault(&session.run(name, case.values).await) {
            faults.push(format!("{file}, planned {when}: {:?} with {:.50} {fault}", case.words, case.values));
        }
    }
    faults
}

#[tokio::test]
async fn no_statement_reads_more_than_it_answers_whatever_the_statistics_say() {
    let (statements, cases) = cases();
    let (new, analyzed, small) = (fill::database().await, fill::database().await, fill::database().await);
    fill::analyze(&analyzed).await;
    fill::fill(&small, fill::SMALL).await;
    fill::analyze(&small).await;
    let databases = [&new, &analyzed, &small];
    let planned = join_all(databases.map(|database| plan(database, &statements, &cases))).await;
    tokio::join!(
        async {
            fill::fill(&new, fill::SMALL).await;
            fill::fill(&new, fill::FLOOD).await;
        },
        async {
            fill::fill(&analyzed, fill::SMALL).await;
            fill::fill(&analyzed, fill::FLOOD).await;
        },
        fill::fill(&small, fill::FLOOD),
    );
    let mut wrong = Vec::new();
    let when = ["on new tables", "on tables that were analyzed while empty", "before a flood"];
    for (when, session) in when.into_iter().zip(planned) {
        wrong.extend(faults(when, session, &cases).await);
    }
    let session = plan(&small, &statements, &cases).await;
    wrong.extend(faults("in a flood, by the statistics from before", session, &cases).await);
    fill::analyze(&small).await;
    let session = plan(&small, &statements, &cases).await;
    wrong.extend(faults("by fresh statistics", session, &cases).await);
    wrong.sort();
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

/// How the open invitations of addresses were looked up once: right by fresh statistics, and 14 to 42 ms a batch without.
const JOIN_BY_ADDRESS: &str = "SELECT n.invitation FROM unnest($1::text[], $2::text[]) AS w(o, k) \
     JOIN invitations n ON n.organization = w.o AND n.email_key = w.k \
      AND n.state IN ('INVITED', 'ACCESS_REQUESTED', 'PENDING_APPROVAL', 'OFFERED')";

#[tokio::test]
async fn control_a_join_by_address_that_was_planned_on_empty_tables_reads_all_that_is_open() {
    let by_address = Statement::new(JOIN_BY_ADDRESS, &["text[]", "text[]"]);
    let values = "'{acme,o1000}', '{p10000@x.example,p10003@x.example}'";
    let database = fill::database().await;
    let mut session = Session::open(&database.url).await;
    session.prepare("by_address", &by_address).await;
    session.plan("by_address", values).await;
    fill::fill(&database, fill::SMALL).await;
    fill::fill(&database, fill::CONTROL).await;
    let cost = session.run("by_address", values).await;
    assert!(cost.answer == 2 && cost.rows > 1_000, "{cost}");
    // and by the same statistics as before, from the moment on when somebody looks at the tables
    fill::analyze(&database).await;
    let cost = session.run("by_address", values).await;
    assert!(cost.answer == 2 && case("", "").fault(&cost).is_none(), "{cost}");
}

#[tokio::test]
async fn control_an_index_that_many_statements_could_take_is_gone_through_for_a_single_row() {
    let by_key =
        Statement::new("SELECT * FROM invitations WHERE organization = $1 AND invitation = $2", &["text", "uuid"]);
    for (index, is_right) in [("WHERE email_key IS NOT NULL", true), ("", false)] {
        let database = fill::database().await;
        let mut session = Session::open(&database.url).await;
        session.execute("DROP INDEX invitations_by_address".to_owned()).await;
        let columns = "ON invitations (organization, email_key, invitation)";
        session.execute(format!("CREATE INDEX invitations_by_email {columns} {index}")).await;
        session.prepare("by_key", &by_key).await;
        session.plan("by_key", "'acme', inv(20000)").await;
        fill::fill(&database, fill::SMALL).await;
        fill::fill(&database, fill::CONTROL).await;
        let cost = session.run("by_key", "'acme', inv(20000)").await;
        assert_eq!((cost.answer, cost.rows), (1, 1), "{cost}");
        assert_eq!(case("", "").fault(&cost).is_none(), is_right, "{cost}");
    }
}
