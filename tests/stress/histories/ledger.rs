//! Shared memory in which processes record the operations of a history, and a barrier.

use super::history::{Operation, Outcome};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::time::{ClockId, clock_gettime};
use std::num::NonZeroUsize;
use std::slice;
use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};
use std::sync::atomic::{AtomicU64, fence};
use std::thread;

/// The words of one note: begin, end, outcome.
const NOTE: usize = 3;
/// Encodings of outcomes. Those with a message id have a high bit set.
const FULL: u64 = 1;
const EMPTY: u64 = 2;
const PUSHED: u64 = 1 << 62;
const POPPED: u64 = 1 << 63;

/// One log for each process, in anonymous memory that forked children share. It stays mapped until
/// the process ends.
pub(crate) struct Ledger {
    words: &'static [AtomicU64],
    logs: usize,
}

impl Ledger {
    /// Each log has space for `notes` operations.
    pub(crate) fn new(logs: usize, notes: usize) -> Self {
        let words = 16 + logs * (notes + 1) * NOTE;
        let size = NonZeroUsize::new(words * 8).unwrap();
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base = unsafe { mmap_anonymous(None, size, access, flags) }.unwrap();
        // SAFETY: mapped until the process ends, zeroed, and accessed only as atomics.
        let words = unsafe { slice::from_raw_parts(base.cast::<AtomicU64>().as_ptr(), words) };
        Self { words, logs }
    }

    pub(crate) fn log(&self, index: usize) -> Log<'_> {
        let len = (self.words.len() - 16) / self.logs;
        Log {
            words: &self.words[16 + index * len..][..len],
            noted: 0,
        }
    }

    pub(crate) fn all(&self) -> Vec<Operation> {
        let logs = (0..self.logs).map(|index| self.log(index));
        logs.flat_map(|log| log.operations()).collect()
    }
}

/// The log of one process.
pub(crate) struct Log<'l> {
    words: &'l [AtomicU64],
    noted: usize,
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

impl Log<'_> {
    /// The time before an operation. The store of the time and the fence order it before all loads
    /// of the operation.
    pub(crate) fn begin(&self) -> u64 {
        let begin = now();
        self.words[self.noted * NOTE].store(begin, Release);
        fence(SeqCst);
        begin
    }

    /// The time after an operation. All stores of the operation are visible by then.
    pub(crate) fn end(&self) -> u64 {
        fence(SeqCst);
        now()
    }

    pub(crate) fn note(&mut self, begin: u64, end: u64, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Full => FULL,
            Outcome::Empty => EMPTY,
            Outcome::Pushed(id) => PUSHED | id,
            Outcome::Popped(id) => POPPED | id,
        };
        let at = self.noted * NOTE;
        for (word, value) in self.words[at..].iter().zip([begin, end, outcome]) {
            word.store(value, Release);
        }
        self.noted += 1;
    }

    fn operations(&self) -> Vec<Operation> {
        let notes = self.words.chunks_exact(NOTE).map(|note| {
            let [begin, end, outcome] = [0, 1, 2].map(|index| note[index].load(Acquire));
            let id = outcome & !(PUSHED | POPPED);
            let outcome = match outcome {
                FULL => Outcome::Full,
                EMPTY => Outcome::Empty,
                pushed if pushed & PUSHED != 0 => Outcome::Pushed(id),
                popped if popped & POPPED != 0 => Outcome::Popped(id),
                // The operation began and did not end.
                _ => return None,
            };
            Some(Operation {
                begin,
                end,
                outcome,
            })
        });
        notes.map_while(|note| note).collect()
    }
}

/// Blocks each of a number of processes until all have arrived.
#[derive(Clone, Copy)]
pub(crate) struct Barrier<'l> {
    arrived: &'l AtomicU64,
    members: u64,
}

impl<'l> Barrier<'l> {
    pub(crate) fn new(ledger: &'l Ledger, members: u64) -> Self {
        Self {
            arrived: &ledger.words[0],
            members,
        }
    }

    /// `turn` counts the caller's waits.
    pub(crate) fn wait(&self, turn: &mut u64) {
        *turn += 1;
        self.arrived.fetch_add(1, SeqCst);
        let mut polls = 0_u32;
        while self.arrived.load(SeqCst) < *turn * self.members {
            polls += 1;
            if polls % 64 == 0 {
                thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}
