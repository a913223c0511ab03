//! Quoted-printable (RFC 2045, 6.7): any text as lines of ASCII that every mail server passes on as they are.
//!
//! lettre's own takes a sixth of the time that an email costs.

/// The longest line, with the `=` that says that it goes on.
const LONGEST_LINE: usize = 76;

/// Encodes text whose lines end with LF or CRLF; those of the result end with CRLF.
pub fn encode(text: &str) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len() + text.len() / 8);
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            encoded.extend_from_slice(b"\r\n");
        }
        encode_line(&mut encoded, line.strip_suffix('\r').unwrap_or(line).as_bytes());
    }
    encoded
}

fn encode_line(encoded: &mut Vec<u8>, line: &[u8]) {
    let mut start = encoded.len();
    for (place, byte) in line.iter().enumerate() {
        let is_last = place + 1 == line.len();
        // blanks at the end of a line get lost on the way
        let is_plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || matches!(byte, b' ' | b'\t') && !is_last;
        let width = if is_plain { 1 } else { 3 };
        if encoded.len() - start + width >= LONGEST_LINE {
            encoded.extend_from_slice(b"=\r\n");
            start = encoded.len();
        }
        if is_plain {
            encoded.push(*byte);
        } else {
            let digit = |value: u8| b"0123456789ABCDEF"[usize::from(value)];
            encoded.extend_from_slice(&[b'=', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &str) -> String {
        String::from_utf8(encode(text)).unwrap()
    }

    #[test]
    fn a_long_line_goes_on_behind_an_equals_sign() {
        assert_eq!(encoded(&"a".repeat(80)), format!("{}=\r\n{}", "a".repeat(75), "a".repeat(5)));
        assert_eq!(encoded("a = b \r\n\u{fc}\t\n"), "a =3D b=20\r\n=C3=BC=09\r\n");
        assert_eq!(encoded(""), "");
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_is_read_as_it_was(text in "([ -~\\t]{0,200}|[ \\t=.üß株😀\\r]{0,90}\n){0,8}") {
            let encoded = encoded(&text);
            prop_assert!(encoded.lines().all(|line| line.len() <= LONGEST_LINE && line.is_ascii()));
            let headers = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
            let message = format!("{headers}{encoded}");
            let read = MessageParser::default().parse(&message).unwrap().body_text(0).unwrap_or_default().into_owned();
            let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(lines(&read), lines(&text));
        }
    }
}
