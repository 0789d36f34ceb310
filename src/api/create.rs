//! Creating and opening rings.

use super::ring::Ring;
use crate::error::{CreateError, OpenError, OpenOrCreateError};
use crate::message::Message;
use crate::open::TypedRing;
use crate::options::Options;
use crate::protocol::Protocol;
use bytemuck::Pod;

impl<T: Pod, P: Protocol> Ring<T, P> {
    /// Creates a ring for `capacity` values, from 2 to 2^30, rounded up to a power of two.
    ///
    /// All memory of the ring is allocated here, so a later push can't run out of it. Only the same
    /// user may open the ring; [`create_with`](Self::create_with) takes all options.
    ///
    /// Other processes see the name only when the ring is complete. If this process is killed
    /// before that, nothing is left behind. A System V segment is an exception: it is visible from
    /// the start. A process that opens it waits for the creator, at most for a liveness interval or
    /// a second, whichever is more. If the creator is killed, the next process that creates a ring
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

    /// [Opens](Self::open) the ring, or [creates](Self::create) it if it does not exist. An
    /// existing ring must have this capacity, rounded up.
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
