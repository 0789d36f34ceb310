//! The end that pops, as its users see it.

use super::{Iter, Protocol, ReadGuard, TryIter, patiently};
use crate::attachment::{End, Patience};
use crate::error::{AttachError, Forked, PopError, PopTimeoutError, TryPopError};
use crate::message::Message;
use crate::ring::ending::position;
use crate::ring::{PopSide, within};
use crate::sync::Relaxed;
use crate::terms::Peer;
use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

/// An end of a ring that pops.
///
/// It is taken by [`Ring::consumer`](super::Ring::consumer) and given back when it is dropped or
/// its process ends, however it ends. It may move between threads; only one uses it at a time. What
/// is said here of the producer, of an MPMC ring goes for all of its producers together.
///
/// # What a pop is
///
/// A pop copies the message out of its slot and then gives the slot back with one store. A
/// consumer that is killed before that store has not popped: another one gets the message, in an
/// SPSC ring the next holder of this end. One that is killed after it has, even if it could do
/// nothing with the message. To do the work before the slot is given back, [`read`](Self::read) in
/// place. What the producer's
/// thread wrote before it pushed a message is visible to whoever popped it.
///
/// While there are messages no pop makes a system call, unless the producer sleeps and has to be
/// woken.
pub struct Consumer<M: Message + ?Sized, P: Protocol> {
    pub(super) reader: P::Reader,
    pub(super) message_size: u32,
    pub(super) end: End,
    messages: PhantomData<fn(&M)>,
    not_sync: PhantomData<Cell<()>>,
}

impl<M: Message + ?Sized, P: Protocol> Consumer<M, P> {
    pub(super) fn new(mut end: End) -> Result<Self, AttachError> {
        let mut reader = P::Reader::resume(&end.station().for_popping())?;
        if let Some(run) = end.take_inherited() {
            reader.inherit(run);
        }
        Ok(Self {
            reader,
            message_size: end.attachment().geometry().shape.size,
            end,
            messages: PhantomData,
            not_sync: PhantomData,
        })
    }

    /// Pops the next message if there is one. Never blocks.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-try-pop-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// use slipring::error::TryPopError;
    ///
    /// producer.push(&7)?;
    /// assert_eq!(consumer.try_pop(), Ok(7));
    /// assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Empty`](TryPopError::Empty) if no message has been published, or
    /// [`Disconnected`](TryPopError::Disconnected) if, besides, the producer left or died, or the
    /// ring is closed; whether the producer lives is asked of the kernel at most once a liveness
    /// interval. See [`TryPopError`].
    #[inline(always)]
    pub fn try_pop(&mut self) -> Result<M::Owned, TryPopError> {
        match self.receive_now(|next| next.load()) {
            Some(message) => Ok(message),
            None => Ok(self.receive_later(Patience::None, |next| next.load())?),
        }
    }

    /// Pops the next message, and waits for it if there is none: for the producer to push, or to
    /// come.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-pop-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// use slipring::error::{Disconnected, PopError};
    ///
    /// producer.push(&7)?;
    /// drop(producer);
    /// assert_eq!(consumer.pop(), Ok(7));
    /// assert_eq!(consumer.pop(), Err(PopError::Disconnected(Disconnected::Left)));
    ///
    /// // A report, not a verdict: the same handle goes on with the next producer.
    /// ring.producer()?.push(&8)?;
    /// assert_eq!(consumer.pop(), Ok(8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Disconnected`](PopError::Disconnected) if there is no message and the producer left or
    /// died, at the latest one liveness interval after its death, or the ring is closed. A
    /// producer that never came is waited for. See [`PopError`].
    #[inline(always)]
    pub fn pop(&mut self) -> Result<M::Owned, PopError> {
        match self.receive_now(|next| next.load()) {
            Some(message) => Ok(message),
            None => self.receive_patiently(|next| next.load()),
        }
    }

    /// [Pops](Self::pop) the next message, and gives up when none came for as long as `timeout`.
    /// Signals and needless wake-ups neither shorten nor lengthen it.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop), and [`TimedOut`](PopTimeoutError::TimedOut).
    #[inline]
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<M::Owned, PopTimeoutError> {
        match self.receive_now(|next| next.load()) {
            Some(message) => Ok(message),
            None => Ok(self.receive_later(Patience::For(timeout), |next| next.load())?),
        }
    }

    /// [Pops](Self::try_pop) over `message`, whose memory is used again: a `Vec<u8>` with room for
    /// the ring's [`message_size`](super::Ring::message_size) is never reallocated. An error
    /// leaves it as it was.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-pop-into-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<[u8]>::create(name, 4, 16)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// let mut message = Vec::with_capacity(ring.message_size());
    /// producer.push(b"hello")?;
    /// consumer.try_pop_into(&mut message)?;
    /// assert_eq!(message, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`try_pop`](Self::try_pop).
    #[inline(always)]
    pub fn try_pop_into(&mut self, message: &mut M::Owned) -> Result<(), TryPopError> {
        match self.receive_now(|next| next.load_into(message)) {
            Some(()) => Ok(()),
            None => Ok(self.receive_later(Patience::None, |next| next.load_into(message))?),
        }
    }

