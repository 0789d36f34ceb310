//! Many producers, many consumers: Dmitry Vyukov's bounded queue (1024cores.net). One more plain
//! store lets a ring survive the death of any participant.
//!
//! A claim moves the shared index by compare-and-swap. Before it, the claimant sets its
//! [intent](super::intent) to the positions that it is about to claim. It clears the intent only
//! when the last of them is finished. So recovery can distinguish the unfinished positions of a
//! dead claimant from those that a live one still works on; see [`sweep`](super::sweep).
//!
//! # Being killed
//!
//! A participant killed before the compare-and-swap has claimed nothing. After it, the intent
//! covers the claimed positions. Those that a dead producer had not published become tombstones.
//! Those that a dead consumer had not released are adopted by another consumer.
//!
//! # Ordering
//!
//! P and R are the slot's (see [`slot`](super::slot)), A and B the intent's.
//!
//! | edge | store                        | load                               | carries                          | model |
//! |------|------------------------------|------------------------------------|----------------------------------|-------|
//! | I    | index, Release, `claim_run`, `claim_one` in [`claim`](super::claim) | index, Acquire, `claim_run`, `claim_one`, `is_ready`, `end_segment`, [`sweep`](super::sweep) | the claimant's intent, and the slots that it saw | `visible_claim_makes_its_intent_visible`, `claim_is_refused_only_by_current_lap`, `empty_ring_is_not_ready_from_stale_lap`, `full_ring_is_not_ready_from_stale_lap` |
//!
//! A claim that succeeds needs no Acquire of its own: the value that it replaces was loaded with
//! Acquire before. A participant that sees a claim also sees all claims before it, because only
//! claims move the index.

use super::claim::{ClaimedRun, SlotState};
use super::closing::{self, is_drained, is_sealed};
use super::intent::Run;
use super::slot::{Slots, TOMBSTONE};
use super::{PopSide, PushSide, Words};
use crate::error::Corrupt;
use crate::sync::{Acquire, Bytes, Relaxed};

/// A producer's private state.
#[derive(Debug)]
pub struct Writer {
    claimed: ClaimedRun,
}

impl Writer {
    #[inline(always)]
    fn inspect(slots: &Slots<'_>, position: u64) -> SlotState {
        let lap = slots.capacity() as i32;
        match slots.at(position).stamp().ahead_of(position) {
            _ if is_sealed(position) => SlotState::NotReady,
            0 => SlotState::Ready,
            // Still full with the message of the lap before, or still free for it.
            ahead if ahead == 1 - lap || ahead == lap.wrapping_neg() => SlotState::NotReady,
            _ => SlotState::Invalid,
        }
    }
}

impl PushSide for Writer {
    const IS_SHARED: bool = true;

    fn resume(_words: &Words<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            claimed: ClaimedRun::empty(),
        })
    }

    fn next(&self, words: &Words<'_>) -> u64 {
        // Relaxed: an approximate count, by which no memory is accessed.
        closing::position(words.index.load(Relaxed))
    }

    #[inline(always)]
    fn is_ready(&self, words: &Words<'_>) -> bool {
        let position = words.index.load(Acquire); // I
        is_sealed(position) || !matches!(Self::inspect(words.slots, position), SlotState::NotReady)
    }

    #[inline(always)]
    fn claim(&mut self, words: &Words<'_>, max: u64) -> Result<bool, Corrupt> {
        if self.claimed.is_empty() {
            self.claimed.claim_run(words, max, Self::inspect)
        } else {
            Ok(true)
        }
    }

    fn has_free_run(&self, words: &Words<'_>) -> bool {
        let half = words.slots.capacity() / 2;
        let last = self.next(words).wrapping_add(half - 1);
        words.slots.at(last).stamp().ahead_of(last) == 0
    }

    #[inline(always)]
    fn push_one(&mut self, words: &Words<'_>, fill: impl FnOnce(Bytes) -> u32) -> bool {
        let Some(claimed) = self.claimed.claim_one(words, 0) else {
            return false;
        };
        let len = fill(claimed.slot.payload());
        claimed.slot.publish(claimed.position, len);
        words.intent.clear();
        true
    }

    #[inline(always)]
    fn push_claimed(
        &mut self,
        words: &Words<'_>,
        mut fill: impl FnMut(Bytes) -> Option<u32>,
    ) -> u64 {
        self.claimed.advance(words, |slot, position| {
            let len = fill(slot.payload());
            if let Some(len) = len {
                slot.publish(position, len);
            }
            len.is_some()
        })
    }

    fn claimed(&mut self, _words: &Words<'_>, max: u64) -> u64 {
        self.claimed.len().min(max)
    }

    #[inline(always)]
    fn claim_start(&self) -> u64 {
        self.claimed.position
    }

    #[inline(always)]
    fn publish(&mut self, words: &Words<'_>, len: u32) {
        self.slot(words).publish(self.claimed.position, len);
        self.claimed.step(words.intent);
    }

    #[inline(always)]
    fn store_hint(&self, _words: &Words<'_>) {}

    fn has_claim(&self) -> bool {
        !self.claimed.is_empty()
    }

    fn abandon(&mut self, words: &Words<'_>) -> u64 {
        let mut tombstones = 0;
        while !self.claimed.is_empty() {
            self.publish(words, TOMBSTONE);
            tombstones += 1;
        }
        tombstones
    }

    /// The participant that creates the next segment seals this one.
    fn end_segment(&mut self, words: &Words<'_>) -> Result<bool, Corrupt> {
        Ok(is_sealed(words.tail.load(Acquire))) // I
    }
}

