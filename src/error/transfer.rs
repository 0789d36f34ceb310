//! Errors of pushing and popping.

use super::{Corrupt, Disconnected, Forked};
use thiserror::Error;

/// The message is longer than a slot's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("message: found {len} bytes, expected at most {max}")]
#[non_exhaustive]
pub struct TooLong {
    /// The message's length in bytes.
    pub len: usize,
    /// The longest that fits, in bytes.
    pub max: usize,
}

/// Why a message was not pushed without waiting. No part of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TryPushError {
    /// No slot is free.
    #[error("the ring is full")]
    Full,
    /// No slot is free and no consumer is attached to free one, or the ring is closed.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    /// The message does not fit in a slot.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The handle belongs to the parent of this process.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// Shared state violates the protocol. Every later operation of this handle fails as well.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why a message was not pushed. No part of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// No slot is free and no consumer is attached to free one, or the ring is closed.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    /// The message does not fit in a slot.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The handle belongs to the parent of this process.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// Shared state violates the protocol. Every later operation of this handle fails as well.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why a message was not pushed before the time-out. No part of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushTimeoutError {
    /// No slot became free before the time-out.
    #[error("timed out: the ring is full")]
    TimedOut,
    /// No slot is free and no consumer is attached to free one, or the ring is closed.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    /// The message does not fit in a slot.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The handle belongs to the parent of this process.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// Shared state violates the protocol. Every later operation of this handle fails as well.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why a slice was pushed only in part, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("pushed {pushed} messages, then: {reason}")]
#[non_exhaustive]
pub struct PushSliceError<E = PushError> {
    /// How many messages from the start of the slice were pushed.
    pub pushed: usize,
    /// Why the next message was not pushed.
    pub reason: E,
}

/// Why no message was popped without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
// In a `Result`, a message of 8 bytes then lies at the same offset and is copied in one piece.
#[repr(align(8))]
pub enum TryPopError {
    /// The ring has no message.
    #[error("the ring is empty")]
    Empty,
    /// The ring has no message, and no producer is attached to push one.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    /// The handle belongs to the parent of this process.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// Shared state violates the protocol. Every later operation of this handle fails as well.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why no message was popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
// In a `Result`, a message of 8 bytes then lies at the same offset and is copied in one piece.
#[repr(align(8))]
pub enum PopError {
    /// The ring has no message, and no producer is attached to push one.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    /// The handle belongs to the parent of this process.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// Shared state violates the protocol. Every later operation of this handle fails as well.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why no message was popped before the time-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
// In a `Result`, a message of 8 bytes then lies at the same offset and is copied in one piece.
#[repr(align(8))]
pub enum PopTimeoutError {
    /// No message arrived before the time-out.
    #[error("timed out: the ring is empty")]
    TimedOut,
    /// The ring has no message, and no producer is attached to push one.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    /// The handle belongs to the parent of this process.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// Shared state violates the protocol. Every later operation of this handle fails as well.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

impl TryPushError {
    /// Whether no slot was free.
    ///
    /// ```
    /// let ring = slipring::spsc::Ring::<u64>::create("memfd:", 2)?;
    /// let (mut producer, _consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push(&1)?;
    /// producer.push(&2)?;
    /// assert!(producer.try_push(&3).unwrap_err().is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }
}

impl TryPopError {
    /// Whether the ring had no message.
    ///
    /// ```
    /// let ring = slipring::spsc::Ring::<u64>::create("memfd:", 2)?;
    /// let (producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// assert!(consumer.try_pop().unwrap_err().is_empty());
    /// drop(producer);
    /// assert!(consumer.try_pop().unwrap_err().is_disconnected());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

macro_rules! is_timeout {
    ($($error:ident)*) => {$(
        impl $error {
            /// Whether the time-out passed first.
            pub fn is_timeout(&self) -> bool {
                matches!(self, Self::TimedOut)
            }
        }
    )*};
}

macro_rules! is_disconnected {
    ($($error:ident)*) => {$(
        impl $error {
            /// Whether no peer is attached, or the ring is closed.
            pub fn is_disconnected(&self) -> bool {
                matches!(self, Self::Disconnected(_))
            }

            /// Whether the ring is closed, which is final.
            pub fn is_closed(&self) -> bool {
                matches!(self, Self::Disconnected(Disconnected::Closed))
            }
        }
    )*};
}

is_timeout!(PushTimeoutError PopTimeoutError);
is_disconnected!(TryPushError PushError PushTimeoutError TryPopError PopError PopTimeoutError);

/// Why an endpoint can't continue, whatever the operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EndpointError {
    Disconnected(Disconnected),
    Forked(Forked),
    Corrupt(Corrupt),
}

/// Why an endpoint refused an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// Full or empty when the wait limit was reached.
    NotReady,
    Failed(EndpointError),
}

impl From<Corrupt> for EndpointError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

impl From<Forked> for EndpointError {
    fn from(forked: Forked) -> Self {
        Self::Forked(forked)
    }
}

impl From<Disconnected> for EndpointError {
    fn from(gone: Disconnected) -> Self {
        Self::Disconnected(gone)
    }
}

impl<E: Into<EndpointError>> From<E> for Refusal {
    fn from(failed: E) -> Self {
        Self::Failed(failed.into())
    }
}

macro_rules! from_endpoint_error {
    ($($error:ident)*) => {$(
        impl From<EndpointError> for $error {
            fn from(failed: EndpointError) -> Self {
                match failed {
                    EndpointError::Disconnected(gone) => gone.into(),
                    EndpointError::Forked(forked) => forked.into(),
                    EndpointError::Corrupt(corrupt) => corrupt.into(),
                }
            }
        }
    )*};
}

macro_rules! from_refusal {
    ($($error:ident::$not_ready:ident)*) => {$(
        impl From<Refusal> for $error {
            fn from(refused: Refusal) -> Self {
                match refused {
                    Refusal::NotReady => Self::$not_ready,
                    Refusal::Failed(failed) => failed.into(),
                }
            }
        }
    )*};
}

from_endpoint_error!(TryPushError PushError PushTimeoutError TryPopError PopError PopTimeoutError);
from_refusal!(TryPushError::Full PushTimeoutError::TimedOut);
from_refusal!(TryPopError::Empty PopTimeoutError::TimedOut);
