//! An open ring with a checked kind and message type.

use super::open_ring::OpenRing;
use super::validate::check_options;
use crate::error::{CreateError, OpenError, OpenOrCreateError};
use crate::message::Message;
use crate::options::Options;
use crate::protocol::Protocol;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use std::sync::Arc;
use std::thread;

/// An open ring with slots for messages of type `M`, of the kind `P`.
///
/// Every constructor compares the ring's header with `M` and `P`, so code that has the value may
/// access slots as `M`.
pub(crate) struct TypedRing<M: ?Sized, P> {
    open_ring: Arc<OpenRing>,
    checked: PhantomData<fn(&M, P)>,
}

impl<M: Message + ?Sized, P: Protocol> TypedRing<M, P> {
    pub(crate) fn create(name: &str, options: &Options) -> Result<Self, CreateError> {
        Ok(Self::new(OpenRing::create::<M>(name, P::KIND, options)?))
    }

    pub(crate) fn open(name: &str, options: &Options) -> Result<Self, OpenError> {
        let opened = OpenRing::open(name, options, |geometry, stat| {
            check_options::<M>(geometry, stat, P::KIND, options)
        });
        Ok(Self::new(opened?))
    }

    pub(crate) fn open_or_create(name: &str, options: &Options) -> Result<Self, OpenOrCreateError> {
        /// How often other processes may create and remove the name between two attempts.
        const MAX_TRIES: u32 = 100;
        /// Enough for another process to initialise a ring that takes all the space.
        const MAX_SPACE_WAITS: u32 = 20;
        const SPACE_WAIT: Duration = Duration::from_millis(5);
        let mut waits = 0;
        let mut last = Self::open(name, options).map_err(OpenOrCreateError::from);
        for _ in 0..MAX_TRIES {
            last = match last {
                // An unfinished object may be what a dead process left.
                Err(OpenOrCreateError::Open(
                    OpenError::NotFound { .. } | OpenError::Unfinished { .. },
                )) => Self::create(name, options).map_err(Into::into),
                Err(OpenOrCreateError::Create(CreateError::Exists { .. })) => {
                    Self::open(name, options).map_err(Into::into)
                }
                // Another process may be creating the same ring with that space.
                Err(OpenOrCreateError::Create(CreateError::NoSpace { .. }))
                    if waits < MAX_SPACE_WAITS =>
                {
                    waits += 1;
                    thread::sleep(SPACE_WAIT);
                    Self::open(name, options).map_err(Into::into)
                }
                done => return done,
            };
        }
        last
    }

    /// Opens the same object once more, whatever its name leads to by now; also in a forked child.
    pub(crate) fn reopen(&self) -> Result<Self, OpenError> {
        let options = Options::default();
        let opened = self
            .open_ring
            .reopen(|geometry, stat| check_options::<M>(geometry, stat, P::KIND, &options));
        Ok(Self::new(opened?))
    }

    fn new(open_ring: OpenRing) -> Self {
        Self {
            open_ring: Arc::new(open_ring),
            checked: PhantomData,
        }
    }
}

impl<M: ?Sized, P> TypedRing<M, P> {
    pub(crate) fn open_ring(&self) -> &Arc<OpenRing> {
        &self.open_ring
    }
}

impl<M: ?Sized, P> Clone for TypedRing<M, P> {
    fn clone(&self) -> Self {
        Self {
            open_ring: Arc::clone(&self.open_ring),
            checked: PhantomData,
        }
    }
}

impl<M: ?Sized, P> fmt::Debug for TypedRing<M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedRing").field(&self.open_ring).finish()
    }
}
