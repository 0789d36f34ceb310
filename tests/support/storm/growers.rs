//! Processes that make the ring grow and shrink repeatedly.

use crate::support::Random;
use slipring::error::GrowError;
use slipring::{Message, Protocol, Ring};
use std::thread;
use std::time::{Duration, Instant};

/// The pause between two attempts of one grower.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);
/// An upper bound of the time that growing takes.
pub(crate) const GROWTH: Duration = Duration::from_millis(1);
/// The largest capacity, as a power of two. The smallest is two.
const LARGEST: u64 = 12;

/// Makes the ring grow to a random capacity. Returns `false` if that is not possible now.
pub(crate) fn grow<M: Message + ?Sized, P: Protocol>(
    ring: &Ring<M, P>,
    random: &mut Random,
) -> bool {
    match ring.grow(1 << (1 + random.below(LARGEST))) {
        Ok(()) => true,
        // Another grower, or a consumer, is stopped.
        Err(GrowError::Growing { .. } | GrowError::Recovering(_) | GrowError::Undrained { .. }) => {
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// Waits until the next attempt is due, or until the process is ordered to leave.
pub(crate) fn pause(is_over: impl Fn() -> bool) {
    let end = Instant::now() + PAUSE;
    while Instant::now() < end && !is_over() {
        thread::sleep(PAUSE / 20);
    }
}
