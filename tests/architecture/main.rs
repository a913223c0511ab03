//! What no compiler checks: dependencies point down only, no two files need each other, SQL stands in one place, and the
//! schema keeps its rules.

#![cfg(feature = "dev")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod expansions;
mod imports;
mod line_ends;
mod metrics;
mod owners;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use imports::Files;

/// Who may use whom: each layer only those after the colon. Top to bottom as in the design.
const LAYERS: [(&str, &[&str]); 22] = [
    ("main", &["cli", "config", "dev", "grpc", "import", "pb", "server", "shutdown", "store", "telemetry"]),
    ("cli", &["config", "dev", "domain", "grpc", "import"]),
    ("dev", &["config", "domain", "identity", "pb", "server", "store"]),
    ("server", &["admin", "app", "config", "domain", "grpc", "identity", "mail", "store", "tasks", "traces"]),
    ("admin", &["grpc"]),
    ("config", &["domain", "grpc", "identity", "mail", "store", "telemetry"]),
    ("telemetry", &[]),
    ("shutdown", &[]),
    ("grpc", &["app", "domain", "edge", "flood", "identity", "pb", "store", "tasks", "traces"]),
    ("mail", &["dial", "domain", "store", "traces"]),
    ("identity", &["dial", "domain", "flood"]),
    ("edge", &["app", "domain", "pb"]),
    // a program that calls the service, with the rules of its fields
    ("import", &["client", "domain"]),
    // for programs that call the service: nothing of the service needs it
    ("client", &["pb"]),
    ("pb", &[]),
    ("app", &["domain", "store", "tasks", "traces"]),
    ("store", &["dial", "domain"]),
    ("traces", &["domain"]),
    ("domain", &[]),
    ("dial", &[]),
    ("flood", &[]),
    ("tasks", &[]),
];

/// Crates that one layer keeps to itself.
const OWNED: [(&str, &[&str]); 7] = [
    // the demo and its set-up are clients, and so is the import
    ("tonic", &["grpc", "pb", "dev", "client", "import"]),
    ("lettre", &["mail"]),
    ("sqlx", &["store", "app", "server", "mail"]),
    ("jsonwebtoken", &["identity", "dev"]),
    ("clap", &["cli", "config", "dev", "telemetry"]),
    ("reqwest", &["identity"]),
    ("opentelemetry", &["traces"]),
];

/// What `domain` must not know: no I/O, no clock, no randomness.
const IMPURE: [&str; 8] = ["tokio", "rand::", "std::env", "std::fs", "std::net", "now_utc", "SystemTime", "now_v7"];

struct Source {
    layer: String,
    path: PathBuf,
    code: String,
}

impl Source {
    /// As it is named in imports: `grpc::status`.
    fn module(&self) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let path = self.path.strip_prefix(root).unwrap().with_extension("");
        let names = path.iter().map(|name| name.to_str().unwrap()).filter(|name| *name != "mod");
        names.collect::<Vec<_>>().join("::")
    }
}

/// The sources without comments and unit tests.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "tests") {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
                let layer = path.strip_prefix(&root).unwrap().components().next().unwrap();
                let layer = layer.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>();
                sources.push(Source { layer, path, code: code.join("\n") });
            }
        }
    }
    sources.retain(|source| source.layer != "lib");
    assert!(sources.len() > 50, "the sources are there");
    sources
}

/// The layers that a source names: `crate::layer`, also in a group, and `invitations::layer` in the binary.
fn used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
    for prefix in ["crate::", "invitations::"] {
        for rest in code.split(prefix).skip(1) {
            let names = match rest.strip_prefix('{') {
                // the first name of each entry of the group, whatever is nested in it
                Some(group) => top_level_names(group),
                None => vec![rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned()],
            };
            used.extend(names);
        }
    }
    used.retain(|name| LAYERS.iter().any(|(layer, _)| layer == name));
    used
}

fn top_level_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut name) = (0, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(std::mem::take(&mut name)),
            _ if depth == 0 => name.push(c),
            _ => {}
        }
    }
    names.push(name);
    names.iter().map(|name| name.trim().split("::").next().unwrap().to_owned()).collect()
}

#[test]
fn dependencies_point_down_only() {
    for source in sources() {
        let (_, allowed) = LAYERS.iter().find(|(layer, _)| *layer == source.layer).unwrap_or_else(|| {
            panic!("{} is in no layer: give it a place in this test", source.path.display());
        });
        for name in used(&source.code) {
            let fits = name == source.layer || allowed.contains(&name.as_str());
            assert!(fits, "{} must not use {name}", source.path.display());
        }
    }
}

#[test]
fn the_check_of_dependencies_sees_every_form() {
    let code = "use crate::{app::{App, Error}, store};\nlet x = crate::mail::run();\nuse invitations::grpc;";
    assert_eq!(used(code).into_iter().collect::<Vec<_>>(), ["app", "grpc", "mail", "store"]);
}

