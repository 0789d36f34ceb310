//! The reasons for which a ring was not created.

use super::{InvalidName, MapError, SystemError};
use crate::properties::Fences;
use crate::role::Role;
use thiserror::Error;

/// Why a ring was not created. The call leaves nothing behind.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The name is not well formed, or does not name something that can be created.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// The name is taken.
    #[error("{name} already exists")]
    Exists {
        /// The name.
        name: String,
    },
    /// The capacity is out of range, or was not given.
    #[error("capacity: found {asked}, expected {min} to {max} messages")]
    Capacity {
        /// In messages, as given; 0 if it was not given.
        asked: u64,
        /// The minimum.
        min: u64,
        /// The maximum.
        max: u64,
    },
    /// The message size is above the limit or, for values, differs from the size of the type.
    #[error("message size: found {asked} bytes, expected at most {max}, exactly {max} for values")]
    MessageSize {
        /// In bytes, as given.
        asked: u64,
        /// The maximum in bytes; for values, the size of the type.
        max: u64,
    },
    /// A ring of byte strings needs a message size.
    #[error("message size: found none, expected one for a ring of byte strings")]
    NoMessageSize,
    /// The number of seats is out of range.
    #[error("{role} seats: found {asked}, expected 1 to {max}")]
    Seats {
        /// The role of the seats.
        role: Role,
        /// As given.
        asked: u32,
        /// The maximum.
        max: u32,
    },
    /// The option does not apply to SPSC rings.
    #[error("{option}: found on an SPSC ring, expected on MPMC rings only")]
    OnlyMpmc {
        /// The option.
        option: &'static str,
    },
    /// The liveness interval is zero.
    #[error("the liveness interval must not be zero")]
    LivenessInterval,
    /// The mode has other bits than the nine permissions, or lacks read and write for the owner.
    #[error("mode: found {asked:#o}, expected permission bits with read and write for the owner")]
    Mode {
        /// As given.
        asked: u32,
    },
    /// The file system has too little free space.
    #[error("no space for {name}: found {available} bytes, expected {needed}")]
    NoSpace {
        /// The name.
        name: String,
        /// The size of the ring in bytes.
        needed: u64,
        /// Free bytes in the file system; 0 if the kernel did not report them.
        available: u64,
    },
    /// The ring is larger than the files that the process may create (`RLIMIT_FSIZE`).
    #[error("file size limit (RLIMIT_FSIZE): found {limit} bytes, expected {needed}; raise it")]
    FileSizeLimit {
        /// The size of the ring in bytes.
        needed: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The process may not write to the directory, or the key belongs to another user.
    #[error("no permission to create {name}")]
    Permission {
        /// The name.
        name: String,
    },
    /// The file system is mounted read-only.
    #[error("{name} is on a read-only file system")]
    ReadOnly {
        /// The name.
        name: String,
    },
    /// The directory does not exist.
    #[error("the directory of {name} does not exist; create it first")]
    NoDirectory {
        /// The name.
        name: String,
    },
    /// The process may not make another user the owner of the ring.
    #[error("no permission to make user {asked} the owner of the ring")]
    Owner {
        /// The user ID, as given.
        asked: u32,
    },
    /// Huge pages are not available under this name: the file system or the kernel has none, or
    /// the process may not use them.
    #[error("huge pages are not available for {name}")]
    NotHuge {
        /// The name.
        name: String,
    },
    /// The ring needs more huge pages than are reserved and free.
    #[error(
        "huge pages for {name}: found too few, expected {needed} of {page} bytes; \
         reserve more (nr_hugepages)"
    )]
    NoHugePages {
        /// The name.
        name: String,
        /// How many the ring needs.
        needed: u64,
        /// The size of each in bytes.
        page: u64,
    },
    /// Another process has been creating the System V segment with this key for longer than a
    /// liveness interval and a second. If that process dies, the segment can be replaced.
    #[error("process {creator} is still creating {name}; retry when it has finished or is dead")]
    Unfinished {
        /// The name.
        name: String,
        /// That process, as the kernel reports it; 0 if it is in another pid namespace.
        creator: u32,
    },
    /// The System V segment with this key was removed, but participants of that ring still hold
    /// its seats.
    #[error("{name} was removed but is still in use; retry when its participants have detached")]
    InUse {
        /// The name.
        name: String,
    },
    /// The system has reached its limit of System V semaphores.
    #[error("no semaphores for {name}; remove unused sets or raise the limit (kernel.sem)")]
    NoSemaphores {
        /// The name.
        name: String,
    },
    /// The file system for shared memory is missing, or a file system does not keep locks.
    #[error("file system of {name}: found type {found:#x}, expected a local one that keeps locks")]
    FileSystem {
        /// The name.
        name: String,
        /// `f_type` as `statfs` reports it; 0 if there is no file system.
        found: u64,
    },
    /// The kernel, or a sandbox, refuses the system call that the fences need.
    #[error("{asked} fences are not available to this process; use symmetric fences")]
    Fences {
        /// As given.
        asked: Fences,
    },
    /// Mapping the ring with the requested memory options failed.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The kernel refused a system call.
    #[error(transparent)]
    System(#[from] SystemError),
}
