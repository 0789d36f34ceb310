//! Errors of pushing and popping.

use super::{Corrupt, Disconnected, Forked};
use thiserror::Error;

/// The message is longer than a slot's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a message of {len} bytes does not fit in a slot of {max}")]
#[non_exhaustive]
pub struct TooLong {
    /// The message's length in bytes.
    pub len: usize,
    /// The longest that fits, in bytes.
    pub max: usize,
}

/// Why a message was not pushed at once. It was not pushed at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TryPushError {
    /// No slot is free.
    #[error("the ring is full")]
    Full,
    /// No slot is free, and nobody is there to free one; or the ring is closed.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    /// The message does not fit in a slot.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The handle belongs to the parent of this process.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The ring's bytes can't be trusted. This handle is of no more use.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why a message was not pushed. It was not pushed at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// No slot is free, and nobody is there to free one; or the ring is closed.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    /// The message does not fit in a slot.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The handle belongs to the parent of this process.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The ring's bytes can't be trusted. This handle is of no more use.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why a message was not pushed in time. It was not pushed at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushTimeoutError {
    /// No slot became free in time.
    #[error("timed out: the ring is full")]
    TimedOut,
    /// No slot is free, and nobody is there to free one; or the ring is closed.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    /// The message does not fit in a slot.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The handle belongs to the parent of this process.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The ring's bytes can't be trusted. This handle is of no more use.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why a slice was not pushed to its end. The messages before that point were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("pushed {pushed} messages, then: {reason}")]
#[non_exhaustive]
pub struct PushSliceError<E = PushError> {
    /// How many messages, from the start of the slice, were pushed.
    pub pushed: usize,
    /// Why the next one was not.
    pub reason: E,
}

/// Why no message was popped at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
// A message of 8 bytes beside it in a `Result` then lies in the same place, and is copied in one piece.
#[repr(align(8))]
pub enum TryPopError {
    /// There is no message.
    #[error("the ring is empty")]
    Empty,
    /// There is no message, and nobody is there to push one.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    /// The handle belongs to the parent of this process.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The ring's bytes can't be trusted. This handle is of no more use.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why no message was popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
// A message of 8 bytes beside it in a `Result` then lies in the same place, and is copied in one piece.
#[repr(align(8))]
pub enum PopError {
    /// There is no message, and nobody is there to push one.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    /// The handle belongs to the parent of this process.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The ring's bytes can't be trusted. This handle is of no more use.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why no message was popped in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
// A message of 8 bytes beside it in a `Result` then lies in the same place, and is copied in one piece.
#[repr(align(8))]
pub enum PopTimeoutError {
    /// No message came in time.
    #[error("timed out: the ring is empty")]
    TimedOut,
    /// There is no message, and nobody is there to push one.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    /// The handle belongs to the parent of this process.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The ring's bytes can't be trusted. This handle is of no more use.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why an end of a ring can't go on, whatever it was asked to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EndpointError {
    Disconnected(Disconnected),
    Forked(Forked),
    Corrupt(Corrupt),
}

/// Why an end of a ring did not do what it was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// Full or empty, and out of patience.
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
    fn from(broken: E) -> Self {
        Self::Failed(broken.into())
    }
}

macro_rules! from_broken {
    ($($error:ident)*) => {$(
        impl From<EndpointError> for $error {
            fn from(broken: EndpointError) -> Self {
                match broken {
                    EndpointError::Disconnected(gone) => gone.into(),
                    EndpointError::Forked(forked) => forked.into(),
                    EndpointError::Corrupt(corrupt) => corrupt.into(),
                }
            }
        }
    )*};
}

macro_rules! from_refused {
    ($($error:ident::$not_now:ident)*) => {$(
        impl From<Refusal> for $error {
            fn from(refused: Refusal) -> Self {
                match refused {
                    Refusal::NotReady => Self::$not_now,
                    Refusal::Failed(broken) => broken.into(),
                }
            }
        }
    )*};
}

from_broken!(TryPushError PushError PushTimeoutError TryPopError PopError PopTimeoutError);
from_refused!(TryPushError::Full PushTimeoutError::TimedOut);
from_refused!(TryPopError::Empty PopTimeoutError::TimedOut);