#[test]
fn no_two_files_need_each_other() {
    let mut files = Files::default();
    for source in sources() {
        files.add(&source.module(), &source.code);
    }
    let circle = files.circle();
    assert!(circle.is_none(), "{}: move what both need to a file of its own", circle.unwrap().join(" needs "));
    // the control: one import that closes a circle through four files and a re-export
    files.add("flood", "use crate::identity::Verifier;");
    assert!(files.circle().is_some());
}

#[test]
fn libraries_stay_in_their_layer() {
    for source in sources() {
        for (library, layers) in OWNED {
            let named = source.code.contains(&format!("{library}::"));
            assert!(
                !named || layers.contains(&source.layer.as_str()),
                "{} must not use {library}",
                source.path.display()
            );
        }
    }
}

#[test]
fn the_domain_is_pure() {
    for source in sources().into_iter().filter(|source| source.layer == "domain") {
        for word in IMPURE.into_iter().chain(["async fn", ".await"]) {
            assert!(!source.code.contains(word), "{} must not use {word}", source.path.display());
        }
    }
}

#[test]
fn sql_stands_in_the_store_only() {
    for source in sources().into_iter().filter(|source| !["store", "dev"].contains(&source.layer.as_str())) {
        for word in ["query!", "query_as!", "query_scalar!", "sqlx::query"] {
            assert!(!source.code.contains(word), "{} must not hold SQL", source.path.display());
        }
    }
}

/// Every table has its owner's key, and nothing belongs to one node; a row of the answer is a violation.
#[tokio::test]
async fn the_schema_keeps_its_rules() {
    use invitations::dev::postgres::{Durability, start};

    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres-architecture");
    fs::remove_dir_all(&dir).ok();
    fs::create_dir_all(&dir).unwrap();
    let postgres = start(&dir, Durability::FsyncOff).await.unwrap();
    invitations::store::migrations::run(postgres.url()).await.unwrap();
    let pool = sqlx::PgPool::connect(postgres.url()).await.unwrap();
    let rules = include_str!("../schema_rules.sql");
    let violations: Vec<(String, String)> = sqlx::query_as(rules).fetch_all(&pool).await.unwrap();
    assert!(violations.is_empty(), "{violations:#?}");

    // the control: the query sees what it is for
    let breaches = [
        ("CREATE TABLE loose (id int PRIMARY KEY)", "has no place in the list"),
        ("CREATE UNIQUE INDEX loose ON invitations (code_hash)", "lacks organization"),
        ("ALTER TABLE members ADD FOREIGN KEY (username) REFERENCES accounts (username)", "leaves the group"),
        ("ALTER TABLE events ADD COLUMN number bigserial", "sequence"),
    ];
    for (breach, expected) in breaches {
        let mut transaction = pool.begin().await.unwrap();
        sqlx::raw_sql(breach).execute(&mut *transaction).await.unwrap();
        let seen: Vec<(String, String)> = sqlx::query_as(rules).fetch_all(&mut *transaction).await.unwrap();
        assert!(seen.iter().any(|(_, violation)| violation.contains(expected)), "{breach}: {seen:?}");
        transaction.rollback().await.unwrap();
    }
    pool.close().await;
    postgres.stop().await;
}

#[test]
fn a_migration_is_one_statement() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().map(|line| line.split("--").next().unwrap()).collect::<Vec<_>>().join("\n");
        // a DO block is one, whatever is in it
        let code = code.split("$$").step_by(2).collect::<String>();
        assert_eq!(code.matches(';').count(), 1, "{}", path.display());
    }
}

/// Where tasks begin that nobody watches, and how many: each ends with its call, its connection, its question or its
/// supervisor. What lives as long as the service begins by `Tasks::watch`.
const UNWATCHED: [(&str, usize); 11] = [
    ("app/mod.rs", 1),
    ("grpc/accept.rs", 2),
    ("grpc/call.rs", 1),
    ("identity/github/cache.rs", 1),
    ("identity/keys.rs", 2),
    // its supervisor begins a worker anew that has panicked
    ("mail/worker.rs", 1),
    ("admin.rs", 1),
    ("store/pool.rs", 1),
    ("store/route.rs", 1),
    ("tasks.rs", 2),
    ("traces.rs", 1),
];

/// How often code begins a task or a thread, in whatever way.
fn spawns(code: &str) -> usize {
    let code = code.split_whitespace().collect::<String>();
    ["spawn(", "spawn_blocking(", "spawn_local(", "spawn_on("].map(|word| code.matches(word).count()).iter().sum()
}

#[test]
fn what_lives_as_long_as_the_service_is_watched() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let all = sources().into_iter().filter(|source| source.layer != "dev");
    let found =
        all.map(|source| (source.path.strip_prefix(&root).unwrap().display().to_string(), spawns(&source.code)));
    let found = found.filter(|(_, count)| *count > 0).collect::<BTreeSet<_>>();
    let allowed = UNWATCHED.map(|(file, count)| (file.to_owned(), count)).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(
        found, allowed,
        "a task that lives as long as the service begins by Tasks::watch, others are listed here"
    );
    // the control: every way is seen
    for code in ["tokio::spawn(forever())", "handle\n    .spawn(forever())", "set.spawn_on(f, h)", "thread::spawn(f)"] {
        assert_eq!(spawns(code), 1, "{code}");
    }
}
