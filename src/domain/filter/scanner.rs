//! A filter's characters, one after the other.

use super::FilterFault;

/// What is left of a text, and where that begins.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    rest: &'a str,
    /// In characters, from 1.
    position: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { rest: text, position: 1 }
    }

    pub fn position(&self) -> usize {
        self.position
    }

    pub fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        self.position += 1;
        Some(next)
    }

    pub fn skip_blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.next();
        }
    }

    /// Takes that sign, if it is next.
    pub fn take(&mut self, sign: &str) -> bool {
        let is_next = self.rest.starts_with(sign);
        if is_next {
            sign.chars().for_each(|_| _ = self.next());
        }
        is_next
    }

    /// Whether that word is next and ends there.
    pub fn is_at(&self, keyword: &str) -> bool {
        let rest = self.rest.strip_prefix(keyword);
        rest.is_some_and(|rest| rest.chars().next().is_none_or(|c| is_blank(c) || matches!(c, '(' | ')' | '"')))
    }

    /// Takes a keyword.
    pub fn take_keyword(&mut self, keyword: &str) -> bool {
        self.is_at(keyword) && self.take(keyword)
    }

    /// Takes characters up to one of the signs that end a word; maybe none.
    pub fn word(&mut self, is_end: fn(char) -> bool) -> String {
        let length = self.rest.find(|c| is_end(c) || is_blank(c) || c.is_control()).unwrap_or(self.rest.len());
        let word = self.rest[..length].to_owned();
        word.chars().for_each(|_| _ = self.next());
        word
    }

    /// Takes a text in double quotes, which is next.
    pub fn quoted(&mut self) -> Result<String, FilterFault> {
        self.next();
        let mut text = String::new();
        loop {
            let position = self.position;
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => match self.next() {
                    Some(sign @ ('"' | '\\')) => text.push(sign),
                    _ => return Err(FilterFault::expected("\\\" or \\\\ in quotes", position)),
                },
                Some(c) if c.is_control() => return Err(FilterFault::refused("a control character", position)),
                Some(c) => text.push(c),
                None => return Err(FilterFault::expected("the closing quote", position)),
            }
        }
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}
