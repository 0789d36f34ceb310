//! Errors of making, finding and removing rings.

use crate::terms::{Delivery, Encoding, Fences, Kind, Role};
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
    /// The directory of shared memory objects may not be written.
    #[error("no permission to create {name}")]
    Permission {
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
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a ring was not opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name is not one.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// No ring has the name.
    #[error("{name} does not exist")]
    NotFound {
        /// The name.
        name: String,
    },
    /// The process may not read and write it.
    #[error("no permission to open {name}")]
    Permission {
        /// The name.
        name: String,
    },
    /// Something else has the name.
    #[error("{name} is not a ring")]
    NotARing {
        /// The name.
        name: String,
    },
    /// The ring's bytes are laid out by another version of the layout.
    #[error("the layout is version {found}, this library knows version {expected}")]
    Version {
        /// This library's.
        expected: u32,
        /// The ring's.
        found: u32,
    },
    /// The ring uses something that this version does not know.
    #[error("the ring has unknown flags {found:#x}")]
    UnknownFlags {
        /// The flags that are not known.
        found: u32,
    },
    /// The ring follows the other protocol.
    #[error("the ring is {found}, not {expected}")]
    Kind {
        /// As asked for.
        expected: Kind,
        /// The ring's.
        found: Kind,
    },
    /// The ring carries values where byte strings were asked for, or the reverse.
    #[error("the ring carries {found}, not {expected}")]
    Encoding {
        /// As asked for.
        expected: Encoding,
        /// The ring's.
        found: Encoding,
    },
    /// The ring's messages have another size.
    #[error("the ring's messages have {found} bytes, not {expected}")]
    PayloadSize {
        /// As asked for, in bytes.
        expected: u32,
        /// The ring's, in bytes.
        found: u32,
    },
    /// The ring's messages have another alignment.
    #[error("the ring's messages are aligned to {found} bytes, not {expected}")]
    PayloadAlign {
        /// As asked for, in bytes.
        expected: u32,
        /// The ring's, in bytes.
        found: u32,
    },
    /// The ring's schema tag is another one.
    #[error("the ring's schema is {found:#x}, not {expected:#x}")]
    Schema {
        /// As asked for.
        expected: u64,
        /// The ring's.
        found: u64,
    },
    /// The ring has another capacity than the one asked for.
    #[error("the ring has a capacity of {found}, not {expected}")]
    Capacity {
        /// As asked for, rounded up.
        expected: u64,
        /// The ring's.
        found: u64,
    },
    /// The ring has another liveness interval than the one asked for.
    #[error("the ring's liveness interval is {found} ns, not {expected} ns")]
    LivenessInterval {
        /// As asked for, in nanoseconds.
        expected: u64,
        /// The ring's, in nanoseconds.
        found: u64,
    },
    /// The ring has another number of seats than was asked for.
    #[error("the ring has {found} {role} seats, not {expected}")]
    Seats {
        /// Of which end.
        role: Role,
        /// As asked for.
        expected: u32,
        /// The ring's.
        found: u32,
    },
    /// The ring treats what dead consumers held in another way than the one asked for.
    #[error("the ring delivers {found}, not {expected}")]
    Delivery {
        /// As asked for.
        expected: Delivery,
        /// The ring's.
        found: Delivery,
    },
    /// The ring's file has another mode than the one asked for.
    #[error("the ring's mode is {found:#o}, not {expected:#o}")]
    Mode {
        /// As asked for.
        expected: u32,
        /// The ring's.
        found: u32,
    },
    /// The ring has other fences than the ones asked for.
    #[error("the ring has {found} fences, not {expected}")]
    Fences {
        /// As asked for.
        expected: Fences,
        /// The ring's.
        found: Fences,
    },
    /// The kernel, or a sandbox, refuses what the ring's fences need.
    #[error("the ring has {found} fences, which are not available to this process")]
    FencesUnavailable {
        /// The ring's.
        found: Fences,
    },
    /// The object is shorter than its header says.
    #[error("{found} bytes are left of a ring of {expected}")]
    Truncated {
        /// The size of the whole ring in bytes.
        expected: u64,
        /// The size of the object in bytes.
        found: u64,
    },
    /// The header contradicts itself.
    #[error("the header's {field} can't be {found}")]
    Inconsistent {
        /// Which field.
        field: &'static str,
        /// What it says.
        found: u64,
    },
    /// The file system does not keep the locks that tell who is alive.
    #[error("the file system of {name} can't hold a ring (type {found:#x})")]
    FileSystem {
        /// The name.
        name: String,
        /// `f_type` as `statfs` tells it.
        found: u64,
    },
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
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
    /// The process may not remove it.
    #[error("no permission to remove {name}")]
    Permission {
        /// The name.
        name: String,
    },
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
}
