//! What a file holds, without what editors put around it.

use std::{fs, io, path::Path};

/// A value: editors and `echo` end it with a line end.
pub(super) fn value(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    Ok(without_mark(&text).trim_end_matches(['\r', '\n']).to_owned())
}

/// Without the byte order mark that editors on Windows put before the first line.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
