//! The handle that pops.

use super::chunk::ReadChunk;
use super::guard::ReadGuard;
use super::iter::{Iter, TryIter};
use crate::endpoint::{PopEndpoint, WaitLimit, retry_until_done};
use crate::error::{AttachError, Forked, PopError, PopTimeoutError, TryPopError};
use crate::message::Message;
use crate::open::TypedRing;
use crate::properties::Kind;
use crate::protocol::Protocol;
use crate::ring::closing::position;
use crate::ring::within;
use crate::role::Peer;
use crate::sync::Relaxed;
use bytemuck::Pod;
use core::fmt;
use core::time::Duration;
use std::time::Instant;

/// A handle that pops messages from a ring.
///
/// [`Ring::consumer`](super::Ring::consumer) returns it. The handle holds a seat until it is
/// dropped or its process ends. It may move between threads; one thread at a time uses it. In an
/// MPMC ring, "the producer" below stands for all producers together.
///
/// # Delivery and visibility
///
/// A pop copies the message out of its slot and then releases the slot with one store. If the
/// consumer is killed before that store, it has not popped the message: another consumer receives
/// it; in an SPSC ring, the next holder of the seat. If the consumer is killed after that store,
/// the message is consumed, even if the process has done nothing with it yet. To finish the work
/// before the slot is released, [`read`](Self::read) the message in place.
///
/// A consumer that pops a message sees everything that the producer's thread wrote to shared memory
/// before it pushed the message.
///
/// # System calls
///
/// While there are messages, a pop makes no system call unless it wakes a sleeping producer.
#[doc(alias = "receiver")]
pub struct Consumer<M: Message + ?Sized, P: Protocol> {
    pop: PopEndpoint<M, P>,
}

impl<M: Message + ?Sized, P: Protocol> Consumer<M, P> {
    pub(super) fn attach(ring: &TypedRing<M, P>) -> Result<Self, AttachError> {
        Ok(Self {
            pop: PopEndpoint::attach(ring)?,
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
    /// [`Empty`](TryPopError::Empty) if the next message is not published yet.
    /// [`Disconnected`](TryPopError::Disconnected) if, in addition, the producer left or died, or
    /// the ring is closed; the kernel is queried for a death at most once per liveness interval.
    /// See [`TryPopError`].
    #[doc(alias = "recv")]
    #[doc(alias = "receive")]
    #[doc(alias = "dequeue")]
    #[inline(always)]
    pub fn try_pop(&mut self) -> Result<M::Owned, TryPopError> {
        match self.pop.pop_fast(|next| next.load()) {
            Some(message) => Ok(message),
            None => Ok(self.pop.pop_slow(WaitLimit::None, |next| next.load())?),
        }
    }

    /// Pops the next message. Blocks while the ring is empty: until the producer pushes, or
    /// attaches and then does.
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
    /// // The error describes that moment. The same handle continues with the next producer.
    /// ring.producer()?.push(&8)?;
    /// assert_eq!(consumer.pop(), Ok(8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Disconnected`](PopError::Disconnected) if there is no message and the producer left or
    /// died, at the latest one liveness interval after its death, or if the ring is closed. A pop
    /// waits for a producer that never attached. See [`PopError`].
    #[doc(alias = "recv")]
    #[doc(alias = "receive")]
    #[doc(alias = "dequeue")]
    #[inline(always)]
    pub fn pop(&mut self) -> Result<M::Owned, PopError> {
        match self.pop.pop_fast(|next| next.load()) {
            Some(message) => Ok(message),
            None => self.pop.pop_blocking(|next| next.load()),
        }
    }

    /// [Pops](Self::pop) the next message. Blocks while the ring is empty, at most for `timeout`.
    /// Signals and spurious wake-ups neither shorten nor lengthen it.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop), and [`TimedOut`](PopTimeoutError::TimedOut).
    #[inline]
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<M::Owned, PopTimeoutError> {
        match self.pop.pop_fast(|next| next.load()) {
            Some(message) => Ok(message),
            None => Ok(self
                .pop
                .pop_slow(WaitLimit::For(timeout), |next| next.load())?),
        }
    }

    /// [Pops](Self::pop) the next message. Blocks while the ring is empty, at most until
    /// `deadline`.
    ///
    /// # Errors
    ///
    /// As for [`pop_timeout`](Self::pop_timeout).
    #[inline]
    pub fn pop_deadline(&mut self, deadline: Instant) -> Result<M::Owned, PopTimeoutError> {
        match self.pop.pop_fast(|next| next.load()) {
            Some(message) => Ok(message),
            None => Ok(self
                .pop
                .pop_slow(WaitLimit::until(deadline), |next| next.load())?),
        }
    }

    /// [Pops](Self::try_pop) into `message`, and reuses its memory. A `Vec<u8>` with room for the
    /// ring's [`message_size`](super::Ring::message_size) is never reallocated. An error leaves
    /// `message` unchanged.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-pop-into-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<[u8]>::create_bytes(name, 4, 16)?;
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
        match self.pop.pop_fast(|next| next.load_into(message)) {
            Some(()) => Ok(()),
            None => Ok(self
                .pop
                .pop_slow(WaitLimit::None, |next| next.load_into(message))?),
        }
    }

    /// [Pops](Self::pop) into `message`, as [`try_pop_into`](Self::try_pop_into) does. Blocks while
    /// the ring is empty.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    #[inline(always)]
    pub fn pop_into(&mut self, message: &mut M::Owned) -> Result<(), PopError> {
        match self.pop.pop_fast(|next| next.load_into(message)) {
            Some(()) => Ok(()),
            None => self.pop.pop_blocking(|next| next.load_into(message)),
        }
    }

    /// [Pops](Self::pop_timeout) into `message`, as [`try_pop_into`](Self::try_pop_into) does.
    /// Blocks while the ring is empty, at most for `timeout`.
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
        match self.pop.pop_fast(|next| next.load_into(message)) {
            Some(()) => Ok(()),
            None => Ok(self
                .pop
                .pop_slow(WaitLimit::For(timeout), |next| next.load_into(message))?),
        }
    }

    /// [Pops](Self::pop_deadline) into `message`, as [`try_pop_into`](Self::try_pop_into) does.
    /// Blocks while the ring is empty, at most until `deadline`.
    ///
    /// # Errors
    ///
    /// As for [`pop_timeout`](Self::pop_timeout).
    #[inline]
    pub fn pop_deadline_into(
        &mut self,
        message: &mut M::Owned,
        deadline: Instant,
    ) -> Result<(), PopTimeoutError> {
        match self.pop.pop_fast(|next| next.load_into(message)) {
            Some(()) => Ok(()),
            None => Ok(self
                .pop
                .pop_slow(WaitLimit::until(deadline), |next| next.load_into(message))?),
        }
    }

    /// Reads the next message in place if there is one. Never blocks. Dropping the guard releases
    /// the slot.
    ///
    /// A consumer that is killed while it holds the guard has not consumed the message. Another
    /// consumer receives it, unless the ring is [at-most-once](crate::Delivery). If the guard is
    /// forgotten, or dropped by a panic, the message is the next one of this handle; and of another
    /// consumer once this handle is dropped.
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
        let len = self.pop.claim(WaitLimit::None, 1)?;
        Ok(ReadGuard::new(&mut self.pop, len))
    }

