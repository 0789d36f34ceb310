//! The type `Ring`.

use super::{Consumer, Producer};
use crate::error::{AttachError, CreateError, GrowError, OpenError, OpenOrCreateError};
use crate::growth;
use crate::message::Message;
use crate::open::{OpenRing, TypedRing};
use crate::options::Options;
use crate::protocol::Protocol;
use bytemuck::Pod;
use core::fmt;

/// A ring that is open in this process, with messages of type `M`: a [`Pod`] type, or `[u8]`.
///
/// Clones refer to the same open ring. It owns one descriptor, except in a System V segment, and one
/// mapping between two guard pages, more after [`grow`](Self::grow). They are released with the last
/// clone and the last handle.
///
/// [`Backing`](crate::Backing) describes the names that a ring can have.
pub struct Ring<M: ?Sized, P> {
    typed: TypedRing<M, P>,
}

impl<T: Pod, P: Protocol> Ring<T, P> {
    /// Creates a ring for `capacity` values, from 2 to 2^30, rounded up to a power of two.
    ///
    /// All memory of the ring is allocated here, so a later push can't run out of it. Only the same
    /// user may open the ring; [`create_with`](Self::create_with) takes all options.
    ///
    /// Other processes see the name only when the ring is complete. If this process is killed before
    /// that, nothing is left behind. A System V segment is an exception: it is visible from the
    /// start. A process that opens it waits for the creator, at most for a liveness interval or a
    /// second, whichever is more. If the creator is killed, the next process that creates a ring
    /// with that key replaces the segment.
    ///
    /// ```
    /// use slipring::{error::CreateError, spsc};
    ///
    /// # let name = &format!("/slipring-doc-create-{}", std::process::id());
    /// let ring = spsc::Ring::<[u64; 4]>::create(name, 1000)?;
    /// assert_eq!(ring.capacity(), 1024);
    ///
    /// let again = spsc::Ring::<[u64; 4]>::create(name, 1000);
    /// assert!(matches!(again, Err(CreateError::Exists { .. })));
    /// # slipring::unlink(name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the name is taken or there is not enough memory; see [`CreateError`].
    #[doc(alias = "shm_open")]
    #[doc(alias = "memfd_create")]
    #[doc(alias = "shmget")]
    #[doc(alias = "mmap")]
    pub fn create(name: impl AsRef<str>, capacity: usize) -> Result<Self, CreateError> {
        Self::create_with(name, &Options::new().capacity(capacity))
    }

    /// [Opens](Self::open) the ring, or [creates](Self::create) it if it does not exist. An existing
    /// ring must have this capacity, rounded up.
    ///
    /// Several processes may call this at the same time; one of them creates the ring.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-open-or-create-{}", std::process::id());
    /// use slipring::spsc;
    ///
    /// let first = spsc::Ring::<u64>::open_or_create(name, 16)?;
    /// let second = spsc::Ring::<u64>::open_or_create(name, 16)?;
    /// first.producer()?.push(&7)?;
    /// assert_eq!(second.consumer()?.pop()?, 7);
    /// # slipring::unlink(name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`OpenOrCreateError`].
    pub fn open_or_create(
        name: impl AsRef<str>,
        capacity: usize,
    ) -> Result<Self, OpenOrCreateError> {
        Self::open_or_create_with(name, &Options::new().capacity(capacity))
    }
}

impl<P: Protocol> Ring<[u8], P> {
    /// Creates a ring for `capacity` byte strings of up to `message_size` bytes each. The capacity
    /// is from 2 to 2^30, rounded up to a power of two.
    ///
    /// Every slot has room for the longest message. Otherwise as [`create`](Ring::create) for
    /// values.
    ///
    /// ```
    /// use slipring::spsc;
    ///
    /// # let name = &format!("/slipring-doc-create-bytes-{}", std::process::id());
    /// let ring = spsc::Ring::<[u8]>::create_bytes(name, 64, 1500)?;
    /// ring.producer()?.push(b"any length up to 1500")?;
    /// assert_eq!(ring.consumer()?.pop()?, b"any length up to 1500");
    /// # slipring::unlink(name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`CreateError`].
    #[doc(alias = "shm_open")]
    #[doc(alias = "memfd_create")]
    #[doc(alias = "shmget")]
    #[doc(alias = "mmap")]
    pub fn create_bytes(
        name: impl AsRef<str>,
        capacity: usize,
        message_size: usize,
    ) -> Result<Self, CreateError> {
        let options = Options::new().capacity(capacity).message_size(message_size);
        Self::create_with(name, &options)
    }

    /// [Opens](Self::open) the ring, or [creates](Self::create_bytes) it if it does not exist. An
    /// existing ring must have this capacity, rounded up, and this message size.
    ///
    /// # Errors
    ///
    /// See [`OpenOrCreateError`].
    pub fn open_or_create_bytes(
        name: impl AsRef<str>,
        capacity: usize,
        message_size: usize,
    ) -> Result<Self, OpenOrCreateError> {
        let options = Options::new().capacity(capacity).message_size(message_size);
        Self::open_or_create_with(name, &options)
    }
}

