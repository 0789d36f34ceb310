//! The bytes of a ring, version 1: little-endian, 64-bit, the same on every machine.
//!
//! ```text
//! 0x000  identity   magic, version, kind, encoding, geometry; never read again after open
//! 0x080  tail       u64, next position to write
//! 0x100  head       u64, next position to read
//! 0x180  not_empty  event word
//! 0x200  not_full   event word
//! 0x280  status     closing, arrivals, orphan hint, counters, oldest segments
//! 0x300  settings   creation time, boot, liveness interval, flags, next segment, first position
//! 0x400  entries    one per participant, 128 bytes each
//! ....   slots      from the next multiple of 4096
//! ```
//!
//! Lines are 128 bytes apart, whatever the machine's cache lines are. Two processes on one machine
//! may be built for different ones, and a file may move to another machine. All fields are
//! fixed-width integers; a location is an offset, never an address.
//!
//! An object may hold several such rings, its segments. Each records the offset of the next one, in
//! bytes from the start of the object. They share the seats; the seat locks belong to the object.
//!
//! The size of a ring is `round_up(0x400 + 128 * participants, 4096) + capacity * stride`, rounded
//! up to 4096. A slot starts with its word: 8 bytes, or the payload's alignment if that is more.
//! `stride` is the sizes of the word and the payload, rounded up to the larger alignment of the
//! two.

mod codes;
mod copy;
mod geometry;
mod header;
#[cfg(test)]
mod tests;

pub(crate) use self::copy::HeaderCopy;
pub(crate) use self::geometry::Geometry;
pub(crate) use self::header::{Entry, ProcessIdentity, SeatView, View};

use bytemuck::{Pod, Zeroable};
use core::mem::offset_of;
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

/// The first line of a ring: its type and geometry.
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
    /// The magic, which is stored last, and the words that follow it.
    fn split_magic(self) -> (u64, [u64; LINE / 8 - 1]) {
        let words: [u64; LINE / 8] = bytemuck::cast(self);
        let mut rest = [0; LINE / 8 - 1];
        rest.copy_from_slice(&words[1..]);
        (words[0], rest)
    }
}

/// The seventh line of a ring: how it is used. Unused fields are zero.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Settings {
    created_at: u64,
    boot_id: [u8; 16],
    liveness_interval: u64,
    delivery: u32,
    flags: u32,
    next_segment: u64,
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

/// The two constant parts of a header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderConstants {
    pub(crate) identity: Identity,
    pub(crate) settings: Settings,
}

/// Nanoseconds; for a duration above five centuries, `u64::MAX`.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
