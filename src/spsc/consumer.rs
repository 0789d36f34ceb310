//! The end that pops.

use super::ReadGuard;
use crate::attachment::{End, Patience, within};
use crate::error::{AttachError, Corrupt, Forked, PopError, PopTimeoutError, Refused, TryPopError};
use crate::message::Message;
use crate::ring::spsc::Reader;
use crate::sync::{Bytes, Relaxed};
use crate::terms::Peer;
use core::cell::Cell;
use core::fmt;
use core::hint::spin_loop;
use core::marker::PhantomData;
use core::time::Duration;

/// The end that pops.
pub struct Consumer<M: Message + ?Sized> {
    reader: Reader,
    message_size: u32,
    end: End,
    messages: PhantomData<fn(&M)>,
    not_sync: PhantomData<Cell<()>>,
}

impl<M: Message + ?Sized> Consumer<M> {
    pub(super) fn new(end: End) -> Result<Self, AttachError> {
        let view = end.view();
        let reader = Reader::resume(view.slots(), &view.header().head.0)?;
        Ok(Self {
            reader,
            message_size: end.attachment().geometry().shape.size,
            end,
            messages: PhantomData,
            not_sync: PhantomData,
        })
    }

    /// Pops if there is one.
    #[inline]
    pub fn try_pop(&mut self) -> Result<M::Owned, TryPopError> {
        let len = self.next(Patience::None)?;
        Ok(self.receive(len))
    }

    /// Pops, waiting.
    #[inline]
    pub fn pop(&mut self) -> Result<M::Owned, PopError> {
        let len = self.wait_for_next()?;
        Ok(self.receive(len))
    }

    /// Pops, waiting.
    #[inline]
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<M::Owned, PopTimeoutError> {
        let len = self.next(Patience::For(timeout))?;
        Ok(self.receive(len))
    }

    /// Pops into.
    #[inline]
    pub fn try_pop_into(&mut self, message: &mut M::Owned) -> Result<(), TryPopError> {
        let len = self.next(Patience::None)?;
        self.receive_into(len, message);
        Ok(())
    }

    /// Pops into.
    #[inline]
    pub fn pop_into(&mut self, message: &mut M::Owned) -> Result<(), PopError> {
        let len = self.wait_for_next()?;
        self.receive_into(len, message);
        Ok(())
    }

    /// Pops into.
    #[inline]
    pub fn pop_into_timeout(
        &mut self,
        message: &mut M::Owned,
        timeout: Duration,
    ) -> Result<(), PopTimeoutError> {
        let len = self.next(Patience::For(timeout))?;
        self.receive_into(len, message);
        Ok(())
    }

    /// Pops as many.
    pub fn try_pop_slice(&mut self, messages: &mut [M::Owned]) -> Result<usize, TryPopError> {
        if messages.is_empty() {
            return Ok(0);
        }
        let first = self.next(Patience::None)?;
        Ok(self.receive_slice(first, messages))
    }

    /// Pops as many, at least one.
    pub fn pop_slice(&mut self, messages: &mut [M::Owned]) -> Result<usize, PopError> {
        if messages.is_empty() {
            return Ok(0);
        }
        let first = self.wait_for_next()?;
        Ok(self.receive_slice(first, messages))
    }

    /// Pops up to `most`, appended.
    pub fn try_pop_vec(
        &mut self,
        messages: &mut Vec<M::Owned>,
        most: usize,
    ) -> Result<usize, TryPopError> {
        if most == 0 {
            return Ok(0);
        }
        let first = self.next(Patience::None)?;
        Ok(self.receive_vec(first, messages, most))
    }

    /// Pops up to `most`, at least one, appended.
    pub fn pop_vec(
        &mut self,
        messages: &mut Vec<M::Owned>,
        most: usize,
    ) -> Result<usize, PopError> {
        if most == 0 {
            return Ok(0);
        }
        let first = self.wait_for_next()?;
        Ok(self.receive_vec(first, messages, most))
    }

