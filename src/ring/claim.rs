//! Claiming positions of an index that participants of one role share.
//!
//! The intent is set before each attempt, and the index moves by compare-and-swap. See
//! [`mpmc`](super::mpmc) for the ordering.

use super::Words;
use super::closing::end_of_claim;
use super::intent::{Intent, MAX_CLAIM, Run};
use super::slot::{Slot, Slots, Stamp};
use crate::error::Corrupt;
use crate::sync::{Acquire, Relaxed, Release};

/// How many races a claim may lose before it counts as refused.
///
/// Each time another participant made progress. So many losses in a row mean that a hostile peer
/// moves the index without claiming.
const MAX_RETRIES: u32 = 10_000;

/// The positions that a participant has claimed and not finished.
#[derive(Debug)]
pub(super) struct ClaimedRun {
    pub(super) position: u64,
    until: u64,
    /// The count that the intent holds, or 0 if it is unknown.
    stored_count: u32,
}

/// A claimed position that is not recorded in a [`ClaimedRun`].
pub(super) struct ClaimedSlot<'r> {
    pub(super) position: u64,
    pub(super) slot: Slot<'r>,
    pub(super) stamp: Stamp,
}

/// The state of the slot at the index, for a participant that wants to claim it.
pub(super) enum SlotState {
    Ready,
    NotReady,
    Invalid,
}

impl ClaimedRun {
    pub(super) fn empty() -> Self {
        Self {
            position: 0,
            until: 0,
            // The count that the seat's last holder left is unknown. No claim has length 0, so the
            // first one stores its own.
            stored_count: 0,
        }
    }

    /// The claim of a dead consumer, which the adopter's intent covers.
    pub(super) fn adopted(run: Run) -> Self {
        Self {
            position: run.start,
            until: run.end(),
            // The intent may hold a larger count than the run's: the next claim stores its own.
            stored_count: 0,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.until - self.position
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.position == self.until
    }

    /// Claims the position at the index, in one attempt, if its slot's stamp is `ready` ahead of
    /// it. The caller finishes the claim, or [retains](Self::retain) it.
    ///
    /// The claim is returned by value. Loads and stores around a compare-and-swap wait for it, and
    /// registers do not.
    #[inline(always)]
    pub(super) fn claim_one<'r>(
        &mut self,
        words: &Words<'r>,
        ready: i32,
    ) -> Option<ClaimedSlot<'r>> {
        if !self.is_empty() {
            return None;
        }
        let position = words.index.load(Acquire); // I
        let slot = words.slots.at(position);
        let stamp = slot.stamp();
        if stamp.ahead_of(position) != ready {
            return None;
        }
        let until = end_of_claim(position, 1)?;
        let run = Run {
            start: position,
            len: 1,
        };
        words.intent.set(run, &mut self.stored_count);
        // Relaxed: a lost race is left to `claim_run`, which loads the index itself.
        let claimed = words
            .index
            .compare_exchange(position, until, Release, Relaxed); // I
        if claimed.is_err() {
            words.intent.clear();
            return None;
        }
        Some(ClaimedSlot {
            position,
            slot,
            stamp,
        })
    }

    /// Records a claimed position, to be finished later.
    #[cold]
    pub(super) fn retain(&mut self, position: u64) {
        self.position = position;
        self.until = position + 1;
    }

    /// Claims consecutive positions from the index on: those that are ready, up to `max`.
    #[inline(always)]
    pub(super) fn claim_run(
        &mut self,
        words: &Words<'_>,
        max: u64,
        inspect: impl Fn(&Slots<'_>, u64) -> SlotState,
    ) -> Result<bool, Corrupt> {
        let max = max.min(words.slots.capacity()).min(MAX_CLAIM);
        let mut position = words.index.load(Acquire); // I
        let mut is_intent_set = false;
        let mut refused = Ok(false);
        // Slots below it were found ready. They stay ready until a participant claims them.
        let mut ready_until = 0;
        for _ in 0..MAX_RETRIES {
            let state = match position < ready_until {
                true => SlotState::Ready,
                false => inspect(words.slots, position),
            };
            if !matches!(state, SlotState::Ready) {
                // The slot counts only if the index has not moved since.
                let current = words.index.load(Acquire); // I
                if current != position {
                    position = current;
                    continue;
                }
                if matches!(state, SlotState::Invalid) {
                    refused = Err(Corrupt);
                }
                break;
            }
            let is_ready = |len| {
                matches!(
                    inspect(words.slots, position.wrapping_add(len)),
                    SlotState::Ready
                )
            };
            let mut len = ready_until.saturating_sub(position).min(max).max(1);
            while len < max && is_ready(len) {
                len += 1;
            }
            let Some(until) = end_of_claim(position, len) else {
                refused = Err(Corrupt);
                break;
            };
            let run = Run {
                start: position,
                len,
            };
            words.intent.set(run, &mut self.stored_count);
            is_intent_set = true;
            match words
                .index
                .compare_exchange(position, until, Release, Acquire) // I
            {
                Ok(_) => {
                    self.position = position;
                    self.until = until;
                    return Ok(true);
                }
                Err(current) => {
                    position = current;
                    ready_until = until;
                }
            }
        }
        if is_intent_set {
            words.intent.clear();
        }
        refused
    }

    /// Advances over claimed positions as long as `finish` finishes them. Returns their number.
    #[inline(always)]
    pub(super) fn advance(
        &mut self,
        words: &Words<'_>,
        mut finish: impl FnMut(&Slot<'_>, u64) -> bool,
    ) -> u64 {
        let slots = *words.slots;
        let (start, until) = (self.position, self.until);
        let mut position = start;
        while position != until && finish(&slots.at(position), position) {
            position += 1;
            // Stored each time, because the next `finish` may panic.
            self.position = position;
        }
        if position == until {
            words.intent.clear();
        }
        position - start
    }

    /// Advances to the next claimed position. After the last one, it clears the intent.
    #[inline(always)]
    pub(super) fn step(&mut self, intent: &Intent) {
        self.position += 1;
        if self.is_empty() {
            intent.clear();
        }
    }
}
