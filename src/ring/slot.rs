//! The slot: a 64-bit stamp that records the slot's state, then the payload.
//!
//! ```text
//!     63            32 31             0
//!    +----------------+----------------+---------------------- - -
//!    |      len       |      seq       |  payload, at its alignment
//!    +----------------+----------------+---------------------- - -
//! ```
//!
//! `seq` is derived from a position, modulo 2^32. `position` means free for that position,
//! `position + 1` full with its message, and `position + capacity` free for the next lap. `len` is
//! the length of the message in bytes; [`TOMBSTONE`] and [`SEGMENT_END`] mark positions without
//! one. One store publishes both halves. The sequence number in each slot comes from Dmitry
//! Vyukov's bounded MPMC queue (1024cores.net).
//!
//! # Ordering
//!
//! | edge | store                                  | load                       | carries                | model |
//! |------|----------------------------------------|----------------------------|------------------------|-------|
//! | P    | the word, Release, `publish`, `finish` | the word, Acquire, `stamp` | the payload            | `slot_reuse_keeps_message_order` |
//! | R    | the word, Release, `release`, `finish` | the word, Acquire, `stamp` | the end of the reading | `slot_reuse_keeps_message_order` |

#![allow(unsafe_code)]

use crate::sync::{Acquire, AtomicU64, Bytes, Relaxed, Release};
use core::marker::PhantomData;
use core::ptr::NonNull;

/// The length in a tombstone: the claimant of the position abandoned it, or died.
pub(crate) const TOMBSTONE: u32 = u32::MAX;

/// The length in the marker that ends an SPSC ring: the next message is in the next segment.
pub(crate) const SEGMENT_END: u32 = u32::MAX - 1;

/// The value of a slot's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

impl Stamp {
    /// A word from a copy of the slot.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The stamp of a slot that is free for `position`.
    #[inline(always)]
    pub(crate) fn free(position: u64) -> Self {
        Self(u64::from(position as u32))
    }

    /// The stamp of a slot that holds the message of `position`, `len` bytes long.
    #[inline(always)]
    pub(crate) fn full(position: u64, len: u32) -> Self {
        Self(u64::from(len) << 32 | u64::from(position.wrapping_add(1) as u32))
    }

    #[inline(always)]
    pub(crate) fn len(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// How far the stamp is ahead of `position`: 0 means free for it, 1 means full with it.
    #[inline(always)]
    pub(crate) fn ahead_of(self, position: u64) -> i32 {
        (self.0 as u32).wrapping_sub(position as u32) as i32
    }
}

/// The layout of slots, which follows from the size and alignment of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotLayout {
    /// Bytes from one slot to the next.
    pub(crate) stride: usize,
    /// Bytes from the start of a slot to its payload.
    pub(crate) payload_offset: usize,
}

impl SlotLayout {
    /// The layout for payloads of `size` bytes aligned to `align`, a power of two.
    pub(crate) const fn of(size: u32, align: u32) -> Self {
        let word = size_of::<AtomicU64>();
        let payload_offset = if align as usize > word {
            align as usize
        } else {
            word
        };
        Self {
            stride: (payload_offset + size as usize).next_multiple_of(payload_offset),
            payload_offset,
        }
    }
}

/// The slots of a ring, at any address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots<'r> {
    base: NonNull<u8>,
    mask: u64,
    layout: SlotLayout,
    /// How many slots ahead to prefetch.
    prefetch_distance: u64,
    memory: PhantomData<&'r AtomicU64>,
}

/// How many bytes ahead of its position a participant prefetches the cache lines that it will
/// write. While it processes that many bytes of small messages, a line arrives from another core.
const PREFETCH_BYTES: usize = 1024;
/// Bytes in a cache line.
const CACHE_LINE: usize = 64;

// SAFETY: a slot is an atomic word and payload bytes. The bytes are accessed by raw pointer,
// through unsafe functions that require exclusive use. Nothing is tied to a thread.
unsafe impl Send for Slots<'_> {}
// SAFETY: as for `Send`.
unsafe impl Sync for Slots<'_> {}

impl<'r> Slots<'r> {
    /// # Safety
    ///
    /// For `'r`, `base` points to `capacity` slots with this `layout`. Each is an aligned
    /// `AtomicU64` and a payload that is valid for [`Bytes::at`]. `capacity` is a power of two.
    pub(crate) unsafe fn new(base: NonNull<u8>, capacity: u64, layout: SlotLayout) -> Self {
        Self {
            base,
            mask: capacity - 1,
            layout,
            prefetch_distance: (PREFETCH_BYTES / layout.stride).max(1) as u64,
            memory: PhantomData,
        }
    }

