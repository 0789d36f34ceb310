//! Shared memory through which a crew coordinates: the current task and its results. Members
//! without a turn block in the kernel, so they do not disturb the measurement.

use crate::Result;
use crate::floor::Floor;
use crate::memory::{Shared, now};
use crossbeam_utils::CachePadded;
use nix::libc::{FUTEX_WAIT, FUTEX_WAKE, SYS_futex, syscall};
use std::hint::spin_loop;
use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::thread;

/// Members that take turns together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Processes,
    Threads,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// An exchange of two lines between the first producer and the first consumer.
    Probe,
    /// A number of messages from each producer, on one lane.
    Slice { lane: usize, messages: u64 },
    /// Every member exits.
    End,
}

/// Initially all zeroes.
#[repr(C)]
pub struct Board {
    pub floor: Floor,
    turns: [CachePadded<AtomicU32>; 2],
    task: CachePadded<[AtomicU64; 3]>,
    arrived: CachePadded<AtomicU64>,
    finished: CachePadded<AtomicU64>,
    began: CachePadded<AtomicU64>,
    ended: CachePadded<AtomicU64>,
    allotted: CachePadded<AtomicU64>,
    sum: CachePadded<AtomicU64>,
    failures: CachePadded<AtomicU64>,
}

// SAFETY: every field is atomic, and all zeroes are a valid value.
unsafe impl Shared for Board {}

impl Board {
    /// Starts the next turn of a kind.
    pub fn begin(&self, kind: Kind, task: Task) {
        let words = match task {
            Task::End => [0, 0, 0],
            Task::Probe => [1, 0, 0],
            Task::Slice { lane, messages } => [2, lane as u64, messages],
        };
        for (field, word) in self.task.iter().zip(words) {
            field.store(word, Relaxed);
        }
        let counts = [
            &self.arrived,
            &self.finished,
            &self.ended,
            &self.allotted,
            &self.sum,
        ];
        for count in counts {
            count.store(0, Relaxed);
        }
        self.began.store(u64::MAX, Relaxed);
        let turn = &self.turns[kind as usize];
        turn.fetch_add(1, Release);
        futex(turn, FUTEX_WAKE, i32::MAX as u32);
    }

    /// Blocks until the next turn of a kind, and returns its task. `turn` counts the turns.
    pub fn await_turn(&self, kind: Kind, turn: &mut u32) -> Task {
        let word = &self.turns[kind as usize];
        while word.load(Acquire) == *turn {
            futex(word, FUTEX_WAIT, *turn);
        }
        *turn += 1;
        let [task, lane, messages] = [0, 1, 2].map(|word| self.task[word].load(Relaxed));
        match task {
            0 => Task::End,
            1 => Task::Probe,
            _ => Task::Slice {
                lane: lane as usize,
                messages,
            },
        }
    }

    pub fn arrive(&self) {
        self.arrived.fetch_add(1, AcqRel);
    }

    pub fn finish(&self) {
        self.finished.fetch_add(1, AcqRel);
    }

    pub fn fail(&self) {
        self.failures.fetch_add(1, AcqRel);
    }

    pub fn await_all_arrived(&self, members: u64) -> Result<()> {
        self.wait_for(&self.arrived, members)
    }

    pub fn await_all_finished(&self, members: u64) -> Result<()> {
        self.wait_for(&self.finished, members)
    }

    fn wait_for(&self, count: &AtomicU64, members: u64) -> Result<()> {
        let mut checks = 0_u32;
        while count.load(Acquire) < members {
            if self.failures.load(Relaxed) > 0 {
                return Err("another member has failed".into());
            }
            checks += 1;
            // Several members may share this processor.
            if checks % 64 == 0 {
                thread::yield_now();
            }
            spin_loop();
        }
        Ok(())
    }

    /// Records the start of a producer.
    pub fn start_clock(&self) {
        self.began.fetch_min(now(), Relaxed);
    }

    /// Records the end of a consumer and the sum of its messages.
    pub fn stop_clock(&self, sum: u64) {
        self.ended.fetch_max(now(), Relaxed);
        self.sum.fetch_add(sum, Relaxed);
    }

    pub fn nanos(&self) -> f64 {
        (self.ended.load(Relaxed) - self.began.load(Relaxed)) as f64
    }

    /// The sum of all words of all messages.
    pub fn sum(&self) -> u64 {
        self.sum.load(Relaxed)
    }

    /// Allots the next chunk of `total` messages, which all consumers receive together. Chunks
    /// are small, so that fast consumers receive more of them.
    pub fn chunk(&self, total: u64) -> Option<u64> {
        const CHUNK: u64 = 256;
        let start = self.allotted.fetch_add(CHUNK, Relaxed);
        (start < total).then(|| CHUNK.min(total - start))
    }
}

/// An error counts as a wake-up: callers check the word again.
pub fn futex(word: &AtomicU32, operation: i32, value: u32) {
    let no_timeout = ptr::null::<nix::libc::timespec>();
    // SAFETY: the word is valid during the call.
    unsafe { syscall(SYS_futex, word.as_ptr(), operation, value, no_timeout) };
}
