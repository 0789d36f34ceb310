//! The bytes of a ring, version 1: little-endian, 64-bit, the same on every machine.
//!
//! ```text
//! 0x000  identity   magic, version, kind, encoding, geometry; never read again after open
//! 0x080  tail       u64, next position to write
//! 0x100  head       u64, next position to read
//! 0x180  not_empty  event word
//! 0x200  not_full   event word
//! 0x280  status     ending, rolls, orphan hint, counters, the oldest of the rings in use
//! 0x300  settings   creation time, boot, liveness interval, flags, successor, first position
//! 0x400  entries    one per participant, 128 bytes each
//! ....   slots      from the next multiple of 4096
//! ```
//!
//! Lines are 128 bytes apart whatever the machine's own are: two processes on one machine may
//! be built for different ones, and a file may move. All positions are offsets, all fields
//! fixed-width integers.
//!
//! An object may hold several such rings, of which each follows the one before it: where the successor
//! lies is said in bytes from the start of the object. They have the same seats, whose locks are the object's.
//!
//! The size of a ring is `round_up(0x400 + 128 * participants, 4096) + capacity * stride`,
//! rounded up to 4096, where a slot's `stride` is its word (8 bytes, or the payload's
//! alignment if that is more) and its payload, rounded up to the larger alignment of the two.

mod header;
mod picture;
#[cfg(test)]
mod tests;

pub(crate) use self::header::{Entry, Person, Place, View};
pub(crate) use self::picture::Picture;

use crate::error::OpenError;
use crate::message::{MAX_ALIGN, MAX_PAYLOAD, Shape};
use crate::ring::ending::is_sealed;
use crate::ring::slot::Spacing;
use crate::ring::{MAX_CAPACITY, MIN_CAPACITY};
use crate::terms::{Delivery, Encoding, Fences, Kind, Role};
use bytemuck::{Pod, Zeroable};
use core::mem::offset_of;
use core::ops::Range;
use core::time::Duration;

/// "SLIPRING" as it reads in memory.
const MAGIC: u64 = u64::from_le_bytes(*b"SLIPRING");
const VERSION: u32 = 1;

const LINE: usize = 128;
pub(crate) const PAGE: u64 = 4096;
/// The size of everything before the participants' entries.
pub(crate) const HEADER_SIZE: usize = 0x400;
/// The most seats of one role.
pub(crate) const MAX_SEATS: u32 = 4096;

/// What a ring is, as its first line says it.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Identity {
    magic: u64,
    version: u32,
    kind: u32,
    encoding: u32,
    fences: u32,
    capacity: u64,
    stride: u32,
    payload_size: u32,
    payload_align: u32,
    participants: u32,
    schema: u64,
    slots_offset: u64,
    total_len: u64,
    producers: u32,
    zero: [u32; 13],
}

impl Identity {
    /// What says that the rest is there, and the rest.
    fn without_magic(self) -> (u64, Self) {
        (self.magic, Self { magic: 0, ..self })
    }
}

/// How a ring is to be used, as its seventh line says it. What is not used yet is zero.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Settings {
    created_at: u64,
    boot_id: [u8; 16],
    liveness_interval: u64,
    delivery: u32,
    flags: u32,
    successor: u64,
    first_position: u64,
    zero: [u64; 25],
}

const IDENTITY_AT: usize = 0;
const SETTINGS_AT: usize = 0x300;

const _: () = {
    assert!(size_of::<Identity>() == LINE);
    assert!(offset_of!(Identity, capacity) == 0x18);
    assert!(offset_of!(Identity, stride) == 0x20);
    assert!(offset_of!(Identity, schema) == 0x30);
    assert!(offset_of!(Identity, slots_offset) == 0x38);
    assert!(offset_of!(Identity, total_len) == 0x40);
    assert!(offset_of!(Identity, producers) == 0x48);
    assert!(size_of::<Settings>() == HEADER_SIZE - SETTINGS_AT);
    assert!(offset_of!(Settings, liveness_interval) == 0x18);
    assert!(offset_of!(Settings, flags) == 0x24);
    assert!(offset_of!(Settings, first_position) == 0x30);
};

/// Everything about a ring that does not change, checked and private: no address is ever
/// computed from anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) kind: Kind,
    pub(crate) fences: Fences,
    pub(crate) shape: Shape,
    pub(crate) capacity: u64,
    /// Seats for producers, which come first.
    pub(crate) producers: u32,
    pub(crate) consumers: u32,
    pub(crate) schema: u64,
    pub(crate) liveness_interval: Duration,
    pub(crate) delivery: Delivery,
    pub(crate) first_position: u64,
    /// Whether the name goes with the last participant.
    pub(crate) unlink_when_left: bool,
}

/// The name goes with the last participant.
const UNLINK_WHEN_LEFT: u32 = 1;