    /// The same slots, for code in which the layout is a compile-time constant.
    ///
    /// # Safety
    ///
    /// `known`, if given, is their layout.
    #[inline(always)]
    pub(crate) unsafe fn with_layout(self, known: Option<SlotLayout>) -> Self {
        debug_assert!(known.is_none_or(|known| known == self.layout));
        Self {
            layout: known.unwrap_or(self.layout),
            ..self
        }
    }

    /// Whether a slot is at least a cache line. Then an SPSC participant prefetches the lines that
    /// it will write. With several slots in a line, the first access brings it in for the others.
    #[inline(always)]
    pub(crate) fn fill_lines(&self) -> bool {
        self.layout.stride >= CACHE_LINE
    }

    #[inline(always)]
    pub(crate) fn capacity(&self) -> u64 {
        self.mask + 1
    }

    /// Prefetches one slot some way ahead for a producer at `position` that will write whole slots
    /// before `until`. The prefetch takes the lines from the cores that have them.
    ///
    /// Without it, a store to a missing line holds back all later stores in the store buffer. When
    /// that buffer is full, the core stalls.
    #[inline(always)]
    pub(crate) fn prefetch(&self, position: u64, until: u64) {
        let stride = self.layout.stride;
        if stride > PREFETCH_BYTES {
            self.prefetch_word(position, until);
        } else if until.wrapping_sub(position) > self.prefetch_distance {
            let payload = self
                .at(position.wrapping_add(self.prefetch_distance))
                .payload;
            for line in 0..stride.div_ceil(CACHE_LINE) {
                payload.prefetch_for_writing(line * CACHE_LINE);
            }
        }
    }

    /// As [`prefetch`](Self::prefetch), for a consumer, which writes only the slot's word.
    #[inline(always)]
    pub(crate) fn prefetch_word(&self, position: u64, until: u64) {
        if until.wrapping_sub(position) > self.prefetch_distance {
            let payload = self
                .at(position.wrapping_add(self.prefetch_distance))
                .payload;
            payload.prefetch_for_writing(0);
        }
    }

    /// The slot of a position. Every position has one.
    #[inline(always)]
    pub(crate) fn at(&self, position: u64) -> Slot<'r> {
        #[cfg(fuzzing)]
        crate::sync::steps::take();
        let offset = (position & self.mask) as usize * self.layout.stride;
        // SAFETY: the mask keeps the index below the capacity.
        let start = unsafe { self.base.add(offset) };
        // SAFETY: each slot starts with an aligned word, valid for `'r`.
        let word = unsafe { start.cast::<AtomicU64>().as_ref() };
        // SAFETY: the payload lies within the slot.
        let payload = unsafe { start.as_ptr().add(self.layout.payload_offset) };
        Slot {
            word,
            // SAFETY: the payload is valid by the contract of `new`.
            payload: unsafe { Bytes::at(payload) },
        }
    }
}

/// One slot.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'ring> {
    word: &'ring AtomicU64,
    payload: Bytes,
}

impl Slot<'_> {
    #[inline(always)]
    pub(crate) fn payload(&self) -> Bytes {
        self.payload
    }

    #[inline(always)]
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp(self.word.load(Acquire)) // P, R
    }

    /// Finishes the operation of a dead claimant: replaces the stamp `found` by `finished`. Returns
    /// `false` if the word has changed, which only a hostile peer can cause.
    pub(crate) fn finish(&self, found: Stamp, finished: Stamp) -> bool {
        self.word
            .compare_exchange(found.0, finished.0, Release, Relaxed) // P, R
            .is_ok()
    }

    /// Makes the slot free for `position`, in a ring that no participant uses yet.
    pub(crate) fn reset(&self, position: u64) {
        self.word.store(Stamp::free(position).0, Relaxed);
    }

    /// Publishes the message of `position`.
    #[inline(always)]
    pub(crate) fn publish(&self, position: u64, len: u32) {
        self.word.store(Stamp::full(position, len).0, Release); // P
    }

    /// Makes the slot free for the position one lap after `position`.
    #[inline(always)]
    pub(crate) fn release(&self, position: u64, capacity: u64) {
        let next_lap = position.wrapping_add(capacity);
        self.word.store(Stamp::free(next_lap).0, Release); // R
    }
}
