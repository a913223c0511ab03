//! The file of results: what became of each row, for people, and where the next run goes on.
//!
//! CSV with a byte order mark and the separator of the file of people, so that the same spreadsheet opens it. Each row has
//! one line, and is on the disk before the next rows are sent.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, WriterBuilder};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::counts::Counts;
use super::lines::Lines;
use super::outcome::{Answer, Outcome};

const MARK: &[u8] = b"\xef\xbb\xbf";
const HEADER: [&str; 8] = ["line", "email", "outcome", "reason", "message", "invitation", "time", "import"];

/// One line to be written.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) line: u64,
    /// As it was understood.
    pub(super) email: String,
    pub(super) answer: Answer,
}

/// An open file of results, which no other process has.
#[derive(Debug)]
pub(super) struct Results {
    file: File,
    separator: u8,
    import: String,
    /// The lines whose last word is written.
    pub(super) done: Lines,
    pub(super) counts: Counts,
    /// When the last line was written by an earlier run; `None`: there was none.
    pub(super) last_written: Option<OffsetDateTime>,
}

impl Results {
    /// Goes on with what is there. `import` names the file of people and what is asked for it: results of another one
    /// are refused. `again`: rows that were refused count as not done.
    pub(super) fn resume(path: &Path, import: &str, separator: u8, again: bool) -> Result<Self, String> {
        let mut this = Self::open(path, import, separator)?;
        let length = this.file.metadata().map_err(|error| told(path, &error))?.len();
        if length > 0 {
            let whole = this.repair(length).map_err(|error| told(path, &error))?;
            if whole > 0 {
                this.read(path, again)?;
                this.file.seek(SeekFrom::End(0)).map_err(|error| told(path, &error))?;
                return Ok(this);
            }
        }
        this.begin(path)?;
        Ok(this)
    }

    /// Leaves nothing of what is there.
    pub(super) fn anew(path: &Path, import: &str, separator: u8) -> Result<Self, String> {
        let mut this = Self::open(path, import, separator)?;
        this.file.set_len(0).map_err(|error| told(path, &error))?;
        this.begin(path)?;
        Ok(this)
    }

    fn open(path: &Path, import: &str, separator: u8) -> Result<Self, String> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(|error| told(path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!("another import writes to {} right now", path.display()));
            }
            Err(TryLockError::Error(error)) => return Err(told(path, &error)),
        }
        let (done, counts) = (Lines::default(), Counts::default());
        Ok(Self { file, separator, import: import.to_owned(), done, counts, last_written: None })
    }

    fn begin(&mut self, path: &Path) -> Result<(), String> {
        let mut begin = || -> io::Result<()> {
            self.file.set_len(0)?;
            self.file.rewind()?;
            let mut line = MARK.to_vec();
            line.extend(self.line(&HEADER)?);
            self.file.write_all(&line)?;
            self.file.sync_all()?;
            // that the file is there has to be on the disk, too
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        begin().map_err(|error| told(path, &error))
    }

    /// Cuts off what a broken run has left of a line: what does not end, and what a crash has left of zeros.
    fn repair(&mut self, length: u64) -> io::Result<u64> {
        let mut part = vec![0; 64 * 1024];
        let mut end = length;
        let mut whole = 0;
        while end > 0 && whole == 0 {
            let begin = end.saturating_sub(part.len() as u64);
            let part = &mut part[..usize::try_from(end - begin).unwrap_or_default()];
            self.file.seek(SeekFrom::Start(begin))?;
            self.file.read_exact(part)?;
            whole = part.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| begin + at as u64 + 1);
            end = begin;
        }
        if whole < length {
            self.file.set_len(whole)?;
            self.file.sync_all()?;
        }
        Ok(whole)
    }

    fn read(&mut self, path: &Path, again: bool) -> Result<(), String> {
        let path = path.display();
        let changed = || {
            format!(
                "{path} is no file of results, or another program has written to it: name another one with --results, or \
                 move this one away"
            )
        };
        self.file.seek(SeekFrom::Start(0)).map_err(|error| error.to_string())?;
        let mut source = BufReader::new(&self.file);
        let mut mark = [0; 3];
        source.read_exact(&mut mark).map_err(|_| changed())?;
        let mut reader =
            ReaderBuilder::new().delimiter(self.separator).has_headers(false).flexible(true).from_reader(source);
        let mut record = ByteRecord::new();
        let has_header = reader.read_byte_record(&mut record).map_err(|_| changed())?;
        if mark != MARK || !has_header || !record.iter().eq(HEADER.iter().map(|name| name.as_bytes())) {
            return Err(changed());
        }
        let mut refused = BTreeSet::new();
        while reader.read_byte_record(&mut record).map_err(|error| error.to_string())? {
            let cell = |nth: usize| record.get(nth).and_then(|cell| std::str::from_utf8(cell).ok());
            let line = cell(0).and_then(|line| line.parse::<u32>().ok()).map(u64::from);
            let outcome = cell(2).and_then(Outcome::parse);
            let time = cell(6).and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok());
            let (Some(line), Some(outcome), Some(time), Some(import), HEADERS) =
                (line, outcome, time, cell(7), record.len())
            else {
                return Err(changed());
            };
            if import != self.import {
                return Err(format!(
                    "{path} belongs to another import (another file, or the same with other options): name another one with \
                     --results, or move this one away"
                ));
            }
            self.last_written = self.last_written.max(Some(time));
            // what an earlier run was told may have been asked again since
            if refused.remove(&line) {
                self.counts.take(Outcome::Refused);
            }
            if outcome == Outcome::Refused {
                refused.insert(line);
            }
            self.done.insert(line);
            self.counts.add(outcome);
        }
        for line in refused.into_iter().filter(|_| again) {
            self.counts.take(Outcome::Refused);
            self.done.remove(line);
        }
        Ok(())
    }

    /// Writes these lines to the disk, or none of them that count.
    pub(super) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let now = now.format(&Rfc3339).map_err(io::Error::other)?;
        let mut lines = Vec::new();
        for Entry { line, email, answer } in entries {
            let line = line.to_string();
            let cells = [
                &line,
                email,
                answer.outcome.as_str(),
                &answer.reason,
                &answer.message,
                &answer.invitation,
                &now,
                &self.import,
            ];
            lines.extend(self.line(&cells)?);
        }
        self.file.write_all(&lines)?;
        self.file.sync_data()?;
        for Entry { line, answer, .. } in entries {
            self.done.insert(*line);
            self.counts.add(answer.outcome);
        }
        Ok(())
    }

    fn line(&self, cells: &[&str; 8]) -> io::Result<Vec<u8>> {
        let mut writer = WriterBuilder::new().delimiter(self.separator).from_writer(Vec::new());
        writer.write_record(cells.map(harmless))?;
        writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

const HEADERS: usize = HEADER.len();

/// A cell that no spreadsheet takes for a formula, and that does not break the line.
fn harmless(cell: &str) -> String {
    let line = cell.replace(char::is_control, " ");
    let formula = ['=', '+', '-', '@', '|', '%', '＝', '＋', '－', '＠'];
    if line.starts_with(formula) { format!("'{line}") } else { line }
}

fn told(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be written: {error}", path.display())
}

#[cfg(test)]
mod tests;
