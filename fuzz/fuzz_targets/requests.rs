//! One request for each input, made up as in `tests/it/attack/fuzz.rs`, against the whole service on a private Postgres:
//! no answer may be INTERNAL or UNKNOWN, and nothing may panic.
#![no_main]

#[path = "../../tests/it/attack/requests/mod.rs"]
mod requests;
#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use invitations::dev::mailbox::{Action, Script, Step};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use requests::{Connection, LIFETIME, World, is_own_fault};
use support::Service;

/// There is no limit to what a caller may try.
const SETTINGS: [(&str, &str); 1] = [("wrong_codes_limit", "0")];

fuzz_target!(|bytes: &[u8]| {
    static FUZZER: Mutex<Option<Fuzzer>> = Mutex::new(None);
    FUZZER.lock().unwrap().get_or_insert_with(Fuzzer::start).call(bytes);
});

/// The service and those who call it, for the life of this process.
struct Fuzzer {
    runtime: Runtime,
    service: Service,
    connection: Connection,
    world: World,
    calls: usize,
    mail_is_taken: Arc<AtomicBool>,
}

impl Fuzzer {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let mail_is_taken = Arc::new(AtomicBool::new(true));
        let taken = Arc::clone(&mail_is_taken);
        // the mailbox keeps in memory what it takes, so it takes only what a new world needs
        let script = Script::new(move |step| match step {
            Step::Message(_) if !taken.load(Ordering::Relaxed) => Action::Reply("550 5.7.1 enough"),
            _ => Action::Proceed,
        });
        let (service, connection, world) = runtime.block_on(async {
            // without a `main` of Rust's, a connection that has ended would end the process, too
            drop(signal(SignalKind::pipe()).unwrap());
            let service = Service::start_with(&SETTINGS, script).await;
            let (connection, world) = Self::begin(&service, 0).await;
            (service, connection, world)
        });
        mail_is_taken.store(false, Ordering::Relaxed);
        Self { runtime, service, connection, world, calls: 0, mail_is_taken }
    }

    async fn begin(service: &Service, number: usize) -> (Connection, World) {
        (Connection::open(service.address).await, World::new(service, number).await)
    }

    fn call(&mut self, bytes: &[u8]) {
        self.calls += 1;
        if self.calls.is_multiple_of(LIFETIME) {
            self.mail_is_taken.store(true, Ordering::Relaxed);
            let begun = Self::begin(&self.service, self.calls / LIFETIME);
            (self.connection, self.world) = self.runtime.block_on(begun);
            self.mail_is_taken.store(false, Ordering::Relaxed);
        }
        let request = self.world.request(bytes);
        let status = self.runtime.block_on(self.connection.call(&request));
        assert!(!is_own_fault(&status), "{request:?}: {status:?}");
    }
}
