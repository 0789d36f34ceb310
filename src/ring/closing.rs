//! How a ring ends: it is closed permanently, or the next segment continues it.
//!
//! An MPMC ring is *sealed*: the highest bit of its tail is set, which no position has. No claim
//! can succeed after that, because its compare-and-swap expects a tail without the bit. So the tail
//! is final. An SPSC ring can be ended only by its producer: [`Closing::supersede`] requests it,
//! and the producer publishes an end marker in place of the next message. Producers and consumers
//! find the seal and the marker in words that they load anyway.
//!
//! # Ordering
//!
//! | edge | store                                | load                          | carries                | model |
//! |------|--------------------------------------|-------------------------------|------------------------|-------|
//! | C    | the word, Release, `close`           | the word, Acquire, `is_closed` | what was pushed before | `messages_pushed_before_close_are_popped` |
//! | C    | the word, Release, `supersede`       | the word, Acquire, `close`    | the next segment       | `close_while_growing_closes_next_segment` |
//! | I    | tail, Release, `seal`                | tail, Acquire, as in [`mpmc`](super::mpmc) | the next segment | `push_refused_by_seal_sees_next_segment` |
//!
//! `close` and `supersede` are read-modify-writes of one word, so the later one sees the earlier
//! one. Either `close` returns that the next segment must be closed too, or `supersede` returns
//! that the ring is closed (`close_while_growing_closes_next_segment`).

use crate::sync::{AcqRel, Acquire, AtomicU32, AtomicU64, Relaxed, Release};

/// The bit that is set in a sealed tail. Positions of MPMC rings are below it.
pub(crate) const SEALED: u64 = 1 << 63;

/// The position in a tail, sealed or not.
#[inline(always)]
pub(crate) fn position(index: u64) -> u64 {
    index & !SEALED
}

#[inline(always)]
pub(crate) fn is_sealed(tail: u64) -> bool {
    tail & SEALED != 0
}

/// The end of a claim of `len` positions that starts at an index. `None` if the index is sealed, or
/// if the positions are used up.
#[inline(always)]
pub(super) fn end_of_claim(index: u64, len: u64) -> Option<u64> {
    let end = index.wrapping_add(len);
    // As a signed number, a sealed index is negative, and so is an end beyond the last position.
    ((index as i64) >= 0 && (end as i64) > 0).then_some(end)
}

/// Prevents all further claims by producers.
pub(crate) fn seal(tail: &AtomicU64) {
    tail.fetch_or(SEALED, Release); // I
}

/// Whether an MPMC ring is sealed and each of its positions was claimed by a consumer.
pub(crate) fn is_drained(tail: &AtomicU64, head: &AtomicU64) -> bool {
    // Relaxed: a caller that moves on because of it has already found the next segment.
    let tail = tail.load(Relaxed);
    is_sealed(tail) && head.load(Acquire) == position(tail) // I
}

/// The flags of how the ring ends.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Closing(AtomicU32);

const CLOSED: u32 = 1;
const SUPERSEDED: u32 = 2;

impl Closing {
    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Whether the ring is neither closed nor superseded, as far as is known.
    #[inline(always)]
    pub(crate) fn is_open(&self) -> bool {
        // Relaxed: a caller that gets `false` then queries how the ring ends.
        self.0.load(Relaxed) == 0
    }

    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Acquire) & !SUPERSEDED != 0 // C
    }

    /// Whether the word records that the next segment follows.
    pub(crate) fn is_superseded(&self) -> bool {
        // Relaxed: a caller either sets the flag itself, under a lock, or only reports it.
        self.0.load(Relaxed) & SUPERSEDED != 0
    }

    /// Closes the ring permanently. Returns whether the next segment follows.
    pub(crate) fn close(&self) -> bool {
        self.0.fetch_or(CLOSED, AcqRel) & SUPERSEDED != 0 // C
    }

    /// Records that the next segment follows. Returns whether this one is closed.
    pub(crate) fn supersede(&self) -> bool {
        self.0.fetch_or(SUPERSEDED, Release) & !SUPERSEDED != 0 // C
    }

    /// Whether a word from a copy of the header records that the ring is closed.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn is_closed_in(word: u32) -> bool {
        word & !SUPERSEDED != 0
    }
}
