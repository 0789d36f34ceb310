//! A message being read in place.

use crate::endpoint::PopEndpoint;
use crate::message::Message;
use crate::protocol::{Mpmc, Protocol};
use bytemuck::Pod;
use core::{fmt, slice};
use std::thread;

/// The next message, in its slot, which is given back when the guard is dropped. If a panic
/// drops it, the message holders and is the handle's next one again.
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

    /// A copy of the message; in a forked child zeroes, or no bytes.
    #[inline]
    pub fn get(&self) -> M::Owned {
        if !self.pop.endpoint().is_usable() {
            return M::nothing();
        }
        // SAFETY: the ring was opened for the shape of `M`, and the length was checked.
        unsafe { M::load(self.pop.payload(), self.len) }
    }

    /// Copies the message over `message`, whose memory is used again.
    #[inline]
    pub fn get_into(&self, message: &mut M::Owned) {
        if !self.pop.endpoint().is_usable() {
            *message = M::nothing();
            return;
        }
        // SAFETY: as for `get`.
        unsafe { M::load_into(self.pop.payload(), self.len, message) }
    }

    /// Gives the message back unread: it is the handle's next one again, or somebody else's if the
    /// handle is dropped.
    #[inline]
    pub fn put_back(self) {
        core::mem::forget(self);
    }
}

impl<M: Message + ?Sized> ReadGuard<'_, M, Mpmc> {
    /// Whether another consumer had taken the message and died, or had left without giving it back:
    /// it may have seen the message, and done something about it.
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
    /// All peers are cooperative: no process stores into a slot that holds a message. The process
    /// was not forked since the guard was made.
    #[inline]
    pub unsafe fn get_ref(&self) -> &T {
        // SAFETY: aligned for a `T`, for which any bytes are good; unchanged by this
        // function's contract until the guard gives it back.
        unsafe { &*self.pop.payload().as_ptr().cast::<T>() }
    }
}

impl<P: Protocol> ReadGuard<'_, [u8], P> {
    /// The message's length in bytes.
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
    /// All peers are cooperative: no process stores into a slot that holds a message. The process
    /// was not forked since the guard was made.
    #[inline]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: the length was checked against the slot; unchanged by this function's
        // contract until the guard gives it back.
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
