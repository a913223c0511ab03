//! `invitations import`: invites the people of a spreadsheet's file, over gRPC with the user's own token.
//!
//! The whole file is checked before anything is sent. Each row has a request id that follows from the file, so a batch that
//! is sent again, in this run or another, invites nobody twice; the file of results says which rows are done.

mod address;
mod batch;
mod columns;
mod counts;
mod fault;
mod lines;
mod outcome;
mod progress;
mod records;
mod report;
mod results;
mod row;
mod send;
mod service;
mod sheet;
mod target;
mod text;
mod token;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

pub use batch::MOST_ROWS;
use progress::Progress;
pub use report::Ended;
use results::Results;
pub use row::ForAllRows;
use send::{Halt, How, Sending};
use service::Service;
use sheet::{Checked, Sheet};
pub use target::Target;
pub use token::Token;

/// What is asked for.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Options {
    pub file: PathBuf,
    pub target: Target,
    pub all: ForAllRows,
    /// The name of the column of addresses, where it is not clear.
    pub email_column: Option<String>,
    /// `None`: beside the file.
    pub results: Option<PathBuf>,
    /// Ask the service what would happen, and invite nobody.
    pub is_dry_run: bool,
    /// Leave rows out that cannot be read, instead of sending nothing.
    pub skips_bad: bool,
    /// Ask again for rows that were refused by an earlier run.
    pub retries_refused: bool,
    pub has_no_progress: bool,
    /// 1 to [`MOST_ROWS`].
    pub batch_rows: usize,
    /// Without an answer of the service.
    pub give_up_after: Duration,
}

/// Imports, until the end or until `stop` is cancelled; the batch under way is waited for. Says on standard error what it
/// does, and on standard output what came of it.
pub async fn run(options: &Options, stop: &CancellationToken) -> Ended {
    let (sheet, checked) = match look(options) {
        Ok(looked) => looked,
        Err(why) => return Ended::NothingSent(why),
    };
    report::found(&options.file, &checked, options.skips_bad);
    if checked.bad > 0 && !options.skips_bad {
        let why = "correct these rows, or leave them out with --skip-bad";
        return Ended::NothingSent(why.to_owned());
    }
    let (mut service, mut results, path) = match open(options, &checked) {
        Ok(opened) => opened,
        Err(why) => return Ended::NothingSent(why),
    };
    let total = checked.good + checked.duplicates + checked.bad;
    report::resumed(&results.counts, &path);
    let mut progress = Progress::new(total, &results.counts, options.has_no_progress);
    let how =
        How { is_dry_run: options.is_dry_run, batch_rows: options.batch_rows, give_up_after: options.give_up_after };
    let mut sending = Sending {
        sheet: &sheet,
        checked: &checked,
        all: &options.all,
        service: &mut service,
        results: &mut results,
        progress: &mut progress,
        stop,
        how,
    };
    let halt = Box::pin(sending.run()).await.err();
    progress.end();
    let counts = &results.counts;
    if counts.total() > 0 {
        report::summary(counts, total, &path, options.is_dry_run);
    }
    match halt {
        None if counts.failures() > 0 => Ended::SomeRefused,
        None => Ended::All,
        Some(halt @ (Halt::No(_) | Halt::Token | Halt::Other(_))) if counts.total() == 0 => {
            Ended::NothingSent(report::why(&halt, &path))
        }
        Some(halt) => Ended::Stopped(report::how_to_go_on(&halt, &path)),
    }
}

fn look(options: &Options) -> Result<(Sheet, Checked), String> {
    let told = |fault: fault::Fault| format!("{}: {fault}", options.file.display());
    let sheet = Sheet::open(&options.file, options.email_column.clone()).map_err(told)?;
    let checked = sheet.check(&options.all).map_err(told)?;
    if checked.good + checked.bad == 0 {
        return Err(format!("{}: the file has no row with an address", options.file.display()));
    }
    Ok((sheet, checked))
}

fn open(options: &Options, checked: &Checked) -> Result<(Service, Results, PathBuf), String> {
    let service = Service::new(&options.target)?;
    let end = if options.is_dry_run { "dry-run.csv" } else { "results.csv" };
    let path = options.results.clone().unwrap_or_else(|| options.file.with_extension(end));
    if is_same(&path, &options.file) {
        return Err("the results would overwrite the file itself: name another one with --results".to_owned());
    }
    let import = identity(options, checked);
    let results = if options.is_dry_run {
        Results::anew(&path, &import, checked.separator)?
    } else {
        Results::resume(&path, &import, checked.separator, options.retries_refused)?
    };
    Ok((service, results, path))
}

fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    one == other || (whole(one).is_some() && whole(one) == whole(other))
}

/// Names the file's content and what is asked for it.
fn identity(options: &Options, checked: &Checked) -> String {
    let mut digest = Sha256::new();
    digest.update(checked.digest);
    let all = &options.all;
    let texts = [
        options.target.parent(),
        options.target.endpoint.clone(),
        options.email_column.clone().unwrap_or_default(),
        all.locale.clone(),
    ];
    let pairs = all.annotations.iter().flat_map(|(key, value)| [key.clone(), value.clone()]);
    for text in texts.into_iter().chain(pairs) {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    digest.finalize()[..8].iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}
