//! The floor: two processes that exchange cache lines and do nothing else.
//!
//! Even this is no natural constant: on one and the same pair of lines it came out as 57, 86 or
//! 100 ns, for a few instructions more or less between seeing the other's number and storing
//! the own. So there is one loop, which is never inlined: load, compare, `spin_loop` while it is
//! the old number, store the next. All benchmarks use it, and what they set against a floor they
//! set against this one.

use crate::memory::{Line, Shared, now};
use crate::tally::median;
use std::hint::spin_loop;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

/// Exchanges whose time is taken together in a probe, and such times in a probe.
const EXCHANGES: u64 = 200;
const TIMES: u64 = 10;

/// All zeroes at first.
#[repr(C)]
pub struct Floor {
    there: Line<AtomicU64>,
    back: Line<AtomicU64>,
    only: Line<AtomicU64>,
}

// SAFETY: all of it is atomic, and zero is a value.
unsafe impl Shared for Floor {}

impl Floor {
    /// Nanoseconds for one exchange of two lines, one there and one back: not of all of them,
    /// since others run in between.
    pub fn probe(&self) -> f64 {
        let times = (0..TIMES).map(|_| self.two_lines(EXCHANGES));
        median(times.collect())
    }

    /// The other side of a probe.
    pub fn answer_probe(&self) {
        self.answer_two_lines(EXCHANGES * TIMES);
    }

    /// Nanoseconds for one of so many exchanges of two lines.
    pub fn two_lines(&self, exchanges: u64) -> f64 {
        let start = now();
        ping(&self.there.0, &self.back.0, exchanges);
        (now() - start) as f64 / exchanges as f64
    }

    pub fn answer_two_lines(&self, exchanges: u64) {
        pong(&self.there.0, &self.back.0, exchanges);
    }

    /// Nanoseconds for one of so many exchanges of one line, there and back.
    pub fn one_line(&self, exchanges: u64) -> f64 {
        let start = now();
        ping_odd(&self.only.0, exchanges);
        (now() - start) as f64 / exchanges as f64
    }

    pub fn answer_one_line(&self, exchanges: u64) {
        pong_even(&self.only.0, exchanges);
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
    // The first odd number may be there already.
    let mut number = line.load(Acquire) & !1;
    for _ in 0..exchanges {
        number += 2;
        while line.load(Acquire) != number - 1 {
            spin_loop();
        }
        line.store(number, Release);
    }
}
