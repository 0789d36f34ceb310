//! Who has the ring grow, and shrink, all the time.

use crate::support::Dice;
use slipring::error::GrowError;
use slipring::{Message, Protocol, Ring};
use std::thread;
use std::time::{Duration, Instant};

/// Between two times, of each grower.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);
/// How long it takes to grow, or longer.
pub(crate) const GROWTH: Duration = Duration::from_millis(1);
/// The largest ring, as a power of two; the least is of two messages.
const LARGEST: u64 = 12;

/// Has the ring grow to any capacity, unless it can't now. Says whether it has.
pub(crate) fn grow<M: Message + ?Sized, P: Protocol>(ring: &Ring<M, P>, dice: &mut Dice) -> bool {
    match ring.grow(1 << (1 + dice.below(LARGEST))) {
        Ok(()) => true,
        // Others were stopped at it, or the consumers.
        Err(GrowError::Growing { .. } | GrowError::Recovering(_) | GrowError::Undrained { .. }) => {
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// Lets time pass until the next time, or until it is told to leave.
pub(crate) fn pause(is_told: impl Fn() -> bool) {
    let end = Instant::now() + PAUSE;
    while Instant::now() < end && !is_told() {
        thread::sleep(PAUSE / 20);
    }
}
