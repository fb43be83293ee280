//! Ctrl-C: leave nothing half written, and exit with 130.
//!
//! The handler runs on a thread of its own. Whoever touches files takes [`hold`] around each step that must
//! not be cut in two; the handler takes the same lock before it cleans up and keeps it until the process is
//! gone, so no file appears after the cleaning.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Exit status after Ctrl-C: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

static UNFINISHED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Installs the handler.
pub(crate) fn install() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        let mut unfinished = hold();
        if let Some(directory) = unfinished.take() {
            // Best effort: what stays behind is recognised and removed by the next run.
            let _ = fs::remove_dir_all(directory);
        }
        let _ = writeln!(io::stderr(), "\nxtask: interrupted");
        std::process::exit(INTERRUPTED);
    })
}

/// Keeps the handler waiting while the guard lives. The content is the directory it would remove.
pub(crate) fn hold() -> MutexGuard<'static, Option<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}
