//! Why an operation did not do what it was asked: one small type per operation.

mod create;
mod naming;
mod open;
mod transfer;

pub use self::create::CreateError;
pub use self::naming::{
    HandOverError, InvalidName, MapError, ObserveError, OpenOrCreateError, ReceiveError, StatError,
    SyncError, SystemError, UnlinkError,
};
pub use self::open::OpenError;
pub use self::transfer::{
    PopError, PopTimeoutError, PushError, PushSliceError, PushTimeoutError, TooLong, TryPopError,
    TryPushError,
};

pub(crate) use self::transfer::{EndpointError, Refusal};

use crate::role::Role;
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
    /// An MPMC ring has as many handles of the kind as it has seats for them.
    #[error("the ring has {} {role} seats, and all are taken, by processes {holders:?}", holders.len())]
    NoSeat {
        /// The end that was asked for.
        role: Role,
        /// The pid of each seat's holder, in its own pid namespace; a process is there as often as
        /// it has handles. Unverified.
        holders: Vec<u32>,
    },
    /// The free seats are those of dead processes, of which it can't be known yet what they held:
    /// a live process is stopped in the middle of an operation on the same messages.
    #[error("no {role} seat can be taken before {} goes on", match pid { Some(pid) => format!("process {pid}, which is stopped,"), None => "a stopped process".to_owned() })]
    Undecided {
        /// The end that was asked for.
        role: Role,
        /// The pid of the one that is stopped, in its own pid namespace. `None` if it went on just
        /// now. Unverified.
        pid: Option<u32>,
    },
    /// Another process has been recovering the ring, or attaching to it, for longer than a liveness
    /// interval and a second: it is stopped, or very many attach at once.
    #[error(transparent)]
    Recovering(#[from] Recovering),
    /// The ring was opened before this process was forked.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The ring holds what no peer that follows the protocol leaves.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// A ring that [has grown](crate::Ring::grow) could not be mapped whole.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a ring was not recovered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The ring was not [found by its name](crate::recover).
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Another process has been at it, or attaching, for longer than a liveness interval and a
    /// second: it is stopped, or very many attach at once.
    #[error(transparent)]
    Recovering(#[from] Recovering),
    /// The ring was opened before this process was forked.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The ring holds what no peer that follows the protocol leaves.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// A ring that [has grown](crate::Ring::grow) could not be mapped whole.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why nobody can be oldest_allocated from a ring.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExclusiveError {
    /// The ring was not opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Somebody has a seat of it.
    #[error("the ring is in use, by process {pid}")]
    InUse {
        /// What was recorded last as the pid of one who has a seat, in its own pid namespace. Unverified.
        pid: u32,
    },
    /// Another process has been recovering the ring, or attaching to it, for longer than a liveness
    /// interval and a second.
    #[error(transparent)]
    Recovering(#[from] Recovering),
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a ring did not grow. It is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GrowError {
    /// The ring was not [found by its name](crate::grow).
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No ring can hold so many messages.
    #[error("a capacity of {asked} is not between {min} and {max} messages")]
    Capacity {
        /// The capacity that was asked for.
        asked: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// The ring lives in a memfd, which is sealed, or in a System V segment.
    #[error("only a ring in shared memory with a name, or in a file, can grow")]
    Unsupported,
    /// The ring is closed.
    #[error("the ring is closed")]
    Closed,
    /// Another process has been making the ring grow for longer than a liveness interval and a second.
    #[error("process {pid} is making the ring grow, and has not finished")]
    Growing {
        /// What it recorded as its pid, in its own pid namespace. Unverified.
        pid: u32,
    },
    /// Too many rings follow each other from which messages are still to be popped.
    #[error(
        "the ring has grown {found} times, and nobody has come to the end of the first ring yet"
    )]
    Undrained {
        /// How many rings wait to be drained.
        found: usize,
    },
    /// Another process has been recovering the ring, or attaching to it, for longer than a liveness
    /// interval and a second.
    #[error(transparent)]
    Recovering(#[from] Recovering),
    /// There is no space for it beside the present ring.
    #[error("no space to grow: {needed} bytes are needed, {available} are available")]
    NoSpace {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that the file system had when asked.
        available: u64,
    },
    /// The process may not make files so large.
    #[error("the ring needs {needed} bytes, the file size limit is {limit}")]
    FileSizeLimit {
        /// Bytes that it takes, with what came before.
        needed: u64,
        /// `RLIMIT_FSIZE`.
        limit: u64,
    },
    /// The ring was opened before this process was forked.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The ring holds what no peer that follows the protocol leaves.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The larger ring could not be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Another process is recovering the ring. If it dies, the next one goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("process {pid} is recovering or attaching, and has not finished")]
#[non_exhaustive]
pub struct Recovering {
    /// What it recorded as its pid, in its own pid namespace. Unverified.
    pub pid: u32,
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

/// The other end is gone; of an MPMC ring, everybody who was there. A report, not a verdict, unless
/// the ring is closed: the same handle goes on when somebody takes that end again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Disconnected {
    /// Its last holder dropped its handle.
    #[error("the other end has left")]
    Left,
    /// Its last holder died; of several, one of those that held it last.
    #[error("the other end, process {pid}, has died")]
    Died {
        /// What it recorded as its pid, in its own pid namespace.
        pid: u32,
    },
    /// Somebody closed the ring, for good.
    #[error("the ring is closed")]
    Closed,
}

/// Why the rings of an object could not be had.
#[derive(Debug)]
pub(crate) enum SegmentError {
    Corrupt(Corrupt),
    Map(MapError),
}

impl SegmentError {
    /// The same, as an operation tells it.
    pub(crate) fn into_error<E: From<Corrupt> + From<MapError>>(self) -> E {
        match self {
            Self::Corrupt(corrupt) => corrupt.into(),
            Self::Map(refused) => refused.into(),
        }
    }
}

impl From<Corrupt> for SegmentError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

impl<E: Into<MapError>> From<E> for SegmentError {
    fn from(refused: E) -> Self {
        Self::Map(refused.into())
    }
}