impl Geometry {
    pub(crate) fn participants(&self) -> u32 {
        self.producers + self.consumers
    }

    /// The seats of a role.
    pub(crate) fn seats(&self, role: Role) -> Range<u32> {
        match role {
            Role::Producer => 0..self.producers,
            Role::Consumer => self.producers..self.participants(),
        }
    }

    /// Bytes from the start of a slot to its payload.
    pub(crate) fn payload_offset(&self) -> u64 {
        self.spacing().payload_offset as u64
    }

    /// Bytes from one slot to the next.
    pub(crate) fn stride(&self) -> u64 {
        self.spacing().stride as u64
    }

    pub(crate) fn spacing(&self) -> Spacing {
        Spacing::of(self.shape.size, self.shape.align)
    }

    /// Bytes from the start of the ring to its first slot.
    pub(crate) fn slots_offset(&self) -> u64 {
        let entries = u64::from(self.participants()) * size_of::<Entry>() as u64;
        (HEADER_SIZE as u64 + entries).next_multiple_of(PAGE)
    }

    /// Bytes from the start of the ring to the slot of a position.
    pub(crate) fn slot_offset(&self, position: u64) -> u64 {
        self.slots_offset() + (position & (self.capacity - 1)) * self.stride()
    }

    /// The size of the whole ring in bytes: below 2^63 with the most and largest slots.
    pub(crate) fn total_len(&self) -> u64 {
        (self.slots_offset() + self.capacity * self.stride()).next_multiple_of(PAGE)
    }

    /// The lines that say it.
    pub(crate) fn describe(&self, boot_id: [u8; 16], created_at: u64) -> Described {
        let identity = Identity {
            magic: MAGIC,
            version: VERSION,
            kind: encode_kind(self.kind),
            encoding: encode_encoding(self.shape.encoding),
            fences: encode_fences(self.fences),
            capacity: self.capacity,
            stride: u32::try_from(self.stride()).unwrap_or(u32::MAX),
            payload_size: self.shape.size,
            payload_align: self.shape.align,
            participants: self.participants(),
            schema: self.schema,
            slots_offset: self.slots_offset(),
            total_len: self.total_len(),
            producers: self.producers,
            zero: [0; 13],
        };
        let settings = Settings {
            created_at,
            boot_id,
            liveness_interval: nanos(self.liveness_interval),
            delivery: encode_delivery(self.delivery),
            flags: if self.unlink_when_left {
                UNLINK_WHEN_LEFT
            } else {
                0
            },
            successor: 0,
            first_position: self.first_position,
            zero: [0; 25],
        };
        Described { identity, settings }
    }

    /// Where the ring lies that follows one, of which these are the first bytes; 0 if none does.
    pub(crate) fn successor_in(bytes: &[u8; HEADER_SIZE]) -> u64 {
        let settings: Settings = bytemuck::pod_read_unaligned(&bytes[SETTINGS_AT..]);
        settings.successor
    }

    /// [Checks](Self::check) what the first bytes of an object say, of `size` bytes in all.
    pub(crate) fn check_first(
        bytes: &[u8; HEADER_SIZE],
        size: u64,
        name: &str,
    ) -> Result<Self, OpenError> {
        let geometry = Self::check(bytes, size, name)?;
        match Self::successor_in(bytes) {
            0 => Ok(geometry),
            next if (geometry.total_len()..size).contains(&next) => Ok(geometry),
            other => Err(bad("successor", other)),
        }
    }

    /// Checks that an object, whose size is rounded up to a page of its, holds this ring and nothing else.
    pub(crate) fn fills(&self, size: u64, page: u64) -> Result<(), OpenError> {
        let exact = self.total_len();
        if size == exact || size == exact.next_multiple_of(page) {
            return Ok(());
        }
        Err(bad("total_len", exact))
    }

