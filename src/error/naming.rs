//! Errors of names, of what is done by name, and of a ring's memory.

use super::{Corrupt, CreateError, Forked, OpenError};
use std::io;
use thiserror::Error;

/// A name that no ring can have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name:?} can't name a ring: {reason}")]
#[non_exhaustive]
pub struct InvalidName {
    /// The name as it was given.
    pub name: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A system call that the kernel refused for a reason without a variant of its own.
#[derive(Debug, Error)]
#[error("{call}: {source}")]
#[non_exhaustive]
pub struct SystemError {
    /// The system call.
    pub call: &'static str,
    /// The kernel's answer.
    pub source: io::Error,
}

/// Why a ring was neither opened nor created.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenOrCreateError {
    /// It exists and could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It does not exist and could not be created.
    #[error(transparent)]
    Create(#[from] CreateError),
}

/// Why a name was not removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UnlinkError {
    /// The name is not one.
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
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a ring's memory was not mapped as it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MapError {
    /// The process may not lock as much memory (RLIMIT_MEMLOCK).
    #[error("the ring needs {needed} bytes of locked memory, the limit is {limit}")]
    LockedMemory {
        /// The size of the ring in bytes.
        needed: u64,
        /// What the process may lock in all, in bytes.
        limit: u64,
    },
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a ring was not written to where it is oldest_allocated.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The ring was opened before this process was forked.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The ring holds what no peer that follows the protocol leaves.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// A ring that [has grown](crate::Ring::grow) could not be mapped whole.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The kernel, or the disk, refused.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why nothing was told of a ring's memory.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StatError {
    /// The ring was opened before this process was forked.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a ring could not be looked at.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// The ring was opened before this process was forked.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The object has been cut short since it was opened.
    #[error("{found} bytes are left of a ring of {expected}")]
    Truncated {
        /// The size of the whole ring in bytes.
        expected: u64,
        /// How many bytes were found at most.
        found: u64,
    },
    /// What follows the ring, which [has grown](crate::Ring::grow), is nothing that a peer leaves that follows the
    /// protocol.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a ring was not handed over.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandOverError {
    /// The ring is not a memfd. Others open it by its name.
    #[error("the ring has a name by which to open it")]
    Named,
    /// The ring's descriptor was closed behind its back, and perhaps its number used again.
    #[error("the ring's descriptor was closed")]
    Closed,
    /// The kernel refused.
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
    /// What came was not one descriptor.
    #[error("{found} descriptors came, not one")]
    Descriptors {
        /// How many came; they are closed.
        found: usize,
    },
    /// What came was not a ring as asked for.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
}
