//! Many producers, many consumers: Dmitry Vyukov's bounded queue (1024cores.net), with one
//! plain store more that lets a ring survive the death of anybody in it.
//!
//! A claim moves the shared index by compare-and-swap. Before it, the claimant says in a place of
//! its own which positions it is about to claim (its [`Intent`]), and takes that back only when
//! the last of them is finished. What a dead claimant left unfinished can then be told from what
//! a live one is still at; see [`recovery`](super::sweep).
//!
//! # Being killed
//!
//! Before the compare-and-swap nothing happened. After it, the claimed positions are the dead
//! one's, as its intent says: of a producer those that it had not published become tombstones,
//! of a consumer those that it had not given back are handed to another one.
//!
//! # Ordering
//!
//! P and R are the slot's (see [`slot`](super::slot)), A and B the intent's.
//!
//! | edge | store                        | load                               | carries                          | model |
//! |------|------------------------------|------------------------------------|----------------------------------|-------|
//! | I    | index, Release, `claim_run`, `claim_one` | index, Acquire, `claim_run`, `claim_one`, `is_ready`, recovery | the claimant's intent, and the slots that it saw | `visible_claim_makes_its_intent_visible`, `claim_is_refused_only_by_current_lap`, `empty_ring_is_not_ready_from_stale_lap`, `full_ring_is_not_ready_from_stale_lap` |
//!
//! A claim that succeeds needs no Acquire of its own: what it replaces was loaded with Acquire
//! before. Who sees a claim sees all before it, as only claims move the index.

use super::closing::{self, end_of_claim, is_drained, is_sealed};
use super::intent::{Intent, MAX_CLAIM, Run};
use super::slot::{Slot, Slots, Stamp, TOMBSTONE};
use super::{PopSide, PushSide, Words};
use crate::error::Corrupt;
use crate::sync::{Acquire, Bytes, Relaxed, Release};

/// How often a claim may be lost to others before it counts as refused. Each time somebody else
/// made progress; so many in a row are a peer that moves the index for nothing.
const MAX_RETRIES: u32 = 10_000;

/// The positions that an end has claimed, and what it says of them.
#[derive(Debug)]
struct Claimed {
    position: u64,
    until: u64,
    /// What the count of the intent says.
    stored_count: u32,
}

/// A claimed position that nobody remembers but who has it.
struct ClaimedSlot<'r> {
    position: u64,
    slot: Slot<'r>,
    stamp: Stamp,
}

/// What the slot at the index says to who wants to claim it.
enum SlotState {
    Ready,
    NotReady,
    Invalid,
}

impl Claimed {
    fn nothing() -> Self {
        Self {
            position: 0,
            until: 0,
            // A new holder of the seat finds what its predecessor left.
            stored_count: 0,
        }
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.position == self.until
    }