    /// [Pops](Self::pop) over `message`, as [`try_pop_into`](Self::try_pop_into) does, and waits.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    #[inline(always)]
    pub fn pop_into(&mut self, message: &mut M::Owned) -> Result<(), PopError> {
        match self.receive_now(|next| next.load_into(message)) {
            Some(()) => Ok(()),
            None => self.receive_patiently(|next| next.load_into(message)),
        }
    }

    /// [Pops](Self::pop_timeout) over `message`, as [`try_pop_into`](Self::try_pop_into) does, and
    /// waits for as long as `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`pop_timeout`](Self::pop_timeout).
    #[inline]
    pub fn pop_timeout_into(
        &mut self,
        message: &mut M::Owned,
        timeout: Duration,
    ) -> Result<(), PopTimeoutError> {
        match self.receive_now(|next| next.load_into(message)) {
            Some(()) => Ok(()),
            None => Ok(self.receive_later(Patience::For(timeout), |next| next.load_into(message))?),
        }
    }

    /// Reads the next message in place if there is one. Never blocks. The slot is given back when
    /// the guard is dropped.
    ///
    /// A consumer that is killed while it holds the guard has not consumed the message: another
    /// one gets it, at-least-once, unless the ring is [at-most-once](crate::Delivery). A guard that
    /// was forgotten, or dropped by a panic, leaves it the next message of this handle, and somebody
    /// else's if this handle is dropped.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-try-read-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push(&7)?;
    /// let message = consumer.try_read()?;
    /// assert_eq!(message.get(), 7);
    /// drop(message);
    /// assert!(consumer.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`try_pop`](Self::try_pop).
    #[inline]
    pub fn try_read(&mut self) -> Result<ReadGuard<'_, M, P>, TryPopError> {
        let len = self.next(Patience::None, 1)?;
        Ok(ReadGuard::new(self, len))
    }

    /// [Reads](Self::try_read) the next message in place, and waits for it.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    #[inline]
    pub fn read(&mut self) -> Result<ReadGuard<'_, M, P>, PopError> {
        let len = patiently(|| self.next(Patience::Forever, 1))?;
        Ok(ReadGuard::new(self, len))
    }

    /// [Reads](Self::try_read) the next message in place, and waits for as long as `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`pop_timeout`](Self::pop_timeout).
    #[inline]
    pub fn read_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<ReadGuard<'_, M, P>, PopTimeoutError> {
        let len = self.next(Patience::For(timeout), 1)?;
        Ok(ReadGuard::new(self, len))
    }

    /// Pops and waits, again and again, until [`pop`](Self::pop) has an error; the next `pop` tells
    /// which.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-iter-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push_slice(&[1, 2, 3])?;
    /// drop(producer);
    /// assert_eq!(consumer.iter().sum::<u64>(), 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&mut self) -> Iter<'_, M, P> {
        Iter { consumer: self }
    }

    /// Pops until [`try_pop`](Self::try_pop) has an error, as when there is no message left. Never
    /// blocks.
    pub fn try_iter(&mut self) -> TryIter<'_, M, P> {
        TryIter { consumer: self }
    }

    /// How many messages are in the ring that nobody has taken; 0 in a forked child. It can be more a
    /// moment later, but in an SPSC ring never fewer, since only this handle pops.
    pub fn len(&self) -> usize {
        if self.end.attachment().view().is_none() {
            return 0;
        }
        if self.end.is_followed() {
            return self.end.attachment().len();
        }
        let station = self.end.station();
        // Relaxed: a count to look at.
        let tail = station.view().header().tail.0.load(Relaxed);
        let head = self.reader.next(&station.for_popping());
        let tail = if P::Reader::IS_SHARED {
            position(tail)
        } else {
            tail
        };
        within(tail.wrapping_sub(head), self.capacity() as u64)
    }

    /// Whether there is no message. In an SPSC ring `false` stays false until this handle pops; `true`
    /// may be old news. It reads the slot itself: what the producer wrote before it pushed is visible after
    /// `false`.
    pub fn is_empty(&self) -> bool {
        let is_here = self.end.attachment().view().is_some();
        !is_here || !self.reader.is_holding() && (!self.is_due() || self.has_passed())
    }

    /// Whether no slot is free. In an SPSC ring `true` stays true until this handle pops.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// How many messages the ring holds.
    pub fn capacity(&self) -> usize {
        self.end.capacity()
    }

    /// Asks the kernel about the producer, at once. For the price of some microseconds at most. Of
    /// several it tells of one: of one that is there, if there is one.
    ///
    /// # Errors
    ///
    /// [`Forked`] if the handle belongs to the parent of this process.
    pub fn peer(&self) -> Result<Peer, Forked> {
        self.end.peer()
    }

    /// Closes the ring [for good](super::Ring::close).
    pub fn close(&self) {
        self.end.attachment().close();
    }
}

impl<M: Message + ?Sized, P: Protocol> fmt::Debug for Consumer<M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("capacity", &self.capacity())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
