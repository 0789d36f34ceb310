//! The algorithms, on words and payload cells alone: they know nothing of mappings, which is
//! what lets a model checker run the very code that ships.
//!
//! A *position* is a 64-bit count of messages since the ring was made. It never wraps in
//! practice; a peer may have written any, so an SPSC ring computes modulo 2^64, and an MPMC ring
//! claims none from 2^63 on. A position's *slot* is `position & (capacity - 1)`.

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

/// The fewest slots: at 1, "full" and "free for the next lap" would be the same stamp.
pub(crate) const MIN_CAPACITY: u64 = 2;
/// The most slots: stamps are compared modulo 2^32.
pub(crate) const MAX_CAPACITY: u64 = 1 << 30;

/// A difference of two hints as a number of messages. The hints are read one after the other,
/// so it may come out below zero or above the capacity.
#[cfg(not(any(loom, shuttle)))]
pub(crate) fn within(difference: u64, capacity: u64) -> usize {
    match difference {
        sane if sane <= capacity => sane as usize,
        above if above <= u64::MAX / 2 => capacity as usize,
        _ => 0,
    }
}

/// What an end of a ring works on.
#[derive(Clone, Copy, Debug)]
pub struct Words<'r> {
    pub(crate) slots: &'r Slots<'r>,
    /// `tail` for who pushes, `head` for who pops.
    pub(crate) index: &'r AtomicU64,
    /// `tail` for both.
    pub(crate) tail: &'r AtomicU64,
    /// The end's own; rings that need none leave it alone.
    pub(crate) intent: &'r Intent,
}

/// The private state of an end that pushes.
pub trait PushSide: Sized + Debug {
    /// Whether others claim from the same index: what was due may be gone a moment later.
    const IS_SHARED: bool;

    /// Begins, where the last holder of the end stopped if it has one holder at a time.
    fn resume(words: &Words<'_>) -> Result<Self, Corrupt>;

    /// The next position that a push gets, as far as is known.
    fn next(&self, words: &Words<'_>) -> u64;

    /// Whether there is a slot to claim, or something is wrong with it.
    fn is_ready(&self, words: &Words<'_>) -> bool;

    /// Makes sure of a free slot, and of up to `most` at once. What is claimed is this end's
    /// until it is published or abandoned.
    fn claim(&mut self, words: &Words<'_>, most: u64) -> Result<bool, Corrupt>;

    /// Whether so many slots seem to be free, up to half of the ring, as are worth a moment's wait for who found none
    /// free: slot by slot the two sides would want the same lines all the time.
    fn has_free_run(&self, words: &Words<'_>) -> bool;

    /// Publishes one message, which `fill` puts into the slot and says how long it is, and
    /// [stores the hint](Self::store_hint) of it: if a slot is known to be free, or was found so on the way. Where none
    /// was, [`claim`](Self::claim) says why. It calls nothing, so that nothing need be saved for a call
    /// where a push is short. `fill` does not panic.
    fn push_one(&mut self, words: &Words<'_>, fill: impl FnOnce(Bytes) -> u32) -> bool;

    /// Publishes claimed slots, one after the other, as long as `fill` puts a message into the
    /// slot and says how long it is. Says how many.
    fn push_claimed(&mut self, words: &Words<'_>, fill: impl FnMut(Bytes) -> Option<u32>) -> u64;

    /// The number of claimed slots, at most `max`. An endpoint that has the index to itself claims
    /// more first, if they are free.
    fn claimed(&mut self, words: &Words<'_>, max: u64) -> u64;

    /// The position of the next claimed slot.
    fn claim_start(&self) -> u64;

    /// The next of the claimed slots.
    fn slot<'r>(&self, words: &Words<'r>) -> Slot<'r>;

    /// Publishes the next claimed slot's message. The caller [stores the hint](Self::store_hint) of it before it
    /// returns, and within a lap.
    fn publish(&mut self, words: &Words<'_>, len: u32);

    /// Lets observers and successors know of what was published.
    fn store_hint(&self, words: &Words<'_>);

    /// Whether anything is claimed and not published that [`is_ready`](Self::is_ready) does not see.
    fn has_claim(&self) -> bool {
        false
    }

    /// Gives up what is claimed and not published. Says how many positions were left without a
    /// message.
    fn abandon(&mut self, words: &Words<'_>) -> u64;

    /// Ends the ring, if that is this end's to do and there is room: nothing is claimed, and another ring
    /// follows or is said to. Says whether the ring has ended.
    fn end_segment(&mut self, words: &Words<'_>) -> Result<bool, Corrupt>;
}

/// The private state of an end that pops.
pub trait PopSide: Sized + Debug {
    /// As [`PushSide::IS_SHARED`].
    const IS_SHARED: bool;

    /// As [`PushSide::resume`].
    fn resume(words: &Words<'_>) -> Result<Self, Corrupt>;

    /// The next position that a pop gets, as far as is known.
    fn next(&self, words: &Words<'_>) -> u64;

    /// Whether there is a message to take, or something is wrong with its slot.
    fn is_ready(&self, words: &Words<'_>) -> bool;

    /// The length of the next message, if there is one, and up to `most` taken at once. What is
    /// taken is this end's until it is released.
    fn claim(&mut self, words: &Words<'_>, most: u64) -> Result<Option<u32>, Corrupt>;

    /// Gives one message to `read` and its slot back, and [stores the hint](Self::store_hint) of it, if nothing
    /// stands in the way. What did, or what `read` made nothing of, [`take`](Self::take) says.
    /// `read` does not panic.
    fn pop_one<R>(
        &mut self,
        words: &Words<'_>,
        read: impl FnOnce(Bytes, u32) -> Option<R>,
    ) -> Option<R>;

    /// Gives slots that were taken back, one after the other, as long as `keep` takes the message.
    /// Says how many.
    fn pop_claimed(&mut self, words: &Words<'_>, keep: impl FnMut(Bytes, u32) -> bool) -> u64;

    /// The number of positions that are claimed, of which not all need hold a message.
    fn claimed(&self, words: &Words<'_>) -> u64;

    /// The position of the next claimed slot.
    fn claim_start(&self) -> u64;

    /// The next of the slots that were taken.
    fn slot<'r>(&self, words: &Words<'r>) -> Slot<'r>;

    /// Gives the next slot that was taken back. The caller [stores the hint](Self::store_hint) of it before it
    /// returns, and within a lap.
    fn release(&mut self, words: &Words<'_>);

    /// Lets observers and successors know of what was given back.
    fn store_hint(&self, words: &Words<'_>);

    /// Whether anything is taken and not given back that [`is_ready`](Self::is_ready) does not see.
    fn has_claim(&self) -> bool {
        false
    }

    /// Goes on with what a dead consumer had taken, in rings whose consumers don't
    /// [resume](Self::resume) where the last one stopped.
    fn adopt(&mut self, _run: Run) {}

    /// Whether the ring has ended, and nothing that was ever in it is left to be taken.
    fn is_past_end(&self, words: &Words<'_>) -> bool;
}
