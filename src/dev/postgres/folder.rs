//! The folder of a private server: its files, who may use it, the first `initdb`, and what an ended run left behind.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::sleep;
use uuid::Uuid;

use super::account::{self, User};
use super::binaries::Wanted;
use super::error::StartError;

/// How often a state that only files tell (ready, ended) is looked at again.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// What a loss of power may do to the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// What was committed stays.
    Durable,
    /// Nothing is forced to the disk: for tests, several times faster. `kill -9` loses nothing in this mode either.
    FsyncOff,
}

/// How much of the server's log an error shows.
const LOG_TAIL_LINES: usize = 20;

/// Creates the data in `$2` with the programs in `$1`; `$3` is one more option of initdb. Reads the password.
///
/// The single-user server makes the database, so that data which is there is complete.
const INIT: &str = r#"
exec 3<&1 1>&2
read -r password
printf '%s\n' "$password" |
  "$1/initdb" -D "$2" -U invitations --pwfile=/dev/stdin -A scram-sha-256 -E UTF8 --no-locale $3 &&
printf 'CREATE DATABASE invitations\n' | "$1/postgres" --single -D "$2" -c exit_on_error=on postgres
"#;

/// A folder that belongs to this process as long as the value lives.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    data: PathBuf,
    user: Option<User>,
    _lock: File,
}

