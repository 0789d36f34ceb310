//! Numbered messages, and the time limits of survivors.

use std::thread;
use std::time::{Duration, Instant};

/// The time within which survivors must make progress: much longer than a liveness interval, so
/// that a machine under load does not fail.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// The liveness interval, after which survivors detect a death by themselves.
pub(crate) const INTERVAL: Duration = Duration::from_millis(2);

/// The liveness interval of a ring on which a child blocks. A child that is single-stepped takes
/// thousands of times as long to get there.
pub(crate) const NAP: Duration = Duration::from_secs(10);

/// Several words, so that a torn one is seen.
pub(crate) type Message = [u64; 3];

pub(crate) fn message(number: u64) -> Message {
    [number, !number, number.rotate_left(17)]
}

pub(crate) fn read(seen: Message) -> u64 {
    assert_eq!(seen, message(seen[0]), "torn");
    seen[0]
}

/// Repeats a non-blocking attempt until it succeeds. Panics after [`SOON`].
pub(crate) fn soon<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(start.elapsed() < SOON, "timed out after {SOON:?}: {what}");
        thread::yield_now();
    }
}
