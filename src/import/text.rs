//! A file's bytes as text: UTF-8 or UTF-16, each line ended by a single LF, the last one too.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::fault::Fault;

/// Bytes that are decoded at a time.
const CHUNK: usize = 64 * 1024;
/// In this many bytes, UTF-16 without a mark shows itself.
const LOOKED_AT: usize = 256;

/// What every program puts there that calls its file a workbook, a PDF or an archive.
const NO_TEXT: [(&[u8], &str); 4] = [
    (b"PK\x03\x04", "is a workbook (Excel, LibreOffice), no CSV: save it as CSV UTF-8"),
    (b"\xd0\xcf\x11\xe0", "is a workbook of an old Excel, no CSV: save it as CSV UTF-8"),
    (b"%PDF", "is a PDF, no CSV"),
    (b"\x1f\x8b", "is compressed: unpack it first"),
];

/// Reads a source in chunks of text.
#[expect(clippy::struct_excessive_bools, reason = "each is of another thing: the source, the line, the whole")]
pub(super) struct Text<R> {
    source: R,
    encoding: &'static Encoding,
    decoder: Decoder,
    /// Bytes that are read and not decoded: `raw[begin..end]`.
    raw: Vec<u8>,
    begin: usize,
    end: usize,
    is_at_end: bool,
    /// The line that the next character belongs to.
    line: u64,
    /// A CR was the last character: a LF after it is the same end of line.
    after_cr: bool,
    /// Something was decoded, and it did not end with a line end.
    in_line: bool,
    is_done: bool,
}

impl<R: Read> Text<R> {
    /// Looks at the beginning: a byte order mark, or what UTF-16 looks like without one; else it is UTF-8.
    pub(super) fn new(source: R) -> Result<Self, Fault> {
        let mut this = Self {
            source,
            encoding: UTF_8,
            decoder: UTF_8.new_decoder_without_bom_handling(),
            raw: vec![0; CHUNK],
            begin: 0,
            end: 0,
            is_at_end: false,
            line: 1,
            after_cr: false,
            in_line: false,
            is_done: false,
        };
        this.fill()?;
        let start = &this.raw[..this.end];
        if let Some((_, what)) = NO_TEXT.iter().find(|(magic, _)| start.starts_with(magic)) {
            return Err(Fault::file(*what));
        }
        let (encoding, mark) = Encoding::for_bom(start).unwrap_or_else(|| (without_mark(start), 0));
        this.encoding = encoding;
        this.decoder = encoding.new_decoder_without_bom_handling();
        this.begin = mark;
        Ok(this)
    }