impl Folder {
    /// Takes `dir` for this process, and creates it if it is missing.
    pub fn open(dir: &Path) -> Result<Self, StartError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("create", dir))?;
        let dir = dir.canonicalize().map_err(failed("find", dir))?;
        let lock_path = dir.join("postgres.lock");
        let lock = File::create(&lock_path).map_err(failed("create", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StartError::InUse(dir)),
            Err(TryLockError::Error(source)) => return Err(failed("lock", &lock_path)(source)),
        }
        // a file that we have just made belongs to who we are: the one way to ask that needs no unsafe code
        let log_path = dir.join("postgres.log");
        let _gone = fs::remove_file(&log_path);
        let log = File::create(&log_path).map_err(failed("create", &log_path))?;
        let own_uid = log.metadata().map_err(failed("read", &log_path))?.uid();
        let data = dir.join("postgres");
        let user = account::for_server(own_uid, &data)?;
        Ok(Self { dir, data, user, _lock: lock })
    }

    /// The user to run the server as, where that is not our own.
    pub fn user(&self) -> Option<User> {
        self.user
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The version that can open the data.
    pub fn major(&self) -> Wanted {
        let made_by = fs::read_to_string(self.data.join("PG_VERSION")).ok();
        made_by.and_then(|major| major.trim().parse().ok()).map_or(Wanted::Any, Wanted::Exactly)
    }

    /// The port of the last run: Postgres keeps its command line.
    pub fn last_port(&self) -> Option<u16> {
        let command_line = fs::read_to_string(self.data.join("postmaster.opts")).ok()?;
        command_line.split('"').find_map(|word| word.strip_prefix("port=")?.parse().ok())
    }

    /// Whether the server of this run takes connections: the eighth line of its file says so.
    pub fn server_is_ready(&self) -> bool {
        fs::read_to_string(self.data.join("postmaster.pid"))
            .is_ok_and(|text| text.lines().nth(7).is_some_and(|state| state.trim() == "ready"))
    }

    /// The last lines of `postgres.log`.
    pub fn log_tail(&self) -> String {
        let log = fs::read(self.dir.join("postgres.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// Makes the data ready for a start. Returns the opened data folder and the password.
    pub async fn prepare(&self, bin_dir: &Path, durability: Durability) -> Result<(File, String), StartError> {
        let password_path = self.dir.join("postgres.password");
        if self.data.exists() {
            let password = fs::read_to_string(&password_path)
                .map_err(|_| StartError::PasswordMissing(self.dir.clone()))?
                .trim()
                .to_owned();
            return Ok((claim(&self.data).await?, password));
        }
        // needs no escaping in a URL or a shell
        let password = Uuid::new_v4().simple().to_string();
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&password_path)
            .and_then(|mut file| file.write_all(password.as_bytes()))
            .map_err(failed("write", &password_path))?;
        Ok((self.create_data(&password, bin_dir, durability).await?, password))
    }

    /// Removes the data, if there is any.
    pub async fn remove_data(self) -> Result<(), StartError> {
        if self.data.exists() {
            drop(claim(&self.data).await?);
            fs::remove_dir_all(&self.data).map_err(failed("remove", &self.data))?;
        }
        Ok(())
    }

    /// Creates the data beside its place and moves it there when it is complete.
    async fn create_data(&self, password: &str, bin_dir: &Path, durability: Durability) -> Result<File, StartError> {
        let new = self.dir.join("postgres.new");
        if new.exists() {
            drop(claim(&new).await?);
            fs::remove_dir_all(&new).map_err(failed("remove", &new))?;
        }
        DirBuilder::new().mode(0o700).create(&new).map_err(failed("create", &new))?;
        if let Some(User { uid, gid }) = self.user {
            chown(&new, Some(uid), Some(gid)).map_err(failed("hand over", &new))?;
        }
        let folder = claim(&new).await?;
        let sync = if durability == Durability::Durable { "" } else { "--no-sync" };
        let mut init = self.shell(INIT, &folder)?;
        init.arg(bin_dir).arg(self.path_for_server(&new)).arg(sync).stdin(Stdio::piped());
        let done = async {
            let mut init = tokio::process::Command::from(init).spawn()?;
            if let Some(mut stdin) = init.stdin.take() {
                tokio::io::AsyncWriteExt::write_all(&mut stdin, format!("{password}\n").as_bytes()).await?;
            }
            init.wait().await
        };
        if !done.await.map_err(failed("run initdb from", bin_dir))?.success() {
            return Err(StartError::Failed { what: "initdb", log: self.log_tail() });
        }
        fs::rename(&new, &self.data).map_err(failed("rename", &new))?;
        Ok(folder)
    }

    /// A shell that runs `script` as the server's user, with the opened data folder as its standard output and the
    /// log as its standard error. Its own process group: Ctrl-C in a terminal is for us, who still need the server.
    pub fn shell(&self, script: &str, data: &File) -> Result<Command, StartError> {
        let log_path = self.dir.join("postgres.log");
        let log = File::create(&log_path).map_err(failed("create", &log_path))?;
        let data = data.try_clone().map_err(failed("open", &self.data))?;
        let mut shell = account::command(Path::new("/bin/sh"), self.user);
        shell.args(["-c", script, "sh"]).stdout(data).stderr(log).process_group(0);
        Ok(shell)
    }

    /// How the server names its data folder.
    ///
    /// Another user than ours may not be allowed to pass the folders above it (0700, or below /root). But what it
    /// was given opened it may use: the scripts keep the folder as descriptor 3.
    pub fn path_for_server(&self, data: &Path) -> PathBuf {
        if self.user.is_some() { "/proc/self/fd/3".into() } else { data.to_owned() }
    }
}

/// Opens a data folder and locks it, once no server of an ended run works there any more.
///
/// All processes of a server inherit the opened folder, and with it the lock: it is free when the last one has
/// ended. Normally a server ends by itself when we do; one whose watcher was killed as well is shut down here.
async fn claim(data: &Path) -> Result<File, StartError> {
    let folder = File::open(data).map_err(failed("open", data))?;
    loop {
        let locked = matches!(folder.try_lock(), Err(TryLockError::WouldBlock));
        match running_server(data) {
            Some(pid) => interrupt(pid),
            None if locked => {}
            None => break,
        }
        sleep(POLL).await;
    }
    // left over from `kill -9`: its process id may be another program's by now, which Postgres would wait for
    match fs::remove_file(data.join("postmaster.pid")) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed("clean up", data)(source)),
        _ => Ok(folder),
    }
}

/// The process id in `postmaster.pid`, if a server on this data has it.
fn running_server(data: &Path) -> Option<u32> {
    let pid: u32 = fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.parse().ok()?;
    let alive = if Path::new("/proc/self/cwd").exists() {
        fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data)
    } else {
        let ps = Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
        ps.is_ok_and(|ps| String::from_utf8_lossy(&ps.stdout).contains(&*data.to_string_lossy()))
    };
    alive.then_some(pid)
}

/// Asks a server to shut down; again is harmless. If it has just ended there is nothing to do.
fn interrupt(pid: u32) {
    let _status =
        Command::new("/bin/sh").args(["-c", "kill -INT \"$0\"", &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Names the operation and the path of a file error.
fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StartError + use<> {
    let path = path.to_owned();
    move |source| StartError::File { doing, path, source }
}
