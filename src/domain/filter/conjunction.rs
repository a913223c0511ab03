//! A filter as it was read: restrictions that must all hold.

use super::FilterFault;

/// How a field is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparator {
    Equals,
    /// `:`, of a field that has several values.
    Has,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a field is compared with, without quotes and escapes, and where it stands: in characters, from 1. Never empty of
/// a word, maybe of a text in quotes; without control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    pub text: String,
    pub position: usize,
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Value").field("position", &self.position).finish_non_exhaustive()
    }
}

/// One field, and what it may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restriction {
    /// At least one; of `annotations.ticket` two.
    pub path: Vec<String>,
    pub comparator: Comparator,
    /// One of these; more than one only with [`Comparator::Equals`] and [`Comparator::Has`]. Never empty.
    pub values: Vec<Value>,
    /// Where the path begins, and the comparator.
    pub position: usize,
    pub comparator_position: usize,
}

impl Restriction {
    /// To be matched: `["annotations", key]`.
    pub fn path(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// Its values, if it is compared by `comparator`, and each is good; `rule` is what it has to be: "an account like
    /// accounts/ada".
    pub fn parsed<T>(
        &self,
        comparator: Comparator,
        rule: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, FilterFault> {
        self.each(comparator, parse, |position| FilterFault::expected(rule, position))
    }

    /// The same of an enum; `rule` names its values.
    pub fn one_of<T>(
        &self,
        comparator: Comparator,
        rule: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, FilterFault> {
        self.each(comparator, parse, |position| FilterFault::unknown_value(rule, position))
    }

    fn each<T>(
        &self,
        comparator: Comparator,
        parse: impl Fn(&str) -> Option<T>,
        fault: impl Fn(usize) -> FilterFault,
    ) -> Result<Vec<T>, FilterFault> {
        if self.comparator != comparator {
            let what = if comparator == Comparator::Has { "the comparator :" } else { "the comparator =" };
            return Err(FilterFault::expected(what, self.comparator_position));
        }
        self.values.iter().map(|value| parse(&value.text).ok_or_else(|| fault(value.position))).collect()
    }

    /// The fault of a path that the table of fields does not have.
    pub fn unknown(&self, rule: &'static str) -> FilterFault {
        FilterFault::expected(rule, self.position)
    }
}

/// Takes what a restriction says about a field that a filter names once.
pub fn set_once<T>(slot: &mut Option<T>, value: T, restriction: &Restriction) -> Result<(), FilterFault> {
    if slot.is_some() {
        return Err(FilterFault::refused("the same field once more", restriction.position));
    }
    *slot = Some(value);
    Ok(())
}
