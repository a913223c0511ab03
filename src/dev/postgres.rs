//! A private Postgres server in one folder: for `invitations dev` and the tests, on any machine, also as root.
//!
//! The server lives as long as the process that started it. A small process beside it holds the read end of a pipe
//! whose write end only we hold: it ends in the moment we end, even by `kill -9`, and the server is shut down.

mod account;
mod binaries;
mod error;
mod fetch;
mod folder;

use std::fmt;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use tokio::time::{sleep, timeout};

use self::error::START_LIMIT;
pub use self::error::StartError;
pub use self::folder::Durability;
use self::folder::{Folder, POLL};

/// Many small pools share one server: replicas, workers and the tests of several files at once.
const MAX_CONNECTIONS: &str = "max_connections=200";

/// Becomes the server (`"$@"`), beside a process that waits for the pipe on standard input to end.
///
/// - Standard output is the opened data folder; it becomes descriptor 3 (see `Folder::path_for_server`).
/// - What waits keeps no descriptor 3, which tells whether the server still runs, and is nobody's child: the server
///   would take its end for a crash of one of its own.
const SERVE: &str = r#"
exec 3<&1 1>&2 4<&0 </dev/null
( { read -r _ <&4; kill -INT "$$"; } 3<&- >/dev/null 2>&1 & )
exec "$@" 4<&-
"#;

/// A running server. Dropping it shuts the server down without waiting for the end; [`Postgres::stop`] waits.
pub struct Postgres {
    url: String,
    bin_dir: PathBuf,
    /// Its standard input is the pipe that keeps it alive.
    server: Child,
    /// Held so that no other process starts in the same folder.
    _folder: Folder,
}

/// Starts a server on 127.0.0.1 whose data is in `dir`/postgres, and waits until it takes connections.
///
/// The first start creates the data, with the superuser and the database `invitations`; later ones find it again,
/// also after `kill -9` of everything. `dir` is created (0700) if it is missing. Beside the data it gets
/// `postgres.log`, `postgres.lock` and `postgres.password` (0600).
///
/// As root the server runs as the owner of the data, at first `postgres` or else `nobody`; `dir` stays closed to it.
pub async fn start(dir: &Path, durability: Durability) -> Result<Postgres, StartError> {
    let folder = Folder::open(dir)?;
    let bin_dir = binaries::find(folder.user(), folder.major()).await?;
    let ready = timeout(START_LIMIT, async {
        let (data, password) = folder.prepare(&bin_dir, durability).await?;
        let (server, port) = launch(&folder, &data, &bin_dir, durability).await?;
        Ok((server, format!("postgres://invitations:{password}@127.0.0.1:{port}/invitations")))
    });
    let (server, url) = ready.await.unwrap_or_else(|_| Err(StartError::TooSlow { log: folder.log_tail() }))?;
    Ok(Postgres { url, bin_dir, server, _folder: folder })
}

/// Removes the data of earlier starts in `dir`, once the server of one that was killed has ended.
pub async fn remove(dir: &Path) -> Result<(), StartError> {
    Folder::open(dir)?.remove_data().await
}

impl Postgres {
    /// Where the database is, with user and password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of the server's programs. It may have no `psql` or `pgbench`: a fetched one has not.
    pub fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// Shuts the server down: open transactions are rolled back, connections closed. Returns when it has ended.
    pub async fn stop(mut self) {
        drop(self.server.stdin.take());
        while matches!(self.server.try_wait(), Ok(None)) {
            sleep(POLL).await;
        }
    }
}

/// Without the password.
impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("bin_dir", &self.bin_dir).finish_non_exhaustive()
    }
}

/// Starts the server, on the port of the last time where that is free, and waits until it is ready.
async fn launch(
    folder: &Folder,
    data: &File,
    bin_dir: &Path,
    durability: Durability,
) -> Result<(Child, u16), StartError> {
    let mut preferred = folder.last_port().unwrap_or(0);
    loop {
        let port = free_port(preferred).map_err(|source| StartError::File {
            doing: "find a free port for",
            path: folder.data().to_owned(),
            source,
        })?;
        let mut server = spawn(folder, data, bin_dir, port, durability)?;
        while !folder.server_is_ready() {
            let ended = server.try_wait().map_err(|source| StartError::File {
                doing: "wait for",
                path: bin_dir.join("postgres"),
                source,
            })?;
            if ended.is_some() {
                break;
            }
            sleep(POLL).await;
        }
        if folder.server_is_ready() {
            return Ok((server, port));
        }
        let log = folder.log_tail();
        if !log.contains("could not bind") {
            return Err(StartError::Failed { what: "postgres", log });
        }
        // somebody took the port between our look and the server's: take another one
        preferred = 0;
    }
}

fn spawn(folder: &Folder, data: &File, bin_dir: &Path, port: u16, durability: Durability) -> Result<Child, StartError> {
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        // a socket's path is limited to about 100 bytes, and `dir` may be longer
        "unix_socket_directories=".to_owned(),
        MAX_CONNECTIONS.to_owned(),
        // of which database and which part of the service a line is
        "log_line_prefix=%m [%p] %d/%a ".to_owned(),
    ];
    if durability == Durability::FsyncOff {
        settings.extend(["fsync=off".to_owned(), "full_page_writes=off".to_owned()]);
    }
    let mut command = folder.shell(SERVE, data)?;
    command.stdin(Stdio::piped());
    command.arg(bin_dir.join("postgres")).arg("-D").arg(folder.path_for_server(folder.data()));
    for setting in &settings {
        command.args(["-c", setting]);
    }
    command.spawn().map_err(|source| StartError::File { doing: "run", path: "/bin/sh".into(), source })
}

/// `preferred` where that is free, else any. Another process may take it before the server does.
fn free_port(preferred: u16) -> io::Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, preferred))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?
        .local_addr()
        .map(|address| address.port())
}
