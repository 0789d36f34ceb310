//! Many producers, many consumers: Dmitry Vyukov's bounded queue (1024cores.net), with one
//! plain store more that lets a ring survive the death of anybody in it.
//!
//! A claim moves the shared index by compare-and-swap. Before it, the claimant says in a place of
//! its own which positions it is about to claim (its [`Intent`]), and takes that back only when
//! the last of them is finished. What a dead claimant left unfinished can then be told from what
//! a live one is still at; see [`recovery`](super::recovery).
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
//! | I    | index, Release, `seize`, `seize_one` | index, Acquire, `seize`, `seize_one`, `is_due`, recovery | the claimant's intent, and the slots that it saw | `who_is_seen_to_have_claimed_is_seen_to_have_said_so`, `a_claim_that_is_refused_was_refused_by_this_lap`, `an_empty_ring_is_not_due_by_an_old_lap`, `a_full_ring_is_not_due_by_an_old_lap` |
//!
//! A claim that succeeds needs no Acquire of its own: what it replaces was loaded with Acquire
//! before. Who sees a claim sees all before it, as only claims move the index.

use super::ending::{self, end_of_claim, is_over, is_sealed};
use super::intent::{Intent, MAX_CLAIM, Run};
use super::slot::{Slot, Slots, Stamp, TOMBSTONE};
use super::{PopSide, PushSide, Words};
use crate::error::Corrupt;
use crate::sync::{Acquire, Bytes, Relaxed, Release};

/// How often a claim may be lost to others before it counts as refused. Each time somebody else
/// made progress; so many in a row are a peer that moves the index for nothing.
const PATIENCE: u32 = 10_000;

/// The positions that an end has claimed, and what it says of them.
#[derive(Debug)]
struct Held {
    position: u64,
    until: u64,
    /// What the count of the intent says.
    counted: u32,
}

/// A claimed position that nobody remembers but who has it.
struct One<'r> {
    position: u64,
    slot: Slot<'r>,
    stamp: Stamp,
}

/// What the slot at the index says to who wants to claim it.
enum Look {
    Ready,
    NotReady,
    Moved,
}

impl Held {
    fn nothing() -> Self {
        Self {
            position: 0,
            until: 0,
            // A new holder of the seat finds what its predecessor left.
            counted: 0,
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
    fn seize_one<'r>(&mut self, words: &Words<'r>, ready: i32) -> Option<One<'r>> {
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
        words.intent.stand(run, &mut self.counted);
        let claimed = words
            .index
            .compare_exchange(position, until, Release, Acquire); // I
        if claimed.is_err() {
            words.intent.clear();
            return None;
        }
        Some(One {
            position,
            slot,
            stamp,
        })
    }

    /// Remembers what was claimed for later.
    #[cold]
    fn keep(&mut self, position: u64) {
        self.position = position;
        self.until = position + 1;
    }

    /// Claims up to `most` positions from the index on, as many as are ready in a row.
    #[inline(always)]
    fn seize(
        &mut self,
        words: &Words<'_>,
        most: u64,
        look: impl Fn(&Slots, u64) -> Look,
    ) -> Result<bool, Corrupt> {
        let most = most.min(words.slots.capacity()).min(MAX_CLAIM);
        let mut position = words.index.load(Acquire); // I
        let mut is_said = false;
        let mut refused = Ok(false);
        // Slots that were ready, and are as long as nobody claims them.
        let mut ready_until = 0;
        for _ in 0..PATIENCE {
            let seen = match position < ready_until {
                true => Look::Ready,
                false => look(words.slots, position),
            };
            if !matches!(seen, Look::Ready) {
                let now = words.index.load(Acquire); // I
                if now != position {
                    position = now;
                    continue;
                }
                if matches!(seen, Look::Moved) {
                    refused = Err(Corrupt);
                }
                break;
            }
            let is_ready =
                |len| matches!(look(words.slots, position.wrapping_add(len)), Look::Ready);
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
            words.intent.stand(run, &mut self.counted);
            is_said = true;
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
        if is_said {
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
    held: Held,
}

impl Writer {
    #[inline(always)]
    fn look(slots: &Slots, position: u64) -> Look {
        let lap = slots.capacity() as i32;
        match slots.at(position).stamp().ahead_of(position) {
            _ if is_sealed(position) => Look::NotReady,
            0 => Look::Ready,
            // The message of a lap ago, or the room for it.
            ahead if ahead == 1 - lap || ahead == lap.wrapping_neg() => Look::NotReady,
            _ => Look::Moved,
        }
    }
}

impl PushSide for Writer {
    const IS_SHARED: bool = true;

    fn resume(_words: &Words<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            held: Held::nothing(),
        })
    }

    fn next(&self, words: &Words<'_>) -> u64 {
        // Relaxed: a count to look at.
        ending::position(words.index.load(Relaxed))
    }

    #[inline(always)]
    fn is_due(&self, words: &Words<'_>) -> bool {
        let position = words.index.load(Acquire); // I
        is_sealed(position) || !matches!(Self::look(words.slots, position), Look::NotReady)
    }

    #[inline(always)]
    fn claim(&mut self, words: &Words<'_>, most: u64) -> Result<bool, Corrupt> {
        if self.held.is_empty() {
            self.held.seize(words, most, Self::look)
        } else {
            Ok(true)
        }
    }

    fn has_run(&self, words: &Words<'_>) -> bool {
        let half = words.slots.capacity() / 2;
        let last = self.next(words).wrapping_add(half - 1);
        words.slots.at(last).stamp().ahead_of(last) == 0
    }

    #[inline(always)]
    fn send_one(&mut self, words: &Words<'_>, fill: impl FnOnce(Bytes) -> u32) -> bool {
        let Some(claimed) = self.held.seize_one(words, 0) else {
            return false;
        };
        let len = fill(claimed.slot.payload());
        claimed.slot.publish(claimed.position, len);
        words.intent.clear();
        true
    }

    #[inline(always)]
    fn send_claimed(
        &mut self,
        words: &Words<'_>,
        mut fill: impl FnMut(Bytes) -> Option<u32>,
    ) -> u64 {
        self.held.advance(words, |slot, position| {
            let len = fill(slot.payload());
            if let Some(len) = len {
                slot.publish(position, len);
            }
            len.is_some()
        })
    }

    #[inline(always)]
    fn slot<'r>(&self, words: &Words<'r>) -> Slot<'r> {
        words.slots.at(self.held.position)
    }

    #[inline(always)]
    fn publish(&mut self, words: &Words<'_>, len: u32) {
        self.slot(words).publish(self.held.position, len);
        self.held.step(words.intent);
    }

    #[inline(always)]
    fn tell(&self, _words: &Words<'_>) {}

    fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    fn abandon(&mut self, words: &Words<'_>) -> u64 {
        let mut tombstones = 0;
        while !self.held.is_empty() {
            self.publish(words, TOMBSTONE);
            tombstones += 1;
        }
        tombstones
    }

    /// Who makes the next ring seals this one.
    fn pass(&mut self, words: &Words<'_>) -> Result<bool, Corrupt> {
        Ok(is_sealed(words.tail.load(Acquire))) // I
    }
}

