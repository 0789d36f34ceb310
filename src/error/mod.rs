//! Why an operation failed: one small type per operation.
//!
//! Every error converts into a [`std::io::Error`] of a fitting [kind](std::io::ErrorKind), which
//! carries the original error.

mod create;
mod io;
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
use core::fmt;
use thiserror::Error;

/// Why a seat could not be claimed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttachError {
    /// A live process holds the seat.
    #[error("the ring already has a {role}{}", Process(": process ", *pid))]
    Taken {
        /// The role that was asked for.
        role: Role,
        /// The pid that was recorded last, in the recorder's pid namespace. It is the holder's
        /// unless the holder has only just begun to attach. `None` if there is none. Unverified.
        pid: Option<u32>,
    },
    /// All seats of the role in an MPMC ring are taken.
    #[error("{role} seats: all {} are taken, by processes {}", holders.len(), Pids(holders))]
    NoSeat {
        /// The role that was asked for.
        role: Role,
        /// The pid of each seat's holder, in its own pid namespace. A process appears once for
        /// each of its handles. Unverified.
        holders: Vec<u32>,
    },
    /// The free seats are those of dead processes, and their claims can't be determined yet: a
    /// live process is stopped in the middle of an operation on the same messages.
    #[error(
        "no {role} seat can be claimed: a process is stopped in the middle of an operation{}",
        Process("; resume process ", *pid)
    )]
    Undecided {
        /// The role that was asked for.
        role: Role,
        /// The pid of the stopped process, in its own pid namespace. `None` if it has just
        /// continued. Unverified.
        pid: Option<u32>,
    },
    /// Another process has been recovering the ring, or attaching to it, for longer than a
    /// liveness interval and a second. It is stopped, or very many processes attach at once.
    #[error(transparent)]
    Recovering(#[from] Recovering),
    /// The ring was opened before this process was forked.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// Shared state violates the protocol.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// A segment of a ring that [has grown](crate::Ring::grow) could not be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The kernel refused a system call.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a ring was not recovered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The ring was not [opened by its name](crate::recover).
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Another process has been recovering the ring, or attaching to it, for longer than a
    /// liveness interval and a second. It is stopped, or very many processes attach at once.
    #[error(transparent)]
    Recovering(#[from] Recovering),
    /// The ring was opened before this process was forked.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// Shared state violates the protocol.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// A segment of a ring that [has grown](crate::Ring::grow) could not be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The kernel refused a system call.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a ring could not be locked against participants.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExclusiveError {
    /// The ring was not opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A process holds a seat.
    #[error("the ring is in use by process {pid}")]
    InUse {
        /// The pid that was recorded last for a held seat, in its own pid namespace. Unverified.
        pid: u32,
    },
    /// Another process has been recovering the ring, or attaching to it, for longer than a
    /// liveness interval and a second.
    #[error(transparent)]
    Recovering(#[from] Recovering),
    /// The kernel refused a system call.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a ring did not grow. The ring is unchanged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GrowError {
    /// The ring was not [opened by its name](crate::grow).
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The capacity is out of range.
    #[error("capacity: found {asked}, expected {min} to {max} messages")]
    Capacity {
        /// As asked for.
        asked: u64,
        /// The minimum.
        min: u64,
        /// The maximum.
        max: u64,
    },
    /// The ring's backing is a memfd, which has a sealed size, or a System V segment.
    #[error("only a ring in a file or in shared memory with a name can grow")]
    Unsupported,
    /// The ring is closed.
    #[error("the ring is closed")]
    Closed,
    /// Another process has been growing the ring for longer than a liveness interval and a second.
    #[error(
        "process {pid} has not finished growing the ring; retry, or resume it if it is stopped"
    )]
    Growing {
        /// The pid that it recorded, in its own pid namespace. Unverified.
        pid: u32,
    },
    /// The ring has grown as often as it can before consumers reach the end of its first segment.
    #[error("segments that are not drained: found {found}, expected fewer; pop messages first")]
    Undrained {
        /// How many segments are not drained.
        found: usize,
    },
    /// Another process has been recovering the ring, or attaching to it, for longer than a
    /// liveness interval and a second.
    #[error(transparent)]
    Recovering(#[from] Recovering),
    /// The file system has no space for a larger segment beside the present one.
    #[error("no space to grow: found {available} bytes, expected {needed}")]
    NoSpace {
        /// Bytes that the larger segment takes.
        needed: u64,
        /// Bytes that the file system had when asked.
        available: u64,
    },
    /// The ring would be larger than the files that the process may create (`RLIMIT_FSIZE`).
    #[error("file size limit (RLIMIT_FSIZE): found {limit} bytes, expected {needed}; raise it")]
    FileSizeLimit {
        /// Bytes that the object would have, with the present segments.
        needed: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The ring was opened before this process was forked.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// Shared state violates the protocol.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The larger segment could not be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The kernel refused a system call.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Another process is recovering the ring. If it dies, the next process continues its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("process {pid} has not finished recovering or attaching; retry, or resume it if stopped")]
#[non_exhaustive]
pub struct Recovering {
    /// The pid that it recorded, in its own pid namespace. Unverified.
    pub pid: u32,
}

/// Shared state violates the protocol: no peer that follows it leaves the ring so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the ring is corrupt")]
#[non_exhaustive]
pub struct Corrupt;

/// The handle belongs to the process that this one was forked from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the handle belongs to the parent of this forked process; reopen the ring")]
#[non_exhaustive]
pub struct Forked;

/// The ring has no peer; an MPMC ring has lost every peer that it had.
///
/// This is a report, not a verdict, unless the ring is closed: the same handle works again when
/// another process claims a seat of that role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Disconnected {
    /// The last peer dropped its handle.
    #[error("the peer has left")]
    Left,
    /// The last peer died; where several were the last, one of them died.
    #[error("the peer, process {pid}, has died")]
    Died {
        /// The pid that it recorded, in its own pid namespace.
        pid: u32,
    },
    /// The ring was closed, which is final.
    #[error("the ring is closed")]
    Closed,
}

/// Why the segments of an object could not be used.
#[derive(Debug)]
pub(crate) enum SegmentError {
    Corrupt(Corrupt),
    Map(MapError),
}

impl SegmentError {
    /// The same reason, as the error of an operation.
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

/// A pid after some words, or nothing.
struct Process(&'static str, Option<u32>);

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(pid) => write!(f, "{}{pid}", self.0),
            None => Ok(()),
        }
    }
}

/// The first few of a list of pids, and the number of the others.
struct Pids<'a>(&'a [u32]);

impl fmt::Display for Pids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// A ring may have thousands of seats.
        const SHOWN: usize = 8;
        for (index, pid) in self.0.iter().take(SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{pid}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            others => write!(f, " and {others} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_seat_text_shows_at_most_eight_pids() {
        let text = |holders: Vec<u32>| {
            let role = Role::Consumer;
            AttachError::NoSeat { role, holders }.to_string()
        };
        assert_eq!(
            text(vec![7]),
            "consumer seats: all 1 are taken, by processes 7"
        );
        assert_eq!(
            text((1..=8).collect()),
            "consumer seats: all 8 are taken, by processes 1, 2, 3, 4, 5, 6, 7, 8"
        );
        assert_eq!(
            text((1..=4096).collect()),
            "consumer seats: all 4096 are taken, by processes 1, 2, 3, 4, 5, 6, 7, 8 and 4088 more"
        );
    }
}
