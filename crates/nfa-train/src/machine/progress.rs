//! One line that moves on a terminal; plain lines now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::machine::message::message;

/// Progress over all runs of an experiment, on stderr.
pub struct Progress {
    bar: ProgressBar,
    plain: Option<Mutex<Instant>>,
    total: u64,
    quiet: bool,
}

/// Off a terminal a line is written about this often.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// What ends sooner needs no progress.
const PATIENCE: Duration = Duration::from_secs(2);

impl Progress {
    /// Over `total` steps of all runs together.
    pub fn new(total: u64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let target = if terminal { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total.max(1)), target);
        let style = ProgressStyle::with_template("{bar:24} {percent:>3}%  {msg}  ETA {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let plain = (!terminal && !quiet).then(|| Mutex::new(Instant::now()));
        Progress { bar, plain, total, quiet }
    }

    /// Of something that mostly ends at once: nothing is shown before two seconds.
    pub fn late(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{bar:24} {percent:>3}%  {msg}  {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if terminal {
            let bar = bar.clone();
            std::thread::spawn(move || {
                std::thread::sleep(PATIENCE);
                if !bar.is_finished() {
                    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
                    bar.enable_steady_tick(Duration::from_millis(200));
                }
            });
        }
        let first = Instant::now().checked_sub(PLAIN_INTERVAL - PATIENCE).unwrap_or_else(Instant::now);
        let plain = (!terminal && !quiet).then(|| Mutex::new(first));
        Progress { bar, plain, total: 1, quiet }
    }

    /// So many of all, and of what.
    pub fn of(&self, done: usize, all: usize, what: &str) {
        self.bar.set_length(all.max(1) as u64);
        self.bar.set_position(done as u64);
        self.bar.set_message(what.to_string());
        self.now_and_then(|| format!("{what}: {done} of {all}"));
    }

    /// A plain line, if the last was a while ago.
    fn now_and_then(&self, line: impl FnOnce() -> String) {
        let Some(last) = &self.plain else { return };
        let Ok(mut last) = last.lock() else { return };
        if last.elapsed() >= PLAIN_INTERVAL {
            *last = Instant::now();
            self.say(&line());
        }
    }

    /// Steps done over all runs, and what is being done.
    pub fn at(&self, done: u64, message: &str) {
        self.bar.set_position(done);
        self.bar.set_message(message.to_string());
        self.now_and_then(|| {
            let eta = self.bar.eta().as_secs();
            format!("{message}  {}%  ETA {eta} s", 100 * done / self.total.max(1))
        });
    }

    /// A line for a person, above the bar.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            self.bar.suspend(|| message(line));
        }
    }

    /// A line that even a quiet call gets.
    pub fn warn(&self, line: &str) {
        self.bar.suspend(|| message(&format!("warning: {line}")));
    }

    /// Does something that writes to the terminal while the bar is out of the way.
    pub fn aside(&self, f: impl FnOnce()) {
        self.bar.suspend(f);
    }

    /// Clears the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
