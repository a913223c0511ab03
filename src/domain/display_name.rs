//! Names that people choose and that end up in emails to strangers.

mod folding;
mod invisible;
mod links;
mod numbers;
mod reserved;
mod top_level;

pub use invisible::is_hidden;
pub use reserved::reserved_word;
use unicode_normalization::UnicodeNormalization;

use super::{EmailAddress, FieldFault, a_label};

/// 64 characters, in bytes.
const LONGEST: usize = 256;
/// The most characters where each sign for several is written out: one may stand for 18.
const WRITTEN_OUT: usize = 128;
/// The most characters of a part that are quoted.
const QUOTED: usize = 28;

/// A name of an organization or a person, safe to show in an email.
///
/// Invitation emails are a well-known relay for phishing: whoever chooses a display name chooses words that we send to
/// strangers. So it is short and holds no address and nothing that a mail program would turn into a link, unless
/// somebody answers for the domain: see [`DisplayName::check_domains`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DisplayName(String);

/// What is wrong with a name. Each one's text completes "{field} …" in at most 100 characters, and says which part it is
/// about.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameFault {
    #[error("must be 1 to 64 characters")]
    Empty,
    #[error("must be 1 to 64 characters, at most 128 where signs for several are written out")]
    Length,
    #[error("must not begin or end with white space")]
    OuterSpace,
    #[error("must not hold the character U+{:04X} there: it is not seen, breaks lines or turns text round", u32::from(*.0))]
    Hidden(char),
    #[error("must not hold the character {0}, nor one that looks like it")]
    Sign(char),
    #[error("must not hold =?, which mail programs decode")]
    Encoded,
    #[error("must not hold {}, which is read as a link: write it as words", quoted(.0))]
    Link(String),
    #[error("must not hold {}, as no owner (or person) has a verified address there", quoted(.0))]
    Domain(String),
    #[error("must not hold {}, which is read as a phone number: write fewer digits", quoted(.0))]
    Number(String),
    #[error("must not hold {}, which is kept for who operates the service", quoted(.0))]
    Reserved(String),
}

impl NameFault {
    pub fn kind(&self) -> FieldFault {
        match self {
            Self::Empty => FieldFault::Missing,
            Self::Length => FieldFault::TooLong,
            Self::OuterSpace | Self::Hidden(_) | Self::Sign(_) | Self::Encoded => FieldFault::Malformed,
            Self::Link(_) | Self::Domain(_) | Self::Number(_) | Self::Reserved(_) => FieldFault::NotAllowed,
        }
    }
}

/// A part of a name, or its beginning.
fn quoted(part: &str) -> String {
    match part.char_indices().nth(QUOTED) {
        None => format!("\"{part}\""),
        Some((end, _)) => format!("\"{}…\"", &part[..end]),
    }
}

impl DisplayName {
    /// Takes 1 to 64 characters; outer white space is refused, not trimmed, so that what was sent is what is stored.
    /// Plain domains are good so far: somebody has to answer for them.
    pub fn parse(text: &str) -> Option<Self> {
        Self::read(text).ok()
    }

    /// The same, and what is wrong with the name.
    pub fn read(text: &str) -> Result<Self, NameFault> {
        if text.is_empty() {
            return Err(NameFault::Empty);
        }
        if text.len() > LONGEST || text.chars().count() > 64 || text.nfkc().nth(WRITTEN_OUT).is_some() {
            return Err(NameFault::Length);
        }
        if text.trim() != text {
            return Err(NameFault::OuterSpace);
        }
        if let Some(c) = invisible::stray(text) {
            return Err(NameFault::Hidden(c));
        }
        let read = folding::bare(text);
        if let Some(c) = read.chars().find(|c| matches!(c, '<' | '>' | '@')) {
            return Err(NameFault::Sign(c));
        }
        if read.contains("=?") {
            return Err(NameFault::Encoded);
        }
        if let Some(part) = links::link_in(&without_domains(text)) {
            return Err(NameFault::Link(part));
        }
        if let Some(part) = numbers::number_in(text) {
            return Err(NameFault::Number(part));
        }
        Ok(Self(text.to_owned()))
    }

    /// A value that the database holds, which was parsed before it was stored.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it reads as a name of the operator, whose own words beside ours are given.
    pub fn check_reserved(&self, own: &[String]) -> Result<(), NameFault> {
        reserved_word(&self.0, own).map_or(Ok(()), |word| Err(NameFault::Reserved(word)))
    }

    /// Whether somebody has a verified address of each domain that it names: a link to there is theirs.
    pub fn check_domains<'a>(&self, held: impl IntoIterator<Item = &'a EmailAddress>) -> Result<(), NameFault> {
        let held = held.into_iter().collect::<Vec<_>>();
        let is_held = |domain: &str| held.iter().any(|email| email.domain() == domain);
        let not_held = pieces(&self.0).find(|(word, _)| domain_of(word).is_some_and(|domain| !is_held(&domain)));
        not_held.map_or(Ok(()), |(word, _)| Err(NameFault::Domain(word.to_owned())))
    }
}

/// Words, each with the character that ends it: what stands beside a domain without being read as a part of it.
fn pieces(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let ends = |c: char| c.is_whitespace() || "()[]{}\"',;&|!‘’“”„«»".contains(c);
    text.split_inclusive(ends).map(move |piece| piece.split_at(piece.trim_end_matches(ends).len()))
}

/// The domain as an A-label, where a word is one that a mail program makes a link of, and nothing more.
fn domain_of(word: &str) -> Option<String> {
    let domain = a_label(word.trim_end_matches(['.', ':']))?;
    // nobody has an address of these (RFC 2606)
    let is_nobodys = ["example.com", "example.net", "example.org"].contains(&domain.as_str());
    (links::is_host(word) && !domain.starts_with("www.") && !is_nobodys).then_some(domain)
}

/// The name with a word for each domain that somebody may answer for.
fn without_domains(text: &str) -> String {
    let word_of = |word| if domain_of(word).is_some() { "x" } else { word };
    pieces(text).flat_map(|(word, end)| [word_of(word), end]).collect()
}

#[cfg(test)]
mod tests;
