//! The reasons for which a ring was not opened.

use super::{InvalidName, MapError, SystemError};
use crate::properties::{Delivery, Encoding, Fences, Kind};
use crate::role::Role;
use thiserror::Error;

/// Why a ring was not opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name is not well formed.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// No ring has the name.
    #[error("{name} does not exist")]
    NotFound {
        /// The name.
        name: String,
    },
    /// The process may not read and write the ring.
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
    /// The name is that of something else.
    #[error("{name} is not a ring")]
    NotARing {
        /// The name.
        name: String,
    },
    /// The descriptor is not that of a memfd with exactly the seals that fix its size.
    #[error("seals of {name}: found {found:#x}, expected {expected:#x}")]
    Seals {
        /// The name.
        name: String,
        /// The seals of a ring, as `F_GET_SEALS` reports them.
        expected: u32,
        /// Those of the descriptor; 0 if it can't be sealed.
        found: u32,
    },
    /// The System V segment has not become a ring for at least a liveness interval. Its creator is
    /// stopped or dead. If it is dead, `create` replaces the segment.
    #[error("process {creator} has not finished creating {name}; if it is dead, create it again")]
    Unfinished {
        /// The name.
        name: String,
        /// That process, as the kernel reports it; 0 if it is in another pid namespace.
        creator: u32,
    },
    /// The ring belongs to another user than the one asked for.
    #[error("owner: found user {found}, expected user {expected}")]
    Owner {
        /// The user ID, as asked for.
        expected: u32,
        /// That of the ring.
        found: u32,
    },
    /// The ring has small pages where reserved huge pages were asked for.
    #[error("pages: found small ones, expected huge ones")]
    NotHuge,
    /// The last participant to leave removes the ring's name, where it was asked to stay, or the
    /// reverse.
    #[error("unlink when left: found {found}, expected {}", !found)]
    UnlinkedWhenLeft {
        /// Whether the last participant to leave removes it.
        found: bool,
    },
    /// The ring's bytes are laid out by another version of the layout.
    #[error("layout version: found {found}, expected {expected}")]
    Version {
        /// That of this library.
        expected: u32,
        /// That of the ring.
        found: u32,
    },
    /// The ring uses a feature that this version does not know.
    #[error("flags: found unknown bits {found:#x}; open the ring with a newer version")]
    UnknownFlags {
        /// The flags that this version does not know.
        found: u32,
    },
    /// The ring follows the other protocol.
    #[error("kind: found {found}, expected {expected}")]
    Kind {
        /// As asked for.
        expected: Kind,
        /// That of the ring.
        found: Kind,
    },
    /// The ring carries values where byte strings were asked for, or the reverse.
    #[error("messages: found {found}, expected {expected}")]
    Encoding {
        /// As asked for.
        expected: Encoding,
        /// That of the ring.
        found: Encoding,
    },
    /// The ring's messages have another size.
    #[error("message size: found {found} bytes, expected {expected}")]
    PayloadSize {
        /// As asked for, in bytes.
        expected: u32,
        /// That of the ring, in bytes.
        found: u32,
    },
    /// The ring's messages have another alignment.
    #[error("message alignment: found {found} bytes, expected {expected}")]
    PayloadAlign {
        /// As asked for, in bytes.
        expected: u32,
        /// That of the ring, in bytes.
        found: u32,
    },
    /// The ring has another schema tag.
    #[error("schema: found {found:#x}, expected {expected:#x}")]
    Schema {
        /// As asked for.
        expected: u64,
        /// That of the ring.
        found: u64,
    },
    /// The ring has another capacity than the one asked for.
    #[error("capacity: found {found} messages, expected {expected}")]
    Capacity {
        /// As asked for, rounded up.
        expected: u64,
        /// That of the ring.
        found: u64,
    },
    /// The ring has another liveness interval than the one asked for.
    #[error("liveness interval: found {found} ns, expected {expected} ns")]
    LivenessInterval {
        /// As asked for, in nanoseconds.
        expected: u64,
        /// That of the ring, in nanoseconds.
        found: u64,
    },
    /// The ring has another number of seats than the one asked for.
    #[error("{role} seats: found {found}, expected {expected}")]
    Seats {
        /// The role of the seats.
        role: Role,
        /// As asked for.
        expected: u32,
        /// That of the ring.
        found: u32,
    },
    /// The ring treats the messages that a dead consumer had claimed in another way than the one
    /// asked for.
    #[error("delivery: found {found}, expected {expected}")]
    Delivery {
        /// As asked for.
        expected: Delivery,
        /// That of the ring.
        found: Delivery,
    },
    /// The ring's object has another mode than the one asked for.
    #[error("mode: found {found:#o}, expected {expected:#o}")]
    Mode {
        /// As asked for.
        expected: u32,
        /// That of the ring.
        found: u32,
    },
    /// The ring has other fences than the ones asked for.
    #[error("fences: found {found}, expected {expected}")]
    Fences {
        /// As asked for.
        expected: Fences,
        /// Those of the ring.
        found: Fences,
    },
    /// The kernel, or a sandbox, refuses the system call that the ring's fences need.
    #[error("fences: found {found}, which are not available to this process")]
    FencesUnavailable {
        /// Those of the ring.
        found: Fences,
    },
    /// The object is shorter than its header says.
    #[error("size: found {found} bytes, expected {expected}")]
    Truncated {
        /// The size of the whole ring in bytes.
        expected: u64,
        /// The size of the object in bytes.
        found: u64,
    },
    /// The header contradicts itself.
    #[error("header field {field}: found {found}, which is not valid")]
    Inconsistent {
        /// Which field.
        field: &'static str,
        /// Its value.
        found: u64,
    },
    /// The file system does not keep the locks that show which participants are alive.
    #[error("file system of {name}: found type {found:#x}, expected a local one that keeps locks")]
    FileSystem {
        /// The name.
        name: String,
        /// `f_type` as `statfs` reports it.
        found: u64,
    },
    /// Mapping the ring with the requested memory options failed.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The kernel refused a system call.
    #[error(transparent)]
    System(#[from] SystemError),
}
