//! An end for tests of what must end.

use core::time::Duration;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::{process, thread};

/// Runs `body`, and ends the process if it runs for minutes.
pub(crate) fn bounded<R>(body: impl FnOnce() -> R) -> R {
    let (done, waiting) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        if waiting.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
            eprintln!("an operation does not end");
            process::abort();
        }
    });
    let result = body();
    drop(done);
    watchdog.join().unwrap();
    result
}
