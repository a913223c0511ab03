//! Where a setting comes from that is read anew.

use std::path::PathBuf;

/// Which file holds the value that counts.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Origin {
    /// None: it is a flag or a variable, and stays as it is.
    #[default]
    Fixed,
    /// The one that a variable with `_FILE` at its end names.
    File(PathBuf),
    /// The configuration file.
    Config(PathBuf),
}