    /// Reads in place.
    #[inline]
    pub fn try_read(&mut self) -> Result<ReadGuard<'_, M>, TryPopError> {
        let len = self.next(Patience::None)?;
        Ok(ReadGuard::new(self, len))
    }

    /// Reads in place, waiting.
    #[inline]
    pub fn read(&mut self) -> Result<ReadGuard<'_, M>, PopError> {
        let len = self.wait_for_next()?;
        Ok(ReadGuard::new(self, len))
    }

    /// Reads in place, waiting.
    #[inline]
    pub fn read_timeout(&mut self, timeout: Duration) -> Result<ReadGuard<'_, M>, PopTimeoutError> {
        let len = self.next(Patience::For(timeout))?;
        Ok(ReadGuard::new(self, len))
    }

    /// Iterates, waiting.
    pub fn iter(&mut self) -> Iter<'_, M> {
        Iter { consumer: self }
    }

    /// Iterates until empty.
    pub fn try_iter(&mut self) -> TryIter<'_, M> {
        TryIter { consumer: self }
    }

    /// Messages in the ring.
    pub fn len(&self) -> usize {
        if self.end.attachment().view().is_none() {
            return 0;
        }
        let tail = self.end.view().header().tail.0.load(Relaxed);
        within(
            tail.wrapping_sub(self.reader.position()),
            self.capacity() as u64,
        )
    }

    /// Whether empty.
    pub fn is_empty(&self) -> bool {
        self.end.attachment().view().is_none() || !self.reader.is_due(self.end.view().slots())
    }

    /// Whether full.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Capacity.
    pub fn capacity(&self) -> usize {
        self.end.attachment().capacity()
    }

    /// The peer.
    pub fn peer(&mut self) -> Result<Peer, Forked> {
        self.end.peer()
    }

    /// Closes the ring.
    pub fn close(&self) {
        self.end.attachment().close();
    }

    /// The length of the next message.
    #[inline(always)]
    fn next(&mut self, patience: Patience) -> Result<u32, Refused> {
        self.end.admit()?;
        if let Some(len) = self.look()? {
            return Ok(len);
        }
        self.next_later(patience)
    }

    #[inline(always)]
    fn look(&mut self) -> Result<Option<u32>, Refused> {
        match self.reader.take(self.end.view().slots()) {
            Ok(Some(len)) if !M::can_have(len, self.message_size) => {
                Err(self.end.distrust(Corrupt).into())
            }
            Ok(next) => Ok(next),
            Err(corrupt) => Err(self.end.distrust(corrupt).into()),
        }
    }

    #[inline(never)]
    fn next_later(&mut self, patience: Patience) -> Result<u32, Refused> {
        for _ in 0..self.end.spins(patience) {
            spin_loop();
            if let Some(len) = self.look()? {
                return Ok(len);
            }
        }
        let view = *self.end.view();
        let deadline = patience.deadline();
        loop {
            self.end
                .wait(deadline, || self.reader.is_due(view.slots()))?;
            if let Some(len) = self.look()? {
                return Ok(len);
            }
        }
    }

    #[inline(always)]
    fn wait_for_next(&mut self) -> Result<u32, PopError> {
        loop {
            match self.next(Patience::Forever) {
                Ok(len) => return Ok(len),
                Err(Refused::NotNow) => {}
                Err(Refused::Broken(broken)) => return Err(broken.into()),
            }
        }
    }

    /// The payload of the next slot.
    #[inline(always)]
    pub(super) fn payload(&self) -> Bytes {
        self.reader.slot(self.end.view().slots()).payload()
    }

    /// Gives the next slot, which holds a message, back.
    #[inline(always)]
    pub(super) fn release(&mut self) {
        self.reader.release(self.end.view().slots());
        self.announce();
    }

    /// Lets others know of what was given back.
    #[inline(always)]
    fn announce(&self) {
        let header = self.end.view().header();
        self.reader.hint(&header.head.0);
        header.not_full.0.notify(self.end.fences());
    }

    #[inline(always)]
    fn receive(&mut self, len: u32) -> M::Owned {
        // SAFETY: the ring was opened for the shape of `M`, and `next` checked the length.
        let message = unsafe { M::load(self.payload(), len) };
        self.release();
        message
    }

    #[inline(always)]
    fn receive_into(&mut self, len: u32, message: &mut M::Owned) {
        // SAFETY: as for `receive`.
        unsafe { M::load_into(self.payload(), len, message) }
        self.release();
    }

    fn receive_slice(&mut self, first: u32, messages: &mut [M::Owned]) -> usize {
        let mut free = messages.iter_mut();
        self.receive_some(first, free.len(), |payload, len| {
            if let Some(message) = free.next() {
                // SAFETY: as for `receive`.
                unsafe { M::load_into(payload, len, message) }
            }
        })
    }

    fn receive_vec(&mut self, first: u32, messages: &mut Vec<M::Owned>, most: usize) -> usize {
        self.receive_some(first, most, |payload, len| {
            // SAFETY: as for `receive`.
            messages.push(unsafe { M::load(payload, len) });
        })
    }

    /// Pops the next message, which is `first` bytes long, and those after it, at most a lap.
    #[inline(always)]
    fn receive_some(&mut self, first: u32, most: usize, mut keep: impl FnMut(Bytes, u32)) -> usize {
        let most = most.min(self.capacity());
        let mut len = first;
        let mut received = 0;
        loop {
            keep(self.payload(), len);
            self.reader.release(self.end.view().slots());
            received += 1;
            if received == most {
                break;
            }
            match self.look() {
                Ok(Some(next)) => len = next,
                // An error is told by the next call, which meets it first.
                Ok(None) | Err(_) => break,
            }
        }
        self.announce();
        received
    }
}

impl<M: Message + ?Sized> fmt::Debug for Consumer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("position", &self.reader.position())
            .field("capacity", &self.capacity())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Messages as they come, by [`Consumer::iter`].
#[derive(Debug)]
pub struct Iter<'c, M: Message + ?Sized> {
    consumer: &'c mut Consumer<M>,
}

impl<M: Message + ?Sized> Iterator for Iter<'_, M> {
    type Item = M::Owned;

    #[inline]
    fn next(&mut self) -> Option<M::Owned> {
        self.consumer.pop().ok()
    }
}

/// The messages that are there, by [`Consumer::try_iter`].
#[derive(Debug)]
pub struct TryIter<'c, M: Message + ?Sized> {
    consumer: &'c mut Consumer<M>,
}

impl<M: Message + ?Sized> Iterator for TryIter<'_, M> {
    type Item = M::Owned;

    #[inline]
    fn next(&mut self) -> Option<M::Owned> {
        self.consumer.try_pop().ok()
    }
}
