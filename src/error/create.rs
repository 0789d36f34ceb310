//! Why a ring was not created.

use super::{InvalidName, MapError, SystemError};
use crate::properties::Fences;
use crate::role::Role;
use thiserror::Error;

/// Why a ring was not created. Nothing is left behind.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The name is not one.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// The name is taken.
    #[error("{name} exists already")]
    Exists {
        /// The name.
        name: String,
    },
    /// The capacity is out of range, or was not given.
    #[error("a capacity of {asked} is not between {min} and {max} messages")]
    Capacity {
        /// In messages, as given; 0 if it was not.
        asked: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// Messages can't have this size: it is above the limit, or not that of the values.
    #[error("messages can't have {asked} bytes: {max} are possible")]
    MessageSize {
        /// In bytes, as given.
        asked: u64,
        /// The most, in bytes; of values, their size.
        max: u64,
    },
    /// A ring of byte strings needs a message size.
    #[error("a ring of byte strings needs a message size")]
    NoMessageSize,
    /// The number of seats is out of range.
    #[error("there can't be {asked} {role} seats, but 1 to {max}")]
    Seats {
        /// Of which end.
        role: Role,
        /// As given.
        asked: u32,
        /// The most.
        max: u32,
    },
    /// An SPSC ring does not have what was asked for.
    #[error("{option} is an option of MPMC rings")]
    OnlyMpmc {
        /// The option.
        option: &'static str,
    },
    /// The liveness interval is zero.
    #[error("a liveness interval of zero asks without end")]
    LivenessInterval,
    /// The mode has bits beyond the nine permissions, or lacks the owner's to read and write.
    #[error("mode {asked:#o} is not made of permissions, the owner's to read and write included")]
    Mode {
        /// As given.
        asked: u32,
    },
    /// The file system is full.
    #[error("no space for {name}: {needed} bytes are needed, {available} are available")]
    NoSpace {
        /// The name.
        name: String,
        /// The size of the ring in bytes.
        needed: u64,
        /// Free bytes in the file system.
        available: u64,
    },
    /// The process may not make files as large (RLIMIT_FSIZE).
    #[error("the ring needs {needed} bytes, the file size limit is {limit}")]
    FileSizeLimit {
        /// The size of the ring in bytes.
        needed: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The process may not create it there: it may not write the directory, or the key is
    /// another user's.
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
    /// There is no such directory.
    #[error("the directory of {name} does not exist")]
    NoDirectory {
        /// The name.
        name: String,
    },
    /// The ring can't be given to another user.
    #[error("no permission to make a ring that is user {asked}'s")]
    Owner {
        /// As given: a user id.
        asked: u32,
    },
    /// Rings with this name can't have huge pages: the file system, or the kernel, has none, or none for
    /// this process.
    #[error("{name} can't have huge pages")]
    NotHuge {
        /// The name.
        name: String,
    },
    /// Fewer huge pages are set aside and free than the ring needs.
    #[error("not enough huge pages for {name}: {needed} of {page} bytes are needed")]
    NoHugePages {
        /// The name.
        name: String,
        /// How many the ring needs.
        needed: u64,
        /// The size of each in bytes.
        page: u64,
    },
    /// The System V segment with this key is being made by another process, and has been for longer
    /// than a liveness interval and a second. If that process dies, it can be replaced.
    #[error("process {creator} is making {name}, and has not finished")]
    Unfinished {
        /// The name.
        name: String,
        /// That process, as the kernel tells it; 0 if it is not to be seen from here.
        creator: u32,
    },
    /// The System V segment with this key was removed, but participants of that ring still hold its
    /// seats.
    #[error("{name} was removed, and is still in use")]
    InUse {
        /// The name.
        name: String,
    },
    /// The system has as many System V semaphores as it may have.
    #[error("no semaphores for {name}")]
    NoSemaphores {
        /// The name.
        name: String,
    },
    /// There is no file system for shared memory, or not one that keeps locks.
    #[error("the file system of {name} can't hold a ring (type {found:#x})")]
    FileSystem {
        /// The name.
        name: String,
        /// `f_type` as `statfs` tells it; 0 if there is no file system.
        found: u64,
    },
    /// The kernel, or a sandbox, refuses what the fences need.
    #[error("{asked} fences are not available to this process")]
    Fences {
        /// As given.
        asked: Fences,
    },
    /// Its memory was not to be had in the way that was asked for.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
}
