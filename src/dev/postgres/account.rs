//! Which Unix user the server runs as: Postgres refuses to be root.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Why nobody is left to run the server as.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The password database names none.
    #[error("postgres does not run as root, and /etc/passwd names neither postgres nor nobody: run as another user")]
    NoUser,
    /// The trick that gets an unprivileged server into a folder of root needs Linux.
    #[error("as root this works only on linux with /proc: run as another user")]
    RootWithoutProc,
}

/// A user that root hands the server to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User {
    pub uid: u32,
    pub gid: u32,
}

/// The user for the server on `data`, when we are `own_uid`. `None`: our own will do.
///
/// Data that is already there decides: a `postgres` user that came after the first start (with the package, for
/// example) could not open what `nobody` owns.
pub(super) fn for_server(own_uid: u32, data: &Path) -> Result<Option<User>, UserError> {
    if own_uid != 0 {
        return Ok(None);
    }
    if !Path::new("/proc/self/fd").is_dir() {
        return Err(UserError::RootWithoutProc);
    }
    if let Ok(owner) = fs::metadata(data)
        && owner.uid() != 0
    {
        return Ok(Some(User { uid: owner.uid(), gid: owner.gid() }));
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = ["postgres", "nobody"].iter().find_map(|name| named(name, &passwd));
    user.map(Some).ok_or(UserError::NoUser)
}

/// A command in a plain environment, with the rights of `user`.
///
/// It starts in `/`, which everybody may enter: programs of Postgres 15 leave their folder and want to come back.
pub(super) fn command(program: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env_clear().env("LC_ALL", "C");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// Finds a user in the text of `/etc/passwd` (`name:password:uid:gid:…`).
fn named(name: &str, passwd: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (uid != 0).then_some(User { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_whole_name_and_is_never_root() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgresql:x:7:7::/:\npostgres:x:101:104:,,,:/var:/bin/bash\n";
        assert_eq!(named("postgres", passwd), Some(User { uid: 101, gid: 104 }));
        assert_eq!(named("nobody", passwd), None);
        assert_eq!(named("root", passwd), None);
    }
}