    /// Checks what the first bytes of a ring say against each other and against how many there are: more than
    /// the ring has may be those of another one that follows, or was going to.
    pub(crate) fn check(
        bytes: &[u8; HEADER_SIZE],
        size: u64,
        name: &str,
    ) -> Result<Self, OpenError> {
        let identity: Identity = bytemuck::pod_read_unaligned(&bytes[IDENTITY_AT..][..LINE]);
        let settings: Settings = bytemuck::pod_read_unaligned(&bytes[SETTINGS_AT..]);

        if identity.magic != MAGIC {
            return Err(OpenError::NotARing { name: name.into() });
        }
        if identity.version != VERSION {
            return Err(OpenError::Version {
                expected: VERSION,
                found: identity.version,
            });
        }
        if size < HEADER_SIZE as u64 {
            return Err(OpenError::Truncated {
                expected: identity.total_len.max(HEADER_SIZE as u64),
                found: size,
            });
        }
        let unknown = settings.flags & !UNLINK_WHEN_LEFT;
        if unknown != 0 {
            return Err(OpenError::UnknownFlags { found: unknown });
        }

        let kind = decode_kind(identity.kind).ok_or(bad("kind", identity.kind))?;
        let encoding =
            decode_encoding(identity.encoding).ok_or(bad("encoding", identity.encoding))?;
        let fences = decode_fences(identity.fences).ok_or(bad("fences", identity.fences))?;
        let capacity = identity.capacity;
        if !capacity.is_power_of_two() || !(MIN_CAPACITY..=MAX_CAPACITY).contains(&capacity) {
            return Err(bad("capacity", capacity));
        }
        if identity.payload_size > MAX_PAYLOAD {
            return Err(bad("payload_size", identity.payload_size));
        }
        let align = identity.payload_align;
        if !align.is_power_of_two() || align as usize > MAX_ALIGN {
            return Err(bad("payload_align", align));
        }
        let most_seats = match kind {
            Kind::Spsc => 1,
            Kind::Mpmc => MAX_SEATS,
        };
        let producers = identity.producers;
        if !(1..=most_seats).contains(&producers) {
            return Err(bad("producers", producers));
        }
        let consumers = identity.participants.wrapping_sub(producers);
        if !(1..=most_seats).contains(&consumers) {
            return Err(bad("participants", identity.participants));
        }
        let delivery =
            decode_delivery(settings.delivery).ok_or(bad("delivery", settings.delivery))?;
        if kind == Kind::Spsc && delivery != Delivery::default() {
            return Err(bad("delivery", settings.delivery));
        }
        if kind == Kind::Mpmc && is_sealed(settings.first_position) {
            return Err(bad("first_position", settings.first_position));
        }
        if settings.liveness_interval == 0 {
            return Err(bad("liveness_interval", settings.liveness_interval));
        }

        let geometry = Self {
            kind,
            fences,
            shape: Shape {
                encoding,
                size: identity.payload_size,
                align,
            },
            capacity,
            producers,
            consumers,
            schema: identity.schema,
            liveness_interval: Duration::from_nanos(settings.liveness_interval),
            delivery,
            first_position: settings.first_position,
            unlink_when_left: settings.flags & UNLINK_WHEN_LEFT != 0,
        };
        if u64::from(identity.stride) != geometry.stride() {
            return Err(bad("stride", identity.stride));
        }
        if identity.slots_offset != geometry.slots_offset() {
            return Err(bad("slots_offset", identity.slots_offset));
        }
        if identity.total_len != geometry.total_len() {
            return Err(bad("total_len", identity.total_len));
        }
        if size < identity.total_len {
            return Err(OpenError::Truncated {
                expected: identity.total_len,
                found: size,
            });
        }
        Ok(geometry)
    }
}

/// The two constant parts of a header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Described {
    pub(crate) identity: Identity,
    pub(crate) settings: Settings,
}

fn bad(field: &'static str, found: impl Into<u64>) -> OpenError {
    OpenError::Inconsistent {
        field,
        found: found.into(),
    }
}

/// Of a duration above five centuries, five centuries.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn encode_kind(kind: Kind) -> u32 {
    match kind {
        Kind::Spsc => 1,
        Kind::Mpmc => 2,
    }
}

fn decode_kind(word: u32) -> Option<Kind> {
    [Kind::Spsc, Kind::Mpmc]
        .into_iter()
        .find(|&kind| encode_kind(kind) == word)
}

fn encode_role(role: Role) -> u32 {
    match role {
        Role::Producer => 1,
        Role::Consumer => 2,
    }
}

fn encode_encoding(encoding: Encoding) -> u32 {
    match encoding {
        Encoding::Values => 1,
        Encoding::Bytes => 2,
    }
}

fn decode_encoding(word: u32) -> Option<Encoding> {
    [Encoding::Values, Encoding::Bytes]
        .into_iter()
        .find(|&encoding| encode_encoding(encoding) == word)
}

fn encode_delivery(delivery: Delivery) -> u32 {
    match delivery {
        Delivery::AtLeastOnce => 0,
        Delivery::AtMostOnce => 1,
    }
}

fn decode_delivery(word: u32) -> Option<Delivery> {
    [Delivery::AtLeastOnce, Delivery::AtMostOnce]
        .into_iter()
        .find(|&delivery| encode_delivery(delivery) == word)
}

fn encode_fences(fences: Fences) -> u32 {
    match fences {
        Fences::Membarrier => 1,
        Fences::Symmetric => 2,
    }
}

fn decode_fences(word: u32) -> Option<Fences> {
    [Fences::Membarrier, Fences::Symmetric]
        .into_iter()
        .find(|&fences| encode_fences(fences) == word)
}
