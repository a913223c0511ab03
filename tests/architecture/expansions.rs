//! Expand, then contract: while a release is rolled out, the one before works on the same tables. So a migration adds what
//! nobody has to know of. What takes something away, or asks for more, is of a release after the last one that needs it.

use std::fs;
use std::path::Path;

/// Migrations that ask for more of what is written, and why the release before fulfils it.
const CONTRACTIONS: [(&str, &str); 4] = [
    ("0010_invitations_open_email", "of a table without a row"),
    ("0011_invitations_open_account", "of a table without a row"),
    ("0040_invitations_open_address", "the same as that of 0010"),
    ("0070_invitations_account", "a CHECK that allows more than the one that 0072 drops"),
];

/// Why the release before may fail on the schema behind this statement; `None`: it does not notice.
fn breach(statement: &str) -> Option<String> {
    let uncommented = statement.lines().map(|line| line.split("--").next().unwrap_or_default());
    let words = uncommented.flat_map(str::split_whitespace).map(str::to_uppercase).collect::<Vec<_>>();
    let text = words.join(" ");
    let text = text.trim_end_matches(';');
    // the last three fill rows in
    let is_expansion =
        ["CREATE TABLE ", "CREATE TYPE ", "CREATE INDEX ", "DROP INDEX ", "UPDATE ", "INSERT INTO ", "DO $$ "];
    if is_expansion.iter().any(|begin| text.starts_with(begin)) {
        return None;
    }
    let Some(rest) = text.strip_prefix("ALTER TABLE ") else {
        let is_value = text.starts_with("ALTER TYPE ") && text.contains(" ADD VALUE ");
        return (!is_value).then(|| format!("is no expansion: {text:.60}"));
    };
    let (_, actions) = rest.split_once(' ')?;
    let first = |action: &&str| {
        ["ADD ", "DROP ", "ALTER ", "RENAME ", "VALIDATE ", "SET "].iter().any(|begin| action.starts_with(begin))
    };
    // a comma may also be in a type or a default
    let mut parts = Vec::<String>::new();
    for part in actions.split(", ") {
        match parts.last_mut() {
            Some(last) if !first(&part) => *last += part,
            _ => parts.push(part.to_owned()),
        }
    }
    parts.into_iter().find(|action| !is_harmless(action)).map(|action| format!("{action:.60}"))
}

fn is_harmless(action: &str) -> bool {
    let fills_itself = !action.contains(" NOT NULL") || action.contains(" DEFAULT ");
    let is_bound =
        ["UNIQUE", "PRIMARY KEY", "REFERENCES", "CHECK", "GENERATED"].iter().any(|word| action.contains(word));
    action.starts_with("ADD COLUMN ") && fills_itself && !is_bound
        || action.starts_with("DROP CONSTRAINT ")
        || action.starts_with("VALIDATE CONSTRAINT ")
}

#[test]
fn a_migration_works_with_the_release_before() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut contractions = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        if let Some(why) = breach(&text) {
            assert!(CONTRACTIONS.iter().any(|(known, _)| *known == name), "{name}: {why}");
            contractions.push(name);
        }
    }
    contractions.sort();
    assert_eq!(contractions, CONTRACTIONS.map(|(name, _)| name), "listed, and no contraction");
}

#[test]
fn control_what_would_break_the_release_before_is_seen() {
    for statement in [
        "DROP TABLE emails",
        "ALTER TABLE emails DROP COLUMN answer",
        "ALTER TABLE emails ADD COLUMN next text, DROP COLUMN answer;",
        "ALTER TABLE emails ADD COLUMN next text NOT NULL",
        "ALTER TABLE emails\n  ADD COLUMN next text, -- a remark, with a comma\n  ADD COLUMN other text NOT NULL",
        "ALTER TABLE emails ADD COLUMN next text UNIQUE",
        "ALTER TABLE emails ADD COLUMN next numeric(3, 1) CHECK (next > 0)",
        "ALTER TABLE emails RENAME COLUMN answer TO reply",
        "alter table emails alter column answer set not null",
        "ALTER TABLE emails ALTER COLUMN answer TYPE jsonb USING answer::jsonb",
        "ALTER TABLE emails ADD CONSTRAINT short CHECK (length(answer) < 9) NOT VALID",
        "ALTER TABLE emails RENAME TO letters",
        "CREATE UNIQUE INDEX emails_one ON emails (organization)",
        "ALTER TYPE email_state RENAME VALUE 'SENT' TO 'GONE'",
        "TRUNCATE emails",
        "DELETE FROM emails",
    ] {
        assert!(breach(statement).is_some(), "{statement}");
    }
    for statement in [
        "ALTER TABLE emails ADD COLUMN next numeric(3, 1), ADD COLUMN other integer NOT NULL DEFAULT 0",
        "ALTER TYPE email_state ADD VALUE 'GONE'",
        "ALTER TABLE emails DROP CONSTRAINT short",
        "CREATE INDEX emails_next ON emails (next)",
    ] {
        assert_eq!(breach(statement), None, "{statement}");
    }
}
