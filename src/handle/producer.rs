//! The end that pushes, as its users see it.

use super::{Claim, Protocol, patiently};
use crate::attachment::{End, Patience};
use crate::error::{AttachError, Forked, PushError, PushTimeoutError, TryPushError};
use crate::message::Message;
use crate::ring::{PushSide, within};
use crate::sync::Relaxed;
use crate::terms::Peer;
use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

/// An end of a ring that pushes.
///
/// It is taken by [`Ring::producer`](super::Ring::producer) and given back when it is dropped or
/// its process ends, however it ends. It may move between threads; only one uses it at a time. What
/// is said here of the consumer, of an MPMC ring goes for all of its consumers together.
///
/// # What a push is
///
/// A push copies the message into a free slot and then stores the slot's word. Before that store
/// the message does not exist for anybody, after it the message belongs to the ring, whatever
/// becomes of the producer. So a push that is killed happened whole or not at all. What the
/// producer's thread wrote before the push, to memory that both processes share, is visible to
/// whoever pops the message.
///
/// While there is room no push makes a system call, unless the consumer sleeps and has to be
/// woken.
pub struct Producer<M: Message + ?Sized, P: Protocol> {
    pub(super) writer: P::Writer,
    pub(super) message_size: u32,
    pub(super) end: End,
    messages: PhantomData<fn(&M)>,
    not_sync: PhantomData<Cell<()>>,
}

impl<M: Message + ?Sized, P: Protocol> Producer<M, P> {
    pub(super) fn new(end: End) -> Result<Self, AttachError> {
        let writer = P::Writer::resume(&end.station().for_pushing())?;
        Ok(Self {
            writer,
            message_size: end.attachment().geometry().shape.size,
            end,
            messages: PhantomData,
            not_sync: PhantomData,
        })
    }

    /// Pushes a message if there is room. Never blocks.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-try-push-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// use slipring::error::TryPushError;
    ///
    /// for number in 0..4 {
    ///     producer.try_push(&number)?;
    /// }
    /// assert_eq!(producer.try_push(&4), Err(TryPushError::Full));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Full`](TryPushError::Full) if the next slot has not been given back, or
    /// [`Disconnected`](TryPushError::Disconnected) if, besides, it left or died; that is asked of
    /// the kernel at most once a liveness interval. A closed ring is
    /// [`Disconnected`](TryPushError::Disconnected) even if it has room. See [`TryPushError`].
    #[inline(always)]
    pub fn try_push(&mut self, message: &M) -> Result<(), TryPushError> {
        self.fits(message)?;
        if self.send_now(message) {
            return Ok(());
        }
        Ok(self.send_later(message, Patience::None)?)
    }

    /// Pushes a message, and waits for room if there is none: for the consumer to take a message,
    /// or to come.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-push-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push(&7)?;
    /// assert_eq!(consumer.pop()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Disconnected`](PushError::Disconnected) if there is no room and the consumer left or
    /// died, at the latest one liveness interval after its death, or if the ring is closed. A
    /// consumer that never came is waited for. See [`PushError`].
    #[inline(always)]
    pub fn push(&mut self, message: &M) -> Result<(), PushError> {
        self.fits(message)?;
        if self.send_now(message) {
            return Ok(());
        }
        self.send_patiently(message)
    }

    /// [Pushes](Self::push) a message, and gives up when there was no room for as long as
    /// `timeout`. Signals and needless wake-ups neither shorten nor lengthen it.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-push-timeout-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// use slipring::error::PushTimeoutError;
    /// use std::time::Duration;
    ///
    /// producer.push_slice(&[1, 2, 3, 4])?;
    /// let timeout = Duration::from_millis(5);
    /// assert_eq!(producer.push_timeout(&5, timeout), Err(PushTimeoutError::TimedOut));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push), and [`TimedOut`](PushTimeoutError::TimedOut).
    #[inline]
    pub fn push_timeout(&mut self, message: &M, timeout: Duration) -> Result<(), PushTimeoutError> {
        self.fits(message)?;
        if self.send_now(message) {
            return Ok(());
        }
        Ok(self.send_later(message, Patience::For(timeout))?)
    }

    /// Claims the next slot, to write a message in place, if it is free. Never blocks.
    ///
    /// A claim that is dropped, forgotten or killed publishes nothing. In an SPSC ring its slot is
    /// the next one again. In an MPMC ring its place in the line is skipped by the consumers; until
    /// the claim ends they don't get past it, also if it was forgotten: then the next push of this
    /// handle fills it.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-try-claim-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// let mut claim = producer.try_claim()?;
    /// claim.write(&7);
    /// claim.commit();
    /// assert_eq!(consumer.try_pop()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`try_push`](Self::try_push).
    pub fn try_claim(&mut self) -> Result<Claim<'_, M, P>, TryPushError> {
        self.room(Patience::None, 1)?;
        Ok(Claim::new(self))
    }

    /// [Claims](Self::try_claim) the next slot, and waits until it is free.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push).
    pub fn claim(&mut self) -> Result<Claim<'_, M, P>, PushError> {
        patiently(|| self.room(Patience::Forever, 1))?;
        Ok(Claim::new(self))
    }

    /// [Claims](Self::try_claim) the next slot, and waits for as long as `timeout` until it is
    /// free.
    ///
    /// # Errors
    ///
    /// As for [`push_timeout`](Self::push_timeout).
    pub fn claim_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<Claim<'_, M, P>, PushTimeoutError> {
        self.room(Patience::For(timeout), 1)?;
        Ok(Claim::new(self))
    }

    /// How many messages are in the ring; 0 in a forked child. It can be fewer a moment later, but
    /// in an SPSC ring never more, since only this handle pushes.
    pub fn len(&self) -> usize {
        if self.end.attachment().view().is_none() {
            return 0;
        }
        let station = self.end.station();
        // Relaxed: a count to look at.
        let head = station.view().header().head.0.load(Relaxed);
        let tail = self.writer.next(&station.for_pushing());
        within(tail.wrapping_sub(head), self.capacity() as u64)
    }

    /// Whether no message is in the ring. In an SPSC ring `true` stays true until this handle pushes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. In an SPSC ring `false` stays false until this handle pushes; `true`
    /// may be old news.
    pub fn is_full(&self) -> bool {
        let is_here = self.end.attachment().view().is_some();
        is_here && !self.is_due()
    }

    /// How many messages the ring holds.
    pub fn capacity(&self) -> usize {
        self.end.capacity()
    }

    /// Asks the kernel about the consumer, at once. For the price of some microseconds at most. Of
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

/// A claim that was forgotten is given up.
impl<M: Message + ?Sized, P: Protocol> Drop for Producer<M, P> {
    fn drop(&mut self) {
        if self.is_here() {
            self.abandon();
        }
    }
}

impl<M: Message + ?Sized, P: Protocol> fmt::Debug for Producer<M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("capacity", &self.capacity())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
