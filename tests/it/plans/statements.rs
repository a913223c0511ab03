//! The statements of the service, as they were compiled.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// A statement, with the types of its parameters as sqlx sends them.
#[derive(Clone)]
pub struct Statement {
    pub query: String,
    types: Vec<String>,
}

impl Statement {
    pub fn new(query: &str, types: &[&str]) -> Self {
        Self { query: query.to_owned(), types: types.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn parse(file: &Value) -> Self {
        let types = file["describe"]["parameters"]["Left"].as_array().into_iter().flatten().map(type_name);
        Self { query: file["query"].as_str().unwrap().to_owned(), types: types.collect() }
    }

    /// In one line with single blanks, between `^` and `$`.
    pub fn one_line(&self) -> String {
        format!("^{}$", self.query.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    pub fn prepare(&self, name: &str) -> String {
        let types = if self.types.is_empty() { String::new() } else { format!("({})", self.types.join(", ")) };
        format!("PREPARE {name}{types} AS {}", self.query)
    }
}

/// `TextArray` is `text[]`.
fn type_name(sqlx: &Value) -> String {
    let name = sqlx.as_str().or_else(|| sqlx["Custom"]["name"].as_str()).unwrap().to_lowercase();
    name.strip_suffix("array").map_or(name.clone(), |element| format!("{element}[]"))
}

/// All of them.
pub fn all() -> Vec<Statement> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let files = fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let statements = files.map(|text| Statement::parse(&serde_json::from_str(&text).unwrap())).collect::<Vec<_>>();
    assert!(statements.len() > 50, "the statements are there");
    statements
}

/// The one with these words.
pub fn find(words: &str) -> Statement {
    let mut found = all();
    found.retain(|statement| statement.one_line().contains(words));
    assert_eq!(found.len(), 1, "statements with the words {words:?}");
    found.remove(0)
}