    /// [Reads](Self::try_read) the next message in place. Blocks while the ring is empty.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    #[inline]
    pub fn read(&mut self) -> Result<ReadGuard<'_, M, P>, PopError> {
        let len = retry_until_done(|| self.pop.claim(WaitLimit::Forever, 1))?;
        Ok(ReadGuard::new(&mut self.pop, len))
    }

    /// [Reads](Self::try_read) the next message in place. Blocks while the ring is empty, at most
    /// for `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`pop_timeout`](Self::pop_timeout).
    #[inline]
    pub fn read_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<ReadGuard<'_, M, P>, PopTimeoutError> {
        let len = self.pop.claim(WaitLimit::For(timeout), 1)?;
        Ok(ReadGuard::new(&mut self.pop, len))
    }

    /// [Reads](Self::try_read) the next message in place. Blocks while the ring is empty, at most
    /// until `deadline`.
    ///
    /// # Errors
    ///
    /// As for [`pop_timeout`](Self::pop_timeout).
    #[inline]
    pub fn read_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<ReadGuard<'_, M, P>, PopTimeoutError> {
        let len = self.pop.claim(WaitLimit::until(deadline), 1)?;
        Ok(ReadGuard::new(&mut self.pop, len))
    }

    /// Pops messages over those in `messages`, as many as are ready and fit, and at most one lap.
    /// Returns how many. Never blocks, and wakes the producer once.
    ///
    /// Each slot is released when its message was copied. A consumer that is killed within the call
    /// has consumed those that it copied. In an MPMC ring one compare-and-swap claims up to 4096
    /// messages.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-try-pop-slice-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push_slice(&[1, 2, 3])?;
    /// let mut numbers = [0; 8];
    /// assert_eq!(consumer.try_pop_slice(&mut numbers)?, 3);
    /// assert_eq!(numbers[..3], [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`try_pop`](Self::try_pop).
    pub fn try_pop_slice(&mut self, messages: &mut [M::Owned]) -> Result<usize, TryPopError> {
        self.pop
            .pop_into_slice(messages, |pop, max| Ok(pop.claim(WaitLimit::None, max)?))
    }

    /// Pops as [`try_pop_slice`](Self::try_pop_slice) does. Blocks until there is a first message.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    pub fn pop_slice(&mut self, messages: &mut [M::Owned]) -> Result<usize, PopError> {
        self.pop.pop_into_slice(messages, |pop, max| {
            Ok(retry_until_done(|| pop.claim(WaitLimit::Forever, max))?)
        })
    }

    /// Pops as [`try_pop_slice`](Self::try_pop_slice) does. Blocks until there is a first message,
    /// at most for `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`pop_timeout`](Self::pop_timeout).
    pub fn pop_slice_timeout(
        &mut self,
        messages: &mut [M::Owned],
        timeout: Duration,
    ) -> Result<usize, PopTimeoutError> {
        self.pop.pop_into_slice(messages, |pop, max| {
            Ok(pop.claim(WaitLimit::For(timeout), max)?)
        })
    }

    /// Pops as [`try_pop_slice`](Self::try_pop_slice) does. Blocks until there is a first message,
    /// at most until `deadline`.
    ///
    /// # Errors
    ///
    /// As for [`pop_timeout`](Self::pop_timeout).
    pub fn pop_slice_deadline(
        &mut self,
        messages: &mut [M::Owned],
        deadline: Instant,
    ) -> Result<usize, PopTimeoutError> {
        self.pop.pop_into_slice(messages, |pop, max| {
            Ok(pop.claim(WaitLimit::until(deadline), max)?)
        })
    }

    /// Pops up to `max` messages and appends them to `messages`; otherwise as
    /// [`try_pop_slice`](Self::try_pop_slice).
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-try-pop-append-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push_slice(&[1, 2, 3])?;
    /// let mut numbers = Vec::new();
    /// consumer.try_pop_append(&mut numbers, 2)?;
    /// assert_eq!(numbers, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`try_pop`](Self::try_pop).
    pub fn try_pop_append(
        &mut self,
        messages: &mut Vec<M::Owned>,
        max: usize,
    ) -> Result<usize, TryPopError> {
        self.pop.pop_into_vec(messages, max, |pop, max| {
            Ok(pop.claim(WaitLimit::None, max)?)
        })
    }

    /// Pops as [`try_pop_append`](Self::try_pop_append) does. Blocks until there is a first
    /// message.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    pub fn pop_append(
        &mut self,
        messages: &mut Vec<M::Owned>,
        max: usize,
    ) -> Result<usize, PopError> {
        self.pop.pop_into_vec(messages, max, |pop, max| {
            Ok(retry_until_done(|| pop.claim(WaitLimit::Forever, max))?)
        })
    }

    /// Pops as [`try_pop_append`](Self::try_pop_append) does. Blocks until there is a first
    /// message, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`pop_timeout`](Self::pop_timeout).
    pub fn pop_append_timeout(
        &mut self,
        messages: &mut Vec<M::Owned>,
        max: usize,
        timeout: Duration,
    ) -> Result<usize, PopTimeoutError> {
        self.pop.pop_into_vec(messages, max, |pop, max| {
            Ok(pop.claim(WaitLimit::For(timeout), max)?)
        })
    }

    /// Pops as [`try_pop_append`](Self::try_pop_append) does. Blocks until there is a first
    /// message, at most until `deadline`.
    ///
    /// # Errors
    ///
    /// As for [`pop_timeout`](Self::pop_timeout).
    pub fn pop_append_deadline(
        &mut self,
        messages: &mut Vec<M::Owned>,
        max: usize,
        deadline: Instant,
    ) -> Result<usize, PopTimeoutError> {
        self.pop.pop_into_vec(messages, max, |pop, max| {
            Ok(pop.claim(WaitLimit::until(deadline), max)?)
        })
    }

    /// An iterator that [pops](Self::pop), and blocks while the ring is empty. It ends when `pop`
    /// returns an error; the next `pop` returns that error again.
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
        Iter { pop: &mut self.pop }
    }

    /// An iterator that [pops](Self::try_pop) without blocking. It ends when `try_pop` returns an
    /// error: when no message is left, for example.
    pub fn try_iter(&mut self) -> TryIter<'_, M, P> {
        TryIter { pop: &mut self.pop }
    }

    /// The number of messages in the ring that are not claimed; 0 in a forked child.
    ///
    /// Producers may have increased it by the time the call returns. In an SPSC ring it never
    /// shrinks meanwhile, since this handle alone pops.
    pub fn len(&self) -> usize {
        let endpoint = self.pop.endpoint();
        if endpoint.open_ring().chain().check_process().is_err() {
            return 0;
        }
        if endpoint.has_next_segment() {
            return endpoint.open_ring().len();
        }
        // Relaxed: a snapshot.
        let tail = endpoint.view().header().tail.0.load(Relaxed);
        let head = self.pop.next_position();
        let tail = match P::KIND {
            Kind::Mpmc => position(tail),
            Kind::Spsc => tail,
        };
        within(tail.wrapping_sub(head), self.capacity() as u64)
    }

    /// Whether there is no message. In an SPSC ring `false` stays false until this handle pops.
    /// `true` may be outdated when the call returns.
    ///
    /// The call loads the slot's own word: after `false`, what the producer wrote before it pushed
    /// is visible.
    pub fn is_empty(&self) -> bool {
        let chain = self.pop.endpoint().open_ring().chain();
        let is_here = chain.check_process().is_ok();
        !is_here || !self.pop.has_claim() && (!self.pop.is_ready() || self.pop.is_past_end())
    }

    /// Whether no slot is free. In an SPSC ring `true` stays true until this handle pops.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// The number of messages that the ring can hold.
    ///
    /// After [`grow`](super::Ring::grow) this is the capacity that the handle works with: the old
    /// one until it has popped every message there. [`Ring::capacity`](super::Ring::capacity) is
    /// the newest.
    pub fn capacity(&self) -> usize {
        self.pop.endpoint().capacity()
    }

    /// Queries the kernel about the producer. Takes some microseconds at most, and does not block.
    ///
    /// Of several producers it reports one: a present one, if there is any.
    ///
    /// # Errors
    ///
    /// [`Forked`] if the handle belongs to the parent of this process.
    pub fn peer(&self) -> Result<Peer, Forked> {
        self.pop.endpoint().peer()
    }

    /// Closes the ring [for good](super::Ring::close).
    pub fn close(&self) {
        self.pop.endpoint().open_ring().close();
    }
}

