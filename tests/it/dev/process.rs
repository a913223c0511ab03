//! `dev` as a process of its own, with what it says and what it started.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use tonic::transport::Endpoint;

use crate::support::{Channel, PATIENCE, Person, evidence};

/// A start may set up the database, and on a machine without Postgres fetch that.
const START_LIMIT: Duration = Duration::from_mins(5);

/// An empty folder's path; what an earlier run left there is removed.
pub fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dev").join(name);
    fs::remove_dir_all(&dir).ok();
    fs::create_dir_all(dir.parent().unwrap()).unwrap();
    dir
}

fn program(command: &str, dir: &Path, flags: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_invitations"));
    program.arg(command).arg("--dir").arg(dir).args(flags).env("INVITATIONS_LOG_LEVEL", "trace");
    program
}

/// What it has logged is evidence; what it prints is not: there are tokens by design.
fn log_of(dir: &Path) -> File {
    evidence::log_of(&format!("dev-{}", dir.file_name().unwrap().display()))
}

pub fn output(command: &str, dir: &Path, flags: &[&str]) -> Output {
    let output = program(command, dir, flags).output().unwrap();
    log_of(dir).write_all(&output.stderr).unwrap();
    output
}

pub fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

fn signal(name: &str, targets: &str) {
    let script = format!("kill -{name} {targets}");
    assert!(Command::new("sh").arg("-c").arg(script).status().unwrap().success());
}

/// A running `dev`. Dropping it kills it, and its Postgres follows.
pub struct Dev {
    child: Child,
    dir: PathBuf,
    output: Receiver<String>,
    /// All lines up to `ready`.
    pub lines: Vec<String>,
}

impl Dev {
    pub fn start(dir: &Path, flags: &[&str]) -> Self {
        Self::start_in(dir, flags, &[])
    }

    /// With more variables in its environment.
    pub fn start_in(dir: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = program("dev", dir, &["--listen", "127.0.0.1:0"]);
        let mut child = command
            .envs(variables.iter().copied())
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(log_of(dir))
            .spawn()
            .unwrap();
        let (sender, output) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut dev = Self { child, dir: dir.to_owned(), output, lines: Vec::new() };
        while dev.lines.last().is_none_or(|line| !line.starts_with("ready ")) {
            dev.lines.push(dev.output.recv_timeout(START_LIMIT).expect("dev gets ready"));
        }
        dev
    }

    /// What follows a word at the start of a line.
    pub fn said(&self, word: &str) -> &str {
        let said = self.lines.iter().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        said.unwrap_or_else(|| panic!("no line {word} in {:?}", self.lines))
    }

    /// Somebody with a connection of their own.
    pub async fn person(&self, token: &str) -> Person {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.said("ready"))).unwrap();
        Person::new(&Channel::open(endpoint).await.unwrap(), token.to_owned())
    }

    pub async fn somebody(&self, flags: &[&str]) -> Person {
        let token = output("token", &self.dir, flags);
        assert!(token.status.success(), "{token:?}");
        self.person(text(&token.stdout).trim()).await
    }

    /// The process group of Postgres and of what watches over it.
    pub fn postgres_group(&self) -> String {
        let file = fs::read_to_string(self.dir.join("postgres/postmaster.pid")).unwrap();
        file.lines().next().unwrap().to_owned()
    }

    pub fn database_answers(&self) -> bool {
        let (_, rest) = self.said("database").rsplit_once('@').unwrap();
        TcpStream::connect(rest.split_once('/').unwrap().0).is_ok()
    }

    /// As if the machine had lost its power.
    pub fn kill_everything(mut self) {
        signal("KILL", &format!("{} -{}", self.child.id(), self.postgres_group()));
        self.child.wait().unwrap();
    }

    /// Sends a signal and waits for the end; returns the exit status.
    pub fn end_by(&mut self, name: &str) -> Option<i32> {
        signal(name, &self.child.id().to_string());
        let end = self.output.recv_timeout(PATIENCE);
        assert_eq!(end, Err(mpsc::RecvTimeoutError::Disconnected), "{name} ends it, and it says nothing more");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The living processes of a group. An orphan that nobody has waited for is none.
#[cfg(target_os = "linux")]
pub fn living(group: &str) -> Vec<String> {
    let stats = fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    let in_group = |stat: &String| {
        let fields = stat.rsplit_once(") ").unwrap().1.split(' ').collect::<Vec<_>>();
        fields[0] != "Z" && fields[2] == group
    };
    stats.filter(in_group).collect()
}
