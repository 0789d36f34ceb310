//! Several slots at once, in place: one claim, one wake-up, no copy.

#![allow(unsafe_code)]

use crate::endpoint::{PopEndpoint, PushEndpoint};
use crate::protocol::Protocol;
use bytemuck::Pod;
use core::fmt;
use std::thread;

/// Several free slots in a row, to be written in place and then committed.
///
/// [`Producer::try_claim_chunk`](super::Producer::try_claim_chunk) returns it. Slots count from 0 to
/// [`len`](Self::len). A chunk that is dropped, by a panic too, forgotten or killed publishes
/// nothing; see [`try_claim`](super::Producer::try_claim) for what becomes of the slots. In an MPMC
/// ring a forgotten chunk is filled by as many pushes of the handle as it has slots. In a forked
/// child it does nothing.
#[must_use = "a chunk that is dropped publishes nothing"]
pub struct ClaimChunk<'p, T: Pod, P: Protocol> {
    push: &'p mut PushEndpoint<T, P>,
    len: usize,
}

impl<'p, T: Pod, P: Protocol> ClaimChunk<'p, T, P> {
    pub(super) fn new(push: &'p mut PushEndpoint<T, P>, max: usize) -> Self {
        let len = push.claimed(max);
        Self { push, len }
    }

    /// The number of slots: at least one.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a chunk has at least one slot")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Writes a value into a slot, over what was written there before.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    #[inline]
    pub fn write(&mut self, index: usize, value: &T) {
        assert!(index < self.len, "slot {index} of a chunk of {}", self.len);
        if self.push.endpoint().is_usable() {
            // SAFETY: a `TypedRing` has slots for `T`, and this producer alone has claimed this one.
            unsafe { self.push.payload_at(index).store(value) }
        }
    }

    /// A slot itself. It holds an earlier message, or zeroes, until it is written.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    ///
    /// # Safety
    ///
    /// All peers are cooperative: no process stores into a slot that another one has claimed. The
    /// process was not forked since the claim was made.
    #[inline]
    pub unsafe fn get_mut(&mut self, index: usize) -> &mut T {
        assert!(index < self.len, "slot {index} of a chunk of {}", self.len);
        // SAFETY: aligned for a `T`, for which any bytes are valid; exclusive by this function's
        // contract and the borrow of the producer.
        unsafe { &mut *self.push.payload_at(index).as_ptr().cast::<T>() }
    }

    /// Publishes the first `count` slots, in order, and wakes the consumer once. The other slots are
    /// given up, as if they had not been claimed in an SPSC ring, as tombstones in an MPMC ring.
    ///
    /// A slot that was not written holds an earlier message, or zeroes, and publishes that. A
    /// producer that is killed within the call has published some of them, in order.
    ///
    /// # Panics
    ///
    /// If `count` is above [`len`](Self::len).
    #[inline]
    pub fn commit(self, count: usize) {
        assert!(
            count <= self.len,
            "{count} slots of a chunk of {}",
            self.len
        );
        if self.push.endpoint().is_usable() {
            self.push.commit_first(count);
        }
    }
}

/// Gives up the slots that were not committed.
impl<T: Pod, P: Protocol> Drop for ClaimChunk<'_, T, P> {
    fn drop(&mut self) {
        if self.push.endpoint().is_usable() {
            self.push.abandon();
        }
    }
}

impl<T: Pod, P: Protocol> fmt::Debug for ClaimChunk<'_, T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimChunk")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// Several messages in a row, in their slots, which are released when the chunk is dropped.
///
/// [`Consumer::try_read_chunk`](super::Consumer::try_read_chunk) returns it. Messages count from 0
/// to [`len`](Self::len). A consumer that is killed while it holds the chunk has consumed none of
/// them; see [`try_read`](super::Consumer::try_read). If a panic drops the chunk, its messages are
/// the next ones of the handle.
#[must_use = "a chunk that is dropped consumes its messages"]
pub struct ReadChunk<'c, T: Pod, P: Protocol> {
    pop: &'c mut PopEndpoint<T, P>,
    len: usize,
    was_panicking: bool,
}

impl<'c, T: Pod, P: Protocol> ReadChunk<'c, T, P> {
    pub(super) fn new(pop: &'c mut PopEndpoint<T, P>, max: usize) -> Self {
        let len = pop.ready(max);
        Self {
            pop,
            len,
            was_panicking: thread::panicking(),
        }
    }

    /// The number of messages: at least one.
    #[inline]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a chunk has at least one message"
    )]
    pub fn len(&self) -> usize {
        self.len
    }

    /// A copy of a message; zeroes in a forked child.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    #[inline]
    pub fn get(&self, index: usize) -> T {
        assert!(index < self.len, "message {index} of {}", self.len);
        if !self.pop.endpoint().is_usable() {
            return T::zeroed();
        }
        // SAFETY: a `TypedRing` has slots for `T`; any bytes are a `T`.
        unsafe { self.pop.payload_at(index).load() }
    }

    /// Copies of all messages, in order.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        (0..self.len).map(|index| self.get(index))
    }

    /// A message in its slot.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    ///
    /// # Safety
    ///
    /// All peers are cooperative: no process stores into a slot that holds a message. The process
    /// was not forked since the chunk was made.
    #[inline]
    pub unsafe fn get_ref(&self, index: usize) -> &T {
        assert!(index < self.len, "message {index} of {}", self.len);
        // SAFETY: aligned for a `T`, for which any bytes are valid; unchanged by this function's
        // contract until the chunk releases it.
        unsafe { &*self.pop.payload_at(index).as_ptr().cast::<T>() }
    }

    /// Consumes the first `count` messages. The others are the next ones of this handle.
    ///
    /// # Panics
    ///
    /// If `count` is above [`len`](Self::len).
    #[inline]
    pub fn release(mut self, count: usize) {
        assert!(count <= self.len, "{count} messages of {}", self.len);
        self.len = count;
    }
}

impl<T: Pod, P: Protocol> Drop for ReadChunk<'_, T, P> {
    fn drop(&mut self) {
        if self.pop.endpoint().is_usable() && (self.was_panicking || !thread::panicking()) {
            self.pop.release_first(self.len);
        }
    }
}

impl<T: Pod, P: Protocol> fmt::Debug for ReadChunk<'_, T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadChunk")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
