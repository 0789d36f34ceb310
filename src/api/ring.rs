//! A ring that is open in this process.

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
/// Clones are the same ring. It keeps one descriptor, unless it is in a System V segment, and one mapping
/// with a page around it on each side that can't be accessed. They go with the last clone and handle.
///
/// Where a ring has a name, [`Backing`](crate::Backing) says what names there are.
pub struct Ring<M: ?Sized, P> {
    typed: TypedRing<M, P>,
}

impl<T: Pod, P: Protocol> Ring<T, P> {
    /// Creates a ring for `capacity` values, from 2 to 2^30, rounded up to a power of two.
    ///
    /// Other processes see the name when the ring is whole, and not before; if this one is killed
    /// on the way nothing is left. (A System V segment can be seen before. Whoever opens it waits, for the liveness
    /// interval and a second at most; if this process is killed, the next one that creates it takes its place.) All its memory is allocated here, so that none can be missing
    /// later. Only this user may open it; [`create_with`](Self::create_with) has all the options.
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
    /// If the name is taken or the memory is not there; see [`CreateError`].
    pub fn create(name: impl AsRef<str>, capacity: usize) -> Result<Self, CreateError> {
        Self::create_with(name, &Options::new().capacity(capacity))
    }

    /// [Opens](Self::open) the ring, or [creates](Self::create) it if it does not exist. One that
    /// exists must have this capacity.
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
    /// Creates a ring for `capacity` byte strings, from 2 to 2^30, rounded up to a power of two,
    /// of up to `message_size` bytes each.
    ///
    /// Every slot has room for the longest message. Otherwise as for values.
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
    pub fn create(
        name: impl AsRef<str>,
        capacity: usize,
        message_size: usize,
    ) -> Result<Self, CreateError> {
        let options = Options::new().capacity(capacity).message_size(message_size);
        Self::create_with(name, &options)
    }

    /// [Opens](Self::open) the ring, or [creates](Self::create) it if it does not exist. One that
    /// exists must have this capacity and message size.
    ///
    /// # Errors
    ///
    /// See [`OpenOrCreateError`].
    pub fn open_or_create(
        name: impl AsRef<str>,
        capacity: usize,
        message_size: usize,
    ) -> Result<Self, OpenOrCreateError> {
        let options = Options::new().capacity(capacity).message_size(message_size);
        Self::open_or_create_with(name, &options)
    }
}

// Bounds on the functions and not on the block, so that the compiler says what is wrong with a
// type that can't be sent, instead of that there is no such function.
impl<M: ?Sized, P: Protocol> Ring<M, P> {
    /// Creates a ring as the [options](Options) say.
    ///
    /// # Errors
    ///
    /// See [`CreateError`].
    pub fn create_with(name: impl AsRef<str>, options: &Options) -> Result<Self, CreateError>
    where
        M: Message,
    {
        TypedRing::create(name.as_ref(), options).map(Self::new)
    }

    /// Opens a ring that exists.
    ///
    /// Everything its header says is checked before it is bounded. The size and alignment of the
    /// messages must be those of `M`; to tell two types apart that agree in both, use a
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
    pub fn open(name: impl AsRef<str>) -> Result<Self, OpenError>
    where
        M: Message,
    {
        Self::open_with(name, &Options::new())
    }

    /// [Opens](Self::open) a ring that exists, if it is as the [options](Options) say.
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

    /// Takes an end that pushes. In an SPSC ring there is one, and it goes on where its last holder
    /// stopped; an MPMC ring has [as many](Options::producers) as it was made with.
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
    /// [`Taken`](AttachError::Taken) while another handle has it, in any process, or
    /// [`NoSeat`](AttachError::NoSeat) while others have all. See [`AttachError`].
    pub fn producer(&self) -> Result<Producer<M, P>, AttachError> {
        Producer::attach(&self.typed)
    }

    /// Takes an end that pops; otherwise as [`producer`](Self::producer).
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

    /// How many messages the ring holds; of one that [has grown](Self::grow), the newest.
    pub fn capacity(&self) -> usize {
        self.open_ring().capacity()
    }

    /// The size of a value, or of the longest byte string, in bytes.
    pub fn message_size(&self) -> usize {
        self.open_ring().message_size()
    }

    /// About how many messages are in the ring that nobody has taken; 0 in a forked child. Others may
    /// be at work, so the answer can be old when it comes.
    pub fn len(&self) -> usize {
        self.open_ring().len()
    }

    /// Whether no message is in the ring; as [`len`](Self::len), this can be old signals.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no slot is free; as [`len`](Self::len), this can be old signals.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Makes the ring larger, or smaller, while it is in use: it will hold `capacity` messages, from 2 to 2^30, rounded up
    /// to a power of two. If it does already nothing happens.
    ///
    /// A new ring of that capacity follows the old one in the same object. Producers go on there with their next push; consumers
    /// pop what is left in the old ring, in order, and then follow. Nobody has to do anything for that, nor reopens anything:
    /// each process maps the new ring when it comes to it. A claim or a guard that is open holders where it is, and is
    /// committed or dropped as ever. Nothing is lost, and nothing comes twice.
    ///
    /// It takes as much memory as the new ring has, beside that of the old one, which is given back when it is empty and every
    /// handle has gone on: a producer or a consumer that does nothing keeps it. What each ring says of itself and of its
    /// seats holders, 20 KiB with the seats that an MPMC ring has if not told otherwise. The object becomes longer each time, but
    /// has no memory where the old slots were. A process that [locks](crate::Options::lock_memory) the ring's memory must be
    /// allowed to lock as much as both take: where the new one can't be mapped, rings seem full and empty until it can.
    ///
    /// Waits for another process that makes the ring grow, recovers it or attaches, for a liveness interval or a second,
    /// whichever is more. Nobody else waits for this call while it prepares the new ring. If this process is
    /// killed, the ring has grown or it has not, and the others go on.
    ///
    /// The ring must live in shared memory with a name or in a file. From when on the others push to the new ring is for
    /// each to find out, which it does when it pushes next: an SPSC producer that does not, or is stopped, still
    /// works with the old one.
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
    /// See [`GrowError`]. The ring is as it was then.
    pub fn grow(&self, capacity: usize) -> Result<(), GrowError> {
        growth::append(self.open_ring().chain(), capacity)
    }

    /// Closes the ring for good, for every process.
    ///
    /// Pushes fail from here on. Pops drain the ring and then fail. Blocked calls of both kinds
    /// end. A push that is under way in another process may still succeed: in an MPMC ring pops
    /// wait for a place that was claimed before; if not, its message may come after a pop has said
    /// [`Closed`](crate::error::Disconnected::Closed), and is not lost. There is no way back: make a
    /// new ring.
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
    ///
    /// In a forked child it does nothing.
    pub fn close(&self) {
        self.open_ring().close();
    }

    /// Whether somebody closed the ring.
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
