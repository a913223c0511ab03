//! What only a process of its own shows: its log, and what it does without file descriptors.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;

use super::*;

/// This program again, with the test server and nothing else in it. It ends when this is dropped.
struct Process {
    child: Child,
    log: mpsc::UnboundedReceiver<Value>,
    read: Vec<Value>,
    address: SocketAddr,
}

impl Process {
    /// `limit` is what `ulimit` is told.
    async fn start(limit: &str) -> Self {
        let script = format!("ulimit {limit}; exec \"$0\" --exact {}::the_server --ignored --nocapture", path());
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg(std::env::current_exe().unwrap());
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();

        let output = BufReader::new(child.stdout.take().unwrap());
        let (lines, log) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let log = output.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
            for line in log {
                let _nobody_reads_it = lines.send(line);
            }
        });
        let mut process = Self { child, log, read: Vec::new(), address: ([127, 0, 0, 1], 0).into() };
        let started = process.next("started").await;
        process.address = started["fields"]["address"].as_str().unwrap().parse().unwrap();
        process
    }

    /// The next line of the log with that message.
    async fn next(&mut self, message: &str) -> Value {
        let found = async {
            loop {
                let line = self.log.recv().await.unwrap();
                self.read.push(line.clone());
                if line["fields"]["message"].as_str().unwrap().starts_with(message) {
                    return line;
                }
            }
        };
        timeout(SOON, found).await.unwrap()
    }

    /// Processor time so far, in ticks of 10 ms.
    #[cfg(target_os = "linux")]
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// When a line was written.
#[cfg(target_os = "linux")]
fn time_of(line: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(line["timestamp"].as_str().unwrap(), &Rfc3339).unwrap()
}

/// Of this module, as the test runner knows it.
fn path() -> &'static str {
    module_path!().split_once("::").unwrap().1
}

#[tokio::test]
#[ignore = "no test, but the server of those below"]
async fn the_server() {
    tracing_subscriber::fmt().json().init();
    let server = Server::start(settings()).await;
    tracing::info!(address = %server.address, "started");
    let parent_is_gone = || std::io::stdin().read_line(&mut String::new());
    tokio::task::spawn_blocking(parent_is_gone).await.unwrap().unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_out_of_file_descriptors_says_so_rests_and_recovers() {
    const MESSAGE: &str = "no connection can be accepted";
    // but for what passes between the look at the clock and the line
    const A_SECOND: Duration = Duration::from_millis(950);
    let mut process = Process::start("-n 48").await;
    let mut crowd = Vec::new();
    for _ in 0..80 {
        crowd.push(TcpStream::connect(process.address).await.unwrap());
    }

    let mut told = time_of(&process.next(MESSAGE).await);
    // where the machine stands still, one line is late and the next one soon after it
    let rest = async {
        loop {
            let (began, before) = (Instant::now(), process.ticks());
            let told_again = time_of(&process.next(MESSAGE).await);
            let (spent, took) = (process.ticks() - before, began.elapsed());
            if told_again - told >= A_SECOND && took >= A_SECOND / 2 {
                return (spent, took);
            }
            told = told_again;
        }
    };
    let (spent, took) = timeout(SOON, rest).await.expect("no more than one line a second");
    assert!(u128::from(spent) * 10 < took.as_millis() * 3 / 10, "{spent} ticks of 10 ms in {took:?}");

    drop(crowd);
    let connection = Connection::try_open(process.address).await.unwrap();
    assert_eq!(connection.get("anna").await.status.code(), Code::Ok);
}

#[tokio::test]
async fn each_call_is_one_log_line_that_holds_nothing_secret() {
    let mut process = Process::start("-n 1000").await;
    let connection = Connection::try_open(process.address).await.unwrap();
    let headers = [("authorization", "Bearer s3cret"), ("x-request-id", "from-caller")];
    let fine = connection.call(GET, &headers, &get("hidden-name")).await;
    connection.call("/grpc.health.v1.Health/Check", &[], &[]).await;
    let message = get("waits");
    tokio::select! {
        biased;
        left = connection.try_call(GET, &headers, &message) => panic!("{left:?}"),
        _ = connection.call(GET, &[("grpc-timeout", "soon")], &[]) => {}
    }

    let mut lines = Vec::new();
    for _ in 0..3 {
        lines.push(process.next("call ended").await);
    }
    assert_eq!(lines[0]["span"]["rpc.method"], GET);
    assert_eq!(lines[0]["span"]["call_id"], fine.call_id);
    assert_eq!(lines[0]["span"]["caller.request_id"], "from-caller");
    assert!(lines[0]["fields"]["duration_ms"].is_u64());
    let codes: Vec<_> = lines.iter().map(|line| line["fields"]["rpc.code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["Ok", "InvalidArgument", "Cancelled"]);
    let log = serde_json::to_string(&process.read).unwrap();
    assert!(!log.contains("s3cret") && !log.contains("hidden-name"), "{log}");
}
