//! `invitations import`: the real program against the real service.

mod breaks;
mod ends;
mod rows;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::support::{Person, Service, evidence};

/// A folder with a file of people and a token, as an administrator has them.
struct Desk {
    folder: PathBuf,
    endpoint: String,
    token: String,
}

/// How a run ended.
struct Run {
    status: i32,
    stdout: String,
    stderr: String,
}

/// A line of the results.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Line {
    number: u64,
    email: String,
    outcome: String,
    reason: String,
    message: String,
    invitation: String,
}

impl Desk {
    fn new(service: &Service, caller: &Person, people: &str) -> Self {
        let folder = service.dir.join(format!("desk-{}", rand::random::<u32>()));
        fs::create_dir_all(&folder).unwrap();
        let desk = Self { folder, endpoint: format!("http://{}", service.address), token: caller.token.clone() };
        fs::write(desk.people(), people).unwrap();
        fs::write(desk.folder.join("token"), format!("{}\n", desk.token)).unwrap();
        desk
    }

    fn people(&self) -> PathBuf {
        self.folder.join("people.csv")
    }

    fn results(&self) -> PathBuf {
        self.folder.join("people.results.csv")
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_invitations"));
        command
            .arg("import")
            .arg(self.people())
            .args(["--organization", "acme", "--endpoint", &self.endpoint])
            .args(options)
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if !options.contains(&"--token-file") {
            command.arg("--token-file").arg(self.folder.join("token"));
        }
        command
    }

    async fn run(&self, options: &[&str]) -> Run {
        kept(&self.command(options).output().await.unwrap())
    }

    /// Runs it, and returns as soon as the results have so many lines.
    async fn run_until(&self, lines: usize, options: &[&str]) -> Child {
        let mut child = self.command(options).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while self.lines_written() < lines && child.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(2)).await;
        }
        child
    }

    /// Whole lines but for the header.
    fn lines_written(&self) -> usize {
        let text = fs::read(self.results()).unwrap_or_default();
        text.split(|byte| *byte == b'\n').skip(2).count()
    }

    fn lines(&self) -> Vec<Line> {
        lines(&self.results())
    }
}

fn lines(path: &Path) -> Vec<Line> {
    let mut reader = csv::ReaderBuilder::new().delimiter(b',').from_path(path).unwrap();
    let records = reader.records().map(|record| {
        let record = record.unwrap();
        let cell = |nth: usize| record[nth].to_owned();
        Line {
            number: record[0].parse().unwrap(),
            email: cell(1),
            outcome: cell(2),
            reason: cell(3),
            message: cell(4),
            invitation: cell(5),
        }
    });
    records.collect()
}

/// What it has printed is looked through for tokens and codes.
fn kept(output: &Output) -> Run {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8(text.clone()).unwrap());
    let mut log: File = evidence::log_of(&format!("import-{}", rand::random::<u32>()));
    log.write_all(stdout.as_bytes()).unwrap();
    log.write_all(stderr.as_bytes()).unwrap();
    Run { status: output.status.code().unwrap_or(-1), stdout, stderr }
}

/// How many invitations there are, and to how many addresses.
async fn invitations(service: &Service) -> (i64, i64) {
    sqlx::query_as("SELECT count(*), count(DISTINCT email_key) FROM invitations")
        .fetch_one(service.pool())
        .await
        .unwrap()
}
