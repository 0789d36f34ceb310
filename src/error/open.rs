//! Why a ring was not opened.

use super::{InvalidName, MapError, SystemError};
use crate::properties::{Delivery, Encoding, Fences, Kind};
use crate::role::Role;
use thiserror::Error;

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
    /// The file system is mounted read-only.
    #[error("{name} is on a read-only file system")]
    ReadOnly {
        /// The name.
        name: String,
    },
    /// Something else has the name.
    #[error("{name} is not a ring")]
    NotARing {
        /// The name.
        name: String,
    },
    /// The descriptor is not that of a memfd with the seals that keep its size, or has more than these.
    #[error("{name} is sealed {found:#x}, not {expected:#x}")]
    Seals {
        /// The name.
        name: String,
        /// What a ring is sealed with, as `F_GET_SEALS` tells it.
        expected: u32,
        /// The descriptor's; 0 if it can't be sealed.
        found: u32,
    },
    /// The System V segment is not a ring yet. It was being made for at least a liveness interval: its
    /// maker is stopped or dead. If it is dead, `create` replaces the segment.
    #[error("process {creator} was making {name}, and has not finished")]
    Unfinished {
        /// The name.
        name: String,
        /// That process, as the kernel tells it; 0 if it is not to be seen from here.
        creator: u32,
    },
    /// The ring belongs to another user than the one asked for.
    #[error("the ring is user {found}'s, not {expected}'s")]
    Owner {
        /// As asked for: a user id.
        expected: u32,
        /// The ring's.
        found: u32,
    },
    /// The ring has small pages, where those that are set aside were asked for.
    #[error("the ring has no huge pages")]
    NotHuge,
    /// The ring's name holders, where it was to go with the last participant, or the reverse.
    #[error("the ring's name {}", if *found { "goes with the last participant" } else { "holders when all have left" })]
    UnlinkedWhenLeft {
        /// Whether it goes.
        found: bool,
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
    /// Its memory was not to be had in the way that was asked for.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SystemError),
}
