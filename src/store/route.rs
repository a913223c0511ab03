//! Which address of its host a connection to Postgres goes to: one that answers.
//!
//! sqlx tries the addresses of a name one after another, and waits for each as long as the system does. So where a name
//! has several, they are tried here first (RFC 8305), and sqlx gets the one that answers. With `sslmode=verify-full` the
//! certificate has to be for the name, so an address is no way out there. But over a Unix socket sqlx goes on using the
//! name: it gets one of ours, behind which is the address.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, PgConnection};
use tokio::net::{TcpStream, UnixListener};
use uuid::Uuid;

use crate::dial::Addresses;

/// How long an address is looked for.
const LIMIT: Duration = Duration::from_secs(2);

/// Connects to an address that answers.
pub async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let Some(address) = better_address(options).await else { return options.connect().await };
    if matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
        connect_behind(options, address).await
    } else {
        options.clone().host(&address.ip().to_string()).connect().await
    }
}

/// The address that answers first; `None`: sqlx finds the way alone.
async fn better_address(options: &PgConnectOptions) -> Option<SocketAddr> {
    if options.get_socket().is_some() {
        return None;
    }
    let addresses = Addresses::of(options.get_host(), options.get_port()).await.ok()?;
    let (first, all) = (addresses.first()?, addresses.by_answer(LIMIT).await);
    all.into_iter().next().filter(|address| *address != first)
}

/// Connects to that address under the name of the host.
async fn connect_behind(options: &PgConnectOptions, address: SocketAddr) -> Result<PgConnection, sqlx::Error> {
    // a name of Linux's own: no file, so nobody has to remove it
    let folder = format!("\0invitations-{}", Uuid::new_v4());
    let listener = UnixListener::bind(format!("{folder}/.s.PGSQL.{}", options.get_port()))?;
    tokio::spawn(pass_on(listener, address));
    options.clone().socket(folder).connect().await
}

/// Passes on what the one connection says. The end of one side is the end of the other, and sqlx's to notice.
async fn pass_on(listener: UnixListener, address: SocketAddr) -> io::Result<()> {
    let (mut near, _) = tokio::time::timeout(LIMIT, listener.accept()).await??;
    drop(listener);
    let mut far = TcpStream::connect(address).await?;
    far.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut near, &mut far).await?;
    Ok(())
}
