//! Connections that calls share, for what is too rare or takes too long for a connection of its own.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::PgConnection;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::live::Live;
use super::source::Source;
pub use super::source::{DatabaseUrl, Engine, PLANNING, Purpose, is_url};
use super::{Error, Result};

/// How long a call waits until another one gives its connection back: past that the service is overloaded and says so,
/// soon enough for the caller to go elsewhere. Connecting has a limit of its own.
const WAIT: Duration = Duration::from_millis(200);
/// Where more callers wait for each connection, the last of them may wait in vain.
const WAITING: usize = 16;
/// How long one that is on its way back is waited for before another one is made. It is taken after that, too, if it comes
/// first: where the machine is too busy, new connections would make it worse.
const GROW_AFTER: Duration = Duration::from_millis(10);

/// A number of connections that are made when they are needed. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    source: Source,
    idle: Mutex<Vec<Live>>,
    /// Whoever waits for one that comes back.
    back: Notify,
    places: Arc<Semaphore>,
    size: usize,
    /// One more handle for each caller that waits.
    waiting: Arc<()>,
}

/// A connection for as long as somebody has it.
pub struct Lent {
    /// There until it is dropped.
    live: Option<(Live, OwnedSemaphorePermit)>,
    pool: Pool,
    since: Instant,
}

/// What a pool is doing at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// Places that are taken: connections that somebody has, that are being made, or that are asked before the next use.
    pub used: usize,
    pub idle: usize,
    /// The most that can be used.
    pub max: usize,
    /// Callers that wait for a place.
    pub pending: usize,
}

/// A pool that connects when it is first used.
///
/// # Errors
///
/// It is no URL of Postgres.
pub fn open(url: impl Into<DatabaseUrl>, purpose: Purpose, size: usize) -> std::result::Result<Pool, sqlx::Error> {
    let source = Source::new(url.into(), purpose)?;
    let places = Arc::new(Semaphore::new(size));
    let (idle, back) = (Mutex::default(), Notify::new());
    Ok(Pool(Arc::new(Inner { source, idle, back, places, size, waiting: Arc::default() })))
}

impl Pool {
    /// Waits until one is free.
    ///
    /// # Errors
    ///
    /// [`Error::Exhausted`]: none is free within 150 ms. [`Error::Unavailable`]: the server lets nobody in, or the pool is
    /// closed.
    pub async fn acquire(&self) -> Result<Lent> {
        let began = Instant::now();
        let waiting = Arc::clone(&self.0.waiting);
        let place = timeout(WAIT, Arc::clone(&self.0.places).acquire_owned()).await;
        drop(waiting);
        let Ok(place) = place else {
            let name = self.name();
            metrics::counter!("db_client_connection_timeouts_total", "db_client_connection_pool_name" => name)
                .increment(1);
            return Err(Error::Exhausted);
        };
        let place = place.map_err(|_| Error::Unavailable("the pool is closed".to_owned()))?;
        let another = async {
            sleep(GROW_AFTER).await;
            self.0.source.take(None).await
        };
        let live = tokio::select! {
            biased;
            live = self.next_idle() => self.0.source.take(Some(live)).await?,
            live = another => live?,
        };
        let name = self.name();
        metrics::histogram!("db_client_connection_wait_time_seconds", "db_client_connection_pool_name" => name)
            .record(began.elapsed());
        Ok(Lent { live: Some((live, place)), pool: self.clone(), since: Instant::now() })
    }

    async fn next_idle(&self) -> Live {
        loop {
            let back = self.0.back.notified();
            if let Some(live) = self.idle().pop() {
                return live;
            }
            back.await;
        }
    }

    /// Whether more callers come than there are connections for.
    pub fn is_behind(&self) -> bool {
        Arc::strong_count(&self.0.waiting) > WAITING * self.0.size
    }

    /// Host and port, as far as the URL says.
    pub fn place(&self) -> String {
        self.0.source.place()
    }

    pub fn usage(&self) -> Usage {
        let Inner { places, size, waiting, .. } = &*self.0;
        Usage {
            used: size.saturating_sub(places.available_permits()),
            idle: self.idle().len(),
            max: *size,
            pending: Arc::strong_count(waiting) - 1,
        }
    }

    /// As a label of metrics.
    pub fn name(&self) -> &'static str {
        self.0.source.purpose.name()
    }

    /// Whether a pooler in between refuses the settings of sessions.
    pub fn is_pooled(&self) -> bool {
        self.0.source.is_pooled()
    }

    pub fn engine(&self) -> Engine {
        self.0.source.engine()
    }

    /// One has broken: each of the others is asked before it is used again.
    pub fn doubt(&self) {
        self.idle().iter_mut().for_each(Live::doubt);
    }

    /// Lends no more, and says goodbye to the server.
    pub async fn close(&self) {
        self.0.places.close();
        let idle = std::mem::take(&mut *self.idle());
        join_all(idle.into_iter().map(Live::close)).await;
    }

    /// Keeps it for the next one, unless it is of no use: whoever had it may have been cancelled in the middle.
    async fn take_back(self, mut live: Live, place: OwnedSemaphorePermit) {
        if !self.0.places.is_closed() && live.is_of_use().await {
            self.idle().push(live);
            self.0.back.notify_waiters();
        } else {
            self.doubt();
            live.close().await;
        }
        drop(place);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Live>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        let Some((live, _)) = &self.live else { unreachable!("it is there until it is dropped") };
        &live.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        let Some((live, _)) = &mut self.live else { unreachable!("it is there until it is dropped") };
        &mut live.connection
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let name = self.pool.name();
        metrics::histogram!("db_client_connection_use_time_seconds", "db_client_connection_pool_name" => name)
            .record(self.since.elapsed());
        if let Some((live, place)) = self.live.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(self.pool.clone().take_back(live, place));
        }
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent(…)")
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("free", &self.0.places.available_permits()).finish_non_exhaustive()
    }
}

/// Who may write, as far as a session can tell.
#[derive(Clone, Copy, Debug)]
pub struct Writable {
    /// This session.
    pub now: bool,
    /// One that is opened now: a change of the database's or the role's settings does not reach those that are open.
    pub anew: bool,
}

/// Whether Postgres accepts writes.
pub async fn writable(connection: &mut PgConnection) -> Result<Writable> {
    let row = sqlx::query_as!(
        Writable,
        r#"SELECT NOT current_setting('transaction_read_only')::bool AS "now!",
                  NOT coalesce(
                    (SELECT split_part(c, '=', 2)::bool
                       FROM pg_db_role_setting s, unnest(s.setconfig) AS c
                      WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                        AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
                        AND split_part(c, '=', 1) = 'default_transaction_read_only'
                      ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1),
                    false) AS "anew!""#,
    );
    Ok(row.fetch_one(connection).await?)
}
