use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("invitations-results-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("people.results.csv")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn entry(line: u64, email: &str, outcome: Outcome, message: &str) -> Entry {
    let answer = Answer {
        outcome,
        reason: String::new(),
        message: message.to_owned(),
        invitation: "organizations/x".to_owned(),
    };
    Entry { line, email: email.to_owned(), answer }
}

fn resume(folder: &Folder) -> Result<Results, String> {
    Results::resume(&folder.file(), "0123", b';', false)
}

#[test]
fn what_is_written_is_where_the_next_run_goes_on() {
    let folder = Folder::new("goes-on");
    let mut results = resume(&folder).unwrap();
    assert_eq!(results.last_written, None);
    results
        .append(&[entry(2, "a@example.com", Outcome::Invited, ""), entry(4, "", Outcome::Unreadable, "no; \"no\"")])
        .unwrap();
    results.append(&[entry(3, "b@example.com", Outcome::AlreadyMember, "x\ny")]).unwrap();
    assert_eq!(fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(resume(&folder).unwrap_err().contains("another import writes"));
    drop(results);

    let text = fs::read_to_string(folder.file()).unwrap();
    assert!(
        text.starts_with(
            "\u{feff}line;email;outcome;reason;message;invitation;time;import\n2;a@example.com;INVITED;;;"
        )
    );
    assert_eq!(text.lines().count(), 4, "{text}");
    let results = resume(&folder).unwrap();
    assert_eq!([1, 2, 3, 4, 5].map(|line| results.done.contains(line)), [false, true, true, true, false]);
    assert_eq!(results.counts.to_string(), "INVITED 1, ALREADY_MEMBER 1, UNREADABLE 1");
    assert!(results.last_written.is_some());
}

#[test]
fn a_line_that_was_torn_off_is_asked_again() {
    let folder = Folder::new("torn");
    let mut results = resume(&folder).unwrap();
    results
        .append(&[entry(2, "a@example.com", Outcome::Invited, ""), entry(3, "b@example.com", Outcome::Invited, "")])
        .unwrap();
    drop(results);
    let whole = fs::read(folder.file()).unwrap();
    let second = whole.len() - 1 - whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    for cut in 0..whole.len() {
        fs::write(folder.file(), &whole[..cut]).unwrap();
        let mut results = resume(&folder).unwrap_or_else(|why| panic!("{cut}: {why}"));
        assert!(!results.done.contains(3), "{cut}");
        if cut >= whole.len() - second {
            assert!(results.done.contains(2), "{cut}");
        }
        // and what is written after it can be read
        results.append(&[entry(3, "b@example.com", Outcome::AlreadyInvited, "")]).unwrap();
        drop(results);
        assert!(resume(&folder).unwrap().done.contains(3), "{cut}");
    }
    // a crash of the machine may leave zeros
    fs::write(folder.file(), [&whole[..], &vec![0; 100_000]].concat()).unwrap();
    assert!(resume(&folder).unwrap().done.contains(3));
    assert_eq!(fs::read(folder.file()).unwrap(), whole);
}

#[test]
fn results_of_something_else_are_left_alone() {
    let folder = Folder::new("other");
    resume(&folder).unwrap().append(&[entry(2, "a@example.com", Outcome::Invited, "")]).unwrap();
    let ours = fs::read_to_string(folder.file()).unwrap();
    let other = Results::resume(&folder.file(), "4567", b';', false).unwrap_err();
    assert!(other.contains("belongs to another import"), "{other}");
    for changed in [
        "my own notes\n".to_owned(),
        ours.replace(';', ","),
        ours.replace('\u{feff}', ""),
        ours.replace("INVITED", "Invited"),
        ours.replace(";0123", ""),
        format!("{ours}\u{feff}\n"),
    ] {
        fs::write(folder.file(), &changed).unwrap();
        let refused = resume(&folder).unwrap_err();
        assert!(refused.contains("--results"), "{refused}");
        assert_eq!(fs::read_to_string(folder.file()).unwrap(), changed);
    }
}

#[test]
fn a_refused_row_may_be_asked_again_and_the_last_word_counts() {
    let folder = Folder::new("again");
    let rows = [entry(2, "a@example.com", Outcome::Refused, ""), entry(3, "b@example.com", Outcome::Refused, "")];
    resume(&folder).unwrap().append(&rows).unwrap();
    assert!(resume(&folder).unwrap().done.contains(2));
    let mut again = Results::resume(&folder.file(), "0123", b';', true).unwrap();
    assert!(!again.done.contains(2) && !again.done.contains(3) && again.counts.total() == 0);
    again.append(&[entry(2, "a@example.com", Outcome::Invited, "")]).unwrap();
    drop(again);
    assert_eq!(resume(&folder).unwrap().counts.to_string(), "INVITED 1, REFUSED 1");
    let again = Results::resume(&folder.file(), "0123", b';', true).unwrap();
    assert!(again.done.contains(2) && !again.done.contains(3));
}

#[test]
fn no_cell_is_a_formula() {
    let folder = Folder::new("formula");
    let mut results = resume(&folder).unwrap();
    let email = "=cmd|x@example.com";
    results
        .append(&[entry(2, email, Outcome::Refused, "\t=1+1"), entry(3, "+49170@example.com", Outcome::Invited, "@x")])
        .unwrap();
    let text = fs::read_to_string(folder.file()).unwrap();
    assert!(
        text.contains(";'+49170@example.com;") && text.contains(";'@x;") && text.contains(";'=cmd|x@example.com;"),
        "{text}"
    );
    for cell in ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "＝1", "|x"] {
        assert!(harmless(cell).starts_with(['\'', ' ']), "{cell:?}");
    }
    assert_eq!(harmless("anna@example.com"), "anna@example.com");
}
