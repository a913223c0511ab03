//! A text as records of cells, each with the line that it begins in, in bounded memory.

use std::io::Read;
use std::str;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

use super::fault::Fault;
use super::text::Text;

/// Of one record: its cells together, and how many.
const LONGEST: usize = 64 * 1024;
const MOST_CELLS: usize = 1024;

/// What spreadsheets put between cells.
pub(super) const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// A row as it stands in the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) line: u64,
    cells: Vec<String>,
}

impl Record {
    /// Those that the row does not have are empty.
    pub(super) fn cell(&self, nth: usize) -> &str {
        self.cells.get(nth).map_or("", String::as_str)
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = &str> {
        self.cells.iter().map(String::as_str)
    }

    /// Whether nothing stands in it: spreadsheets write such rows by the thousand.
    fn is_blank(&self) -> bool {
        are_blank(&self.cells)
    }
}

/// Reads one record after another.
pub(super) struct Records<R> {
    text: Text<R>,
    part: Vec<u8>,
    read: usize,
    parser: Reader,
    output: Vec<u8>,
    ends: Vec<usize>,
}

impl<R: Read> Records<R> {
    /// `separator` is asked with the first part of the text; the line `sep=;` that Excel understands decides before it.
    pub(super) fn new(mut text: Text<R>, separator: impl FnOnce(&[u8]) -> u8) -> Result<(Self, u8), Fault> {
        let part = text.chunk()?.unwrap_or_default();
        let (named, read) = separator_line(&part).map_or((None, 0), |(separator, length)| (Some(separator), length));
        let separator = named.unwrap_or_else(|| separator(&part));
        let mut parser = parser(separator);
        parser.set_line(1 + u64::from(read > 0));
        let (output, ends) = (vec![0; LONGEST], vec![0; MOST_CELLS]);
        Ok((Self { text, part, read, parser, output, ends }, separator))
    }

    /// The next one that is not blank; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Record>, Fault> {
        loop {
            match self.record()? {
                Some(record) if record.is_blank() => {}
                other => return Ok(other),
            }
        }
    }

