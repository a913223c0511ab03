//! Nothing that a run of `tests/it` leaves behind holds a code or a token that was issued in it: no answer, no line of
//! the log, no metric, no row. Values of annotations are in answers and in their own rows only. cargo runs this after `it`; alone, it looks through what the last run has left.

#![cfg(feature = "dev")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod databases;
mod evidence;
mod secrets;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::iter;
use tokio::task::JoinHandle;

use crate::databases::{Database, Server};
use crate::evidence::{Evidence, emailed_codes, entries};
use crate::secrets::{Found, Secrets};

/// Places that are looked through at once.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_log_line_metric_or_row_of_the_whole_suite_holds_a_code_or_a_token() {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let Some(evidence) = Evidence::read(&tmp.join("evidence")) else {
        panic!(
            "nothing was looked through, as there is nothing: run `cargo test`, or `cargo test --test it` before this"
        )
    };
    let servers = servers(tmp).await;
    let databases = servers.iter().flat_map(|server| &server.databases).cloned().collect::<Vec<_>>();
    let derived = all(databases.clone(), |database| tokio::spawn(database.codes())).await.concat();
    let emailed = ["services", "dev"].map(|kind| emailed_codes(&tmp.join(kind)));

    let mut secrets = Secrets::default();
    let canaries = evidence.canaries.iter().map(|(_, code)| code);
    derived.iter().chain(emailed.iter().flatten()).chain(canaries).for_each(|code| secrets.add_code(code));
    let codes = secrets.len();
    evidence.tokens.iter().for_each(|token| secrets.add_token(token));
    let tokens = secrets.len() - codes;
    evidence.annotations.iter().for_each(|value| secrets.add_token(value));

    let secrets = Arc::new(secrets);
    let in_files = all(evidence.shown.clone(), |path| {
        let (secrets, name) = (Arc::clone(&secrets), path.file_name().unwrap().display().to_string());
        tokio::task::spawn_blocking(move || vec![(name, secrets.found_in(File::open(path).unwrap()).unwrap())])
    });
    let in_rows = all(databases.clone(), |database| tokio::spawn(look_through(database, Arc::clone(&secrets))));
    let (in_files, in_rows) = (in_files.await.concat(), in_rows.await.concat());
    join_all(servers.into_iter().map(Server::stop)).await;

    let mut found = BTreeSet::new();
    for (place, here) in in_files.iter().chain(&in_rows) {
        found.extend(here.secrets.iter().map(|secret| (place.clone(), secret.clone())));
    }
    let (shown, rest): (BTreeSet<_>, BTreeSet<_>) = found
        .into_iter()
        .partition(|(place, secret)| evidence.annotations.contains(secret) && shows_annotations(place));
    let leaks = rest.difference(&evidence.canaries).collect::<Vec<_>>();
    assert!(leaks.is_empty(), "{} leaks: {:#?}", leaks.len(), &leaks[..leaks.len().min(100)]);

    // controls: what was leaked on purpose is found where it was, and there was something to be found in
    let missed = evidence.canaries.difference(&rest).collect::<Vec<_>>();
    assert!(missed.is_empty(), "not found: {missed:#?}");
    let is_answered = |value: &String| shown.contains(&("answers".to_owned(), value.clone()));
    assert!(evidence.annotations.iter().all(is_answered), "annotations are found where they are shown");
    let lines = |name: &str, word: &str| {
        let texts = evidence.shown.iter().filter(|path| path.file_name().is_some_and(|file| file == name));
        texts.map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).matches(word).count()).sum::<usize>()
    };
    let rows = in_rows.iter().map(|(_, here)| here.bytes).sum::<u64>();
    let known = derived.iter().collect::<BTreeSet<_>>();
    let known = emailed[0].iter().filter(|code| known.contains(code)).count();
    let counts = [
        ("codes", codes, 6_000),
        ("codes in emails that rows tell as well", known, 4_000),
        ("tokens", tokens, 900),
        ("annotations", evidence.annotations.len(), 1),
        ("canaries", evidence.canaries.len(), 5),
        ("answers", lines("answers", "\nx-call-id: "), 45_000),
        ("refusals", lines("answers", "\ngrpc-status-details-bin: "), 30_000),
        ("calls in the log", lines("log", "\"call ended\""), 30_000),
        ("metrics", lines("metrics", "\ninvitations_"), 300),
        ("files", in_files.len(), 15),
        ("databases", databases.len(), 180),
        ("tables", in_rows.len(), 2_500),
        ("MB of rows", usize::try_from(rows / 1_000_000).unwrap(), 40),
    ];
    eprintln!("of {} tests: {counts:?}", if evidence.is_whole { "all" } else { "some" });
    let lacking = counts.iter().filter(|(_, count, least)| evidence.is_whole && count < least).collect::<Vec<_>>();
    assert!(lacking.is_empty(), "evidence is lost: {lacking:?}");
}

/// Where the value of an annotation may be.
fn shows_annotations(place: &str) -> bool {
    place == "answers" || place.ends_with(".invitations") || place.ends_with(".annotations")
}

/// The one of most tests, and those that `dev` has made.
async fn servers(tmp: &Path) -> Vec<Server> {
    let mut servers = vec![Server::start(&tmp.join("postgres-it"), "").await];
    for dir in entries(&tmp.join("dev")).into_iter().filter(|dir| dir.join("postgres").exists()) {
        servers.push(Server::start(&dir, &format!("dev-{}-", dir.file_name().unwrap().display())).await);
    }
    servers
}

/// What was found in each table.
async fn look_through(database: Database, secrets: Arc<Secrets>) -> Vec<(String, Found)> {
    let name = database.name.clone();
    let rows = database.rows().await.into_iter();
    rows.map(|(table, rows)| (format!("{name}.{table}"), secrets.found_in(&rows[..]).unwrap())).collect()
}

async fn all<T, U>(places: Vec<T>, task: impl Fn(T) -> JoinHandle<U>) -> Vec<U> {
    iter(places).map(task).buffer_unordered(AT_ONCE).map(Result::unwrap).collect().await
}

#[test]
fn without_evidence_nothing_is_read() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-evidence");
    assert!(Evidence::read(&folder).is_none());
}
