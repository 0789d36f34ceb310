//! The geometry of a ring: the constants of its header, validated and copied to private memory.

use super::codes::Code;
use super::{
    Entry, HEADER_SIZE, HeaderConstants, IDENTITY_AT, Identity, LINE, MAGIC, MAX_SEATS, PAGE,
    SETTINGS_AT, Settings, VERSION, nanos,
};
use crate::error::OpenError;
use crate::message::{MAX_ALIGN, MAX_PAYLOAD, Shape};
use crate::properties::{Delivery, Fences, Kind};
use crate::ring::closing::is_sealed;
use crate::ring::slot::SlotLayout;
use crate::ring::{MAX_CAPACITY, MIN_CAPACITY};
use crate::role::Role;
use core::ops::Range;
use core::time::Duration;

/// The constant properties of a ring, validated and in private memory. Every address in the ring is
/// computed from them alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) kind: Kind,
    pub(crate) fences: Fences,
    pub(crate) shape: Shape,
    pub(crate) capacity: u64,
    /// Seats for producers, the lower numbers.
    pub(crate) producers: u32,
    /// Seats for consumers.
    pub(crate) consumers: u32,
    pub(crate) schema: u64,
    pub(crate) liveness_interval: Duration,
    pub(crate) delivery: Delivery,
    pub(crate) first_position: u64,
    /// Whether the last participant that leaves removes the name.
    pub(crate) unlink_when_left: bool,
}

/// The flag of [`Geometry::unlink_when_left`].
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
        self.slot_layout().payload_offset as u64
    }

    /// Bytes from one slot to the next.
    pub(crate) fn stride(&self) -> u64 {
        self.slot_layout().stride as u64
    }

    pub(crate) fn slot_layout(&self) -> SlotLayout {
        SlotLayout::of(self.shape.size, self.shape.align)
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

    /// The size of the whole ring in bytes: below 2^63 even with the most and largest slots.
    pub(crate) fn total_len(&self) -> u64 {
        (self.slots_offset() + self.capacity * self.stride()).next_multiple_of(PAGE)
    }

    /// The constant parts of the ring's header.
    pub(crate) fn constants(&self, boot_id: [u8; 16], created_at: u64) -> HeaderConstants {
        let identity = Identity {
            magic: MAGIC,
            version: VERSION,
            kind: self.kind.encode(),
            encoding: self.shape.encoding.encode(),
            fences: self.fences.encode(),
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
            delivery: self.delivery.encode(),
            flags: if self.unlink_when_left {
                UNLINK_WHEN_LEFT
            } else {
                0
            },
            next_segment: 0,
            first_position: self.first_position,
            zero: [0; 25],
        };
        HeaderConstants { identity, settings }
    }

    /// The offset of the next segment, or 0, from the first bytes of a segment.
    pub(crate) fn next_segment_in(bytes: &[u8; HEADER_SIZE]) -> u64 {
        let settings: Settings = bytemuck::pod_read_unaligned(&bytes[SETTINGS_AT..]);
        settings.next_segment
    }

    /// [Validates](Self::validate) the first segment of an object of `size` bytes, including the
    /// offset of the next segment.
    pub(crate) fn validate_first(
        bytes: &[u8; HEADER_SIZE],
        size: u64,
        name: &str,
    ) -> Result<Self, OpenError> {
        let geometry = Self::validate(bytes, size, name)?;
        match Self::next_segment_in(bytes) {
            0 => Ok(geometry),
            next if (geometry.total_len()..size).contains(&next) => Ok(geometry),
            other => Err(inconsistent("next_segment", other)),
        }
    }

    /// Checks that an object holds this ring and nothing else. `page` is the object's page size, to
    /// which its size may be rounded up.
    pub(crate) fn check_exact_size(&self, size: u64, page: u64) -> Result<(), OpenError> {
        let exact = self.total_len();
        if size == exact || size == exact.next_multiple_of(page) {
            return Ok(());
        }
        Err(inconsistent("total_len", exact))
    }

    /// Validates the first bytes of a segment: each field by itself, against the other fields, and
    /// against `size`. That is the number of bytes from the start of the segment to the end of the
    /// object.
    ///
    /// Bytes behind the segment are no error. They may belong to the next segment, or to one that
    /// was never appended, because its creator died.
    pub(crate) fn validate(
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

        let kind = decode("kind", identity.kind)?;
        let encoding = decode("encoding", identity.encoding)?;
        let fences = decode("fences", identity.fences)?;
        let capacity = identity.capacity;
        if !capacity.is_power_of_two() || !(MIN_CAPACITY..=MAX_CAPACITY).contains(&capacity) {
            return Err(inconsistent("capacity", capacity));
        }
        if identity.payload_size > MAX_PAYLOAD {
            return Err(inconsistent("payload_size", identity.payload_size));
        }
        let align = identity.payload_align;
        if !align.is_power_of_two() || align as usize > MAX_ALIGN {
            return Err(inconsistent("payload_align", align));
        }
        let max_seats = match kind {
            Kind::Spsc => 1,
            Kind::Mpmc => MAX_SEATS,
        };
        let producers = identity.producers;
        if !(1..=max_seats).contains(&producers) {
            return Err(inconsistent("producers", producers));
        }
        let consumers = identity.participants.wrapping_sub(producers);
        if !(1..=max_seats).contains(&consumers) {
            return Err(inconsistent("participants", identity.participants));
        }
        let delivery = decode("delivery", settings.delivery)?;
        if kind == Kind::Spsc && delivery != Delivery::default() {
            return Err(inconsistent("delivery", settings.delivery));
        }
        if kind == Kind::Mpmc && is_sealed(settings.first_position) {
            return Err(inconsistent("first_position", settings.first_position));
        }
        if settings.liveness_interval == 0 {
            return Err(inconsistent(
                "liveness_interval",
                settings.liveness_interval,
            ));
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
            return Err(inconsistent("stride", identity.stride));
        }
        if identity.slots_offset != geometry.slots_offset() {
            return Err(inconsistent("slots_offset", identity.slots_offset));
        }
        if identity.total_len != geometry.total_len() {
            return Err(inconsistent("total_len", identity.total_len));
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

fn decode<T: Code>(field: &'static str, word: u32) -> Result<T, OpenError> {
    T::decode(word).ok_or_else(|| inconsistent(field, word))
}

fn inconsistent(field: &'static str, found: impl Into<u64>) -> OpenError {
    OpenError::Inconsistent {
        field,
        found: found.into(),
    }
}
