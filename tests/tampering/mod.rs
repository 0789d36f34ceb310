//! A small ring whose bytes a test writes, as a broken peer would.

use crate::naming::Name;
use slipring::Options;
use slipring::spsc::Ring;
use std::fs::File;

pub(crate) const SLOTS: u64 = 0x1000;
/// Bytes from one slot of a ring of `u64` or of 8-byte strings to the next.
pub(crate) const STRIDE: u64 = 16;
pub(crate) const CAPACITY: u64 = 4;

/// A slot's word whose stamp is `ahead` of `position`.
pub(crate) fn word(position: u64, ahead: i64, len: u32) -> [u8; 8] {
    let stamp = (position as u32).wrapping_add(ahead as u32);
    (u64::from(len) << 32 | u64::from(stamp)).to_le_bytes()
}

/// Where the slot of a position lies.
pub(crate) fn slot(position: u64) -> u64 {
    SLOTS + position % CAPACITY * STRIDE
}

/// A ring of four values at `first`, with its bytes.
pub(crate) fn values(first: u64) -> (Name, File, Ring<u64>) {
    let name = Name::new();
    let options = Options::new()
        .capacity(CAPACITY as usize)
        .first_position(first);
    let ring = Ring::<u64>::create_with(&name, &options).unwrap();
    let file = name.file();
    (name, file, ring)
}
