//! What a participant is about to claim, said before it claims it: what makes a claim of the
//! dead recoverable.
//!
//! An intent stands from before the compare-and-swap that claims its positions until after the
//! last of them was published or given back. So whoever sees a position claimed and its slot not
//! finished knows that the claimant's entry still says so. The reverse does not hold: an intent
//! may stand for positions that somebody else won, or that are long done.
//!
//! # Ordering
//!
//! | edge | store                           | load                           | carries                       | model |
//! |------|---------------------------------|--------------------------------|-------------------------------|-------|
//! | A    | position, Release, `set`, `clear` | position, Acquire, `read`  | the slots of the claim before | `ended_intent_makes_finished_slots_visible` |
//! | B    | count, Release, `set`         | count, Acquire, `read`         | the slots of the claim before | `intent_of_new_length_is_not_read_with_old_position` |

use crate::sync::{Acquire, AtomicU32, AtomicU64, Release};

/// The most positions that one claim takes, whatever it is asked for: what recovery looks at
/// for each of the dead is bounded by it.
pub(crate) const MAX_CLAIM: u64 = 4096;

/// Positions from `start` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    pub(crate) start: u64,
    pub(crate) len: u64,
}

impl Run {
    /// No positions.
    pub(crate) const NONE: Self = Self { start: 0, len: 0 };

    /// What a peer says, who may have said anything: no longer than a claim can be.
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

/// The positions that one participant may have claimed, in a place that only it stores to while
/// it lives. All zero is none.
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

    /// Says what the next claim is for. Nothing may be claimed that the intent stands for now.
    ///
    /// `stored_count` is what the count says already, so that claims of one length store one word.
    #[inline(always)]
    pub(crate) fn set(&self, run: Run, stored_count: &mut u32) {
        let count = run.len as u32;
        if *stored_count != count {
            *stored_count = count;
            self.count.store(count, Release); // B
        }
        self.after_start.store(run.start.wrapping_add(1), Release); // A
    }

    /// Says that nothing is claimed.
    #[inline(always)]
    pub(crate) fn clear(&self) {
        self.after_start.store(0, Release); // A
    }

    /// What stands, as far as it can be bounded.
    #[inline(always)]
    pub(crate) fn read(&self, capacity: u64) -> Option<Run> {
        #[cfg(fuzzing)]
        crate::sync::steps::take();
        let start = self.after_start.load(Acquire).checked_sub(1)?; // A
        Some(Run::bounded(start, self.count.load(Acquire), capacity)) // B
    }

    /// What stands in a copy of the words.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn from_words([low, high, count]: [u32; 3], capacity: u64) -> Option<Run> {
        let after_start = u64::from(high) << 32 | u64::from(low);
        let start = after_start.checked_sub(1)?;
        Some(Run::bounded(start, count, capacity))
    }
}
