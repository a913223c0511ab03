//! What `tests/it` has written down, and what its mail servers have kept.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mail_parser::MessageParser;

/// Arguments under which still all tests run.
const HARMLESS: [&str; 5] = ["--nocapture", "--show-output", "--quiet", "-q", "--include-ignored"];

pub struct Evidence {
    /// Whether all tests ran, not only some.
    pub is_whole: bool,
    /// The files where no secret may be.
    pub shown: Vec<PathBuf>,
    pub tokens: BTreeSet<String>,
    /// Values of annotations: only answers show them, and only two tables hold them.
    pub annotations: BTreeSet<String>,
    /// Codes that were leaked on purpose: where each of them is, and it.
    pub canaries: BTreeSet<(String, String)>,
}

impl Evidence {
    /// `None`: there is none.
    pub fn read(folder: &Path) -> Option<Self> {
        let arguments = fs::read_to_string(folder.join("arguments")).ok()?;
        let is_harmless = |argument: &str| HARMLESS.contains(&argument) || argument.starts_with("--test-threads=");
        let lines = |name| fs::read_to_string(folder.join(name)).unwrap();
        let canary = |line: &str| line.split_once(' ').map(|(place, code)| (place.to_owned(), code.to_owned()));
        Some(Self {
            is_whole: arguments.lines().all(is_harmless),
            shown: entries(&folder.join("shown")),
            tokens: lines("tokens").lines().map(str::to_owned).collect(),
            annotations: lines("annotations").lines().map(str::to_owned).collect(),
            canaries: lines("canaries").lines().map(|line| canary(line).unwrap()).collect(),
        })
    }
}

/// Every code that a service below that folder has sent, also with a key of its own.
pub fn emailed_codes(folder: &Path) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    let emails = entries(folder).into_iter().flat_map(|service| entries(&service.join("mailbox")));
    for email in emails.filter(|path| path.extension().is_some_and(|end| end == "eml")) {
        let email = fs::read(email).unwrap();
        let email = MessageParser::default().parse(&email).unwrap();
        let text = email.body_text(0).unwrap();
        let is_code = |line: &&str| line.split('-').map(str::len).eq([4; 7]);
        codes.extend(text.lines().map(str::trim).filter(is_code).map(str::to_owned));
    }
    codes
}

/// What is in a folder, if it is there.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}
