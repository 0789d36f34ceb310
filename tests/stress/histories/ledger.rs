//! Where processes note the operations of a history, and where they wait for each other.

use super::history::{Answer, Operation};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::time::{ClockId, clock_gettime};
use std::num::NonZeroUsize;
use std::slice;
use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};
use std::sync::atomic::{AtomicU64, fence};
use std::thread;

/// Words of one note: begin, end, answer.
const NOTE: usize = 3;
/// Answers with an id lie above the others.
const FULL: u64 = 1;
const EMPTY: u64 = 2;
const PUSHED: u64 = 1 << 62;
const POPPED: u64 = 1 << 63;

/// A page for each process, in anonymous memory that forked children share. Mapped until the
/// process ends.
pub(crate) struct Ledger {
    words: &'static [AtomicU64],
    pages: usize,
}

impl Ledger {
    /// Each page has room for `notes`.
    pub(crate) fn new(pages: usize, notes: usize) -> Self {
        let words = 16 + pages * (notes + 1) * NOTE;
        let size = NonZeroUsize::new(words * 8).unwrap();
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base = unsafe { mmap_anonymous(None, size, access, flags) }.unwrap();
        // SAFETY: mapped for as long as the process lives, of zeroes, accessed only as atomics.
        let words = unsafe { slice::from_raw_parts(base.cast::<AtomicU64>().as_ptr(), words) };
        Self { words, pages }
    }

    pub(crate) fn page(&self, index: usize) -> Page<'_> {
        let len = (self.words.len() - 16) / self.pages;
        Page {
            words: &self.words[16 + index * len..][..len],
            noted: 0,
        }
    }

    pub(crate) fn all(&self) -> Vec<Operation> {
        let pages = (0..self.pages).map(|index| self.page(index));
        pages.flat_map(|page| page.operations()).collect()
    }
}

/// Where one process writes.
pub(crate) struct Page<'l> {
    words: &'l [AtomicU64],
    noted: usize,
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

impl Page<'_> {
    /// The time before an operation. That it was read is stored before anything of the operation
    /// is loaded.
    pub(crate) fn begin(&self) -> u64 {
        let begin = now();
        self.words[self.noted * NOTE].store(begin, Release);
        fence(SeqCst);
        begin
    }

    /// The time after an operation, of which all stores can be seen by then.
    pub(crate) fn end(&self) -> u64 {
        fence(SeqCst);
        now()
    }

    pub(crate) fn note(&mut self, begin: u64, end: u64, answer: Answer) {
        let answer = match answer {
            Answer::Full => FULL,
            Answer::Empty => EMPTY,
            Answer::Pushed(id) => PUSHED | id,
            Answer::Popped(id) => POPPED | id,
        };
        let at = self.noted * NOTE;
        for (word, value) in self.words[at..].iter().zip([begin, end, answer]) {
            word.store(value, Release);
        }
        self.noted += 1;
    }

    fn operations(&self) -> Vec<Operation> {
        let notes = self.words.chunks_exact(NOTE).map(|note| {
            let [begin, end, answer] = [0, 1, 2].map(|index| note[index].load(Acquire));
            let id = answer & !(PUSHED | POPPED);
            let answer = match answer {
                FULL => Answer::Full,
                EMPTY => Answer::Empty,
                pushed if pushed & PUSHED != 0 => Answer::Pushed(id),
                popped if popped & POPPED != 0 => Answer::Popped(id),
                // It began and never ended.
                _ => return None,
            };
            Some(Operation { begin, end, answer })
        });
        notes.map_while(|note| note).collect()
    }
}

/// Where a number of processes wait until all have come.
#[derive(Clone, Copy)]
pub(crate) struct Barrier<'l> {
    came: &'l AtomicU64,
    members: u64,
}

impl<'l> Barrier<'l> {
    pub(crate) fn new(ledger: &'l Ledger, members: u64) -> Self {
        Self {
            came: &ledger.words[0],
            members,
        }
    }

    /// `turn` counts how often the caller waited.
    pub(crate) fn wait(&self, turn: &mut u64) {
        *turn += 1;
        self.came.fetch_add(1, SeqCst);
        let mut looks = 0_u32;
        while self.came.load(SeqCst) < *turn * self.members {
            looks += 1;
            if looks % 64 == 0 {
                thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}
