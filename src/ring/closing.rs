//! How a ring ends: closed for good, or followed by another one that goes on where it stops.
//!
//! An MPMC ring is *sealed*: the highest bit of its tail, which no position has, is set. What a
//! claim expects to find there is then never there again, so the tail is final. A producer of an
//! SPSC ring, who is the only one that can end it, is asked to, and publishes a marker where the
//! next message would go. Both are met where the ends look anyway.
//!
//! # Ordering
//!
//! | edge | store                                | load                          | carries                | model |
//! |------|--------------------------------------|-------------------------------|------------------------|-------|
//! | C    | the word, Release, `close`           | the word, Acquire, `is_closed` | what was pushed before | `messages_pushed_before_close_are_popped` |
//! | C    | the word, Release, `supersede`            | the word, Acquire, `close`    | the successor          | `close_while_growing_closes_next_segment` |
//! | I    | tail, Release, `seal`                | the index's own               | the successor          | `push_refused_by_seal_sees_next_segment` |
//!
//! That `close` and `supersede` change one word, each with what it found there, is why either who closes
//! sees that there is a successor to be closed too, or who made the successor sees that the ring is closed
//! (`close_while_growing_closes_next_segment`).

use crate::sync::{AcqRel, Acquire, AtomicU32, AtomicU64, Relaxed, Release};

/// The bit of a tail that is sealed. Positions of MPMC rings are below.
pub(crate) const SEALED: u64 = 1 << 63;

/// The position that a tail says, sealed or not.
#[inline(always)]
pub(crate) fn position(index: u64) -> u64 {
    index & !SEALED
}

#[inline(always)]
pub(crate) fn is_sealed(tail: u64) -> bool {
    tail & SEALED != 0
}

/// Where a claim of `len` positions from an index on ends: nowhere if the index is sealed, or the positions
/// are used up.
#[inline(always)]
pub(super) fn end_of_claim(index: u64, len: u64) -> Option<u64> {
    let end = index.wrapping_add(len);
    // A position and its end, the last one excepted, have the sign of positive numbers.
    ((index as i64) >= 0 && (end as i64) > 0).then_some(end)
}

/// Nothing is claimed for pushing any more.
pub(crate) fn seal(tail: &AtomicU64) {
    tail.fetch_or(SEALED, Release); // I
}

/// Whether all that will ever be in an MPMC ring has been taken.
pub(crate) fn is_drained(tail: &AtomicU64, head: &AtomicU64) -> bool {
    // Relaxed: who goes on by this has found the successor.
    let tail = tail.load(Relaxed);
    is_sealed(tail) && head.load(Acquire) == position(tail) // I
}

/// The word that says how the ring ends.
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

    /// Whether the ring goes on, as far as is known.
    #[inline(always)]
    pub(crate) fn is_open(&self) -> bool {
        // Relaxed: who is told that it does not asks again how it ends.
        self.0.load(Relaxed) == 0
    }

    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Acquire) & !SUPERSEDED != 0 // C
    }

    /// Whether it was said that another ring follows.
    pub(crate) fn is_superseded(&self) -> bool {
        // Relaxed: by who says so himself if it was not, under a lock, or to be told of it.
        self.0.load(Relaxed) & SUPERSEDED != 0
    }

    /// Closes the ring for good. Says whether another one follows.
    pub(crate) fn close(&self) -> bool {
        self.0.fetch_or(CLOSED, AcqRel) & SUPERSEDED != 0 // C
    }

    /// Says that another ring follows. Says whether this one is closed.
    pub(crate) fn supersede(&self) -> bool {
        self.0.fetch_or(SUPERSEDED, Release) & !SUPERSEDED != 0 // C
    }

    /// Whether a word that was read from a copy of the ring says that it is closed.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn is_closed_in(word: u32) -> bool {
        word & !SUPERSEDED != 0
    }
}