/// A consumer's private state.
#[derive(Debug)]
pub struct Reader {
    held: Held,
    /// Whether what is held was a dead consumer's.
    is_inherited: bool,
}

impl Reader {
    #[inline(always)]
    fn look(slots: &Slots, position: u64) -> Look {
        let lap = slots.capacity() as i32;
        match slots.at(position).stamp().ahead_of(position) {
            1 => Look::Ready,
            // Nothing yet; or somebody still reads what lay there a lap ago.
            ahead if ahead == 0 || ahead == 1 - lap => Look::NotReady,
            _ => Look::Moved,
        }
    }

    /// Passes over what was finished by others, between orphans of one claim.
    #[cold]
    fn take_next_orphan(&mut self, words: &Words<'_>, most: u64) -> Result<Option<u32>, Corrupt> {
        while !self.held.is_empty() {
            let stamp = self.slot(words).stamp();
            if stamp.ahead_of(self.held.position) == 1 {
                return Ok(Some(stamp.len()));
            }
            self.held.step(words.intent);
        }
        self.take(words, most)
    }

    /// Whether the message that was taken last had been a dead consumer's.
    pub(crate) fn is_inherited(&self) -> bool {
        self.is_inherited
    }
}

impl PopSide for Reader {
    const IS_SHARED: bool = true;

    fn resume(_words: &Words<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            held: Held::nothing(),
            is_inherited: false,
        })
    }

    fn next(&self, words: &Words<'_>) -> u64 {
        // Relaxed: a count to look at.
        words.index.load(Relaxed)
    }

    #[inline(always)]
    fn is_due(&self, words: &Words<'_>) -> bool {
        let position = words.index.load(Acquire); // I
        !matches!(Self::look(words.slots, position), Look::NotReady)
    }

    #[inline(always)]
    fn take(&mut self, words: &Words<'_>, most: u64) -> Result<Option<u32>, Corrupt> {
        if self.held.is_empty() {
            self.is_inherited = false;
            if !self.held.seize(words, most, Self::look)? {
                return Ok(None);
            }
        }
        let stamp = self.slot(words).stamp();
        match stamp.ahead_of(self.held.position) {
            1 => Ok(Some(stamp.len())),
            _ if self.is_inherited => self.take_next_orphan(words, most),
            _ => Err(Corrupt),
        }
    }

    #[inline(always)]
    fn receive_one<R>(
        &mut self,
        words: &Words<'_>,
        read: impl FnOnce(Bytes, u32) -> Option<R>,
    ) -> Option<R> {
        let taken = self.held.seize_one(words, 1)?;
        let Some(message) = read(taken.slot.payload(), taken.stamp.len()) else {
            self.is_inherited = false;
            self.held.keep(taken.position);
            return None;
        };
        taken.slot.release(taken.position, words.slots.capacity());
        words.intent.clear();
        Some(message)
    }

    #[inline(always)]
    fn receive_taken(
        &mut self,
        words: &Words<'_>,
        mut keep: impl FnMut(Bytes, u32) -> bool,
    ) -> u64 {
        let capacity = words.slots.capacity();
        self.held.advance(words, |slot, position| {
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
        words.slots.at(self.held.position)
    }

    #[inline(always)]
    fn release(&mut self, words: &Words<'_>) {
        let capacity = words.slots.capacity();
        self.slot(words).release(self.held.position, capacity);
        self.held.step(words.intent);
    }

    #[inline(always)]
    fn tell(&self, _words: &Words<'_>) {}

    fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// The own intent stands for it already.
    fn inherit(&mut self, run: Run) {
        self.held = Held {
            position: run.start,
            until: run.end(),
            // The intent stands for the run, or for more.
            counted: 0,
        };
        self.is_inherited = true;
    }

    /// Not while a position below the end is claimed and not published: what comes there is before all that is in
    /// the next ring.
    fn has_passed(&self, words: &Words<'_>) -> bool {
        is_over(words.tail, words.index)
    }
}
