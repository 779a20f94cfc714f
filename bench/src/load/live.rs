//! The live line: what happens this second, on a terminal only.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::load::control::Published;
use crate::load::settings::Settings;
use crate::load::text::count;
use crate::load::window::Snapshot;

/// Time between two updates, in nanoseconds.
const SECOND_NS: u64 = 1_000_000_000;

/// A line on stderr that is written anew each second; nothing in a pipe.
pub struct Live {
    bar: ProgressBar,
    last: Snapshot,
    seconds: u64,
}

impl Live {
    /// Starts the line.
    pub fn new(settings: &Settings) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template("{msg}").expect("a template of one field"));
        let seconds = (settings.warmup + settings.duration).as_secs().max(1);
        Self { bar, last: Snapshot::default(), seconds }
    }

    /// Writes the line, if a second has passed since the last time.
    pub fn show(&mut self, now_ns: u64, published: &[Published]) {
        if self.bar.is_hidden() || now_ns < self.last.at_ns + SECOND_NS {
            return;
        }
        let now = Snapshot::take(now_ns, published);
        let rate = |before: u64, after: u64| {
            count((after - before) as f64 * 1e9 / (now.at_ns - self.last.at_ns) as f64)
        };
        self.bar.set_message(format!(
            "{:3} of {} s: {} operations/s, {} requests/s, {} refused, {} failed",
            now_ns / SECOND_NS,
            self.seconds,
            rate(self.last.messages, now.messages),
            rate(self.last.requests, now.requests),
            now.refused,
            now.failed,
        ));
        self.last = now;
    }

    /// Removes the line: the report follows.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
