//! A Postgres of a test's own, which may be stopped, crashed, demoted and frozen, and a way to it that may be cut.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use invitations::dev::postgres::{self, Durability, Postgres};
use invitations::store::{migrations, roles};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::program::quiet_port;
use crate::support::Database;

/// Always at the same place.
pub struct OwnPostgres {
    dir: PathBuf,
    url: String,
    postgres: Option<Postgres>,
}

impl OwnPostgres {
    /// An empty one with the tables of the service, and the database in it.
    pub async fn start(name: &str) -> (Self, Database) {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres-{name}"));
        std::fs::create_dir_all(&dir).unwrap();
        postgres::remove(&dir).await.unwrap();
        let postgres = postgres::start(&dir, Durability::FsyncOff).await.unwrap();
        let mut own = Self { dir, url: postgres.url().to_owned(), postgres: Some(postgres) };
        own.move_to_a_quiet_port().await;
        migrations::run(&own.url).await.unwrap();
        let service_url = roles::make(&own.url, "service", "service").await.unwrap();
        assert!(roles::restrict(&own.url, "service").await.unwrap());
        // changes something in a database that is read-only, too
        let options = own.url.parse::<PgConnectOptions>().unwrap().options([("default_transaction_read_only", "off")]);
        let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(options);
        let database = Database { name: name.to_owned(), url: own.url.clone(), service_url, pool };
        (own, database)
    }

    /// To one that no outgoing connection gets while the server is away: whoever connects there then could get it, and
    /// would be connected with themselves.
    async fn move_to_a_quiet_port(&mut self) {
        self.end("INT").await;
        let old = crate::operating::place(&self.url);
        let new = quiet_port();
        let options = self.dir.join("postgres/postmaster.opts");
        let text = std::fs::read_to_string(&options).unwrap();
        std::fs::write(&options, text.replace(&format!("port={}", old.port()), &format!("port={}", new.port())))
            .unwrap();
        self.url = crate::operating::at(&self.url, new);
        self.start_again().await;
    }

    /// Ends it by a signal: INT is a fast shutdown, QUIT an immediate one, which is a crash. Returns when it has ended.
    pub async fn end(&mut self, signal: &str) {
        kill(signal, &[self.pid()]);
        self.postgres.take().expect("it runs").stop().await;
    }

    /// Returns when it takes connections.
    pub async fn start_again(&mut self) {
        let postgres = postgres::start(&self.dir, Durability::FsyncOff).await.unwrap();
        assert_eq!(postgres.url(), self.url, "the port is free again");
        self.postgres = Some(postgres);
    }

    /// What it is from its next start on.
    pub fn set_standby(&self, is_standby: bool) {
        let signal = self.dir.join("postgres/standby.signal");
        if is_standby {
            std::fs::write(&signal, "").unwrap();
            std::fs::set_permissions(&signal, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        } else {
            std::fs::remove_file(&signal).unwrap();
        }
    }

    pub fn freeze(&self) -> Frozen {
        let server = self.pid();
        // first the one that makes the others
        kill("STOP", std::slice::from_ref(&server));
        let children = Command::new("pgrep").args(["-P", &server]).output().unwrap().stdout;
        let children = String::from_utf8(children).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
        let frozen = Frozen([vec![server], children].concat());
        kill("STOP", &frozen.0);
        frozen
    }

    fn pid(&self) -> String {
        let pid = std::fs::read_to_string(self.dir.join("postgres/postmaster.pid")).unwrap();
        pid.lines().next().unwrap().to_owned()
    }
}

/// All processes of a server, stopped in mid-instruction; they go on when this is dropped.
pub struct Frozen(Vec<String>);

impl Drop for Frozen {
    fn drop(&mut self) {
        kill("CONT", &self.0);
    }
}

fn kill(signal: &str, processes: &[String]) {
    assert!(Command::new("kill").args(["-s", signal]).args(processes).status().unwrap().success());
}

/// Passes on to a server whatever comes, until it is told to swallow it: then it takes connections and bytes, and says
/// nothing. What has met that once never hears anything again, as after the loss of a router's table.
pub struct Wire {
    pub address: SocketAddr,
    swallows: watch::Sender<bool>,
}

impl Wire {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (swallows, state) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut state = state.clone();
                tokio::spawn(async move {
                    let passing = async {
                        let Ok(mut server) = TcpStream::connect(server).await else { return };
                        copy_bidirectional(&mut client, &mut server).await.ok();
                    };
                    let swallowed = async { state.wait_for(|swallows| *swallows).await.is_ok() };
                    tokio::select! {
                        biased;
                        true = swallowed => std::future::pending::<()>().await,
                        () = passing => {}
                    }
                });
            }
        });
        Self { address, swallows }
    }

    pub fn swallow(&self, swallows: bool) {
        self.swallows.send_replace(swallows);
    }
}
