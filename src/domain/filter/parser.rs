//! From text to restrictions.

use super::scanner::Scanner;
use super::{Comparator, FilterFault, Restriction, Value};

/// In bytes.
const LONGEST_FILTER: usize = 1024;
const DEEPEST: usize = 8;

const COMPARATORS: [(&str, Comparator); 6] = [
    // the longer ones first
    ("<=", Comparator::LessOrEqual),
    (">=", Comparator::GreaterOrEqual),
    ("<", Comparator::Less),
    (">", Comparator::Greater),
    ("=", Comparator::Equals),
    (":", Comparator::Has),
];

const NEGATION: &str = "a negation (NOT, - or !=)";
const WILDCARD: &str = "a wildcard (* outside of quotes)";
const FUNCTION: &str = "a function";
const BARE: &str = "a value without a field (field = value)";
const MIXED: &str = "OR, but between = or : of one field,";

/// Reads a filter of at most [`LONGEST_FILTER`] bytes: one restriction or more, in their order.
pub fn parse_filter(text: &str) -> Result<Vec<Restriction>, FilterFault> {
    if text.len() > LONGEST_FILTER {
        return Err(FilterFault::too_long());
    }
    let mut parser = Parser { scanner: Scanner::new(text), depth: 0 };
    let restrictions = parser.factors()?;
    match parser.scanner.peek() {
        None => Ok(restrictions),
        Some(')') => Err(FilterFault::refused("a ) without its (", parser.scanner.position())),
        Some(_) => Err(FilterFault::expected("AND, OR or the end", parser.scanner.position())),
    }
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    depth: usize,
}

impl Parser<'_> {
    /// Restrictions joined by AND, and the blanks behind them.
    fn factors(&mut self) -> Result<Vec<Restriction>, FilterFault> {
        let mut all = self.factor()?;
        while self.scanner.take_keyword("AND") {
            all.append(&mut self.factor()?);
        }
        Ok(all)
    }

    /// Terms joined by OR, as one restriction; a term alone may be several.
    fn factor(&mut self) -> Result<Vec<Restriction>, FilterFault> {
        let mut all = self.term()?;
        loop {
            self.scanner.skip_blanks();
            let position = self.scanner.position();
            if !self.scanner.take_keyword("OR") {
                return Ok(all);
            }
            let next = self.term()?;
            let ([one], [other]) = (&mut all[..], &next[..]) else { return Err(FilterFault::refused(MIXED, position)) };
            let is_joined = matches!(one.comparator, Comparator::Equals | Comparator::Has);
            if !is_joined || one.path != other.path || one.comparator != other.comparator {
                return Err(FilterFault::refused(MIXED, position));
            }
            one.values.extend_from_slice(&other.values);
        }
    }

    fn term(&mut self) -> Result<Vec<Restriction>, FilterFault> {
        self.scanner.skip_blanks();
        let position = self.scanner.position();
        if self.scanner.take("(") {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(FilterFault::refused("more than 8 parentheses within each other", position));
            }
            let inner = self.factors()?;
            if !self.scanner.take(")") {
                return Err(FilterFault::expected("AND, OR or )", self.scanner.position()));
            }
            self.depth -= 1;
            return Ok(inner);
        }
        Ok(vec![self.restriction()?])
    }

    fn restriction(&mut self) -> Result<Restriction, FilterFault> {
        let position = self.scanner.position();
        match self.scanner.peek() {
            Some('-') => return Err(FilterFault::refused(NEGATION, position)),
            Some('*') => return Err(FilterFault::refused(WILDCARD, position)),
            Some('"') => return Err(FilterFault::refused(BARE, position)),
            Some(_) if self.scanner.is_at("NOT") => return Err(FilterFault::refused(NEGATION, position)),
            Some(_) if self.scanner.is_at("AND") || self.scanner.is_at("OR") => {
                return Err(FilterFault::expected("a field", position));
            }
            _ => {}
        }
        let path = self.path()?;
        self.scanner.skip_blanks();
        let comparator_position = self.scanner.position();
        let comparator = self.comparator(position)?;
        let values = self.values(comparator)?;
        Ok(Restriction { path, comparator, values, position, comparator_position })
    }

    fn path(&mut self) -> Result<Vec<String>, FilterFault> {
        let mut path = Vec::new();
        loop {
            let position = self.scanner.position();
            let is_quoted = !path.is_empty() && self.scanner.peek() == Some('"');
            let segment = if is_quoted { self.scanner.quoted()? } else { self.scanner.word(ends_segment) };
            if segment.is_empty() {
                let what = if self.scanner.peek() == Some('*') {
                    FilterFault::refused(WILDCARD, position)
                } else {
                    FilterFault::expected("a field", position)
                };
                return Err(what);
            }
            path.push(segment);
            if !self.scanner.take(".") {
                return Ok(path);
            }
        }
    }

    /// `position` is that of the path before it.
    fn comparator(&mut self, position: usize) -> Result<Comparator, FilterFault> {
        let here = self.scanner.position();
        if let Some((_, comparator)) = COMPARATORS.into_iter().find(|(sign, _)| self.scanner.take(sign)) {
            return Ok(comparator);
        }
        Err(match self.scanner.peek() {
            Some('!') => FilterFault::refused(NEGATION, here),
            Some('(') => FilterFault::refused(FUNCTION, position),
            Some('*') => FilterFault::refused(WILDCARD, here),
            Some(c) if !c.is_alphanumeric() && c != ')' => FilterFault::expected("one of = < <= > >= :", here),
            _ => FilterFault::refused(BARE, position),
        })
    }

    /// One value, or several in parentheses.
    fn values(&mut self, comparator: Comparator) -> Result<Vec<Value>, FilterFault> {
        self.scanner.skip_blanks();
        let position = self.scanner.position();
        if !self.scanner.take("(") {
            return Ok(vec![self.value()?]);
        }
        if !matches!(comparator, Comparator::Equals | Comparator::Has) {
            return Err(FilterFault::expected("one value", position));
        }
        let mut values = vec![self.value()?];
        loop {
            self.scanner.skip_blanks();
            if self.scanner.take(")") {
                return Ok(values);
            }
            if !self.scanner.take_keyword("OR") {
                return Err(FilterFault::expected("OR or )", self.scanner.position()));
            }
            values.push(self.value()?);
        }
    }

    fn value(&mut self) -> Result<Value, FilterFault> {
        self.scanner.skip_blanks();
        let position = self.scanner.position();
        if ["AND", "OR", "NOT"].iter().any(|keyword| self.scanner.is_at(keyword)) {
            return Err(FilterFault::expected("a value", position));
        }
        let is_quoted = self.scanner.peek() == Some('"');
        let text = if is_quoted { self.scanner.quoted()? } else { self.scanner.word(ends_value) };
        let here = self.scanner.position();
        match self.scanner.peek() {
            Some('*') => Err(FilterFault::refused(WILDCARD, here)),
            _ if text.is_empty() && !is_quoted => {
                Err(FilterFault::expected("a value, maybe in double quotes,", position))
            }
            Some('(') => Err(FilterFault::refused(FUNCTION, position)),
            None | Some(' ' | '\t' | '\r' | '\n' | ')') => Ok(Value { text, position }),
            Some(_) => Err(FilterFault::expected("a blank, or quotes around the value,", here)),
        }
    }
}

fn ends_segment(c: char) -> bool {
    matches!(c, '.' | ':') || ends_value(c)
}

fn ends_value(c: char) -> bool {
    matches!(c, '(' | ')' | '"' | '\'' | '\\' | ',' | '=' | '<' | '>' | '!' | '*')
}