impl<T: Pod, P: Protocol> Consumer<T, P> {
    /// Reads up to `max` messages in place, at least one, as many as are ready in a row. Never
    /// blocks. For rings of values. In an MPMC ring at most 4096 are claimed.
    ///
    /// A tombstone ends the chunk. In an MPMC ring the messages after it, up to `max`, are claimed
    /// as well then, and are the next ones of this handle.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-read-chunk-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 8)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push_slice(&[1, 2, 3])?;
    /// let chunk = consumer.try_read_chunk(8)?;
    /// assert_eq!(chunk.iter().sum::<u64>(), 6);
    /// drop(chunk);
    /// assert!(consumer.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`try_pop`](Self::try_pop).
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    pub fn try_read_chunk(&mut self, max: usize) -> Result<ReadChunk<'_, T, P>, TryPopError> {
        assert!(max > 0, "a chunk of no messages");
        self.pop.claim(WaitLimit::None, max)?;
        Ok(ReadChunk::new(&mut self.pop, max))
    }

    /// [Reads](Self::try_read_chunk) messages in place. Blocks until one is ready.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    pub fn read_chunk(&mut self, max: usize) -> Result<ReadChunk<'_, T, P>, PopError> {
        assert!(max > 0, "a chunk of no messages");
        retry_until_done(|| self.pop.claim(WaitLimit::Forever, max))?;
        Ok(ReadChunk::new(&mut self.pop, max))
    }

    /// [Reads](Self::try_read_chunk) messages in place. Blocks until one is ready, at most for
    /// `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`pop_timeout`](Self::pop_timeout).
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    pub fn read_chunk_timeout(
        &mut self,
        max: usize,
        timeout: Duration,
    ) -> Result<ReadChunk<'_, T, P>, PopTimeoutError> {
        assert!(max > 0, "a chunk of no messages");
        self.pop.claim(WaitLimit::For(timeout), max)?;
        Ok(ReadChunk::new(&mut self.pop, max))
    }
}

impl<'c, M: Message + ?Sized, P: Protocol> IntoIterator for &'c mut Consumer<M, P> {
    type Item = M::Owned;
    type IntoIter = Iter<'c, M, P>;

    fn into_iter(self) -> Iter<'c, M, P> {
        self.iter()
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