/// A consumer's private state.
#[derive(Debug)]
pub struct Reader {
    claimed: ClaimedRun,
    /// Whether a dead consumer had claimed the messages before.
    is_redelivered: bool,
}

impl Reader {
    #[inline(always)]
    fn inspect(slots: &Slots<'_>, position: u64) -> SlotState {
        let lap = slots.capacity() as i32;
        match slots.at(position).stamp().ahead_of(position) {
            1 => SlotState::Ready,
            // Not published yet, or not yet released by the consumer of the lap before.
            ahead if ahead == 0 || ahead == 1 - lap => SlotState::NotReady,
            _ => SlotState::Invalid,
        }
    }

    /// The next orphan of an adopted run. It skips the positions between orphans, which others have
    /// finished. After the last orphan it claims as usual.
    #[cold]
    fn claim_next_orphan(&mut self, words: &Words<'_>, max: u64) -> Result<Option<u32>, Corrupt> {
        while !self.claimed.is_empty() {
            let stamp = self.slot(words).stamp();
            if stamp.ahead_of(self.claimed.position) == 1 {
                return Ok(Some(stamp.len()));
            }
            self.claimed.step(words.intent);
        }
        self.claim(words, max)
    }

    /// Whether a dead consumer had claimed the message that was claimed last.
    pub(crate) fn is_redelivered(&self) -> bool {
        self.is_redelivered
    }
}

impl PopSide for Reader {
    const IS_SHARED: bool = true;

    fn resume(_words: &Words<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            claimed: ClaimedRun::empty(),
            is_redelivered: false,
        })
    }

    fn next(&self, words: &Words<'_>) -> u64 {
        // Relaxed: an approximate count, by which no memory is accessed.
        words.index.load(Relaxed)
    }

    #[inline(always)]
    fn is_ready(&self, words: &Words<'_>) -> bool {
        let position = words.index.load(Acquire); // I
        !matches!(Self::inspect(words.slots, position), SlotState::NotReady)
    }

    #[inline(always)]
    fn claim(&mut self, words: &Words<'_>, max: u64) -> Result<Option<u32>, Corrupt> {
        if self.claimed.is_empty() {
            self.is_redelivered = false;
            if !self.claimed.claim_run(words, max, Self::inspect)? {
                return Ok(None);
            }
        }
        let stamp = self.slot(words).stamp();
        match stamp.ahead_of(self.claimed.position) {
            1 => Ok(Some(stamp.len())),
            _ if self.is_redelivered => self.claim_next_orphan(words, max),
            _ => Err(Corrupt),
        }
    }

    #[inline(always)]
    fn pop_one<R>(
        &mut self,
        words: &Words<'_>,
        read: impl FnOnce(Bytes, u32) -> Option<R>,
    ) -> Option<R> {
        let claimed = self.claimed.claim_one(words, 1)?;
        let Some(message) = read(claimed.slot.payload(), claimed.stamp.len()) else {
            self.is_redelivered = false;
            self.claimed.retain(claimed.position);
            return None;
        };
        let capacity = words.slots.capacity();
        claimed.slot.release(claimed.position, capacity);
        words.intent.clear();
        Some(message)
    }

    #[inline(always)]
    fn pop_claimed(
        &mut self,
        words: &Words<'_>,
        mut accept: impl FnMut(Bytes, u32) -> bool,
    ) -> u64 {
        let capacity = words.slots.capacity();
        self.claimed.advance(words, |slot, position| {
            let stamp = slot.stamp();
            let is_accepted = stamp.ahead_of(position) == 1 && accept(slot.payload(), stamp.len());
            if is_accepted {
                slot.release(position, capacity);
            }
            is_accepted
        })
    }

    fn claimed(&self, _words: &Words<'_>) -> u64 {
        self.claimed.len()
    }

    #[inline(always)]
    fn claim_start(&self) -> u64 {
        self.claimed.position
    }

    #[inline(always)]
    fn release(&mut self, words: &Words<'_>) {
        let capacity = words.slots.capacity();
        self.slot(words).release(self.claimed.position, capacity);
        self.claimed.step(words.intent);
    }

    #[inline(always)]
    fn store_hint(&self, _words: &Words<'_>) {}

    fn has_claim(&self) -> bool {
        !self.claimed.is_empty()
    }

    /// This consumer's intent covers the run already.
    fn adopt(&mut self, run: Run) {
        self.claimed = ClaimedRun::adopted(run);
        self.is_redelivered = true;
    }

    /// False while a producer has claimed a position below the end and not published it. That
    /// message precedes all messages of the next segment.
    fn is_past_end(&self, words: &Words<'_>) -> bool {
        is_drained(words.tail, words.index)
    }
}