    /// The next part of the text, never empty; `None` at the end.
    pub(super) fn chunk(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        while !self.is_done {
            self.fill()?;
            let part = self.decode()?;
            if !part.is_empty() {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }

    /// Reads until there is as much as can be decoded at a time.
    fn fill(&mut self) -> Result<(), Fault> {
        self.raw.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        while !self.is_at_end && self.end < self.raw.len() {
            match self.source.read(&mut self.raw[self.end..]) {
                Ok(0) => self.is_at_end = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn decode(&mut self) -> Result<Vec<u8>, Fault> {
        let source = &self.raw[self.begin..self.end];
        let longest = self.decoder.max_utf8_buffer_length_without_replacement(source.len());
        let mut decoded = vec![0; longest.unwrap_or(4 * CHUNK)];
        let (result, read, written) =
            self.decoder.decode_to_utf8_without_replacement(source, &mut decoded, self.is_at_end);
        decoded.truncate(written);
        let at = self.begin + read;
        self.begin = at;
        let nul = decoded.iter().position(|byte| *byte == 0);
        let before = &decoded[..nul.unwrap_or(decoded.len())];
        let mut text = self.with_plain_lines(before);
        if nul.is_some() {
            return Err(Fault::at(self.line, "holds a NUL character: the file is no text, or UTF-16 without its mark"));
        }
        match result {
            DecoderResult::Malformed(length, after) => {
                let bad = at.checked_sub(usize::from(length + after)).and_then(|at| self.raw.get(at)).copied();
                return Err(Fault::at(self.line, self.not_of_encoding(bad)));
            }
            DecoderResult::InputEmpty if self.is_at_end => {
                self.is_done = true;
                if self.in_line {
                    text.push(b'\n');
                }
            }
            DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
        }
        Ok(text)
    }

    /// CR, LF and CR LF become LF.
    fn with_plain_lines(&mut self, decoded: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(decoded.len() + 1);
        for byte in decoded {
            let follows_cr = std::mem::replace(&mut self.after_cr, *byte == b'\r');
            match byte {
                b'\n' if follows_cr => {}
                b'\r' | b'\n' => {
                    text.push(b'\n');
                    self.line += 1;
                }
                other => text.push(*other),
            }
        }
        if let Some(last) = text.last() {
            self.in_line = *last != b'\n';
        }
        text
    }

    fn not_of_encoding(&self, bad: Option<u8>) -> String {
        if self.encoding != UTF_8 {
            return "holds what is no UTF-16: save the file as CSV UTF-8".to_owned();
        }
        // what Windows' Western European code page would have there
        let guess = bad.map(|byte| encoding_rs::WINDOWS_1252.decode_without_bom_handling(&[byte]).0.into_owned());
        let what = match (bad, guess) {
            (Some(byte), Some(letter)) if !letter.contains(char::is_control) => {
                format!("holds the byte {byte:#04X} ({letter} in Windows-1252, Latin-1)")
            }
            (Some(byte), _) => format!("holds the byte {byte:#04X}"),
            (None, _) => "holds bytes that are none".to_owned(),
        };
        format!("is not UTF-8, it {what}: save the file as CSV UTF-8 (Excel: file type “CSV UTF-8”)")
    }
}

/// UTF-16 of letters that have a place in Latin-1 has each second byte zero, which no text in UTF-8 has.
fn without_mark(start: &[u8]) -> &'static Encoding {
    let pairs = start[..start.len().min(LOOKED_AT)].chunks_exact(2);
    if pairs.len() < 4 {
        return UTF_8;
    }
    if pairs.clone().all(|pair| pair[0] != 0 && pair[1] == 0) {
        return UTF_16LE;
    }
    if pairs.clone().all(|pair| pair[0] == 0 && pair[1] != 0) {
        return UTF_16BE;
    }
    UTF_8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, as a slow disk does.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn read(bytes: &[u8]) -> Result<String, String> {
        let mut text = Text::new(Slow(bytes, 3)).map_err(|fault| fault.to_string())?;
        let mut all = Vec::new();
        while let Some(part) = text.chunk().map_err(|fault| fault.to_string())? {
            all.extend(part);
        }
        Ok(String::from_utf8(all).unwrap())
    }

    fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn every_encoding_and_line_end_reads_the_same() {
        let text = "E-Mail;Größe\nanna@example.com;1\n";
        for ends in ["\n", "\r", "\r\n"] {
            let text = text.replace('\n', ends);
            let with_mark = format!("\u{feff}{text}");
            for bytes in [
                text.clone().into_bytes(),
                with_mark.clone().into_bytes(),
                utf_16(&text, u16::to_le_bytes),
                utf_16(&text, u16::to_be_bytes),
                utf_16(&with_mark, u16::to_le_bytes),
                utf_16(&with_mark, u16::to_be_bytes),
            ] {
                assert_eq!(read(&bytes).unwrap(), "E-Mail;Größe\nanna@example.com;1\n");
            }
        }
    }

    #[test]
    fn the_last_line_always_ends() {
        for (bytes, text) in [("", ""), ("a", "a\n"), ("a\r", "a\n"), ("a\n\n", "a\n\n"), ("\u{feff}", "")] {
            assert_eq!(read(bytes.as_bytes()).unwrap(), text, "{bytes:?}");
        }
    }

    #[test]
    fn a_line_end_and_a_character_may_be_split_between_two_chunks() {
        for shift in 0..4 {
            let text = format!("{}{}", "x".repeat(CHUNK - 2 - shift), "\u{e4}\r\n\u{1f600}\r\ny");
            let expected = format!("{}{}", "x".repeat(CHUNK - 2 - shift), "\u{e4}\n\u{1f600}\ny\n");
            assert!(read(text.as_bytes()).unwrap() == expected, "{shift}");
            let with_mark = format!("\u{feff}{}{text}", "z".repeat(CHUNK / 2));
            let expected = format!("{}{expected}", "z".repeat(CHUNK / 2));
            assert!(read(&utf_16(&with_mark, u16::to_le_bytes)).unwrap() == expected, "{shift}");
        }
    }

    #[test]
    fn another_encoding_is_refused_with_its_line() {
        let latin = b"email;name\r\n\r\nanna@example.com;M\xfcller\r\n";
        let refused = read(latin).unwrap_err();
        assert!(
            refused.starts_with("line 3: is not UTF-8, it holds the byte 0xFC (\u{fc} in Windows-1252"),
            "{refused}"
        );
        assert!(read(b"email\rx\xff").unwrap_err().starts_with("line 2: "));
        assert!(read(b"email\nanna\xc3").unwrap_err().starts_with("line 2: "));
        let mut cut = utf_16("\u{feff}email\nx", u16::to_le_bytes);
        cut.pop();
        assert!(read(&cut).unwrap_err().starts_with("line 2: holds what is no UTF-16"));
        let far = [b"email\n".repeat(20_000), b"\xfc".to_vec()].concat();
        assert!(read(&far).unwrap_err().starts_with("line 20001: "));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for bytes in [&b"PK\x03\x04rest"[..], b"\xd0\xcf\x11\xe0\xa1", b"%PDF-1.7", b"\x1f\x8b\x08", b"email\nx\0y\n"] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
        assert!(read(b"email\nx\0y\n").unwrap_err().starts_with("line 2: holds a NUL"));
    }
}
