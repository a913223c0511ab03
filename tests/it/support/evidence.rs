//! What a run of the tests leaves behind for `tests/leaks`: every answer, log line and metric, and every token that was
//! issued. Rows stay in the databases, emails in the mailboxes.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, mpsc};

use invitations::admin::Admin;
use invitations::grpc::health::Health;
use invitations::telemetry::{self, LogFormat};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::util::SubscriberInitExt;

/// Everything but what the tests read emails with, which logs each character.
const LEVEL: &str = "trace,html5ever=info,markup5ever=info";

/// Not by the fuzzer, which shares this and runs for longer than a disk lasts; its build script says so.
const IS_KEPT: bool = option_env!("KEEPS_NO_EVIDENCE").is_none();

static EVIDENCE: LazyLock<Evidence> = LazyLock::new(Evidence::begin);

struct Evidence {
    /// Where no secret may be: each file is looked through.
    shown: PathBuf,
    answers: File,
    tokens: File,
    canaries: File,
    annotations: File,
    /// Where what this process has counted can be read.
    metrics: SocketAddr,
}

impl Evidence {
    /// In place of what the last run has left.
    fn begin() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("evidence");
        let shown = folder.join("shown");
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&shown).unwrap();
        // they tell whether these are all tests
        let arguments = std::env::args().skip(1).collect::<Vec<_>>();
        fs::write(folder.join("arguments"), arguments.join("\n")).unwrap();
        if IS_KEPT {
            let log = telemetry::log(LogFormat::Json, LEVEL, file(shown.join("log")));
            log.try_init().expect("nobody else takes the log of this process");
        }
        Self {
            answers: file(shown.join("answers")),
            tokens: file(folder.join("tokens")),
            canaries: file(folder.join("canaries")),
            annotations: file(folder.join("annotations")),
            metrics: count(),
            shown,
        }
    }
}

/// Begins to keep it, if nobody has.
pub fn begin() {
    LazyLock::force(&EVIDENCE);
}

/// Headers, messages and trailers as a client got them.
pub fn answer(bytes: &[u8]) {
    append(&EVIDENCE.answers, &[bytes, b"\n"].concat());
}

/// Somebody was issued that token, or has made it up.
pub fn token(token: &str) {
    append(&EVIDENCE.tokens, format!("{token}\n").as_bytes());
}

/// A code that was leaked on purpose, and which evidence must hold it.
pub fn canary(place: &str, code: &str) {
    append(&EVIDENCE.canaries, format!("{place} {code}\n").as_bytes());
}

/// The value of an annotation, which is shown in answers and nowhere else; of one line, and unlike everything else.
pub fn annotation(value: &str) {
    append(&EVIDENCE.annotations, format!("{value}\n").as_bytes());
}

/// How much this process has logged so far, in bytes.
pub fn logged() -> u64 {
    fs::metadata(EVIDENCE.shown.join("log")).unwrap().len()
}

/// What it has logged since then.
pub fn log_since(logged: u64) -> String {
    let mut log = File::open(EVIDENCE.shown.join("log")).unwrap();
    log.seek(SeekFrom::Start(logged)).unwrap();
    let mut text = Vec::new();
    log.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// For the log of a process of its own.
pub fn log_of(name: &str) -> File {
    file(EVIDENCE.shown.join(format!("log-{name}")))
}

/// What a process of its own has counted.
pub fn metrics_of(name: &str, page: &str) {
    fs::write(EVIDENCE.shown.join(format!("metrics-{name}")), page).unwrap();
}

/// Keeps what this process has counted so far, in place of what it had when it was last asked.
pub fn metrics() {
    static TURN: Mutex<()> = Mutex::new(());
    let read = || -> io::Result<Vec<u8>> {
        let mut socket = TcpStream::connect(EVIDENCE.metrics)?;
        socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")?;
        let mut page = Vec::new();
        socket.read_to_end(&mut page)?;
        Ok(page)
    };
    // called where a test ends, maybe by a panic: what is lost here is missed by who looks for it
    if let Ok(_turn) = TURN.lock()
        && let Ok(page) = read()
    {
        fs::write(EVIDENCE.shown.join("metrics"), page).ok();
    }
}

/// Whether a line of this process's log has all these words.
pub fn has_logged(words: &[&str]) -> bool {
    let log = fs::read_to_string(EVIDENCE.shown.join("log")).unwrap();
    log.lines().any(|line| words.iter().all(|words| line.contains(words)))
}

/// What this process has counted under that name; 0 where it has not.
pub fn counted(name: &str) -> u64 {
    metrics();
    let page = fs::read_to_string(EVIDENCE.shown.join("metrics")).unwrap();
    let count = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    count.unwrap_or(0)
}

fn file(path: PathBuf) -> File {
    let path = if IS_KEPT { path } else { "/dev/null".into() };
    File::options().create(true).append(true).open(path).unwrap()
}

/// One write for each piece, so that none is torn.
fn append(mut file: &File, bytes: &[u8]) {
    file.write_all(bytes).unwrap();
}

/// Counts from now on, in a thread of its own: each test has another runtime.
fn count() -> SocketAddr {
    let (sender, address) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let health = Health::new(CancellationToken::new());
            let admin = Admin::bind(([127, 0, 0, 1], 0).into(), &health).await.unwrap();
            sender.send(admin.address().unwrap()).unwrap();
            admin.serve(CancellationToken::new()).await;
        });
    });
    address.recv().expect("metrics can be read")
}
