//! Who has the ring grow, and shrink, all the time.

use super::crew::Member;
use super::log::{Deed, Fate, Orders};
use slipring::error::GrowError;
use std::thread;
use std::time::{Duration, Instant};

/// Between two times, of each grower.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// How long it takes to grow, or longer.
pub(super) const GROWTH: Duration = Duration::from_millis(1);
/// The largest ring, as a power of two; the least is of two messages.
const LARGEST: u64 = 12;

impl Member<'_> {
    pub(super) fn grow_until_told<const N: usize>(&self) {
        let ring = self.open::<N>();
        self.life.set_seated(1);
        let mut dice = self.life.dice(self.round.seed);
        while !self.log.is_ordered(Orders::ProducersLeave) {
            self.life.step();
            match ring.grow(1 << (1 + dice.below(LARGEST))) {
                Ok(()) => self.log.count(Deed::Grew),
                // Others were stopped at it, or the consumers.
                Err(
                    GrowError::Growing { .. }
                    | GrowError::Recovering(_)
                    | GrowError::Undrained { .. },
                ) => {}
                Err(error) => panic!("{error}"),
            }
            let end = Instant::now() + PAUSE;
            while Instant::now() < end && !self.log.is_ordered(Orders::ProducersLeave) {
                thread::sleep(PAUSE / 20);
            }
        }
        self.life.end(Fate::Left);
    }
}
