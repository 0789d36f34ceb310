//! The type `Ring`.

use super::consumer::Consumer;
use super::producer::Producer;
use crate::error::{AttachError, GrowError};
use crate::growth;
use crate::message::Message;
use crate::open::{OpenRing, TypedRing};
use crate::protocol::Protocol;
use core::fmt;

/// A ring that is open in this process, with messages of type `M`: a [`Pod`](bytemuck::Pod) type,
/// or `[u8]`.
///
/// Clones refer to the same open ring. It owns one descriptor, except in a System V segment, and
/// one mapping between two guard pages, more after [`grow`](Self::grow). They are released with the
/// last clone and the last handle.
///
/// [`Backing`](crate::Backing) describes the names that a ring can have.
pub struct Ring<M: ?Sized, P> {
    typed: TypedRing<M, P>,
}

impl<M: Message + ?Sized, P: Protocol> Ring<M, P> {
    pub(super) fn new(typed: TypedRing<M, P>) -> Self {
        Self { typed }
    }

    pub(super) fn typed(&self) -> &TypedRing<M, P> {
        &self.typed
    }

    /// Attaches a producer: claims a seat, which the handle holds until it is dropped or its
    /// process ends.
    ///
    /// An SPSC ring has one producer at a time, and the next one continues where the last one
    /// stopped. An MPMC ring has as many seats as its [options](crate::Options::producers) set.
    ///
    /// Waits for other processes that attach, leave or recover the ring, at most for a liveness
    /// interval or a second, whichever is more.
    ///
    /// ```
    /// use slipring::{error::AttachError, spsc};
    ///
    /// # let name = &format!("/slipring-doc-producer-{}", std::process::id());
    /// let ring = spsc::Ring::<u64>::create(name, 16)?;
    /// # slipring::unlink(name)?;
    /// let producer = ring.producer()?;
    /// match ring.producer() {
    ///     Err(AttachError::Taken { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
    ///     _ => unreachable!("there is one producer"),
    /// }
    /// drop(producer);
    /// ring.producer()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Taken`](AttachError::Taken) while another handle holds the only seat, in any process, or
    /// [`NoSeat`](AttachError::NoSeat) while all seats are held. See [`AttachError`].
    pub fn producer(&self) -> Result<Producer<M, P>, AttachError> {
        Producer::attach(&self.typed)
    }

    /// Attaches a consumer, as [`producer`](Self::producer) attaches a producer.
    ///
    /// # Errors
    ///
    /// As for [`producer`](Self::producer).
    pub fn consumer(&self) -> Result<Consumer<M, P>, AttachError> {
        Consumer::attach(&self.typed)
    }

    pub(crate) fn open_ring(&self) -> &OpenRing {
        self.typed.open_ring()
    }

    /// The number of messages that the ring can hold; after [`grow`](Self::grow), the newest
    /// segment.
    pub fn capacity(&self) -> usize {
        self.open_ring().capacity()
    }

    /// The size of a value, or of the longest byte string, in bytes.
    pub fn message_size(&self) -> usize {
        self.open_ring().message_size()
    }

    /// The approximate number of messages in the ring that no consumer has claimed; 0 in a forked
    /// child.
    ///
    /// The ring may be in use meanwhile, so the number may be outdated when the call returns.
    pub fn len(&self) -> usize {
        self.open_ring().len()
    }

