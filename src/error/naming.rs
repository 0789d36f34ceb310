//! Errors of names, of operations by name, and of a ring's memory.

use super::{Corrupt, CreateError, Forked, OpenError};
use core::fmt;
use std::io;
use thiserror::Error;

/// A name that no ring can have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("invalid ring name {name:?}: {reason}")]
#[non_exhaustive]
pub struct InvalidName {
    /// The name as it was given.
    pub name: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A system call that the kernel refused for a reason without a variant of its own.
///
/// Its text includes that of the kernel's answer, so [`Error::source`](std::error::Error::source)
/// returns `None`.
#[derive(Debug)]
#[non_exhaustive]
pub struct SystemError {
    /// The system call.
    pub call: &'static str,
    /// The kernel's answer.
    pub source: io::Error,
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, self.source)
    }
}

// Without `source`: a report that prints the chain would print the kernel's answer twice.
impl std::error::Error for SystemError {}

/// Why a ring was neither opened nor created.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenOrCreateError {
    /// The ring exists and could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The ring does not exist and could not be created.
    #[error(transparent)]
    Create(#[from] CreateError),
}

/// Why a name was not removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UnlinkError {
    /// The name is not well formed, or names nothing that can be removed.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// Nothing has the name.
    #[error("{name} does not exist")]
    NotFound {
        /// The name.
        name: String,
    },
    /// The file system is mounted read-only.
    #[error("{name} is on a read-only file system")]
    ReadOnly {
        /// The name.
        name: String,
    },
    /// The process may not remove it.
    #[error("no permission to remove {name}")]
    Permission {
        /// The name.
        name: String,
    },
    /// The ring was opened before this process was forked.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The kernel refused a system call.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a ring was not mapped with the requested memory options.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MapError {
    /// The process may not lock so much memory (`RLIMIT_MEMLOCK`).
    #[error(
        "locked memory limit (RLIMIT_MEMLOCK): found {limit} bytes, expected {needed} unused for \
         the ring; raise it"
    )]
    LockedMemory {
        /// The size of the ring in bytes.
        needed: u64,
        /// How much the process may lock in total, in bytes.
        limit: u64,
    },
    /// The kernel refused a system call.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a ring was not written to its disk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The ring was opened before this process was forked.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// Shared state violates the protocol.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// A segment of a ring that [has grown](crate::Ring::grow) could not be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The kernel refused a system call, or the disk failed.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why the state of a ring's memory was not read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StatError {
    /// The ring was opened before this process was forked.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The kernel refused a system call.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a ring could not be observed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// The ring was opened before this process was forked.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The object was truncated after it was opened.
    #[error("size: found {found} bytes, expected {expected}")]
    Truncated {
        /// The size of the whole ring in bytes.
        expected: u64,
        /// An upper bound on the bytes that were found.
        found: u64,
    },
    /// A later segment of a ring that [has grown](crate::Ring::grow) violates the protocol.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The kernel refused a system call.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why the descriptor of a ring was not sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandOverError {
    /// The ring is not a memfd. Other processes open it by its name.
    #[error("the ring has a name; open it by name instead")]
    Named,
    /// Other code in this process closed the ring's descriptor, and may have reused its number.
    #[error("the ring's descriptor was closed by other code in this process")]
    Closed,
    /// The kernel refused a system call.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a ring was not received.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The other end of the socket is closed.
    #[error("the socket is closed")]
    Closed,
    /// The message did not carry exactly one descriptor.
    #[error("descriptors: found {found}, expected 1")]
    Descriptors {
        /// How many arrived; they are closed.
        found: usize,
    },
    /// The descriptor is not that of a ring with the requested properties.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The kernel refused a system call.
    #[error(transparent)]
    System(#[from] SystemError),
}