// The bounds are on the functions, not on the block. So for a type that is no message the compiler
// reports the unmet bound, instead of a missing function.
impl<M: ?Sized, P: Protocol> Ring<M, P> {
    /// [Creates](Self::create) a ring with these [options](Options).
    ///
    /// # Errors
    ///
    /// See [`CreateError`].
    #[doc(alias = "shm_open")]
    #[doc(alias = "memfd_create")]
    #[doc(alias = "shmget")]
    #[doc(alias = "mmap")]
    pub fn create_with(name: impl AsRef<str>, options: &Options) -> Result<Self, CreateError>
    where
        M: Message,
    {
        TypedRing::create(name.as_ref(), options).map(Self::new)
    }

    /// Opens an existing ring.
    ///
    /// The header is validated before anything in it is used. The size and the alignment of the
    /// messages must be those of `M`. Two types that agree in both are told apart by a
    /// [schema tag](Options::schema).
    ///
    /// ```
    /// use slipring::{error::OpenError, spsc};
    ///
    /// # let name = &format!("/slipring-doc-open-{}", std::process::id());
    /// let none = spsc::Ring::<u64>::open(name);
    /// assert!(matches!(none, Err(OpenError::NotFound { .. })));
    ///
    /// spsc::Ring::<u64>::create(name, 16)?;
    /// let other = spsc::Ring::<u32>::open(name);
    /// assert!(matches!(other, Err(OpenError::PayloadSize { expected: 4, found: 8, .. })));
    /// # slipring::unlink(name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    #[doc(alias = "shm_open")]
    #[doc(alias = "shmat")]
    #[doc(alias = "mmap")]
    pub fn open(name: impl AsRef<str>) -> Result<Self, OpenError>
    where
        M: Message,
    {
        Self::open_with(name, &Options::new())
    }

    /// [Opens](Self::open) an existing ring, if it meets the [options](Options).
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open_with(name: impl AsRef<str>, options: &Options) -> Result<Self, OpenError>
    where
        M: Message,
    {
        TypedRing::open(name.as_ref(), options).map(Self::new)
    }

    /// [Opens](Self::open_with) the ring, or [creates](Self::create_with) it if it does not exist.
    /// Several processes may call this at the same time; one of them creates the ring.
    ///
    /// # Errors
    ///
    /// See [`OpenOrCreateError`].
    pub fn open_or_create_with(
        name: impl AsRef<str>,
        options: &Options,
    ) -> Result<Self, OpenOrCreateError>
    where
        M: Message,
    {
        TypedRing::open_or_create(name.as_ref(), options).map(Self::new)
    }
}

impl<M: Message + ?Sized, P: Protocol> Ring<M, P> {
    pub(super) fn new(typed: TypedRing<M, P>) -> Self {
        Self { typed }
    }

    pub(super) fn typed(&self) -> &TypedRing<M, P> {
        &self.typed
    }

    /// Attaches a producer: claims a seat, which the handle holds until it is dropped or its process
    /// ends.
    ///
    /// An SPSC ring has one producer at a time, and the next one continues where the last one
    /// stopped. An MPMC ring has as many seats as its [options](Options::producers) set.
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

    /// The number of messages that the ring can hold; after [`grow`](Self::grow), the newest segment.
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

    /// Changes the capacity of the ring while it is in use: to `capacity` messages, more or fewer,
    /// from 2 to 2^30, rounded up to a power of two. Does nothing if the ring has that capacity.
    ///
    /// The ring must live in named shared memory or in a file.
    ///
    /// # How a ring grows
    ///
    /// A new segment of that capacity is appended to the object. Each producer continues there with
    /// its next push. Consumers pop the messages that are left in the old segment, in order, and then
    /// follow. No participant reopens the ring: each process maps the new segment when it reaches
    /// it. An open claim or guard stays in its segment, and is committed or dropped as usual. No
    /// message is lost or duplicated.
    ///
    /// A producer learns about the new segment when it next pushes. An SPSC producer that does not
    /// push, or is stopped, keeps the ring in the old segment.
    ///
    /// # Memory
    ///
    /// The new segment needs its memory in addition to the old one. The memory of the old one is
    /// reclaimed once it is drained and every handle has moved on, so an idle handle retains it. The
    /// segment's header and seats stay: 20 KiB in an MPMC ring with default seats. The object
    /// becomes longer with each call, but reclaimed slots occupy no memory.
    ///
    /// A process that [locks](crate::Options::lock_memory) its memory needs a limit for both
    /// segments. While a process can't map the new segment, the ring looks full or empty to it.
    ///
    /// # Blocking and crashes
    ///
    /// Waits for another process that grows the ring, recovers it or attaches to it: at most for a
    /// liveness interval or a second, whichever is more. No participant waits for this call while it
    /// prepares the new segment. If this process is killed, the ring has grown or it has not, and
    /// the participants continue.
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
    /// return. A closed ring can't be reopened for use: create a new one. In a forked child the call
    /// does nothing.
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
