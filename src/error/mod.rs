//! Why an operation did not do what it was asked: one small type per operation.

mod naming;
mod transfer;

pub use self::naming::{
    CreateError, InvalidName, OpenError, OpenOrCreateError, SystemError, UnlinkError,
};
pub use self::transfer::{
    PopError, PopTimeoutError, PushError, PushSliceError, PushTimeoutError, TooLong, TryPopError,
    TryPushError,
};

pub(crate) use self::transfer::{Broken, Refused};

use crate::terms::Role;
use thiserror::Error;

/// Why an end of a ring could not be taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttachError {
    /// A live process holds it.
    #[error("the ring has a {role} already{}", match pid { Some(pid) => format!(", process {pid}"), None => String::new() })]
    Taken {
        /// The end that was asked for.
        role: Role,
        /// The pid that was recorded last, in the recorder's pid namespace: the holder's, unless
        /// it is only just attaching. `None` if there is none. Unverified.
        pid: Option<u32>,
    },
    /// The ring was opened before this process was forked.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The ring holds what no peer that follows the protocol leaves.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// The ring holds what no peer that follows the protocol leaves there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the ring is corrupt")]
#[non_exhaustive]
pub struct Corrupt;

/// The handle belongs to the process that this one was forked from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the handle belongs to the parent of this forked process")]
#[non_exhaustive]
pub struct Forked;

/// The other end is gone. A report, not a verdict, unless the ring is closed: the same handle
/// goes on when somebody takes that end again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Disconnected {
    /// Its last holder dropped its handle.
    #[error("the other end has left")]
    Left,
    /// Its last holder died.
    #[error("the other end, process {pid}, has died")]
    Died {
        /// What it recorded as its pid, in its own pid namespace.
        pid: u32,
    },
    /// Somebody closed the ring, for good.
    #[error("the ring is closed")]
    Closed,
}
