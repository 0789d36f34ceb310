//! The type `Claim`.

#![allow(unsafe_code)]

use crate::endpoint::PushEndpoint;
use crate::error::Forked;
use crate::message::Message;
use crate::protocol::Protocol;
use bytemuck::Pod;
use core::{fmt, slice};
use std::io;

/// A claimed slot, to be written in place and then committed.
///
/// A claim that is dropped, also by a panic, forgotten or killed
/// [publishes nothing](super::Producer::try_claim). In a forked child it does nothing.
///
/// A byte string can be written in pieces with [`io::Write`]:
///
/// ```
/// use std::io::Write;
///
/// # let name = &format!("/slipring-doc-claim-{}", std::process::id());
/// # let ring = slipring::spsc::Ring::<[u8]>::create_bytes(name, 4, 64)?;
/// # slipring::unlink(name)?;
/// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
/// let mut claim = producer.claim()?;
/// write!(claim, "{} + {} = {}", 1, 2, 1 + 2)?;
/// claim.commit();
/// assert_eq!(consumer.pop()?, b"1 + 2 = 3");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a claim publishes nothing until it is committed"]
pub struct Claim<'p, M: Message + ?Sized, P: Protocol> {
    push: &'p mut PushEndpoint<M, P>,
    /// Bytes that were written, from the start of the payload.
    written: u32,
}

impl<'p, M: Message + ?Sized, P: Protocol> Claim<'p, M, P> {
    #[inline(always)]
    pub(super) fn new(push: &'p mut PushEndpoint<M, P>) -> Self {
        Self { push, written: 0 }
    }
}

impl<T: Pod, P: Protocol> Claim<'_, T, P> {
    /// Writes the value, replacing an earlier one. [`commit`](Self::commit) publishes it.
    #[inline]
    pub fn write(&mut self, value: &T) {
        if self.push.endpoint().is_usable() {
            // SAFETY: the claimed slot was laid out for a `T`, and only this producer writes to it.
            unsafe { self.push.payload().store(value) }
            self.written = self.push.message_size();
        }
    }

    /// The payload of the slot, to be written in place. It holds an earlier message or zeroes.
    /// [`commit`](Self::commit) publishes its content of that moment.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-claim-mut-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<[u64; 4]>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// let mut claim = producer.claim()?;
    /// // SAFETY: both ends are in this process and follow the protocol.
    /// let slot = unsafe { claim.get_mut() };
    /// slot.fill(7);
    /// claim.commit();
    /// assert_eq!(consumer.pop()?, [7; 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    ///
    /// All peers are cooperative: no process stores to a slot that another one has claimed. The
    /// process was not forked since the claim was made.
    #[inline]
    pub unsafe fn get_mut(&mut self) -> &mut T {
        self.written = self.push.message_size();
        // SAFETY: aligned for a `T`, of which any bytes are a value; exclusive by this function's
        // contract and the borrow of the producer.
        unsafe { &mut *self.push.payload().as_ptr().cast::<T>() }
    }

    /// Publishes the value, or all zeroes if none was written, with one store. Never blocks.
    ///
    /// If the process is killed within the call, the message is published completely or not at all.
    /// In a forked child the call does nothing.
    #[inline]
    pub fn commit(self) {
        if !self.push.endpoint().is_usable() {
            return;
        }
        let size = self.push.message_size();
        if self.written < size {
            // SAFETY: the claimed slot has `size` bytes, and only this producer writes to it.
            unsafe { self.push.payload().zero(size as usize) }
        }
        self.push.commit(size);
    }
}

impl<P: Protocol> Claim<'_, [u8], P> {
    /// The number of bytes that still fit.
    #[inline]
    pub fn remaining(&self) -> usize {
        (self.push.message_size() - self.written) as usize
    }

    /// The rest of the slot, [`remaining`](Self::remaining) bytes, which hold bytes of earlier
    /// messages or zeroes. [`advance`](Self::advance) records how many of them were written.
    ///
    /// # Safety
    ///
    /// All peers are cooperative: no process stores to a slot that another one has claimed. The
    /// process was not forked since the claim was made.
    #[inline]
    pub unsafe fn spare_mut(&mut self) -> &mut [u8] {
        let at = self.push.payload().as_ptr();
        // SAFETY: at most as many bytes were written as the slot has.
        let rest = unsafe { at.add(self.written as usize) };
        // SAFETY: inside the slot; exclusive by this function's contract and the borrow of the
        // producer.
        unsafe { slice::from_raw_parts_mut(rest, self.remaining()) }
    }

    /// Records that `bytes` more bytes were written, at most all that remain.
    #[inline]
    pub fn advance(&mut self, bytes: usize) {
        self.written += bytes.min(self.remaining()) as u32;
    }

    /// Publishes the bytes that were written, perhaps none, with one store. Never blocks.
    ///
    /// If the process is killed within the call, the message is published completely or not at all.
    /// In a forked child the call does nothing.
    #[inline]
    pub fn commit(self) {
        if self.push.endpoint().is_usable() {
            self.push.commit(self.written);
        }
    }
}

/// Appends to the message. Returns `Ok(0)` when the slot is full, and an error in a forked child.
impl<P: Protocol> io::Write for Claim<'_, [u8], P> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.push.endpoint().is_usable() {
            return Err(io::Error::other(Forked));
        }
        let fitting = &bytes[..bytes.len().min(self.remaining())];
        // SAFETY: that many bytes remain in the slot, and only this producer writes to it.
        unsafe {
            self.push
                .payload()
                .copy_from(self.written as usize, fitting)
        }
        self.written += fitting.len() as u32;
        Ok(fitting.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Abandons the slot. Does nothing after a commit.
impl<M: Message + ?Sized, P: Protocol> Drop for Claim<'_, M, P> {
    #[inline]
    fn drop(&mut self) {
        if self.push.endpoint().is_usable() {
            self.push.abandon();
        }
    }
}

impl<M: Message + ?Sized, P: Protocol> fmt::Debug for Claim<'_, M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}
