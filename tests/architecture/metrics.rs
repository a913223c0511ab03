//! The table of metrics in docs/operations.md has those that the code counts, by their types, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::sources;

/// Name and type of each metric that some code counts.
fn counted(code: &str) -> BTreeSet<(String, &'static str)> {
    let of_type = |kind: &'static str| {
        let uses = code.split(&format!("metrics::{kind}!(")).skip(1).collect::<Vec<_>>();
        uses.into_iter().map(move |rest| {
            let name = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"'));
            (name.expect("the name stands there as it is").0.to_owned(), kind)
        })
    };
    ["counter", "gauge", "histogram"].into_iter().flat_map(of_type).collect()
}

#[test]
fn the_docs_list_each_metric() {
    let counted = sources().iter().flat_map(|source| counted(&source.code)).collect::<BTreeSet<_>>();
    assert!(counted.len() > 20, "{counted:?}");
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
    let row = |line: &str| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let kind = ["counter", "gauge", "histogram"].into_iter().find(|kind| rest.starts_with(kind))?;
        Some((name.to_owned(), kind))
    };
    assert_eq!(docs.lines().filter_map(row).collect::<BTreeSet<_>>(), counted);
}

#[test]
fn names_are_those_of_prometheus() {
    for (name, kind) in sources().iter().flat_map(|source| counted(&source.code)) {
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        assert!(kind != "histogram" || name.ends_with("_seconds"), "{name}");
    }
}
