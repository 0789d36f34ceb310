//! One producer, one consumer, each in a process of its own or not.

mod claim;
mod consumer;
mod guard;
mod producer;

pub use self::claim::Claim;
pub use self::consumer::{Consumer, Iter, TryIter};
pub use self::guard::ReadGuard;
pub use self::producer::Producer;

use crate::attachment::{Attachment, End};
use crate::error::{AttachError, CreateError, OpenError, OpenOrCreateError};
use crate::layout::{SPSC_PARTICIPANTS, spsc_seat};
use crate::message::Message;
use crate::options::Options;
use crate::terms::{Kind, Role};
use bytemuck::Pod;
use core::fmt;
use core::marker::PhantomData;
use std::sync::Arc;

/// A ring that is open in this process.
pub struct Ring<M: ?Sized> {
    attachment: Arc<Attachment>,
    messages: PhantomData<fn(&M)>,
}

impl<T: Pod> Ring<T> {
    /// Creates a ring of `capacity` values.
    pub fn create(name: &str, capacity: usize) -> Result<Self, CreateError> {
        Self::create_with(name, &Options::new().capacity(capacity))
    }

    /// Opens, or creates with this capacity.
    pub fn open_or_create(name: &str, capacity: usize) -> Result<Self, OpenOrCreateError> {
        Self::open_or_create_with(name, &Options::new().capacity(capacity))
    }
}

impl Ring<[u8]> {
    /// Creates a ring of `capacity` byte strings of up to `message_size` bytes.
    pub fn create(name: &str, capacity: usize, message_size: usize) -> Result<Self, CreateError> {
        let options = Options::new().capacity(capacity).message_size(message_size);
        Self::create_with(name, &options)
    }

    /// Opens, or creates.
    pub fn open_or_create(
        name: &str,
        capacity: usize,
        message_size: usize,
    ) -> Result<Self, OpenOrCreateError> {
        let options = Options::new().capacity(capacity).message_size(message_size);
        Self::open_or_create_with(name, &options)
    }
}

impl<M: Message + ?Sized> Ring<M> {
    /// Creates.
    pub fn create_with(name: &str, options: &Options) -> Result<Self, CreateError> {
        Attachment::create::<M>(name, Kind::Spsc, SPSC_PARTICIPANTS, options).map(Self::new)
    }

    /// Opens.
    pub fn open(name: &str) -> Result<Self, OpenError> {
        Self::open_with(name, &Options::new())
    }

    /// Opens.
    pub fn open_with(name: &str, options: &Options) -> Result<Self, OpenError> {
        Attachment::open::<M>(name, Kind::Spsc, options).map(Self::new)
    }

    /// Opens or creates.
    pub fn open_or_create_with(name: &str, options: &Options) -> Result<Self, OpenOrCreateError> {
        Attachment::open_or_create::<M>(name, Kind::Spsc, SPSC_PARTICIPANTS, options).map(Self::new)
    }

    fn new(attachment: Attachment) -> Self {
        Self {
            attachment: Arc::new(attachment),
            messages: PhantomData,
        }
    }

    /// Takes the producer's end.
    pub fn producer(&self) -> Result<Producer<M>, AttachError> {
        Producer::new(self.end(Role::Producer)?)
    }

    /// Takes the consumer's end.
    pub fn consumer(&self) -> Result<Consumer<M>, AttachError> {
        Consumer::new(self.end(Role::Consumer)?)
    }

    fn end(&self, role: Role) -> Result<End, AttachError> {
        End::take(
            &self.attachment,
            role,
            spsc_seat(role),
            spsc_seat(role.other()),
        )
    }

    /// Capacity in messages.
    pub fn capacity(&self) -> usize {
        self.attachment.capacity()
    }

    /// The longest message in bytes.
    pub fn message_size(&self) -> usize {
        self.attachment.message_size()
    }

    /// Messages in the ring.
    pub fn len(&self) -> usize {
        self.attachment.len()
    }

    /// Whether no message is in the ring.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether full.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Closes.
    pub fn close(&self) {
        self.attachment.close();
    }

    /// Whether closed.
    pub fn is_closed(&self) -> bool {
        self.attachment.is_closed()
    }
}

impl<M: ?Sized> Clone for Ring<M> {
    fn clone(&self) -> Self {
        Self {
            attachment: Arc::clone(&self.attachment),
            messages: PhantomData,
        }
    }
}

impl<M: ?Sized> fmt::Debug for Ring<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("capacity", &self.attachment.capacity())
            .field("len", &self.attachment.len())
            .field("closed", &self.attachment.is_closed())
            .finish()
    }
}