    fn record(&mut self) -> Result<Option<Record>, Fault> {
        let (mut written, mut ended, mut is_at_end) = (0, 0, false);
        loop {
            if self.read == self.part.len() && !is_at_end {
                self.read = 0;
                self.part = self.text.chunk()?.unwrap_or_default();
                is_at_end = self.part.is_empty();
            }
            let (result, read, wrote, ends) =
                self.parser.read_record(&self.part[self.read..], &mut self.output[written..], &mut self.ends[ended..]);
            self.read += read;
            written += wrote;
            ended += ends;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => {
                    let what = "begins a row of more than 64 KiB: is a quotation mark opened in it and not closed?";
                    return Err(Fault::at(self.begin(written, 0), what));
                }
                ReadRecordResult::OutputEndsFull => {
                    return Err(Fault::at(self.begin(written, 0), "has more than 1024 cells"));
                }
                // a line end is what ends a record, also the last one
                ReadRecordResult::Record if is_at_end => {
                    let line = self.begin(written, 0);
                    return Err(Fault::at(line, "begins a row in which a quotation mark is opened and not closed"));
                }
                ReadRecordResult::Record => {
                    let line = self.begin(written, 1);
                    return Ok(Some(Record { line, cells: self.cells(written, ended)? }));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// The line in which a record begins that has written so much. Blank lines before it do not count; line ends in
    /// quotation marks, and `ends` after it, do.
    fn begin(&self, written: usize, ends: u64) -> u64 {
        let inside = self.output[..written].split(|byte| *byte == b'\n').skip(1).count() as u64;
        self.parser.line().saturating_sub(inside + ends)
    }

    fn cells(&self, written: usize, ended: usize) -> Result<Vec<String>, Fault> {
        let text = str::from_utf8(&self.output[..written]).map_err(|error| Fault::file(error.to_string()))?;
        let begins = std::iter::once(0).chain(self.ends[..ended].iter().copied());
        Ok(begins.zip(&self.ends[..ended]).map(|(begin, end)| text[begin..*end].to_owned()).collect())
    }
}

/// Whether there are blanks only, and separators, of whatever kind.
fn are_blank(cells: &[String]) -> bool {
    let is_blank = |c: char| c.is_whitespace() || SEPARATORS.map(char::from).contains(&c);
    cells.iter().all(|cell| cell.chars().all(is_blank))
}

fn parser(separator: u8) -> Reader {
    ReaderBuilder::new().delimiter(separator).terminator(Terminator::Any(b'\n')).build()
}

/// The cells of the first record in a part of a text that is not blank, were that the separator.
pub(super) fn first_record(part: &[u8], separator: u8) -> Vec<String> {
    let mut parser = parser(separator);
    let (mut output, mut ends) = (vec![0; LONGEST], vec![0; MOST_CELLS]);
    let mut rest = part;
    loop {
        let (result, read, written, ended) = parser.read_record(rest, &mut output, &mut ends);
        rest = &rest[read..];
        let text = String::from_utf8_lossy(&output[..written]);
        let begins = std::iter::once(0).chain(ends[..ended].iter().copied());
        let cells = begins.zip(&ends[..ended]).filter_map(|(begin, end)| text.get(begin..*end)).map(str::to_owned);
        let cells = cells.collect::<Vec<_>>();
        if !(are_blank(&cells) && matches!(result, ReadRecordResult::Record)) {
            return cells;
        }
    }
}

/// What the line `sep=;` says, and its length.
fn separator_line(part: &[u8]) -> Option<(u8, usize)> {
    let length = part.iter().take(16).position(|byte| *byte == b'\n')? + 1;
    let line = str::from_utf8(&part[..length]).ok()?.trim_matches(['"', ' ', '\n']);
    let (name, separator) = line.split_at_checked(4)?;
    let [separator] = separator.as_bytes() else { return None };
    (name.eq_ignore_ascii_case("sep=") && separator.is_ascii() && *separator != b'"').then_some((*separator, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, separator: u8) -> Result<Vec<(u64, Vec<String>)>, String> {
        let text = Text::new(text.as_bytes()).map_err(|fault| fault.to_string())?;
        let (mut records, _) = Records::new(text, |_| separator).map_err(|fault| fault.to_string())?;
        let mut all = Vec::new();
        while let Some(record) = records.next().map_err(|fault| fault.to_string())? {
            all.push((record.line, record.cells));
        }
        Ok(all)
    }

    fn lines(text: &str) -> Vec<u64> {
        read(text, b',').unwrap().into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn each_record_knows_its_line() {
        assert_eq!(lines("a\nb\nc"), [1, 2, 3]);
        assert_eq!(lines("\n\na\n\n,,\n\nb"), [3, 7]);
        assert_eq!(lines("a,\"x\ny\n\nz\"\nb\n\"\n\"\nc\n"), [1, 5, 8]);
        assert_eq!(lines("a\r\rb\r\"x\ry\"\rc"), [1, 3, 4, 6]);
        assert_eq!(lines("sep=,\r\na\r\n\r\nb"), [2, 4]);
    }

    #[test]
    fn cells_are_read_as_spreadsheets_write_them() {
        let all = read("a;\"b;\"\"c\"\"\nd\";\n\"x\" <y>;z;;\n", b';').unwrap();
        assert_eq!(all[0].1, ["a", "b;\"c\"\nd", ""]);
        assert_eq!(all[1].1, ["x <y>", "z", "", ""]);
    }

    #[test]
    fn the_line_that_names_the_separator_decides() {
        for (line, expected) in
            [("sep=|", b'|'), ("SEP=\t", b'\t'), ("\"sep=;\"", b';'), ("sep= ", b','), ("sep=;;", b',')]
        {
            let text = format!("{line}\na,b\n");
            let (_, separator) = Records::new(Text::new(text.as_bytes()).unwrap(), |_| b',').unwrap();
            assert_eq!(separator, expected, "{line}");
        }
    }

    #[test]
    fn a_quotation_mark_that_is_not_closed_is_told_with_its_line() {
        let end = "a quotation mark is opened and not closed";
        assert!(read("a\n\n\"b\nc\nd", b',').unwrap_err().starts_with("line 3: begins a row in which"));
        assert!(read("a\n\"b", b',').unwrap_err().ends_with(end));
        let long = format!("a\n\n\"b\n{}", "c@example.com\n".repeat(10_000));
        assert!(read(&long, b',').unwrap_err().starts_with("line 3: begins a row of more than 64 KiB"));
        let wide = format!("a\n{}\n", ",".repeat(2000));
        assert!(read(&wide, b',').unwrap_err().starts_with("line 2: has more than 1024 cells"));
    }
}
