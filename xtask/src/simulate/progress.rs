//! How far a run has come and how long it will take, on a terminal only.

use std::fmt::Write;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use simulator::Progress;

const TEMPLATE: &str = "{bar:24} {percent:>3}% · {left} · {wide_msg}";

/// The line; hidden where nobody watches.
#[derive(Debug)]
pub(super) struct ProgressLine(ProgressBar);

impl ProgressLine {
    pub(super) fn new(quiet: bool) -> Self {
        if quiet || !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
        // The template is a constant: a malformed one would only cost its looks.
        let style = ProgressStyle::with_template(TEMPLATE);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key("left", write_time_left));
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }

    pub(super) fn show(&self, step: &Progress) {
        self.0.set_length(step.total);
        self.0.set_position(step.done);
        self.0.set_message(step.what.clone());
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// Before anything is done there is nothing to extrapolate from.
fn write_time_left(state: &ProgressState, to: &mut dyn Write) {
    // Writing into the line's own buffer does not fail.
    let _ = match state.pos() {
        0 => write!(to, "estimating"),
        _ => write!(to, "{} left", HumanDuration(state.eta())),
    };
}
