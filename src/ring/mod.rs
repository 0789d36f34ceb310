//! The ring algorithms, on atomic words and payload cells alone. They do not depend on mappings, so
//! that model checkers run the code that ships.
//!
//! A *position* is a 64-bit count of messages since the ring was created. It never wraps in
//! practice. But a hostile peer may store any value, so an SPSC ring computes modulo 2^64, and an
//! MPMC ring claims no position from 2^63 on. The *slot* of a position is
//! `position & (capacity - 1)`.

mod claim;
pub(crate) mod closing;
pub(crate) mod intent;
pub(crate) mod mpmc;
pub(crate) mod participants;
pub(crate) mod slot;
pub(crate) mod spsc;
pub(crate) mod sweep;

#[cfg(all(test, any(loom, shuttle)))]
mod models;

use self::intent::{Intent, Run};
use self::slot::{Slot, Slots};
use crate::error::Corrupt;
use crate::sync::{AtomicU64, Bytes};
use core::fmt::Debug;

/// The minimum capacity: with one slot, "full" and "free for the next lap" would be the same stamp.
pub(crate) const MIN_CAPACITY: u64 = 2;
/// The maximum capacity, because stamps are compared modulo 2^32.
pub(crate) const MAX_CAPACITY: u64 = 1 << 30;

/// Limits a difference of two hints to a number of messages. The hints are loaded one after the
/// other, so their difference may be negative or above the capacity.
#[cfg(not(any(loom, shuttle)))]
pub(crate) fn within(difference: u64, capacity: u64) -> usize {
    match difference {
        sane if sane <= capacity => sane as usize,
        above if above <= u64::MAX / 2 => capacity as usize,
        _ => 0,
    }
}

/// The shared words that a producer or consumer works on.
#[derive(Clone, Copy, Debug)]
pub struct Words<'r> {
    pub(crate) slots: &'r Slots<'r>,
    /// `tail` for a producer, `head` for a consumer.
    pub(crate) index: &'r AtomicU64,
    /// `tail` for both.
    pub(crate) tail: &'r AtomicU64,
    /// The participant's own intent. SPSC rings do not use it.
    pub(crate) intent: &'r Intent,
}

/// The private state of a producer.
pub trait PushSide: Sized + Debug {
    /// Whether other producers claim from the same index. If so, a slot that was ready may be
    /// claimed by another producer at any moment.
    const IS_SHARED: bool;

