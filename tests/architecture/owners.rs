//! Statements on a distributed database: what writes, locks, or is read by a writer is for one owner, whom a parameter
//! names in each part. The text says so; no such database is needed to see it.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// What the writer reads with, by words that no other statement has.
const READ_BY_WRITERS: [&str; 2] =
    ["WITH invitation AS MATERIALIZED", "e.emails, e.email_keys, e.attest_time FROM accounts a"];

/// Statements for several owners at once. They are the sweep's, and the mail workers' on one Postgres: each is a transaction
/// of its own, which nobody waits for.
const FOR_SEVERAL: [&str; 10] = [
    "UPDATE mail_turns t SET turn_time = now() FROM next",
    "DELETE FROM request_ids r USING unnest",
    "DELETE FROM account_request_ids r USING unnest",
    "DELETE FROM subject_limits l USING unnest",
    "DELETE FROM emails e USING unnest",
    "DELETE FROM events e USING unnest",
    "DELETE FROM invitations i USING unnest",
    "DELETE FROM annotations a USING unnest",
    "UPDATE invitations i SET email = ''",
    "UPDATE emails e SET recipient = ''",
];

/// Words between the name of a table and whatever else, so none of them is its alias.
const KEYWORDS: [&str; 14] = [
    "WHERE", "SET", "ON", "JOIN", "LEFT", "CROSS", "INNER", "ORDER", "GROUP", "LIMIT", "FOR", "OFFSET", "UNION",
    "USING",
];

/// In one line with single blanks.
fn statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let texts = fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let queries = texts.map(|text| serde_json::from_str::<Value>(&text).unwrap()["query"].as_str().unwrap().to_owned());
    let statements = queries.map(|query| query.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    assert!(statements.len() > 50, "the statements are there");
    statements
}

/// The column that names the owner of a table's rows; `None`: the table is copied to every node, or no table.
fn key(table: &str) -> Option<&'static str> {
    let groups = &invitations::store::distribution::GROUPS;
    groups.iter().find(|(_, tables)| tables.contains(&table)).map(|(key, _)| *key)
}

/// The parts of a statement, each without the parts in it: a part begins with SELECT, INSERT, UPDATE or DELETE.
fn parts(statement: &str) -> Vec<String> {
    // whether a bracket opened a part, and what stands in it
    let mut open = vec![(true, String::new())];
    let mut parts = Vec::new();
    for (place, c) in statement.char_indices() {
        match c {
            '(' => {
                let rest = statement[place + 1..].trim_start_matches(['(', ' ']);
                let begins = ["SELECT", "INSERT", "UPDATE", "DELETE"].iter().any(|verb| rest.starts_with(verb));
                open.push((begins, String::new()));
            }
            ')' => {
                let (is_part, text) = open.pop().unwrap();
                let around = &mut open.last_mut().unwrap().1;
                if is_part {
                    around.push_str("()");
                    parts.push(text);
                } else {
                    around.extend(["(", &text, ")"]);
                }
            }
            c => open.last_mut().unwrap().1.push(c),
        }
    }
    parts.push(open.pop().unwrap().1);
    parts.iter().flat_map(|part| part.split(" UNION ").map(str::to_owned)).collect()
}

/// The tables of a part, each with what its columns may be written as.
fn tables(part: &str) -> Vec<(&str, Vec<String>)> {
    let words = part.split([' ', ',']).collect::<Vec<_>>();
    let mut tables = Vec::new();
    for (nth, word) in words.iter().enumerate().skip(1) {
        let stands_for_rows = ["FROM", "JOIN", "UPDATE", "INTO", ""].contains(&words[nth - 1]);
        if stands_for_rows && key(word).is_some() {
            let alias = words.get(nth + 1).copied().filter(|alias| alias.chars().all(|c| c.is_ascii_lowercase()));
            let alias = alias.filter(|alias| !alias.is_empty() && !KEYWORDS.contains(alias));
            tables.push((
                *word,
                [Some(String::new()), alias.map(|alias| format!("{alias}."))].into_iter().flatten().collect(),
            ));
        }
    }
    tables
}

/// Whether these words stand there on their own.
fn has(text: &str, words: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    text.match_indices(words).any(|(place, _)| !text[..place].ends_with(is_name))
}

