//! The handle that pushes.

use super::chunk::ClaimChunk;
use super::claim::Claim;
use crate::endpoint::{PushEndpoint, WaitLimit, retry_until_done};
use crate::error::{
    AttachError, Forked, PushError, PushSliceError, PushTimeoutError, TryPushError,
};
use crate::message::Message;
use crate::open::TypedRing;
use crate::protocol::Protocol;
use crate::ring::within;
use crate::role::Peer;
use crate::sync::Relaxed;
use bytemuck::Pod;
use core::borrow::Borrow;
use core::fmt;
use core::time::Duration;
use std::time::Instant;

/// A handle that pushes messages into a ring.
///
/// [`Ring::producer`](super::Ring::producer) returns it. The handle holds a seat until it is
/// dropped or its process ends. It may move between threads; one thread at a time uses it. In an
/// MPMC ring, "the consumer" below stands for all consumers together.
///
/// # Atomicity and visibility
///
/// A push copies the message into a free slot and then publishes it with one store. Before that
/// store no process sees the message. After it, the message stays in the ring whatever happens to
/// the producer. So a push that is killed happened completely or not at all. A consumer that pops
/// the message also sees everything that the producer's thread wrote to shared memory before.
///
/// # System calls
///
/// While there is room, a push makes no system call unless it wakes a sleeping consumer.
#[doc(alias = "sender")]
pub struct Producer<M: Message + ?Sized, P: Protocol> {
    push: PushEndpoint<M, P>,
}

impl<M: Message + ?Sized, P: Protocol> Producer<M, P> {
    pub(super) fn attach(ring: &TypedRing<M, P>) -> Result<Self, AttachError> {
        Ok(Self {
            push: PushEndpoint::attach(ring)?,
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
    /// [`Full`](TryPushError::Full) if the consumer has not released the next slot.
    /// [`Disconnected`](TryPushError::Disconnected) if, in addition, the consumer left or died; the
    /// kernel is queried for that at most once per liveness interval. A closed ring is
    /// [`Disconnected`](TryPushError::Disconnected) even if it has room. See [`TryPushError`].
    #[doc(alias = "send")]
    #[doc(alias = "enqueue")]
    #[inline(always)]
    pub fn try_push(&mut self, message: &M) -> Result<(), TryPushError> {
        self.push.check_len(message)?;
        if self.push.push_fast(message) {
            return Ok(());
        }
        Ok(self.push.push_slow(message, WaitLimit::None)?)
    }

    /// Pushes a message. Blocks while the ring is full: until the consumer releases a slot, or
    /// attaches and then does.
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
    /// [`Disconnected`](PushError::Disconnected) if there is no room and the consumer left or died,
    /// at the latest one liveness interval after its death, or if the ring is closed. A push waits
    /// for a consumer that never attached. See [`PushError`].
    #[doc(alias = "send")]
    #[doc(alias = "enqueue")]
    #[inline(always)]
    pub fn push(&mut self, message: &M) -> Result<(), PushError> {
        self.push.check_len(message)?;
        if self.push.push_fast(message) {
            return Ok(());
        }
        self.push.push_blocking(message)
    }

    /// [Pushes](Self::push) a message. Blocks while the ring is full, at most for `timeout`.
    /// Signals and spurious wake-ups neither shorten nor lengthen it.
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
        self.push.check_len(message)?;
        if self.push.push_fast(message) {
            return Ok(());
        }
        Ok(self.push.push_slow(message, WaitLimit::For(timeout))?)
    }

    /// [Pushes](Self::push) a message. Blocks while the ring is full, at most until `deadline`.
    ///
    /// # Errors
    ///
    /// As for [`push_timeout`](Self::push_timeout).
    #[inline]
    pub fn push_deadline(
        &mut self,
        message: &M,
        deadline: Instant,
    ) -> Result<(), PushTimeoutError> {
        self.push.check_len(message)?;
        if self.push.push_fast(message) {
            return Ok(());
        }
        Ok(self.push.push_slow(message, WaitLimit::until(deadline))?)
    }

    /// Claims the next slot to write a message in place, if it is free. Never blocks.
    ///
    /// A claim that is dropped, forgotten or killed publishes nothing. In an SPSC ring the next
    /// push uses its slot. In an MPMC ring consumers skip its position, and wait there until the
    /// claim ends. A forgotten claim is filled by the next push of this handle.
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
        self.push.claim(WaitLimit::None, 1)?;
        Ok(Claim::new(&mut self.push))
    }

    /// [Claims](Self::try_claim) the next slot. Blocks until it is free.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push).
    pub fn claim(&mut self) -> Result<Claim<'_, M, P>, PushError> {
        retry_until_done(|| self.push.claim(WaitLimit::Forever, 1))?;
        Ok(Claim::new(&mut self.push))
    }

