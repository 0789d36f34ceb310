//! The type `ReadGuard`.

#![allow(unsafe_code)]

use crate::endpoint::PopEndpoint;
use crate::message::Message;
use crate::protocol::{Mpmc, Protocol};
use bytemuck::Pod;
use core::{fmt, slice};
use std::thread;

/// A message in its slot. Dropping the guard consumes the message and releases the slot.
///
/// If a panic drops the guard, the message is not consumed: it is the handle's next one again. If
/// the process is killed while it has the guard, the message is not consumed either. Another
/// consumer receives it, or it is dropped in an [at-most-once](crate::Delivery) ring. In a forked
/// child the guard does nothing.
///
/// ```
/// # let name = &format!("/slipring-doc-guard-{}", std::process::id());
/// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
/// # slipring::unlink(name)?;
/// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
/// producer.push_slice(&[7, 8])?;
/// let guard = consumer.read()?;
/// assert_eq!(guard.get(), 7);
/// drop(guard);
/// assert_eq!(consumer.pop()?, 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a guard that is dropped consumes its message"]
pub struct ReadGuard<'c, M: Message + ?Sized, P: Protocol> {
    pop: &'c mut PopEndpoint<M, P>,
    len: u32,
    was_panicking: bool,
}

impl<'c, M: Message + ?Sized, P: Protocol> ReadGuard<'c, M, P> {
    #[inline(always)]
    pub(super) fn new(pop: &'c mut PopEndpoint<M, P>, len: u32) -> Self {
        Self {
            pop,
            len,
            was_panicking: thread::panicking(),
        }
    }

    /// Copies the message. In a forked child it returns zeroes, or no bytes.
    #[inline]
    pub fn get(&self) -> M::Owned {
        if !self.pop.endpoint().is_usable() {
            return M::placeholder();
        }
        // SAFETY: the ring was opened for the shape of `M`, and the length was checked.
        unsafe { M::load(self.pop.payload(), self.len) }
    }

    /// Copies the message to `message`, and reuses its memory. In a forked child it stores zeroes,
    /// or no bytes.
    #[inline]
    pub fn get_into(&self, message: &mut M::Owned) {
        if !self.pop.endpoint().is_usable() {
            *message = M::placeholder();
            return;
        }
        // SAFETY: as for `get`.
        unsafe { M::load_into(self.pop.payload(), self.len, message) }
    }

    /// Does not consume the message: it is the handle's next one again. If the handle is dropped
    /// first, another consumer receives it.
    #[inline]
    pub fn put_back(self) {
        core::mem::forget(self);
    }
}

impl<M: Message + ?Sized> ReadGuard<'_, M, Mpmc> {
    /// Whether another consumer had claimed the message, and then died or left without releasing
    /// it. That consumer may have read the message and acted on it.
    #[inline]
    pub fn is_redelivered(&self) -> bool {
        self.pop.reader().is_redelivered()
    }
}

impl<T: Pod, P: Protocol> ReadGuard<'_, T, P> {
    /// The message in its slot.
    ///
    /// # Safety
    ///
    /// All peers are cooperative: no process stores to a slot that holds a message. The process was
    /// not forked since the guard was made.
    #[inline]
    pub unsafe fn get_ref(&self) -> &T {
        // SAFETY: aligned for a `T`, of which any bytes are a value; unchanged by this function's
        // contract until the guard releases it.
        unsafe { &*self.pop.payload().as_ptr().cast::<T>() }
    }
}

impl<P: Protocol> ReadGuard<'_, [u8], P> {
    /// The length of the message in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether the message has no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The message in its slot.
    ///
    /// # Safety
    ///
    /// All peers are cooperative: no process stores to a slot that holds a message. The process was
    /// not forked since the guard was made.
    #[inline]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: the length was checked against the slot; unchanged by this function's contract
        // until the guard releases it.
        unsafe { slice::from_raw_parts(self.pop.payload().as_ptr(), self.len()) }
    }
}

impl<M: Message + ?Sized, P: Protocol> Drop for ReadGuard<'_, M, P> {
    #[inline]
    fn drop(&mut self) {
        if self.pop.endpoint().is_usable() && (self.was_panicking || !thread::panicking()) {
            self.pop.release();
        }
    }
}

impl<M: Message + ?Sized, P: Protocol> fmt::Debug for ReadGuard<'_, M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadGuard")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