/// What keeps a statement from running for one owner alone.
fn faults(statement: &str) -> Vec<String> {
    let is_locking = |text: &str| text.contains("FOR UPDATE") || text.contains("FOR SHARE");
    let is_writing = |text: &str| {
        ["INSERT INTO ", "DELETE FROM "].iter().any(|verb| text.contains(verb))
            || text.starts_with("UPDATE ")
            || text.contains(" UPDATE ") && !is_locking(text)
    };
    let parts = parts(statement);
    let is_read_only = !parts.iter().any(|part| is_writing(part) || is_locking(part));
    let mut faults = Vec::new();
    for part in &parts {
        for (table, names) in tables(part) {
            let key = key(table).unwrap();
            let is_appended = part.contains(&format!("INSERT INTO {table}"));
            let is_named = names.iter().any(|name| has(part, &format!("{name}{key} = $")));
            let is_listed = is_read_only && names.iter().any(|name| has(part, &format!("{name}{key} = ANY($")));
            // closed where the statement is for one owner of another kind
            let is_closed = part.contains("::text IS NULL AND ");
            if !(is_appended || is_named || is_listed || is_closed) {
                faults.push(format!("no parameter names the {key} of {table} in: {part}"));
            }
        }
        // an enum's text is no constant of the row for Citus
        let changes = part.contains("UPDATE ") && !is_locking(part) && !part.contains("ON CONFLICT");
        let cast = part.match_indices("::").any(|(place, _)| {
            let value = part[..place].rsplit([' ', '(', ',']).next().unwrap();
            !value.starts_with('$') && !value.starts_with('\'') && !value.is_empty() && !value.ends_with(']')
        });
        if changes && cast {
            faults.push(format!("a column is cast in: {part}"));
        }
    }
    faults
}

#[test]
fn what_writes_locks_or_is_read_by_a_writer_names_its_owner_in_each_part() {
    let mut wrong = Vec::new();
    let (mut read, mut exempt) = (0, 0);
    for statement in statements() {
        let writes =
            ["INSERT INTO ", "UPDATE ", "DELETE FROM ", "FOR SHARE"].iter().any(|verb| statement.contains(verb));
        let is_read = READ_BY_WRITERS.iter().any(|words| statement.contains(words));
        let is_exempt = FOR_SEVERAL.iter().any(|words| statement.contains(words));
        read += usize::from(is_read);
        exempt += usize::from(is_exempt);
        if (writes || is_read) && !is_exempt {
            wrong.extend(faults(&statement));
        }
    }
    assert_eq!((read, exempt), (READ_BY_WRITERS.len(), FOR_SEVERAL.len()), "the lists name statements that are there");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The control: forms that were refused, or asked every node.
#[test]
fn a_statement_that_names_no_owner_is_found() {
    let one = "($9::text IS NULL OR m.organization = $9)";
    let update = "UPDATE members m SET role = n.r FROM unnest($1::text[], $2::text[]::role[]) AS n(o, r) \
                  WHERE m.organization = ANY(ARRAY[n.o])";
    assert_eq!(faults(&format!("{update} AND {one}")), Vec::<String>::new());
    let lateral = |condition: &str, end: &str| {
        format!(
            "SELECT h.x FROM unnest($1::text[]) AS w(o), LATERAL (SELECT x FROM organization_heads WHERE {condition} {end}) h"
        )
    };
    for (bad, why) in [
        (update.to_owned(), "no parameter"),
        (lateral("organization = w.o", "FOR UPDATE"), "no parameter"),
        (lateral("organization = ANY($1)", "FOR UPDATE"), "no parameter"),
        (lateral("organization = w.o", "OFFSET 0"), "no parameter"),
        ("DELETE FROM identities WHERE username = $1".to_owned(), "identity of identities"),
        // one part of several
        (
            "WITH due AS (SELECT organization FROM emails WHERE state = 'QUEUED' FOR UPDATE) UPDATE emails e SET attempt = 1 \
             FROM due WHERE ($1::text IS NULL OR e.organization = $1) AND e.organization = ANY(ARRAY[due.organization])"
                .to_owned(),
            "organization of emails in: SELECT",
        ),
        (format!("{} AND {one}", update.replace("n.r FROM", "n.r::role FROM")), "cast"),
        (format!("{update} AND {one} AND m.role::text = 'OWNER'"), "cast"),
    ] {
        let found = faults(&bad);
        assert!(found.len() == 1 && found[0].contains(why), "{bad}: {found:?}");
    }
}

/// A record is nothing that one node hands to another, and neither is a row without columns.
#[test]
fn no_statement_answers_with_records_or_with_rows_of_no_columns() {
    let unreadable = |statement: &str| statement.contains("ROW(") || statement.contains("SELECT FROM");
    let found = statements().into_iter().filter(|statement| unreadable(statement)).collect::<Vec<_>>();
    assert!(found.is_empty(), "{found:#?}");
    assert!(unreadable("SELECT array_agg(ROW(a, b)) FROM t") && unreadable("SELECT EXISTS (SELECT FROM t)"));
}

/// Citus loses the compared value on the way to a node, where the other side is a constant.
#[test]
fn no_case_compares_one_value() {
    let compares = |statement: &str| statement.split("CASE ").skip(1).any(|rest| !rest.starts_with("WHEN "));
    let found = statements().into_iter().filter(|statement| compares(statement)).collect::<Vec<_>>();
    assert!(found.is_empty(), "{found:#?}");
    assert!(compares("SELECT CASE a WHEN '' THEN 1 END") && !compares("SELECT CASE WHEN a = '' THEN 1 END"));
}
