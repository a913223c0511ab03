//! What is shown meanwhile, on standard error: a bar on a terminal, else a line now and then.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::counts::Counts;

/// Between two lines.
const PACE: Duration = Duration::from_secs(5);

pub(super) struct Progress {
    /// `None`: lines.
    bar: Option<ProgressBar>,
    is_quiet: bool,
    total: u64,
    next_line: Instant,
}

impl Progress {
    /// Of so many rows, some of which are done already.
    pub(super) fn new(total: u64, counts: &Counts, is_quiet: bool) -> Self {
        let bar = (!is_quiet && stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let template = "{bar:30} {human_pos} of {human_len} rows, {per_sec:.0}, {eta} left  {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_position(counts.total());
            bar.reset_eta();
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Self { bar, is_quiet, total, next_line: Instant::now() + PACE }
    }

    pub(super) fn update(&mut self, counts: &Counts) {
        if let Some(bar) = &self.bar {
            bar.set_position(counts.total());
            bar.set_message("");
        } else if Instant::now() >= self.next_line && !self.is_quiet {
            self.say(&format!("{} of {} rows: {counts}", counts.total(), self.total));
        }
    }

    /// Why nothing goes on.
    pub(super) fn waits(&mut self, why: &str, wait: Duration) {
        let text = format!("{why}: once more in {} s", wait.as_secs().max(1));
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None if !self.is_quiet => self.say(&text),
            None => {}
        }
    }

    fn say(&mut self, line: &str) {
        self.next_line = Instant::now() + PACE;
        // nobody can be told that nobody reads it
        writeln!(stderr(), "{line}").ok();
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
