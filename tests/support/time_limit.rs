//! A time limit for operations that must terminate.

use core::time::Duration;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::{process, thread};

/// Runs `body`, and aborts the process if it takes longer than two minutes.
pub(crate) fn bounded<R>(body: impl FnOnce() -> R) -> R {
    let (done, waiting) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        if waiting.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
            eprintln!("an operation did not terminate within two minutes");
            process::abort();
        }
    });
    let result = body();
    drop(done);
    watchdog.join().unwrap();
    result
}
