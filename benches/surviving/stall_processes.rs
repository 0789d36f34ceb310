//! The processes of `stall`: two survivors, and the victims that block them.

use crate::Result;
use bench_support::{CachePadded, Shared, now, share};
use slipring::{Options, mpmc};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::Duration;

/// The operations of one survivor.
#[repr(C)]
pub(crate) struct Counts {
    pub(crate) count: CachePadded<AtomicU64>,
    pub(crate) sum: CachePadded<AtomicU64>,
    /// Whether the time of the next operation is requested.
    pub(crate) is_awaited: CachePadded<AtomicU64>,
    /// That time.
    pub(crate) at: CachePadded<AtomicU64>,
}

#[repr(C)]
pub(crate) struct StallState {
    pub(crate) pushes: Counts,
    pub(crate) pops: Counts,
    /// The process ID of the victim that blocks the survivors.
    pub(crate) ready: CachePadded<AtomicU64>,
    pub(crate) is_over: CachePadded<AtomicU64>,
}

// SAFETY: every field is atomic, and all zeroes are a valid value.
unsafe impl Shared for StallState {}

impl Counts {
    #[inline(always)]
    fn record(&self, number: u64) {
        // Only one process writes these fields.
        let (count, sum) = (self.count.load(Relaxed), self.sum.load(Relaxed));
        self.sum.store(sum + number, Relaxed);
        self.count.store(count + 1, Release);
        if self.is_awaited.load(Acquire) == 1 {
            self.at.store(now(), Relaxed);
            self.is_awaited.store(0, Release);
        }
    }
}

pub(crate) fn names(prefix: &str) -> [String; 2] {
    ["ring", "state"].map(|what| format!("{prefix}-{what}"))
}

const LAST: u64 = u64::MAX;

fn open(prefix: &str) -> Result<(mpmc::Ring<u64>, &'static StallState)> {
    let [ring, state] = names(prefix);
    let options = Options::new().prefault(true);
    Ok((mpmc::Ring::open_with(&ring, &options)?, share(&state)?))
}

pub(crate) fn push(prefix: &str) -> Result<()> {
    let (ring, state) = open(prefix)?;
    let mut producer = ring.producer()?;
    for number in 0.. {
        if state.is_over.load(Relaxed) == 1 {
            break;
        }
        producer.push(&number)?;
        state.pushes.record(number);
    }
    Ok(producer.push(&LAST)?)
}

pub(crate) fn pop(prefix: &str) -> Result<()> {
    let (ring, state) = open(prefix)?;
    let mut consumer = ring.consumer()?;
    loop {
        match consumer.pop()? {
            LAST => return Ok(()),
            number => state.pops.record(number),
        }
    }
}

pub(crate) fn claim(prefix: &str) -> Result<()> {
    let (ring, state) = open(prefix)?;
    let mut producer = ring.producer()?;
    let _claim = producer.claim()?;
    await_death(state)
}

pub(crate) fn read(prefix: &str) -> Result<()> {
    let (ring, state) = open(prefix)?;
    let mut consumer = ring.consumer()?;
    let _guard = consumer.read()?;
    await_death(state)
}

fn await_death(state: &StallState) -> Result<()> {
    state.ready.store(std::process::id().into(), Release);
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}
