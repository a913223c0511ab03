//! Which column is what: by the header, or by the first row where there is no header.

use super::address;
use super::records::{SEPARATORS, first_record};
use crate::domain::is_annotation_key;

/// What a column of addresses is called in the exports and the languages that people have, as [`plain`] makes it.
const EMAIL: [&str; 24] = [
    "email",
    "emails",
    "mail",
    "emailaddress",
    "emailaddresses",
    "emailaddressrequired",
    "emailid",
    "emailaddr",
    "mailaddress",
    "primaryemail",
    "workemail",
    "useremail",
    "email1value",
    "emailadresse",
    "mailadresse",
    "emailadres",
    "courriel",
    "adresseemail",
    "adressemail",
    "correo",
    "correoelectrónico",
    "correoelectronico",
    "epost",
    "epostadresse",
];

const ANNOTATIONS: &str = "annotations.";

/// The places of the columns in a row.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Columns {
    pub(super) email: usize,
    pub(super) locale: Option<usize>,
    /// With their keys.
    pub(super) annotations: Vec<(usize, String)>,
    /// How many there are.
    pub(super) width: usize,
    /// The first row is a person.
    pub(super) has_no_header: bool,
    /// What is in the file and not used, by its name.
    pub(super) ignored: Vec<String>,
}

impl Columns {
    /// Of the first row; `named` is the column of addresses, where the user says so.
    pub(super) fn of(cells: &[&str], named: Option<&str>) -> Result<Self, String> {
        let width = cells.iter().rposition(|cell| !cell.trim().is_empty()).map_or(0, |last| last + 1);
        let cells = &cells[..width];
        let places = |is_it: &dyn Fn(&str) -> bool| {
            cells.iter().enumerate().filter(|(_, cell)| is_it(cell)).map(|(nth, _)| nth).collect::<Vec<_>>()
        };
        let emails = match named {
            Some(named) => places(&|cell| plain(cell) == plain(named)),
            None => places(&|cell| EMAIL.contains(&plain(cell).as_str())),
        };
        let email = match (&emails[..], named) {
            ([email], _) => *email,
            ([], None) => return without_header(cells),
            ([], Some(named)) => return Err(format!("has no column “{}”: it has {}", shown(named), names(cells))),
            _ => {
                let which = emails.iter().map(|nth| cells[*nth]).collect::<Vec<_>>();
                return Err(format!("has several columns for the address: {}", names(&which)));
            }
        };
        let mut columns = Self { email, width, ..Self::default() };
        for (nth, cell) in cells.iter().enumerate().filter(|(nth, _)| *nth != email) {
            columns.add(nth, cell.trim())?;
        }
        Ok(columns)
    }

    fn add(&mut self, nth: usize, name: &str) -> Result<(), String> {
        let twice = || Err(format!("has the column “{}” twice", shown(name)));
        let annotation = name.split_at_checked(ANNOTATIONS.len());
        match annotation.filter(|(prefix, _)| prefix.eq_ignore_ascii_case(ANNOTATIONS)) {
            Some((_, key)) if !is_annotation_key(key) => {
                let rule = "the name of a column of annotations must be annotations. and a key such as ticket";
                Err(format!("has the column “{}”: {rule}", shown(name)))
            }
            Some((_, key)) if self.annotations.iter().any(|(_, other)| other == key) => twice(),
            Some((_, key)) => {
                self.annotations.push((nth, key.to_owned()));
                Ok(())
            }
            None if plain(name) == "locale" && self.locale.is_some() => twice(),
            None if plain(name) == "locale" => {
                self.locale = Some(nth);
                Ok(())
            }
            None if name.is_empty() => Ok(()),
            None => {
                self.ignored.push(shown(name));
                Ok(())
            }
        }
    }
}

/// A file that begins with a person: the addresses are where this row has one.
fn without_header(cells: &[&str]) -> Result<Columns, String> {
    let is_address = |cell: &&str| address::understand(cell).is_ok();
    let places = cells.iter().enumerate().filter(|(_, cell)| is_address(cell)).map(|(nth, _)| nth).collect::<Vec<_>>();
    match places[..] {
        [email] => Ok(Columns { email, width: cells.len(), has_no_header: true, ..Columns::default() }),
        [] => Err(format!(
            "has no column of addresses: it has {}. Call the column email, or name it with --email-column",
            names(cells)
        )),
        _ => Err("has no header, and several addresses in its first row: begin it with a row of names".to_owned()),
    }
}