    /// Starts a holder. In an SPSC ring it continues where the last holder of the seat stopped.
    fn resume(words: &Words<'_>) -> Result<Self, Corrupt>;

    /// The next position to push to, as far as is known.
    fn next(&self, words: &Words<'_>) -> u64;

    /// Whether the next slot can be claimed, or is corrupt.
    fn is_ready(&self, words: &Words<'_>) -> bool;

    /// Claims free slots, up to `max` at once, unless some are claimed already. Returns whether any
    /// are. They belong to this producer until it publishes or abandons them.
    fn claim(&mut self, words: &Words<'_>, max: u64) -> Result<bool, Corrupt>;

    /// Whether a run of slots seems free that is worth a short wait, at most half of the ring.
    /// A producer that found none free waits for it: if it claimed slot by slot, both sides would
    /// contend for the same cache lines.
    fn has_free_run(&self, words: &Words<'_>) -> bool;

    /// Publishes one message if a slot is known to be free, or is found free at the first attempt.
    /// Returns whether it did; if not, [`claim`](Self::claim) finds the reason.
    ///
    /// `fill` writes the message into the slot and returns its length. It does not panic. Then the
    /// [hint is stored](Self::store_hint). The function calls no other, so that the fast path of a
    /// push saves no registers for a call.
    fn push_one(&mut self, words: &Words<'_>, fill: impl FnOnce(Bytes) -> u32) -> bool;

    /// Publishes claimed slots in order, as long as `fill` writes a message into the slot and
    /// returns its length. Returns the number published.
    fn push_claimed(&mut self, words: &Words<'_>, fill: impl FnMut(Bytes) -> Option<u32>) -> u64;

    /// The number of claimed slots, at most `max`. An endpoint that has the index to itself claims
    /// more first, if they are free.
    fn claimed(&mut self, words: &Words<'_>, max: u64) -> u64;

    /// The position of the next claimed slot.
    fn claim_start(&self) -> u64;

    /// The next claimed slot.
    #[inline(always)]
    fn slot<'r>(&self, words: &Words<'r>) -> Slot<'r> {
        words.slots.at(self.claim_start())
    }

    /// Publishes the message in the next claimed slot. The caller [stores the
    /// hint](Self::store_hint) before it returns to its own caller, and at least once per lap.
    fn publish(&mut self, words: &Words<'_>, len: u32);

    /// Makes the new position visible to observers and successors.
    fn store_hint(&self, words: &Words<'_>);

    /// Whether slots are claimed and not published that [`is_ready`](Self::is_ready) does not
    /// cover.
    fn has_claim(&self) -> bool {
        false
    }

    /// Abandons the slots that are claimed and not published. Returns the number of tombstones.
    fn abandon(&mut self, words: &Words<'_>) -> u64;

    /// Ends the ring, if this is the producer's task and a slot is free. Nothing may be claimed,
    /// and the next segment must exist or be requested. Returns whether the ring has ended.
    fn end_segment(&mut self, words: &Words<'_>) -> Result<bool, Corrupt>;
}

/// The private state of a consumer.
pub trait PopSide: Sized + Debug {
    /// As [`PushSide::IS_SHARED`].
    const IS_SHARED: bool;

    /// As [`PushSide::resume`].
    fn resume(words: &Words<'_>) -> Result<Self, Corrupt>;

    /// The next position to pop from, as far as is known.
    fn next(&self, words: &Words<'_>) -> u64;

    /// Whether a message can be claimed, or its slot is corrupt.
    fn is_ready(&self, words: &Words<'_>) -> bool;

    /// Claims messages, up to `max` at once, unless some are claimed already. Returns the length of
    /// the first, if there is one. They belong to this consumer until it releases them.
    fn claim(&mut self, words: &Words<'_>, max: u64) -> Result<Option<u32>, Corrupt>;

    /// Passes one message to `read`, releases its slot and [stores the hint](Self::store_hint), if
    /// a message is found at the first attempt. `read` does not panic.
    ///
    /// Returns `None` if no message is found or `read` returns `None`. Then [`claim`](Self::claim)
    /// finds the reason or the message.
    fn pop_one<R>(
        &mut self,
        words: &Words<'_>,
        read: impl FnOnce(Bytes, u32) -> Option<R>,
    ) -> Option<R>;

    /// Releases claimed slots in order, as long as `accept` accepts the message. Returns the number
    /// released.
    fn pop_claimed(&mut self, words: &Words<'_>, accept: impl FnMut(Bytes, u32) -> bool) -> u64;

    /// The number of positions that are claimed, of which not all need hold a message.
    fn claimed(&self, words: &Words<'_>) -> u64;

    /// The position of the next claimed slot.
    fn claim_start(&self) -> u64;

    /// The next claimed slot.
    #[inline(always)]
    fn slot<'r>(&self, words: &Words<'r>) -> Slot<'r> {
        words.slots.at(self.claim_start())
    }

    /// Releases the next claimed slot. The caller [stores the hint](Self::store_hint) before it
    /// returns to its own caller, and at least once per lap.
    fn release(&mut self, words: &Words<'_>);

    /// Makes the new position visible to observers and successors.
    fn store_hint(&self, words: &Words<'_>);

    /// Whether slots are claimed and not released that [`is_ready`](Self::is_ready) does not cover.
    fn has_claim(&self) -> bool {
        false
    }

    /// Takes over the claim of a dead consumer. SPSC rings do not need it: there a consumer
    /// [resumes](Self::resume) where the last one stopped.
    fn adopt(&mut self, _run: Run) {}

    /// Whether the ring has ended, and each of its messages was claimed.
    fn is_past_end(&self, words: &Words<'_>) -> bool;
}