    /// [Claims](Self::try_claim) the next slot. Blocks until it is free, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`push_timeout`](Self::push_timeout).
    pub fn claim_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<Claim<'_, M, P>, PushTimeoutError> {
        self.push.claim(WaitLimit::For(timeout), 1)?;
        Ok(Claim::new(&mut self.push))
    }

    /// [Claims](Self::try_claim) the next slot. Blocks until it is free, at most until `deadline`.
    ///
    /// # Errors
    ///
    /// As for [`push_timeout`](Self::push_timeout).
    pub fn claim_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<Claim<'_, M, P>, PushTimeoutError> {
        self.push.claim(WaitLimit::until(deadline), 1)?;
        Ok(Claim::new(&mut self.push))
    }

    /// Pushes messages from the start of a slice, as many as there is room for, and at most one
    /// lap. Returns how many. Never blocks, and wakes the consumer once.
    ///
    /// A producer that is killed within the call has pushed some of them, in order, each
    /// completely. In an MPMC ring one compare-and-swap claims up to 4096 positions. Messages of
    /// other producers lie between those of two claims.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-try-push-slice-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// assert_eq!(producer.try_push_slice(&[1, 2, 3, 4, 5])?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`try_push`](Self::try_push) of the first message. A message that is too long ends
    /// the batch before it.
    pub fn try_push_slice<B: Borrow<M>>(&mut self, messages: &[B]) -> Result<usize, TryPushError> {
        self.push
            .push_some(messages, |push, max| Ok(push.claim(WaitLimit::None, max)?))
    }

    /// Pushes all messages of a slice. Blocks whenever the ring is full. Wakes the consumer once
    /// per run of free slots.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-push-slice-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<[u8]>::create_bytes(name, 4, 16)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// let message: &[u8] = b"hello";
    /// producer.push_slice(&[message, b"world"])?;
    /// assert_eq!(consumer.pop()?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push), with the number of messages that were pushed before.
    pub fn push_slice<B: Borrow<M>>(&mut self, messages: &[B]) -> Result<(), PushSliceError> {
        self.push.push_all(messages, |push, max| {
            Ok(retry_until_done(|| push.claim(WaitLimit::Forever, max))?)
        })
    }

    /// Pushes all messages of a slice, as [`push_slice`](Self::push_slice). Blocks while the ring
    /// is full, at most for `timeout` in total.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-push-slice-timeout-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// let timeout = std::time::Duration::from_millis(5);
    /// let error = producer.push_slice_timeout(&[1, 2, 3, 4, 5], timeout).unwrap_err();
    /// assert_eq!(error.pushed, 4);
    /// assert!(error.reason.is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`push_timeout`](Self::push_timeout), with the number of messages that were pushed
    /// before.
    pub fn push_slice_timeout<B: Borrow<M>>(
        &mut self,
        messages: &[B],
        timeout: Duration,
    ) -> Result<(), PushSliceError<PushTimeoutError>> {
        // Beyond the end of the clock, a push that blocks for so long blocks forever.
        let deadline = Instant::now().checked_add(timeout);
        self.push.push_all(messages, |push, max| {
            let limit = deadline.map_or(WaitLimit::For(Duration::MAX), WaitLimit::until);
            Ok(push.claim(limit, max)?)
        })
    }

    /// Pushes all messages of a slice, as [`push_slice_timeout`](Self::push_slice_timeout), at most
    /// until `deadline`.
    ///
    /// # Errors
    ///
    /// As for [`push_slice_timeout`](Self::push_slice_timeout).
    pub fn push_slice_deadline<B: Borrow<M>>(
        &mut self,
        messages: &[B],
        deadline: Instant,
    ) -> Result<(), PushSliceError<PushTimeoutError>> {
        self.push.push_all(messages, |push, max| {
            Ok(push.claim(WaitLimit::until(deadline), max)?)
        })
    }

    /// The number of messages in the ring; 0 in a forked child.
    ///
    /// Consumers may have reduced it by the time the call returns. In an SPSC ring it never grows
    /// meanwhile, since this handle alone pushes.
    pub fn len(&self) -> usize {
        let endpoint = self.push.endpoint();
        if endpoint.open_ring().chain().check_process().is_err() {
            return 0;
        }
        // Relaxed: a snapshot.
        let head = endpoint.view().header().head.0.load(Relaxed);
        let tail = self.push.next_position();
        within(tail.wrapping_sub(head), self.capacity() as u64)
    }

    /// Whether no message is in the ring. In an SPSC ring `true` stays true until this handle
    /// pushes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. In an SPSC ring `false` stays false until this handle pushes.
    /// `true` may be outdated when the call returns.
    pub fn is_full(&self) -> bool {
        let chain = self.push.endpoint().open_ring().chain();
        chain.check_process().is_ok() && !self.push.is_ready()
    }

    /// The number of messages that the ring can hold.
    ///
    /// After [`grow`](super::Ring::grow) this is the capacity that the handle works with: the old
    /// one until its next push. [`Ring::capacity`](super::Ring::capacity) is the newest.
    pub fn capacity(&self) -> usize {
        self.push.endpoint().capacity()
    }

    /// Queries the kernel about the consumer. Takes some microseconds at most, and does not block.
    ///
    /// Of several consumers it reports one: a present one, if there is any.
    ///
    /// # Errors
    ///
    /// [`Forked`] if the handle belongs to the parent of this process.
    pub fn peer(&self) -> Result<Peer, Forked> {
        self.push.endpoint().peer()
    }

    /// Closes the ring [for good](super::Ring::close).
    pub fn close(&self) {
        self.push.endpoint().open_ring().close();
    }
}

