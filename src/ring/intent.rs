//! Intents: a participant publishes the positions that it is about to claim, before it claims them.
//! That makes the claims of a dead participant recoverable.
//!
//! An intent is set before the compare-and-swap that claims its positions. It is cleared after the
//! last of them was published or released. So if a position is claimed and its slot not finished,
//! the claimant's intent still covers it. The reverse does not hold: an intent may cover positions
//! that another participant claimed, or that were finished long ago.
//!
//! # Ordering
//!
//! | edge | store                           | load                           | carries                       | model |
//! |------|---------------------------------|--------------------------------|-------------------------------|-------|
//! | A    | position, Release, `set`, `clear` | position, Acquire, `read`    | the slots of the claim before | `ended_intent_makes_finished_slots_visible` |
//! | B    | count, Release, `set`           | count, Acquire, `read`         | the slots of the claim before | `intent_of_new_length_is_not_read_with_old_position` |

use crate::sync::{Acquire, AtomicU32, AtomicU64, Release};

/// The most positions in one claim, whatever the caller requests. It bounds the slots that recovery
/// inspects for each dead participant.
pub(crate) const MAX_CLAIM: u64 = 4096;

/// `len` consecutive positions from `start` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    pub(crate) start: u64,
    pub(crate) len: u64,
}

impl Run {
    /// No positions.
    pub(crate) const NONE: Self = Self { start: 0, len: 0 };

    /// The run in a peer's intent. A hostile peer may store any count, so it is limited to the
    /// longest possible claim.
    #[inline(always)]
    fn bounded(start: u64, count: u32, capacity: u64) -> Self {
        let len = u64::from(count).min(MAX_CLAIM).min(capacity);
        Self { start, len }
    }

    /// The first position after the run; positions end below `u64::MAX`.
    #[inline(always)]
    pub(crate) fn end(self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

/// The positions that one participant may have claimed. While the participant lives, only it stores
/// to its intent. All zero means no positions.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Intent {
    /// The first position plus 1, or 0.
    after_start: AtomicU64,
    count: AtomicU32,
}

impl Intent {
    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Self {
        Self {
            after_start: AtomicU64::new(0),
            count: AtomicU32::new(0),
        }
    }

    /// Sets the positions of the next claim. The participant must have finished every position that
    /// the intent covers so far.
    ///
    /// `stored_count` is the current value of the count: a claim as long as the one before stores
    /// only one word.
    #[inline(always)]
    pub(crate) fn set(&self, run: Run, stored_count: &mut u32) {
        let count = run.len as u32;
        if *stored_count != count {
            *stored_count = count;
            self.count.store(count, Release); // B
        }
        self.after_start.store(run.start.wrapping_add(1), Release); // A
    }

    /// Records that nothing is claimed.
    #[inline(always)]
    pub(crate) fn clear(&self) {
        self.after_start.store(0, Release); // A
    }

    /// The positions that the intent covers, if it is set.
    #[inline(always)]
    pub(crate) fn read(&self, capacity: u64) -> Option<Run> {
        #[cfg(fuzzing)]
        crate::sync::steps::take();
        let start = self.after_start.load(Acquire).checked_sub(1)?; // A
        Some(Run::bounded(start, self.count.load(Acquire), capacity)) // B
    }

    /// As [`read`](Self::read), from a copy of the words.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn from_words([low, high, count]: [u32; 3], capacity: u64) -> Option<Run> {
        let after_start = u64::from(high) << 32 | u64::from(low);
        let start = after_start.checked_sub(1)?;
        Some(Run::bounded(start, count, capacity))
    }
}
