//! The floor: two processes that exchange two cache lines and do nothing else.

use crate::memory::{Line, now};
use crate::tally::median;
use std::hint::spin_loop;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

/// Exchanges whose time is taken together, and such times in a slice.
const EXCHANGES: u64 = 200;
const TIMES: u64 = 10;

#[repr(C)]
pub(crate) struct Floor {
    there: Line<AtomicU64>,
    back: Line<AtomicU64>,
}

impl Floor {
    /// Nanoseconds for one exchange: not of all of them, since others run in between.
    pub(crate) fn ping(&self) -> f64 {
        let mut number = self.back.0.load(Acquire);
        let times = (0..TIMES).map(|_| {
            let start = now();
            for _ in 0..EXCHANGES {
                number += 1;
                self.there.0.store(number, Release);
                while self.back.0.load(Acquire) != number {
                    spin_loop();
                }
            }
            (now() - start) as f64 / EXCHANGES as f64
        });
        median(times.collect())
    }

    pub(crate) fn pong(&self) {
        let first = self.back.0.load(Acquire) + 1;
        for number in first..first + EXCHANGES * TIMES {
            while self.there.0.load(Acquire) != number {
                spin_loop();
            }
            self.back.0.store(number, Release);
        }
    }
}
