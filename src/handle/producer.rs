//! The end that pushes.

use super::{Claim, Protocol, patiently};
use crate::attachment::{End, Patience};
use crate::error::{
    AttachError, Broken, Corrupt, Disconnected, Forked, PushError, PushTimeoutError, Refused,
    TooLong, TryPushError,
};
use crate::message::Message;
use crate::ring::{PushSide, Words, within};
use crate::sync::{Bytes, Relaxed};
use crate::sys::clock::Instant;
use crate::terms::Peer;
use core::cell::Cell;
use core::fmt;
use core::hint::spin_loop;
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

    #[inline(always)]
    pub(super) fn fits(&self, message: &M) -> Result<(), TooLong> {
        fits(message, self.message_size)
    }

    pub(super) fn admit(&self) -> Result<(), Broken> {
        self.end.admit()
    }

    /// Makes sure of a free slot, and of up to `most` at once.
    #[inline(always)]
    pub(super) fn room(&mut self, patience: Patience, most: usize) -> Result<(), Refused> {
        self.end.admit()?;
        if !self.end.is_open() {
            self.follow(patience.deadline())?;
        }
        if self.look(most)? {
            return Ok(());
        }
        self.room_later(patience, most)
    }

    /// Goes on to the ring that follows, if one does and this one has ended or can be ended. Says whether it has.
    #[cold]
    #[inline(never)]
    fn follow(&mut self, deadline: Option<Instant>) -> Result<bool, Refused> {
        let mut has_moved = false;
        loop {
            // In a ring that is closed as well nobody goes on: those who close the next one may not have come to it.
            if self.end.is_closed() {
                return Err(Disconnected::Closed.into());
            }
            let may_end = P::Writer::IS_SHARED || self.end.is_followed();
            if !may_end || self.writer.is_holding() {
                return Ok(has_moved);
            }
            match self.writer.pass(&self.end.station().for_pushing()) {
                Ok(true) => self.announce(),
                Ok(false) => return Ok(has_moved),
                Err(corrupt) => return Err(self.end.distrust(corrupt).into()),
            }
            if self.end.move_on(deadline)? {
                let begun = P::Writer::resume(&self.end.station().for_pushing());
                self.writer = begun.map_err(|corrupt| self.end.distrust(corrupt))?;
                has_moved = true;
            }
        }
    }

    #[inline(always)]
    pub(super) fn look(&mut self, most: usize) -> Result<bool, Refused> {
        let words = self.end.station().for_pushing();
        match self.writer.claim(&words, most as u64) {
            Ok(free) => Ok(free),
            Err(corrupt) => Err(self.end.distrust(corrupt).into()),
        }
    }

    #[inline(never)]
    fn room_later(&mut self, patience: Patience, most: usize) -> Result<(), Refused> {
        let deadline = patience.deadline();
        loop {
            if self.follow(deadline)? && self.look(most)? {
                return Ok(());
            }
            for _ in 0..self.end.spins(patience) {
                spin_loop();
                if self.look(most)? {
                    return Ok(());
                }
            }
            let station = *self.end.station();
            let is_due = || self.writer.is_holding() || self.writer.is_due(&station.for_pushing());
            let has_slept = self.end.wait(deadline, most, is_due)?;
            // In a ring that is to end, and is full all the time, its end comes first.
            let has_moved = self.follow(deadline)?;
            if self.look(most)? {
                // The wake-up may have been for the slot after this one.
                if has_slept && !has_moved && P::Writer::IS_SHARED && self.is_due() {
                    self.end.pass_on();
                }
                return Ok(());
            }
            if !P::Writer::IS_SHARED && !has_moved {
                // Nobody takes a free slot away: who saw it free and then full looks at a forgery.
                return Err(self.end.distrust(Corrupt).into());
            }
            // What was due was another one's in the end; that may go on for ever.
            if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
                return Err(Refused::NotNow);
            }
        }
    }

    fn is_due(&self) -> bool {
        self.writer.is_due(&self.end.station().for_pushing())
    }

    /// Pushes a message that fits, if nothing stands in the way; says nothing of what does.
    #[inline(always)]
    fn send_now(&mut self, message: &M) -> bool {
        if self.end.admit().is_err() || !self.end.is_open() {
            return false;
        }
        let header = self.end.view().header();
        // SAFETY: the ring was opened for the shape of `M`.
        let slots = unsafe { self.end.view().slots().known(M::SPACING) };
        let words = Words {
            slots: &slots,
            ..self.end.station().for_pushing()
        };
        let is_sent = self.writer.send_one(&words, |slot| {
            // SAFETY: the ring was opened for the shape of `M`, the claimed slot is this
            // producer's alone, and the message was found to fit.
            unsafe { message.store(slot) }
            message.wire_len() as u32
        });
        if is_sent {
            header.not_empty.0.notify(self.end.fences());
        }
        is_sent
    }

    #[cold]
    #[inline(never)]
    fn send_later(&mut self, message: &M, patience: Patience) -> Result<(), Refused> {
        // Without another look at once, which would take the line away from who is about to free
        // the slot.
        self.end.admit()?;
        if !self.end.is_open() {
            self.follow(patience.deadline())?;
        }
        self.room_later(patience, 1)?;
        // SAFETY: as for `send_now`.
        unsafe { message.store(self.payload()) }
        self.commit(message.wire_len() as u32);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn send_patiently(&mut self, message: &M) -> Result<(), PushError> {
        Ok(patiently(|| self.send_later(message, Patience::Forever))?)
    }

    /// Whether slots can be reached: not in a forked child.
    #[inline(always)]
    pub(super) fn is_here(&self) -> bool {
        self.end.admit().is_ok()
    }

    /// The payload of the next slot, which was claimed.
    #[inline(always)]
    pub(super) fn payload(&self) -> Bytes {
        self.writer
            .slot(&self.end.station().for_pushing())
            .payload()
    }

    /// Publishes what was written there.
    #[inline(always)]
    pub(super) fn commit(&mut self, len: u32) {
        self.writer.publish(&self.end.station().for_pushing(), len);
        self.announce();
    }

    /// Lets others know of what was published.
    #[inline(always)]
    pub(super) fn announce(&self) {
        let words = self.end.station().for_pushing();
        self.writer.tell(&words);
        let header = self.end.view().header();
        header.not_empty.0.notify(self.end.fences());
    }

    /// Gives up what was claimed and not published.
    #[inline(always)]
    pub(super) fn abandon(&mut self) {
        let tombstones = self.writer.abandon(&self.end.station().for_pushing());
        if tombstones > 0 {
            self.end.tell_of_tombstones(tombstones);
        }
    }
}

#[inline(always)]
pub(super) fn fits<M: Message + ?Sized>(message: &M, size: u32) -> Result<(), TooLong> {
    if message.fits(size) {
        Ok(())
    } else {
        Err(TooLong {
            len: message.wire_len(),
            max: size as usize,
        })
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
