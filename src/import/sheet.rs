//! The file: it is read twice, first to check all of it, then to send.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::columns::{self, Columns};
use super::fault::Fault;
use super::records::{Record, Records};
use super::row::{BadRow, ForAllRows, Row};
use super::text::Text;
use crate::domain::EmailAddress;

/// An open file of people.
pub(super) struct Sheet {
    file: File,
    email_column: Option<String>,
    /// When it was changed last and how long it was, as it was opened.
    state: (Option<SystemTime>, u64),
}

/// What a look at the whole file has shown.
pub(super) struct Checked {
    /// SHA-256 of its bytes.
    pub(super) digest: [u8; 32],
    pub(super) separator: u8,
    pub(super) columns: Columns,
    /// Rows with somebody to be invited, and not for the second time.
    pub(super) good: u64,
    pub(super) duplicates: u64,
    pub(super) bad: u64,
    /// The first of these.
    pub(super) bad_rows: Vec<BadRow>,
    first_lines: HashMap<AddressDigest, u32>,
}

/// Half of a SHA-256 of what is compared of an address: a million of them take less room than the addresses.
type AddressDigest = [u8; 16];

/// The first bad rows that are told.
const TOLD: usize = 20;

impl Sheet {
    pub(super) fn open(path: &Path, email_column: Option<String>) -> Result<Self, Fault> {
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(Fault::file("must be one that can be read twice: no pipe, no folder"));
        }
        let mut sheet = Self { file, email_column, state: (None, 0) };
        sheet.state = sheet.present_state()?;
        Ok(sheet)
    }

    fn present_state(&self) -> Result<(Option<SystemTime>, u64), Fault> {
        let metadata = self.file.metadata()?;
        Ok((metadata.modified().ok(), metadata.len()))
    }

    /// Whether somebody has written to it since it was opened.
    pub(super) fn has_changed(&self) -> Result<bool, Fault> {
        Ok(self.present_state()? != self.state)
    }

    /// Reads all of it.
    pub(super) fn check(&self, all: &ForAllRows) -> Result<Checked, Fault> {
        let mut source = self.reopen()?;
        let mut digest = Digesting { source: &mut source, digest: Sha256::new() };
        let mut rows = Rows::begin(&mut digest, self.email_column.as_deref())?;
        let (mut good, mut duplicates, mut bad, mut bad_rows) = (0, 0, 0, Vec::new());
        let mut first_lines = HashMap::new();
        while let Some(row) = rows.next(all)? {
            match row {
                Ok(row) => match first_lines.entry(address_digest(&row.email)) {
                    Entry::Occupied(_) => duplicates += 1,
                    Entry::Vacant(vacant) => {
                        vacant.insert(short(row.line)?);
                        good += 1;
                    }
                },
                Err(row) => {
                    bad += 1;
                    if bad_rows.len() < TOLD {
                        bad_rows.push(row);
                    }
                }
            }
        }
        let (columns, separator) = (rows.columns, rows.separator);
        let digest = digest.digest.finalize().into();
        Ok(Checked { digest, separator, columns, good, duplicates, bad, bad_rows, first_lines })
    }

    /// Reads it again.
    pub(super) fn rows(&self) -> Result<Rows<File>, Fault> {
        Rows::begin(self.reopen()?, self.email_column.as_deref())
    }

    fn reopen(&self) -> Result<File, Fault> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(file)
    }
}

impl Checked {
    /// The line of an earlier row for the same address; `None`: it is the first one.
    pub(super) fn earlier(&self, row: &Row) -> Option<u64> {
        let first = self.first_lines.get(&address_digest(&row.email)).map(|line| u64::from(*line));
        first.filter(|line| *line != row.line)
    }
}

/// The rows one after another.
pub(super) struct Rows<R> {
    records: Records<R>,
    columns: Columns,
    separator: u8,
    /// The first row, where it is somebody.
    first: Option<Record>,
}

impl<R: Read> Rows<R> {
    fn begin(source: R, email_column: Option<&str>) -> Result<Self, Fault> {
        let text = Text::new(source)?;
        let (mut records, separator) = Records::new(text, |part| columns::separator(part, email_column))?;
        let first = records.next()?.ok_or_else(|| Fault::file("is empty"))?;
        let cells = first.cells().collect::<Vec<_>>();
        let columns = Columns::of(&cells, email_column).map_err(Fault::file)?;
        let first = Some(first).filter(|_| columns.has_no_header);
        Ok(Self { records, columns, separator, first })
    }

    /// `None` at the end.
    pub(super) fn next(&mut self, all: &ForAllRows) -> Result<Option<Result<Row, BadRow>>, Fault> {
        let record = match self.first.take() {
            Some(first) => Some(first),
            None => self.records.next()?,
        };
        Ok(record.map(|record| Row::read(&record, &self.columns, all)))
    }
}

/// Digests what is read through it.
struct Digesting<R> {
    source: R,
    digest: Sha256,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.digest.update(&buffer[..count]);
        Ok(count)
    }
}

fn address_digest(email: &EmailAddress) -> AddressDigest {
    let mut half = AddressDigest::default();
    half.copy_from_slice(&Sha256::digest(email.key())[..16]);
    half
}

fn short(line: u64) -> Result<u32, Fault> {
    u32::try_from(line).map_err(|_| Fault::file("has more than four billion lines: divide it"))
}

#[cfg(test)]
mod tests;
