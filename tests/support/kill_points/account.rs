//! Numbered messages, and how survivors ask for what they are owed.

use slipring::WaitStrategy;
use std::thread;
use std::time::{Duration, Instant};

/// In what time survivors must have gone on: far more than an interval, so that a machine under
/// load does not fail, and far less than for ever.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// How soon survivors find out by themselves that somebody is dead.
pub(crate) const INTERVAL: Duration = Duration::from_millis(2);

/// The interval of a ring on which a child is to fall asleep: stepped, it takes thousands of
/// times as long to get there as it should.
pub(crate) const NAP: Duration = Duration::from_secs(10);

pub(crate) const ASLEEP_AT_ONCE: WaitStrategy = WaitStrategy::Sleep {
    spins: 0,
    yields: 0,
};

/// Several words, so that a torn one is seen.
pub(crate) type Message = [u64; 3];

pub(crate) fn message(number: u64) -> Message {
    [number, !number, number.rotate_left(17)]
}

pub(crate) fn read(seen: Message) -> u64 {
    assert_eq!(seen, message(seen[0]), "torn");
    seen[0]
}

/// Tries again and again, as who may not block, until there is an answer or it is late.
pub(crate) fn soon<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = attempt() {
            return answer;
        }
        assert!(start.elapsed() < SOON, "in vain for {SOON:?}: {what}");
        thread::yield_now();
    }
}