/// The separator with which the first row makes most sense: the address is found, and then the more cells the better.
pub(super) fn separator(part: &[u8], named: Option<&str>) -> u8 {
    let worth = |separator: &u8| {
        let cells = first_record(part, *separator);
        let cells = cells.iter().map(String::as_str).collect::<Vec<_>>();
        let (finds, width) = Columns::of(&cells, named).map_or((false, cells.len()), |found| (true, found.width));
        (finds, width)
    };
    // the last one of those that are worth the same
    SEPARATORS.into_iter().rev().max_by_key(worth).unwrap_or(b',')
}

/// Small letters and digits only: `E-Mail`, `e_mail` and `EMail` are the same.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A name that may be shown: it might be somebody's data where the header is missing, or as long as the file.
fn shown(name: &str) -> String {
    let line = name.split(char::is_control).collect::<Vec<_>>().join(" ");
    if line.contains('@') { "…".to_owned() } else { line.chars().take(40).collect() }
}

fn names(cells: &[&str]) -> String {
    let cells = cells.iter().map(|cell| cell.trim()).filter(|cell| !cell.is_empty()).map(shown).collect::<Vec<_>>();
    let more = if cells.len() > 10 { ", …" } else { "" };
    format!("“{}”{more}", cells[..cells.len().min(10)].join("”, “"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> Result<Columns, String> {
        Columns::of(&header.split(',').collect::<Vec<_>>(), None)
    }

    #[test]
    fn any_order_and_case_will_do() {
        for header in ["email", "E-Mail", " MAIL ", "e_mail", "Email Address", "E-Mail-Adresse", "Correo electrónico"]
        {
            let columns = of(&format!("Name,{header},Locale,annotations.Ticket,Annotations.example.com/x,,")).unwrap();
            let annotations = vec![(3, "Ticket".to_owned()), (4, "example.com/x".to_owned())];
            assert_eq!(
                (columns.email, columns.locale, columns.annotations, columns.width),
                (1, Some(2), annotations, 5)
            );
            assert_eq!((columns.ignored, columns.has_no_header), (vec!["Name".to_owned()], false));
        }
    }

    #[test]
    fn a_file_may_begin_with_a_person() {
        for (row, email) in
            [("anna@example.com", 0), ("Anna,<anna@example.com>", 1), ("x,y,mailto:anna@example.com", 2)]
        {
            let columns = of(row).unwrap();
            assert!(columns.has_no_header && columns.ignored.is_empty(), "{row}");
            assert_eq!(columns.email, email, "{row}");
        }
        assert!(of("a@example.com,b@example.com").unwrap_err().contains("several addresses in its first row"));
    }

    #[test]
    fn what_is_not_clear_is_asked_back() {
        assert!(of("Name,Town").unwrap_err().starts_with("has no column of addresses: it has “Name”, “Town”."));
        assert!(of("email,Mail").unwrap_err().contains("“email”, “Mail”"));
        assert!(of("email,locale,Locale").unwrap_err().contains("twice"));
        assert!(of("email,annotations.a,ANNOTATIONS.a").unwrap_err().contains("twice"));
        assert!(of("email,annotations.a b").unwrap_err().contains("a key such as ticket"));
        // a person is no name of a column
        assert!(!of("anna@example,x").unwrap_err().contains("anna"));
    }

    #[test]
    fn the_user_may_name_the_column() {
        let cells = ["email", "Work (new)"];
        let columns = Columns::of(&cells, Some("work new")).unwrap();
        assert_eq!((columns.email, columns.ignored), (1, vec!["email".to_owned()]));
        assert!(
            Columns::of(&cells, Some("home")).unwrap_err().contains("no column “home”: it has “email”, “Work (new)”")
        );
    }

    #[test]
    fn the_separator_is_the_one_that_the_header_makes_sense_with() {
        for (text, expected) in [
            ("email,name\n", b','),
            ("email;name\n", b';'),
            ("email\tname\n", b'\t'),
            ("email\n", b','),
            ("Name, first;Street, town;E-Mail\n", b';'),
            ("\"E-Mail\";\"Name, first, second\"\n", b';'),
            ("anna@example.com\nb@example.com\n", b','),
            ("Anna;anna@example.com\n", b';'),
            ("\"Berg; Anna\" <anna@example.com>\n", b','),
            ("\n\n;;\nemail;name\n", b';'),
            ("a,b;c,d\n", b','),
        ] {
            assert_eq!(separator(text.as_bytes(), None), expected, "{text:?}");
        }
    }
}