    /// Whether no message is in the ring. May be outdated, as [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no slot is free. May be outdated, as [`len`](Self::len).
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Changes the capacity of the ring while it is in use, to more or fewer messages. `capacity`
    /// is from 2 to 2^30, and is rounded up to a power of two. Does nothing if the ring has that
    /// capacity.
    ///
    /// The ring must live in named shared memory or in a file.
    ///
    /// # How a ring grows
    ///
    /// A new segment of that capacity is appended to the object. Each producer continues there with
    /// its next push. Consumers pop the messages that are left in the old segment, in order, and
    /// then follow. No participant reopens the ring: each process maps the new segment when it
    /// reaches it. An open claim or guard stays in its segment, and is committed or dropped as
    /// usual. No message is lost or duplicated.
    ///
    /// A producer learns about the new segment when it next pushes. An SPSC producer that does not
    /// push, or is stopped, still works with the old segment.
    ///
    /// # Memory
    ///
    /// The new segment needs its memory in addition to the old one. The memory of the old one is
    /// reclaimed once it is drained and every handle has moved on, so an idle handle retains it.
    /// The segment's header and seats stay: 20 KiB in an MPMC ring with default seats. The object
    /// becomes longer with each call, but reclaimed slots occupy no memory.
    ///
    /// A process that [locks](crate::Options::lock_memory) its memory needs a limit for both
    /// segments. While a process can't map the new segment, the ring looks full or empty to it.
    ///
    /// # Blocking and crashes
    ///
    /// Waits while another process grows the ring, recovers it or attaches to it, for at most a
    /// liveness interval or a second, whichever is more. No participant waits for this call while
    /// it prepares the new segment. If this process is killed, the ring has grown or it has not,
    /// and the participants continue.
    ///
    /// # Example
    ///
    /// ```
    /// use slipring::spsc;
    ///
    /// # let name = &format!("/slipring-doc-grow-{}", std::process::id());
    /// let ring = spsc::Ring::<u64>::create(name, 2)?;
    /// # slipring::unlink(name)?;
    /// let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push_slice(&[1, 2])?;
    /// assert!(producer.try_push(&3).is_err());
    ///
    /// ring.grow(1024)?;
    /// assert_eq!(ring.capacity(), 1024);
    /// assert_eq!(consumer.pop()?, 1);
    /// producer.push_slice(&[3, 4, 5])?;
    /// assert_eq!(consumer.iter().take(4).collect::<Vec<_>>(), [2, 3, 4, 5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`GrowError`]. The ring is unchanged then.
    pub fn grow(&self, capacity: usize) -> Result<(), GrowError> {
        growth::append(self.open_ring().chain(), capacity)
    }

    /// Closes the ring for good, for every process.
    ///
    /// From then on pushes fail. Pops drain the ring and then fail. Blocked calls of both kinds
    /// return. A closed ring can't be reopened for use: create a new one. In a forked child the
    /// call does nothing.
    ///
    /// A push that is in progress in another process may still succeed. In an MPMC ring, pops wait
    /// for a position that was claimed before. Otherwise its message may arrive after a pop has
    /// returned [`Closed`](crate::error::Disconnected::Closed), and is not lost.
    ///
    /// ```
    /// use slipring::{error::{Disconnected, PopError}, spsc};
    ///
    /// # let name = &format!("/slipring-doc-close-{}", std::process::id());
    /// let ring = spsc::Ring::<u64>::create(name, 16)?;
    /// # slipring::unlink(name)?;
    /// let mut consumer = ring.consumer()?;
    /// let blocked = std::thread::spawn(move || consumer.pop());
    /// ring.close();
    /// let ended = blocked.join().unwrap();
    /// assert_eq!(ended, Err(PopError::Disconnected(Disconnected::Closed)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.open_ring().close();
    }

    /// Whether the ring was closed; `false` in a forked child.
    pub fn is_closed(&self) -> bool {
        self.open_ring().is_closed()
    }
}

impl<M: ?Sized, P> Clone for Ring<M, P> {
    fn clone(&self) -> Self {
        Self {
            typed: self.typed.clone(),
        }
    }
}

impl<M: ?Sized, P: Protocol> fmt::Debug for Ring<M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without `capacity` and `len`, which may map a segment.
        let open_ring = self.typed.open_ring();
        f.debug_struct("Ring")
            .field("kind", &P::KIND)
            .field("capacity", &open_ring.mapped_capacity())
            .field("closed", &open_ring.is_closed())
            .finish_non_exhaustive()
    }
}
