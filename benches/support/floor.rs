//! The floor: two processes that only exchange cache lines.
//!
//! Its time is not a constant. The same pair of lines took 57, 86 or 100 ns, depending on a few
//! instructions between the load of the peer's number and the store of the next one. So one loop
//! exists, which is never inlined: load, compare, `spin_loop` while the number is old, store the
//! next. All benchmarks compare with this loop.

use crate::memory::{Shared, now};
use crate::stats::median;
use crossbeam_utils::CachePadded;
use std::hint::spin_loop;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

/// A probe takes `TIMES` times, each of `EXCHANGES` exchanges.
const EXCHANGES: u64 = 200;
const TIMES: u64 = 10;

/// Initially all zeroes.
#[repr(C)]
pub struct Floor {
    there: CachePadded<AtomicU64>,
    back: CachePadded<AtomicU64>,
    only: CachePadded<AtomicU64>,
}

// SAFETY: every field is atomic, and all zeroes are a valid value.
unsafe impl Shared for Floor {}

impl Floor {
    /// Nanoseconds of one exchange of two lines, one in each direction. The result is a median,
    /// because other processes may run in between.
    pub fn probe(&self) -> f64 {
        let times = (0..TIMES).map(|_| self.two_lines(EXCHANGES));
        median(times.collect())
    }

    /// The peer's side of a probe.
    pub fn answer_probe(&self) {
        self.answer_two_lines(EXCHANGES * TIMES);
    }

    /// Nanoseconds of one exchange of two lines, averaged over `exchanges`.
    pub fn two_lines(&self, exchanges: u64) -> f64 {
        let start = now();
        ping(&self.there, &self.back, exchanges);
        (now() - start) as f64 / exchanges as f64
    }

    pub fn answer_two_lines(&self, exchanges: u64) {
        pong(&self.there, &self.back, exchanges);
    }

    /// Nanoseconds of one exchange of one line, in both directions, averaged over `exchanges`.
    pub fn one_line(&self, exchanges: u64) -> f64 {
        let start = now();
        ping_odd(&self.only, exchanges);
        (now() - start) as f64 / exchanges as f64
    }

    pub fn answer_one_line(&self, exchanges: u64) {
        pong_even(&self.only, exchanges);
    }
}

#[inline(never)]
fn ping(there: &AtomicU64, back: &AtomicU64, exchanges: u64) {
    let mut number = back.load(Acquire);
    for _ in 0..exchanges {
        number += 1;
        there.store(number, Release);
        while back.load(Acquire) != number {
            spin_loop();
        }
    }
}

#[inline(never)]
fn pong(there: &AtomicU64, back: &AtomicU64, exchanges: u64) {
    let mut number = back.load(Acquire);
    for _ in 0..exchanges {
        number += 1;
        while there.load(Acquire) != number {
            spin_loop();
        }
        back.store(number, Release);
    }
}

#[inline(never)]
fn ping_odd(line: &AtomicU64, exchanges: u64) {
    let mut number = line.load(Acquire);
    for _ in 0..exchanges {
        line.store(number + 1, Release);
        number += 2;
        while line.load(Acquire) != number {
            spin_loop();
        }
    }
}

#[inline(never)]
fn pong_even(line: &AtomicU64, exchanges: u64) {
    // The first odd number may already be stored.
    let mut number = line.load(Acquire) & !1;
    for _ in 0..exchanges {
        number += 2;
        while line.load(Acquire) != number - 1 {
            spin_loop();
        }
        line.store(number, Release);
    }
}
