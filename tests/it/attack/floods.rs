//! HTTP/2 against the real service in a process of its own, while somebody else goes on working with it.
//!
//! What each limit does by itself is tried in `transport`; here all of them have to hold at once, within one memory.

mod attacker;
mod bystander;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;

use self::attacker::Attacker;
use self::bystander::Bystander;
use super::process::{Circumstances, Process};
use crate::support::{PATIENCE, Service, channel_to};

/// How much the process may grow, in MiB.
const GROWTH: f64 = 64.0;
/// Answers that their callers have not taken, as the setting has it by default.
const UNTAKEN: u32 = 256;
/// What each of them may hold, in MiB: 256 KiB, and as much while a buffer grows.
const ANSWER: f64 = 0.5;
/// How many calls somebody else makes during each attack, at least.
const CALLS: usize = 10;

/// A service in a process of its own, somebody who works with it and somebody who attacks it.
async fn scene(settings: &[(&str, &str)]) -> (Service, Process, Bystander, Attacker) {
    let circumstances = Circumstances { settings, log_level: "warn", ..Circumstances::default() };
    let (service, process) = Process::serve(circumstances).await;
    let owner = service.owner("olga", "acme").await;
    super::warm_up(&service).await;
    let bystander = Bystander::start(&owner, process.address).await;
    let (token, calls) = (owner.token.clone(), Arc::clone(&bystander.calls));
    let attacker = Attacker { server: process.address, token, calls };
    (service, process, bystander, attacker)
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_cost_the_server_no_memory_and_nobody_else_an_answer() {
    // fewer than connect without calling
    let settings = [("max_connections", "200"), ("wrong_codes_limit", "0")];
    let (_service, mut process, bystander, attacker) = scene(&settings).await;
    let start = process.memory();
    let mut story = Vec::new();
    for attack in ["streams", "resets", "silence", "headers", "bombs", "prefixes"] {
        let before = bystander.calls();
        let count = match attack {
            "streams" => attacker.streams_without_end(40, attacker.spell().end()).await,
            "resets" => attacker.rapid_resets().await,
            "silence" => attacker.silence(150).await,
            "headers" => attacker.large_headers().await,
            "bombs" => attacker.bombs().await,
            _ => attacker.long_prefixes().await,
        };
        let (memory, peak) = (process.memory(), process.peak());
        let calls = bystander.calls() - before;
        story.push(format!("{attack}: {count}, {calls} calls meanwhile, {memory:.1} MiB, {peak:.1} at most so far"));
        assert!(count > 10 && calls >= CALLS, "{story:#?}");
        assert!(peak - start < GROWTH, "from {start:.1} MiB: {story:#?}");
    }
    eprintln!("from {start:.1} MiB: {story:#?}");
    bystander.stop.store(true, Ordering::Relaxed);
    let log = || String::from_utf8_lossy(&process.log()).into_owned();
    assert_eq!(bystander.errors.await.unwrap(), Vec::<String>::new(), "{story:#?}\n{}", log());
    assert!(process.lives());
}

/// What docs/security.md says about `max_untaken_answers`, with the largest answers that there are.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_hold_no_more_than_is_said() {
    let (service, process, bystander, attacker) = scene(&[]).await;
    crate::lists::size::fill_to_the_brim(&service).await;
    drop(attacker.unread_pages(1).await);
    let start = process.memory();
    let unread = attacker.unread_pages(UNTAKEN as usize).await;
    let held = process.memory() - start;
    eprintln!("{UNTAKEN} unread answers hold {held:.1} MiB");
    assert!(held < f64::from(UNTAKEN) * ANSWER, "{held:.1} MiB");
    // that they are held at all: the control
    assert!(held > f64::from(UNTAKEN) * ANSWER / 8.0, "{held:.1} MiB");
    drop(unread);
    bystander.stop.store(true, Ordering::Relaxed);
    assert_eq!(bystander.errors.await.unwrap(), Vec::<String>::new());
}

/// Control of the first of the floods.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_requests_may_be_on_their_way_they_fill_the_memory() {
    let (_service, process, _bystander, attacker) = scene(&[("max_arriving_requests", "100000")]).await;
    let start = process.memory();
    let full = async {
        while process.memory() - start < GROWTH {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let flood = attacker.streams_without_end(30, std::future::pending());
    tokio::select! {
        () = full => {}
        _ = timeout(PATIENCE, flood) => panic!("from {start:.1} to {:.1} MiB", process.memory()),
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_file_descriptors_everybody_else_goes_on() {
    // what the service itself needs and some dozens of clients
    let circumstances = Circumstances { log_level: "warn", limit: "-n 96", ..Circumstances::default() };
    let (service, process) = Process::serve(circumstances).await;
    let owner = service.owner("olga", "acme").await;
    super::warm_up(&service).await;
    let start = process.memory();
    let bystander = Bystander::start(&owner, process.address).await;
    let (token, calls) = (owner.token.clone(), Arc::clone(&bystander.calls));
    let attacker = Attacker { server: process.address, token, calls };
    let before = bystander.calls();
    let opened = attacker.silence(150).await;
    assert!(opened > 100 && bystander.calls() - before >= CALLS);
    assert!(process.peak() - start < GROWTH, "from {start:.1} to {:.1} MiB", process.peak());
    // control: it was out of them
    assert!(String::from_utf8_lossy(&process.log()).contains("no connection can be accepted"));
    bystander.stop.store(true, Ordering::Relaxed);
    assert_eq!(bystander.errors.await.unwrap(), Vec::<String>::new());
    let late = owner.on(&channel_to(process.address).await);
    assert!(late.member("acme", "olga").await.is_ok());
}
