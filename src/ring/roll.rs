//! Who came and went, counted: how a waiter notices that there is something to ask about.
//!
//! # Ordering
//!
//! | edge | store                       | load                       | carries | model |
//! |------|-----------------------------|----------------------------|---------|-------|
//! | L    | the count, Release, `turn`  | the count, Acquire, `count` | the entry of who left | `who_hears_of_a_departure_finds_it` |

use crate::sync::{Acquire, AtomicU32, Relaxed, Release};

/// How often the participants of one role changed. It is turned before an entry says that its
/// holder has come, so that no stay is seen that was not counted; and after it says that its
/// holder has left.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Roll(AtomicU32);

impl Roll {
    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    #[inline(always)]
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Acquire) // L
    }

    pub(crate) fn turn(&self) {
        self.0.fetch_add(1, Release); // L
    }
}

/// Whether messages of dead consumers wait for a live one. Changed under the recovery lock only,
/// and who is called looks for them under that lock: nothing travels by the word itself.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct OrphanHint(AtomicU32);

/// Messages are waiting; the bits above count how often that came true.
const WAITING: u32 = 1;

impl OrphanHint {
    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Something other than before, and not `None`, if messages have come to wait.
    #[inline(always)]
    pub(crate) fn call(&self) -> Option<u32> {
        let word = self.0.load(Relaxed);
        (word & WAITING != 0).then_some(word)
    }

    /// Whether a word that was read from a copy of the ring says that messages wait.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn is_waiting(word: u32) -> bool {
        word & WAITING != 0
    }

    pub(crate) fn set(&self, is_waiting: bool) {
        let word = self.0.load(Relaxed);
        let next = match is_waiting {
            true => (word | WAITING).wrapping_add(2),
            false => word & !WAITING,
        };
        if next != word {
            self.0.store(next, Relaxed);
        }
    }
}