impl<T: Pod, P: Protocol> Producer<T, P> {
    /// Claims up to `max` free slots in a row, at least one, to write messages in place. Never
    /// blocks. For rings of values. In an MPMC ring at most 4096 are claimed.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-claim-chunk-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 8)?;
    /// # slipring::unlink(name)?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// let mut chunk = producer.try_claim_chunk(4)?;
    /// let len = chunk.len();
    /// for index in 0..len {
    ///     chunk.write(index, &(index as u64));
    /// }
    /// chunk.commit(len);
    /// assert_eq!(consumer.pop()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`try_push`](Self::try_push).
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    pub fn try_claim_chunk(&mut self, max: usize) -> Result<ClaimChunk<'_, T, P>, TryPushError> {
        assert!(max > 0, "a chunk of no slots");
        self.push.claim(WaitLimit::None, max)?;
        Ok(ClaimChunk::new(&mut self.push, max))
    }

    /// [Claims](Self::try_claim_chunk) slots in a row. Blocks until one is free.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push).
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    pub fn claim_chunk(&mut self, max: usize) -> Result<ClaimChunk<'_, T, P>, PushError> {
        assert!(max > 0, "a chunk of no slots");
        retry_until_done(|| self.push.claim(WaitLimit::Forever, max))?;
        Ok(ClaimChunk::new(&mut self.push, max))
    }

    /// [Claims](Self::try_claim_chunk) slots in a row. Blocks until one is free, at most for
    /// `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`push_timeout`](Self::push_timeout).
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    pub fn claim_chunk_timeout(
        &mut self,
        max: usize,
        timeout: Duration,
    ) -> Result<ClaimChunk<'_, T, P>, PushTimeoutError> {
        assert!(max > 0, "a chunk of no slots");
        self.push.claim(WaitLimit::For(timeout), max)?;
        Ok(ClaimChunk::new(&mut self.push, max))
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
