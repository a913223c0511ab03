//! Which address of its host a connection to Postgres goes to: one that answers.
//!
//! sqlx tries the addresses of a name one after another, and waits for each as long as the system does. An address in place
//! of the name is no way out: the certificate would be checked for it, and the server not told the name. But over a Unix
//! socket sqlx goes on using the name. So where a name has several addresses, sqlx gets one of ours, behind which is the
//! address that answers.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, PgPool};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::sleep;
use uuid::Uuid;

use crate::dial::{self, Addresses};

/// How long an address is looked for.
const LIMIT: Duration = Duration::from_secs(2);
/// When nothing can be accepted, mostly for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Connects to an address that answers.
pub async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    match Route::of(options).await {
        None => options.connect().await,
        Some(route) => tokio::select! {
            connected = route.options.connect() => connected,
            never = route.serve() => match never {},
        },
    }
}

/// Lets a pool do so from now on, until it is closed.
pub async fn lead(pool: &PgPool) {
    if let Some(route) = Route::of(&pool.connect_options()).await {
        pool.set_connect_options(route.options.clone());
        let closed = pool.close_event();
        tokio::spawn(async move {
            tokio::select! {
                () = closed => {}
                never = route.serve() => match never {},
            }
        });
    }
}

/// The way to a host that has several addresses.
struct Route {
    host: String,
    port: u16,
    listener: UnixListener,
    /// They lead to the listener.
    options: PgConnectOptions,
}

impl Route {
    /// `None`: sqlx finds the way alone.
    async fn of(options: &PgConnectOptions) -> Option<Self> {
        let (host, port) = (options.get_host(), options.get_port());
        if options.get_socket().is_some() || Addresses::of(host, port).await.ok()?.count() < 2 {
            return None;
        }
        // a name of Linux's own: no file, so nobody has to remove it
        let folder = format!("\0invitations-{}", Uuid::new_v4());
        let listener = UnixListener::bind(format!("{folder}/.s.PGSQL.{port}")).ok()?;
        Some(Self { host: host.to_owned(), port, listener, options: options.clone().socket(folder) })
    }

    /// Accepts connections and passes on what they say, which goes on behind this.
    async fn serve(&self) -> Infallible {
        loop {
            match self.listener.accept().await {
                // the end of one is the end of the other, and sqlx's to notice
                Ok((near, _)) => {
                    tokio::spawn(pass_on(near, self.host.clone(), self.port));
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}

async fn pass_on(mut near: UnixStream, host: String, port: u16) -> io::Result<()> {
    let mut far = dial::connect(&host, port, LIMIT).await?;
    far.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut near, &mut far).await?;
    Ok(())
}
