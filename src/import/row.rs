//! A row of the file as the person to be invited, or what is wrong with it.

use std::collections::BTreeMap;

use super::address;
use super::columns::Columns;
use super::records::Record;
use crate::client::v1::{CreateInvitationRequest, Invitation};
use crate::domain::{Annotations, EmailAddress, LOCALE_RULE, is_locale};

/// What the user says of all rows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ForAllRows {
    /// Where a row has none of its own; empty: that of the organization.
    pub locale: String,
    /// Where a row has none of that key.
    pub annotations: BTreeMap<String, String>,
}

/// Somebody to be invited.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) email: EmailAddress,
    /// What the cell of the address had beside it, for people.
    pub(super) note: String,
    locale: String,
    annotations: BTreeMap<String, String>,
}

/// A row that nobody can be invited by. It repeats nothing of what stands in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct BadRow {
    pub(super) line: u64,
    pub(super) why: String,
}

impl Row {
    pub(super) fn read(record: &Record, columns: &Columns, all: &ForAllRows) -> Result<Self, BadRow> {
        let bad = |why: String| BadRow { line: record.line, why };
        if record.cells().skip(columns.width).any(|cell| !cell.trim().is_empty()) {
            let why = "has more cells than the first row: a cell with a separator in it needs quotation marks";
            return Err(bad(why.to_owned()));
        }
        let understood =
            address::understand(record.cell(columns.email)).map_err(|why| bad(format!("the address {why}")))?;
        let own = |nth: usize| record.cell(nth).trim();
        let locale = columns.locale.map_or("", own);
        let locale = if locale.is_empty() { &all.locale } else { locale };
        if !locale.is_empty() && !is_locale(locale) {
            return Err(bad(format!("the locale {LOCALE_RULE}")));
        }
        let given = columns.annotations.iter().map(|(nth, key)| (key.clone(), own(*nth).to_owned()));
        let mut annotations = all.annotations.clone();
        // an empty cell is none
        annotations.extend(given.filter(|(_, value)| !value.is_empty()));
        let annotations = Annotations::parse(annotations).map_err(|faults| {
            let told = faults.into_iter().map(|(key, _, rule)| match key {
                Some(key) => format!("annotations.{key} {rule}"),
                None => format!("annotations {rule}"),
            });
            bad(told.collect::<Vec<_>>().join("; "))
        })?;
        let note = match understood.left_out[..] {
            [] => String::new(),
            _ => format!("left out of the cell: {}", understood.left_out.join(", ")),
        };
        Ok(Self {
            line: record.line,
            email: understood.email,
            note,
            locale: locale.to_owned(),
            annotations: annotations.pairs().clone(),
        })
    }

    /// Without its id.
    pub(super) fn request(&self) -> CreateInvitationRequest {
        let invitation = Invitation {
            email: self.email.typed().to_owned(),
            locale: self.locale.clone(),
            annotations: self.annotations.clone(),
            ..Invitation::default()
        };
        CreateInvitationRequest { invitation: Some(invitation), ..CreateInvitationRequest::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::records::Records;
    use crate::import::text::Text;

    fn rows(text: &str, all: &ForAllRows) -> Vec<Result<Row, BadRow>> {
        let (mut records, _) = Records::new(Text::new(text.as_bytes()).unwrap(), |_| b',').unwrap();
        let header = records.next().unwrap().unwrap();
        let columns = Columns::of(&header.cells().collect::<Vec<_>>(), None).unwrap();
        std::iter::from_fn(|| records.next().unwrap()).map(|record| Row::read(&record, &columns, all)).collect()
    }

    #[test]
    fn a_row_wins_over_what_is_said_of_all() {
        let pairs = [("ticket", "OPS-1"), ("wave", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let all = ForAllRows { locale: "de".to_owned(), annotations: pairs.into() };
        let text = "annotations.ticket,email,locale\nOPS-7,Anna <anna@example.com>, fr-CA \n,otto@example.com,\n";
        let rows = rows(text, &all).into_iter().map(Result::unwrap).collect::<Vec<_>>();
        let invitations = rows.iter().map(|row| row.request().invitation.unwrap()).collect::<Vec<_>>();
        let ticket = |nth: usize| invitations[nth].annotations["ticket"].as_str();
        assert_eq!((invitations[0].locale.as_str(), ticket(0)), ("fr-CA", "OPS-7"));
        assert_eq!((invitations[1].locale.as_str(), ticket(1)), ("de", "OPS-1"));
        assert!(invitations.iter().all(|invitation| invitation.annotations["wave"] == "2"));
        assert_eq!((rows[0].note.as_str(), rows[1].note.as_str()), ("left out of the cell: a name", ""));
    }

    #[test]
    fn what_is_wrong_with_a_row_is_said_without_what_stands_in_it() {
        let text = format!(
            "email,locale,annotations.a\nanna\nb@example.com,de_AT\nc@example.com,,{}\nd@example.com,,x,,secret\n,de\n",
            "secret".repeat(50)
        );
        let bad = rows(&text, &ForAllRows::default()).into_iter().map(Result::unwrap_err).collect::<Vec<_>>();
        let expected = [
            (2, "the address must be a plain address"),
            (3, "the locale must be a BCP 47"),
            (4, "annotations.a must have 1 to 256 characters"),
            (5, "has more cells than the first row"),
            (6, "the address is missing"),
        ];
        assert_eq!(bad.len(), expected.len());
        for (bad, (line, why)) in bad.iter().zip(expected) {
            assert!(bad.line == line && bad.why.starts_with(why) && !bad.why.contains("secret"), "{bad:?}");
        }
    }
}
