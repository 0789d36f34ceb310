//! What the members of a crew tell each other: whose turn it is, and what came of it. Who has no
//! turn sleeps, and disturbs nobody.

use crate::Result;
use crate::floor::Floor;
use crate::memory::{Line, Shared, now};
use nix::libc::{FUTEX_WAIT, FUTEX_WAKE, SYS_futex, syscall};
use std::hint::spin_loop;
use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::thread;

/// Those who take turns together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Processes,
    Threads,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// An exchange of two lines between the first producer and the first consumer.
    Probe,
    /// So many messages of each producer, on that lane.
    Slice { lane: usize, messages: u64 },
    /// Everybody goes home.
    End,
}

/// All zeroes at first.
#[repr(C)]
pub struct Board {
    pub floor: Floor,
    turns: [Line<AtomicU32>; 2],
    task: Line<[AtomicU64; 3]>,
    here: Line<AtomicU64>,
    done: Line<AtomicU64>,
    began: Line<AtomicU64>,
    ended: Line<AtomicU64>,
    taken: Line<AtomicU64>,
    sum: Line<AtomicU64>,
    failures: Line<AtomicU64>,
}

// SAFETY: all of it is atomic, and zero is a value.
unsafe impl Shared for Board {}

impl Board {
    /// Gives a kind its next turn.
    pub fn begin(&self, kind: Kind, task: Task) {
        let words = match task {
            Task::End => [0, 0, 0],
            Task::Probe => [1, 0, 0],
            Task::Slice { lane, messages } => [2, lane as u64, messages],
        };
        for (place, word) in self.task.0.iter().zip(words) {
            place.store(word, Relaxed);
        }
        for count in [&self.here, &self.done, &self.ended, &self.taken, &self.sum] {
            count.0.store(0, Relaxed);
        }
        self.began.0.store(u64::MAX, Relaxed);
        let turn = &self.turns[kind as usize].0;
        turn.fetch_add(1, Release);
        futex(turn, FUTEX_WAKE, i32::MAX as u32);
    }

    /// Sleeps until the kind has its next turn, and says what it is. `turn` counts the turns.
    pub fn await_turn(&self, kind: Kind, turn: &mut u32) -> Task {
        let word = &self.turns[kind as usize].0;
        while word.load(Acquire) == *turn {
            futex(word, FUTEX_WAIT, *turn);
        }
        *turn += 1;
        let [task, lane, messages] = [0, 1, 2].map(|word| self.task.0[word].load(Relaxed));
        match task {
            0 => Task::End,
            1 => Task::Probe,
            _ => Task::Slice {
                lane: lane as usize,
                messages,
            },
        }
    }

    pub fn come(&self) {
        self.here.0.fetch_add(1, AcqRel);
    }

    pub fn finish(&self) {
        self.done.0.fetch_add(1, AcqRel);
    }

    pub fn fail(&self) {
        self.failures.0.fetch_add(1, AcqRel);
    }

    pub fn await_all_here(&self, members: u64) -> Result<()> {
        self.wait_for(&self.here.0, members)
    }

    pub fn await_all_done(&self, members: u64) -> Result<()> {
        self.wait_for(&self.done.0, members)
    }

    fn wait_for(&self, count: &AtomicU64, members: u64) -> Result<()> {
        let mut looks = 0_u32;
        while count.load(Acquire) < members {
            if self.failures.0.load(Relaxed) > 0 {
                return Err("one of the others has failed".into());
            }
            looks += 1;
            // Several may share this processor.
            if looks % 64 == 0 {
                thread::yield_now();
            }
            spin_loop();
        }
        Ok(())
    }

    /// Notes that a producer starts.
    pub fn start_clock(&self) {
        self.began.0.fetch_min(now(), Relaxed);
    }

    /// Notes what a consumer found.
    pub fn stop_clock(&self, sum: u64) {
        self.ended.0.fetch_max(now(), Relaxed);
        self.sum.0.fetch_add(sum, Relaxed);
    }

    pub fn nanos(&self) -> f64 {
        (self.ended.0.load(Relaxed) - self.began.0.load(Relaxed)) as f64
    }

    /// Of all words of all messages.
    pub fn sum(&self) -> u64 {
        self.sum.0.load(Relaxed)
    }

    /// How many messages to receive next, of so many that all consumers receive together: not all
    /// at once, so that the slow ones leave the rest to the quick ones.
    pub fn chunk(&self, of: u64) -> Option<u64> {
        const CHUNK: u64 = 256;
        let start = self.taken.0.fetch_add(CHUNK, Relaxed);
        (start < of).then(|| CHUNK.min(of - start))
    }
}

/// Errors are wake-ups: whoever calls looks again.
pub fn futex(word: &AtomicU32, operation: i32, value: u32) {
    let no_timeout = ptr::null::<nix::libc::timespec>();
    // SAFETY: the word is there as long as the call takes.
    unsafe { syscall(SYS_futex, word.as_ptr(), operation, value, no_timeout) };
}