    /// Claims the position at the index, if one look finds its slot `ready` ahead of it and nobody
    /// else is quicker. What is claimed is the caller's to finish, or to [keep](Self::keep).
    ///
    /// It is handed over by value: what goes through memory around a compare-and-swap has to wait
    /// for it.
    #[inline(always)]
    fn claim_one<'r>(&mut self, words: &Words<'r>, ready: i32) -> Option<ClaimedSlot<'r>> {
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
        let claimed = words
            .index
            .compare_exchange(position, until, Release, Acquire); // I
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

    /// Remembers what was claimed for later.
    #[cold]
    fn retain(&mut self, position: u64) {
        self.position = position;
        self.until = position + 1;
    }

    /// Claims up to `most` positions from the index on, as many as are ready in a row.
    #[inline(always)]
    fn claim_run(
        &mut self,
        words: &Words<'_>,
        most: u64,
        inspect: impl Fn(&Slots<'_>, u64) -> SlotState,
    ) -> Result<bool, Corrupt> {
        let most = most.min(words.slots.capacity()).min(MAX_CLAIM);
        let mut position = words.index.load(Acquire); // I
        let mut is_intent_set = false;
        let mut refused = Ok(false);
        // Slots that were ready, and are as long as nobody claims them.
        let mut ready_until = 0;
        for _ in 0..MAX_RETRIES {
            let seen = match position < ready_until {
                true => SlotState::Ready,
                false => inspect(words.slots, position),
            };
            if !matches!(seen, SlotState::Ready) {
                let now = words.index.load(Acquire); // I
                if now != position {
                    position = now;
                    continue;
                }
                if matches!(seen, SlotState::Invalid) {
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
            let mut len = ready_until.saturating_sub(position).min(most).max(1);
            while len < most && is_ready(len) {
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
                Err(now) => {
                    position = now;
                    ready_until = until;
                }
            }
        }
        if is_intent_set {
            words.intent.clear();
        }
        refused
    }

    /// Goes from one claimed position to the next as long as `finish` has finished them. Says how
    /// many.
    #[inline(always)]
    fn advance(
        &mut self,
        words: &Words<'_>,
        mut finish: impl FnMut(&Slot<'_>, u64) -> bool,
    ) -> u64 {
        let slots = *words.slots;
        let (start, until) = (self.position, self.until);
        let mut position = start;
        while position != until && finish(&slots.at(position), position) {
            position += 1;
            // Each time, since the next `finish` may panic.
            self.position = position;
        }
        if position == until {
            words.intent.clear();
        }
        position - start
    }

    /// Goes on to the next claimed position; after the last one nothing is said any more.
    #[inline(always)]
    fn step(&mut self, intent: &Intent) {
        self.position += 1;
        if self.is_empty() {
            intent.clear();
        }
    }
}

/// A producer's private state.
#[derive(Debug)]
pub struct Writer {
    claimed: Claimed,
}

impl Writer {
    #[inline(always)]
    fn inspect(slots: &Slots<'_>, position: u64) -> SlotState {
        let lap = slots.capacity() as i32;
        match slots.at(position).stamp().ahead_of(position) {
            _ if is_sealed(position) => SlotState::NotReady,
            0 => SlotState::Ready,
            // The message of a lap ago, or the room for it.
            ahead if ahead == 1 - lap || ahead == lap.wrapping_neg() => SlotState::NotReady,
            _ => SlotState::Invalid,
        }
    }
}

impl PushSide for Writer {
    const IS_SHARED: bool = true;

    fn resume(_words: &Words<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            claimed: Claimed::nothing(),
        })
    }

    fn next(&self, words: &Words<'_>) -> u64 {
        // Relaxed: a count to look at.
        closing::position(words.index.load(Relaxed))
    }

    #[inline(always)]
    fn is_ready(&self, words: &Words<'_>) -> bool {
        let position = words.index.load(Acquire); // I
        is_sealed(position) || !matches!(Self::inspect(words.slots, position), SlotState::NotReady)
    }

    #[inline(always)]
    fn claim(&mut self, words: &Words<'_>, most: u64) -> Result<bool, Corrupt> {
        if self.claimed.is_empty() {
            self.claimed.claim_run(words, most, Self::inspect)
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

    #[inline(always)]
    fn slot<'r>(&self, words: &Words<'r>) -> Slot<'r> {
        words.slots.at(self.claimed.position)
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

    /// Who makes the next ring seals this one.
    fn end_segment(&mut self, words: &Words<'_>) -> Result<bool, Corrupt> {
        Ok(is_sealed(words.tail.load(Acquire))) // I
    }
}

/// A consumer's private state.
#[derive(Debug)]
pub struct Reader {
    claimed: Claimed,
    /// Whether what is held was a dead consumer's.
    is_redelivered: bool,
}

impl Reader {
    #[inline(always)]
    fn inspect(slots: &Slots<'_>, position: u64) -> SlotState {
        let lap = slots.capacity() as i32;
        match slots.at(position).stamp().ahead_of(position) {
            1 => SlotState::Ready,
            // Nothing yet; or somebody still reads what lay there a lap ago.
            ahead if ahead == 0 || ahead == 1 - lap => SlotState::NotReady,
            _ => SlotState::Invalid,
        }
    }

    /// Passes over what was finished by others, between orphans of one claim.
    #[cold]
    fn take_next_orphan(&mut self, words: &Words<'_>, most: u64) -> Result<Option<u32>, Corrupt> {
        while !self.claimed.is_empty() {
            let stamp = self.slot(words).stamp();
            if stamp.ahead_of(self.claimed.position) == 1 {
                return Ok(Some(stamp.len()));
            }
            self.claimed.step(words.intent);
        }
        self.claim(words, most)
    }

    /// Whether the message that was taken last had been a dead consumer's.
    pub(crate) fn is_redelivered(&self) -> bool {
        self.is_redelivered
    }
}

impl PopSide for Reader {
    const IS_SHARED: bool = true;

    fn resume(_words: &Words<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            claimed: Claimed::nothing(),
            is_redelivered: false,
        })
    }

    fn next(&self, words: &Words<'_>) -> u64 {
        // Relaxed: a count to look at.
        words.index.load(Relaxed)
    }

    #[inline(always)]
    fn is_ready(&self, words: &Words<'_>) -> bool {
        let position = words.index.load(Acquire); // I
        !matches!(Self::inspect(words.slots, position), SlotState::NotReady)
    }

    #[inline(always)]
    fn claim(&mut self, words: &Words<'_>, most: u64) -> Result<Option<u32>, Corrupt> {
        if self.claimed.is_empty() {
            self.is_redelivered = false;
            if !self.claimed.claim_run(words, most, Self::inspect)? {
                return Ok(None);
            }
        }
        let stamp = self.slot(words).stamp();
        match stamp.ahead_of(self.claimed.position) {
            1 => Ok(Some(stamp.len())),
            _ if self.is_redelivered => self.take_next_orphan(words, most),
            _ => Err(Corrupt),
        }
    }

    #[inline(always)]
    fn pop_one<R>(
        &mut self,
        words: &Words<'_>,
        read: impl FnOnce(Bytes, u32) -> Option<R>,
    ) -> Option<R> {
        let taken = self.claimed.claim_one(words, 1)?;
        let Some(message) = read(taken.slot.payload(), taken.stamp.len()) else {
            self.is_redelivered = false;
            self.claimed.retain(taken.position);
            return None;
        };
        taken.slot.release(taken.position, words.slots.capacity());
        words.intent.clear();
        Some(message)
    }

    #[inline(always)]
    fn pop_claimed(&mut self, words: &Words<'_>, mut keep: impl FnMut(Bytes, u32) -> bool) -> u64 {
        let capacity = words.slots.capacity();
        self.claimed.advance(words, |slot, position| {
            let stamp = slot.stamp();
            let is_kept = stamp.ahead_of(position) == 1 && keep(slot.payload(), stamp.len());
            if is_kept {
                slot.release(position, capacity);
            }
            is_kept
        })
    }

    #[inline(always)]
    fn slot<'r>(&self, words: &Words<'r>) -> Slot<'r> {
        words.slots.at(self.claimed.position)
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

    /// The own intent stands for it already.
    fn adopt(&mut self, run: Run) {
        self.claimed = Claimed {
            position: run.start,
            until: run.end(),
            // The intent stands for the run, or for more.
            stored_count: 0,
        };
        self.is_redelivered = true;
    }

    /// Not while a position below the end is claimed and not published: what comes there is before all that is in
    /// the next ring.
    fn is_past_end(&self, words: &Words<'_>) -> bool {
        is_drained(words.tail, words.index)
    }
}
