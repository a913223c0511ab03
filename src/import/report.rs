//! What is said to the user. It names lines and columns, and nothing of what stands in the rows.

use std::io::{Write, stderr, stdout};
use std::path::Path;
use std::time::Duration;

use time::OffsetDateTime;

use super::counts::Counts;
use super::outcome::Limit;
use super::send::Halt;
use super::sheet::Checked;
use crate::client::v1::ErrorReason;

/// How an import ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Everybody is invited, or was before.
    All,
    /// All was sent, and the service refused rows, or they could not be read.
    SomeRefused,
    /// Why nothing was sent.
    NothingSent(String),
    /// Why it ended early, and how to go on.
    Stopped(String),
}

impl Ended {
    /// The program's exit status.
    pub fn status(&self) -> u8 {
        match self {
            Self::All => 0,
            Self::SomeRefused => 1,
            Self::NothingSent(_) => 2,
            Self::Stopped(_) => 3,
        }
    }

    /// What is said of it at the end.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::All | Self::SomeRefused => None,
            Self::NothingSent(why) => Some(format!("nothing was sent: {why}")),
            Self::Stopped(why) => Some(why.clone()),
        }
    }
}

/// What the look at the file has shown.
pub(super) fn found(file: &Path, checked: &Checked, skips_bad: bool) {
    let file = file.display();
    let columns = &checked.columns;
    if columns.has_no_header {
        say(&format!("{file} has no header: the addresses are in column {}", columns.email + 1));
    }
    if !columns.ignored.is_empty() {
        say(&format!("{file} has columns that are not used: {}", columns.ignored.join(", ")));
    }
    say(&format!("{file}: rows with an address of their own: {}", checked.good));
    for bad in &checked.bad_rows {
        say(&format!("{file} line {}: {}", bad.line, bad.why));
    }
    let untold = checked.bad - checked.bad_rows.len() as u64;
    if untold > 0 {
        say(&format!("{file}: and {untold} more rows that cannot be read"));
    }
    if checked.bad > 0 && skips_bad {
        say(&format!("{file}: rows left out: {}", checked.bad));
    }
    if checked.duplicates > 0 {
        say(&format!("{file}: rows with an address that an earlier row has: {}", checked.duplicates));
    }
}

/// That an earlier run has done a part.
pub(super) fn resumed(counts: &Counts, results: &Path) {
    if counts.total() > 0 {
        say(&format!("done already, by {}: {counts}", results.display()));
    }
}

/// What came of it, by outcome.
pub(super) fn summary(counts: &Counts, total: u64, results: &Path, is_dry_run: bool) {
    let mut lines =
        vec![format!("{} of {total} rows{}", counts.total(), if is_dry_run { ", as a dry run" } else { "" })];
    lines.extend(counts.iter().map(|(outcome, count)| format!("  {:<16} {count:>9}", outcome.as_str())));
    lines.push(format!("each row: {}", results.display()));
    // nobody can be told that nobody reads it
    writeln!(stdout(), "{}", lines.join("\n")).ok();
}

/// Why it ended early.
pub(super) fn why(halt: &Halt, results: &Path) -> String {
    match halt {
        Halt::Asked => "stopped".to_owned(),
        Halt::Limit(limit) => limit_met(limit).to_owned(),
        Halt::Token => "the token is not good, or not any more: get a new one".to_owned(),
        Halt::No(why) => format!("the service refuses: {why}"),
        Halt::Away(why) => format!("the service could not be reached for too long: {why}"),
        Halt::Changed => "the file of people was changed meanwhile".to_owned(),
        Halt::File(fault) => fault.to_string(),
        Halt::Results(error) => format!("{} cannot be written: {error}", results.display()),
        Halt::Other(why) => why.clone(),
    }
}

/// The same, and what to do.
pub(super) fn how_to_go_on(halt: &Halt, results: &Path) -> String {
    let then = match halt {
        Halt::Limit(Limit { retry_after: Some(wait), .. }) => {
            let end = OffsetDateTime::now_utc() + *wait;
            let clock = format!("{} {:02}:{:02} UTC", end.date(), end.hour(), end.minute());
            format!("Run the same command again in {} (after {clock})", words(*wait))
        }
        Halt::Changed => {
            let again = "Run the command again with another --results";
            return format!("{}. {again}: who is invited already is recognized", why(halt, results));
        }
        _ => "Run the same command again".to_owned(),
    };
    format!("{}. {then}: it goes on where this one ended, and nobody is invited twice", why(halt, results))
}

fn limit_met(limit: &Limit) -> &'static str {
    match limit.reason {
        ErrorReason::TooManyInvitations => "the caller of the token has sent as many invitations as it may in 24 hours",
        ErrorReason::TooManyOrganizationInvitations => {
            "the organization has sent as many invitations as it may in 24 hours"
        }
        _ => {
            "the organization has as many open invitations as it may have: revoke those that are no longer wanted, or wait \
             until some have ended"
        }
    }
}

/// `23 h 40 min`, rounded up.
fn words(wait: Duration) -> String {
    let minutes = wait.as_secs().div_ceil(60).max(1);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

fn say(line: &str) {
    writeln!(stderr(), "{line}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_says_when_to_go_on() {
        let limit = Limit {
            reason: ErrorReason::TooManyOrganizationInvitations,
            retry_after: Some(Duration::from_secs(23 * 3600 + 39 * 60 + 1)),
        };
        let told = how_to_go_on(&Halt::Limit(limit), Path::new("x"));
        assert!(told.contains("24 hours. Run the same command again in 23 h 40 min (after 20"), "{told}");
        assert_eq!((words(Duration::ZERO), words(Duration::from_hours(2))), ("1 min".to_owned(), "2 h".to_owned()));
    }

    #[test]
    fn each_end_has_its_status() {
        let ends = [Ended::All, Ended::SomeRefused, Ended::NothingSent(String::new()), Ended::Stopped(String::new())];
        assert_eq!(ends.map(|end| end.status()), [0, 1, 2, 3]);
    }
}
